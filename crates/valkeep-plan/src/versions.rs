//! Which server reads whose files. The table was tried with real servers: an older server refuses a newer file at
//! start and exits, it never changes it.

/// A server product and version, as `INFO` and image tags spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Product {
    valkey: bool,
    major: u32,
    minor: u32,
}

impl Product {
    /// Reads `valkey 8.0.1`, the form of the written-by tag.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (name, version) = text.split_once(' ')?;
        Self::new(name, version)
    }

    /// Reads an image like `valkey/valkey:8.0-alpine`. None where the tag is no version (a digest, `unstable`) or the
    /// name tells no product.
    pub(crate) fn of_image(image: &str) -> Option<Self> {
        let image = image.split_once('@').map_or(image, |(name, _)| name);
        let last = image.rsplit('/').next()?;
        let (name, tag) = last.split_once(':')?;
        Self::new(name, tag)
    }

    fn new(name: &str, version: &str) -> Option<Self> {
        let valkey = match (name.contains("valkey"), name.contains("redis")) {
            (true, _) => true,
            (false, true) => false,
            (false, false) => return None,
        };
        let digits = version
            .split(|c: char| !c.is_ascii_digit() && c != '.')
            .next()
            .unwrap_or("");
        let mut parts = digits.split('.').map(str::parse::<u32>);
        let major = parts.next()?.ok()?;
        // `valkey:8` is the newest 8.x.
        let minor = parts.next().and_then(Result::ok).unwrap_or(u32::MAX);
        Some(Self { valkey, major, minor })
    }

    /// The RDB version that it writes. Valkey counts on from 80 since 9.0; what Redis counts from 12 is its own.
    fn writes(self) -> u32 {
        match (self.valkey, self.major, self.minor) {
            (true, 9.., _) => 80,
            (true, _, _) | (false, 7, 2 | 3) => 11,
            (false, 8.., _) | (false, 7, 4..) => 12,
            (false, 7, _) => 10,
            (false, _, _) => 9,
        }
    }

    /// Whether it loads what `writer` wrote.
    pub(crate) fn reads(self, writer: Self) -> bool {
        let format = writer.writes();
        if self.valkey && self.major >= 9 {
            // 12 to 79 are Redis's own; Valkey 9 refuses them unless told to be relaxed.
            format <= 11 || format >= 80
        } else {
            format <= self.writes()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(image: &str, writer: &str) -> bool {
        Product::of_image(image)
            .expect("an image with a version")
            .reads(Product::parse(writer).expect("a product"))
    }

    #[test]
    fn files_go_forward_and_not_back() {
        for (image, writer, expected) in [
            ("valkey/valkey:8.0", "valkey 8.1.1", true),
            ("valkey/valkey:9.1", "valkey 8.0.1", true),
            ("valkey/valkey:8.1-alpine", "valkey 9.0.0", false),
            ("valkey/valkey:8", "redis 7.4.1", false),
            ("valkey/valkey:9", "redis 8.0.2", false),
            ("valkey/valkey:8.0", "redis 7.2.4", true),
            ("redis:7.0.15", "valkey 8.0.1", false),
            ("redis:7.0.15", "redis 7.0.1", true),
            ("redis:8", "valkey 8.0.1", true),
            ("redis:8", "valkey 9.1.2", false),
        ] {
            assert_eq!(reads(image, writer), expected, "{image} on files of {writer}");
        }
    }

    #[test]
    fn images_that_tell_no_version_are_let_through() {
        for image in [
            "valkey/valkey:unstable",
            "registry:5000/cache",
            "valkey/valkey@sha256:00",
            "bitnami/other:8.0",
        ] {
            assert_eq!(Product::of_image(image), None, "{image}");
        }
        assert!(Product::of_image("registry:5000/x/valkey:8.0@sha256:00").is_some());
    }
}
