//! Which server reads whose files.
//!
//! A dump begins with the version of its format, like `REDIS0011`. An append-only file begins with such a dump, so the same
//! holds for it. A server that does not know the version exits at start and leaves the file as it is. Redis and Valkey have
//! counted apart since Redis 7.4 and Valkey 9.0: across them "newer" means nothing.

use std::fmt;

/// Whose numbers a version counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// Redis.
    Redis,
    /// Valkey.
    Valkey,
}

/// A server and its version, as `INFO`, the written-by tag and tags of images say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    line: Line,
    major: u32,
    minor: u32,
}

/// The version of the format of a dump. Shown as the first bytes of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Format(u32);

/// The format that servers from a version on write; of one line in rising order.
///
/// - `RDB_VERSION` in `src/rdb.h` of <https://github.com/redis/redis>, at the tags 3.2.0 to 7.4.1; for 8.6 and 8.8
///   <https://github.com/redis/librdb/pull/93> and `/pull/101`, and for 8.10 the development branch that it was made from.
/// - `RDB_VERSION_MAP` in `src/rdb.h` of <https://github.com/valkey-io/valkey>.
///
/// Servers that are newer than this table count as its last row: what is not known is not held.
const WRITES: [(Line, u32, u32, Format); 12] = [
    (Line::Redis, 3, 2, Format(7)),
    (Line::Redis, 4, 0, Format(8)),
    (Line::Redis, 5, 0, Format(9)),
    (Line::Redis, 7, 0, Format(10)),
    (Line::Redis, 7, 2, Format::COMMON),
    (Line::Redis, 7, 4, Format(12)),
    (Line::Redis, 8, 6, Format(13)),
    (Line::Redis, 8, 8, Format(14)),
    (Line::Redis, 8, 10, Format(15)),
    (Line::Valkey, 7, 2, Format::COMMON),
    (Line::Valkey, 9, 0, Format::VALKEY),
    (Line::Valkey, 9, 2, Format(81)),
];

/// Valkey can be told to try what it does not know, by `rdb-version-check relaxed`, from this version on.
/// <https://github.com/valkey-io/valkey/pull/1604>
const RELAXED_SINCE: (u32, u32) = (8, 1);

impl Format {
    /// The last one that both lines write.
    const COMMON: Self = Self(11);
    /// The first one of Valkey's own. What lies between is Redis's.
    const VALKEY: Self = Self(80);

    fn is_valkeys(self) -> bool {
        self >= Self::VALKEY
    }

    fn is_rediss(self) -> bool {
        self > Self::COMMON && !self.is_valkeys()
    }
}

impl Product {
    /// Reads `valkey 8.0.1`, the form of the written-by tag.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, version) = text.split_once(' ')?;
        Self::new(name, version)
    }

    /// Reads an image like `valkey/valkey:8.0-alpine`. None where the tag is no version (a digest, `latest`), the name tells
    /// no product, or the product never had such a version: then the image's owner counts in numbers of their own.
    pub fn of_image(image: &str) -> Option<Self> {
        let image = image.split_once('@').map_or(image, |(name, _)| name);
        let last = image.rsplit('/').next()?;
        let (name, tag) = last.split_once(':')?;
        Self::new(name, tag.strip_prefix('v').unwrap_or(tag))
    }

    fn new(name: &str, version: &str) -> Option<Self> {
        let line = match (name.contains("valkey"), name.contains("redis")) {
            (true, _) => Line::Valkey,
            (false, true) => Line::Redis,
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
        let product = Self { line, major, minor };
        product.row().is_some().then_some(product)
    }

    fn row(self) -> Option<Format> {
        let mut known = WRITES.iter().rev();
        known
            .find(|(line, major, minor, _)| *line == self.line && (*major, *minor) <= (self.major, self.minor))
            .map(|(.., format)| *format)
    }

    /// The format that it writes.
    pub fn writes(self) -> Format {
        self.row().expect("a product without a row is not made")
    }

    /// Whether it loads what `writer` wrote.
    pub fn reads(self, writer: Self) -> bool {
        let (own, found) = (self.writes(), writer.writes());
        found <= own && (self.line == Line::Redis || !found.is_rediss())
    }

    /// Whether it loads what `writer` wrote when it is told to try. If the files hold something that it does not know, it
    /// exits as otherwise. Of append-only files that takes 8.1.5 (<https://github.com/valkey-io/valkey/issues/2917>).
    pub fn may_read_relaxed(self, writer: Self) -> bool {
        let tries = self.line == Line::Valkey && (self.major, self.minor) >= RELAXED_SINCE;
        // Only servers with a format of their own know which of Redis's words they must not take for theirs.
        let foreign = writer.writes().is_rediss() && !self.writes().is_valkeys();
        self.reads(writer) || tries && !foreign
    }

    /// What reads its files, like `Redis 7.2 or newer, or Valkey 7.2 or newer`; its own line first.
    pub fn readers(self) -> String {
        let lines = match self.line {
            Line::Redis => [Line::Redis, Line::Valkey],
            Line::Valkey => [Line::Valkey, Line::Redis],
        };
        let first = |line: Line| {
            let mut versions = WRITES.iter().filter(|row| row.0 == line);
            versions.find_map(|&(line, major, minor, _)| {
                let reader = Self { line, major, minor };
                reader.reads(self).then(|| format!("{line:?} {major}.{minor} or newer"))
            })
        };
        lines.into_iter().filter_map(first).collect::<Vec<_>>().join(", or ")
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(version) = self;
        if self.is_valkeys() {
            write!(f, "VALKEY{version:03}")
        } else {
            write!(f, "REDIS{version:04}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One server of each format, with the first bytes of its dumps.
    const SERVERS: [(&str, &str); 12] = [
        ("redis 4.0.14", "REDIS0008"),
        ("redis 6.2.14", "REDIS0009"),
        ("redis 7.0.15", "REDIS0010"),
        ("redis 7.2.5", "REDIS0011"),
        ("redis 7.4.1", "REDIS0012"),
        ("redis 8.4.0", "REDIS0012"),
        ("redis 8.6.1", "REDIS0013"),
        ("redis 8.8.1", "REDIS0014"),
        ("valkey 7.2.8", "REDIS0011"),
        ("valkey 8.1.4", "REDIS0011"),
        ("valkey 9.1.2", "VALKEY080"),
        ("valkey 9.2.0", "VALKEY081"),
    ];

    /// A row for each reader, a letter for each writer, both in the order of `SERVERS`: `+` reads, `r` may read when it is told
    /// to try, `-` does not.
    const READS: [&str; 12] = [
        "+-----------", // Redis 4.0
        "++----------", // Redis 6.2
        "+++---------", // Redis 7.0
        "++++----++--", // Redis 7.2
        "++++++--++--", // Redis 7.4
        "++++++--++--", // Redis 8.4
        "+++++++-++--", // Redis 8.6
        "++++++++++--", // Redis 8.8
        "++++----++--", // Valkey 7.2
        "++++----++rr", // Valkey 8.1
        "++++rrrr+++r", // Valkey 9.1
        "++++rrrr++++", // Valkey 9.2
    ];

    fn product(text: &str) -> Product {
        Product::parse(text).expect("a product")
    }

    fn image(text: &str) -> Product {
        Product::of_image(text).expect("an image with a version")
    }

    #[test]
    fn every_server_reads_what_the_table_says() {
        for ((reader, _), row) in SERVERS.iter().zip(READS) {
            let found: String = SERVERS
                .iter()
                .map(|(writer, _)| (product(reader), product(writer)))
                .map(
                    |(reader, writer)| match (reader.reads(writer), reader.may_read_relaxed(writer)) {
                        (true, true) => '+',
                        (false, true) => 'r',
                        (false, false) => '-',
                        (true, false) => panic!("{reader:?} reads {writer:?} only strictly"),
                    },
                )
                .collect();
            assert_eq!(found, row, "{reader}");
        }
    }

    #[test]
    fn dumps_begin_with_their_format() {
        for (server, header) in SERVERS {
            assert_eq!(product(server).writes().to_string(), header, "{server}");
        }
    }

    #[test]
    fn what_reads_the_files_is_named_and_does() {
        for (writer, readers) in [
            ("redis 6.2.14", "Redis 5.0 or newer, or Valkey 7.2 or newer"),
            ("redis 7.2.5", "Redis 7.2 or newer, or Valkey 7.2 or newer"),
            ("redis 8.0.2", "Redis 7.4 or newer"),
            ("valkey 8.0.1", "Valkey 7.2 or newer, or Redis 7.2 or newer"),
            ("valkey 9.1.2", "Valkey 9.0 or newer"),
            ("valkey 9.2.0", "Valkey 9.2 or newer"),
        ] {
            assert_eq!(product(writer).readers(), readers, "{writer}");
        }
    }

    #[test]
    fn images_say_their_version_in_many_ways() {
        for (text, same) in [
            ("valkey/valkey:8.0", "valkey 8.0.0"),
            ("valkey/valkey:v9.1.2-alpine3.22", "valkey 9.1.2"),
            ("registry:5000/x/valkey:8.0@sha256:00", "valkey 8.0.9"),
            ("redis/redis-stack-server:7.4.0-v3", "redis 7.4.0"),
        ] {
            assert_eq!(image(text), product(same), "{text}");
        }
        let any_8 = image("valkey/valkey:8");
        assert!(any_8.reads(product("valkey 8.1.4")) && !any_8.reads(product("valkey 9.0.0")));
        assert!(image("redis:8").reads(product("redis 8.8.1")), "the newest 8.x");
        assert!(
            image("valkey/valkey:10.0").reads(product("valkey 9.2.0")),
            "what the table does not know yet"
        );
    }

    #[test]
    fn images_that_tell_no_version_are_no_product() {
        for image in [
            "valkey/valkey:latest",
            "valkey/valkey:alpine3.22",
            "valkey/valkey@sha256:00",
            "registry:5000/valkey",
            "bitnami/other:8.0",
            "team/valkey-with-modules:1.4.2",
            "redis:99999999999",
        ] {
            assert_eq!(Product::of_image(image), None, "{image}");
        }
    }
}
