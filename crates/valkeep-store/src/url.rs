//! `s3://bucket/prefix/`, `ssm:/path/`, `file:DIR`: how stores are named.

use crate::LeaseUrl;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// Where a store is. Prefixes and paths end with a slash or are empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StoreUrl {
    /// `s3://bucket/prefix/`
    S3 {
        /// Bucket name.
        bucket: String,
        /// Empty for the whole bucket, else ending in a slash.
        prefix: String,
    },
    /// `ssm:/path/`
    Ssm {
        /// Begins and ends with a slash.
        path: String,
    },
    /// `file:DIR`
    File {
        /// The folder.
        dir: PathBuf,
    },
}

/// A text that names no store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a store: {problem}")]
pub struct UrlError {
    /// What was given.
    pub text: String,
    /// What is wrong with it and what to write.
    pub problem: &'static str,
}

impl StoreUrl {
    /// Where status goes when nothing else is said: a sibling outside the documents' own prefix. A whole bucket or the
    /// root of all parameters has no sibling; then `--status` is needed.
    pub fn default_status(&self) -> Result<Self, UrlError> {
        let beside = |name: &str| format!("{}-status/", name.trim_end_matches('/'));
        match self {
            StoreUrl::S3 { prefix, .. } if prefix.is_empty() => Err(UrlError {
                text: self.to_string(),
                problem: "a whole bucket has no place beside it for status; give one with --status s3://other-bucket/prefix/",
            }),
            StoreUrl::Ssm { path } if path == "/" => Err(UrlError {
                text: self.to_string(),
                problem: "the root path has no place beside it for status; give one with --status ssm:/path/",
            }),
            StoreUrl::S3 { bucket, prefix } => Ok(StoreUrl::S3 {
                bucket: bucket.clone(),
                prefix: beside(prefix),
            }),
            StoreUrl::Ssm { path } => Ok(StoreUrl::Ssm { path: beside(path) }),
            StoreUrl::File { dir } => {
                let Some(name) = dir.file_name() else {
                    return Err(UrlError {
                        text: self.to_string(),
                        problem: "this folder has no name to put a sibling beside; give one with --status file:DIR",
                    });
                };
                let mut name = name.to_os_string();
                name.push("-status");
                Ok(StoreUrl::File {
                    dir: dir.with_file_name(name),
                })
            }
        }
    }

    /// Where the lease goes when nothing else is said and this is where status is: an object that is no status, because
    /// those end in `.json`. None outside S3, which alone compares before it writes.
    pub fn default_lease(&self) -> Option<LeaseUrl> {
        match self {
            StoreUrl::S3 { bucket, prefix } => Some(LeaseUrl {
                bucket: bucket.clone(),
                key: format!("{prefix}.lease"),
            }),
            StoreUrl::Ssm { .. } | StoreUrl::File { .. } => None,
        }
    }

    /// Whether a lease would lie within this store.
    pub fn holds_lease(&self, lease: &LeaseUrl) -> bool {
        matches!(self, StoreUrl::S3 { bucket, prefix } if *bucket == lease.bucket && lease.key.starts_with(prefix))
    }

    /// Whether `other` lies within this store, so that a status there would be read as a document.
    pub fn holds(&self, other: &Self) -> bool {
        match (self, other) {
            (StoreUrl::S3 { bucket, prefix }, StoreUrl::S3 { bucket: b, prefix: p }) => {
                bucket == b && p.starts_with(prefix)
            }
            (StoreUrl::Ssm { path }, StoreUrl::Ssm { path: p }) => p.starts_with(path),
            (StoreUrl::File { dir }, StoreUrl::File { dir: d }) => d.starts_with(dir),
            _ => false,
        }
    }
}

impl FromStr for StoreUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let fail = |problem| {
            Err(UrlError {
                text: text.to_owned(),
                problem,
            })
        };
        let slash = |part: &str| {
            if part.is_empty() || part.ends_with('/') {
                part.to_owned()
            } else {
                format!("{part}/")
            }
        };
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if !is_bucket(bucket) {
                return fail(
                    "a bucket name has 3 to 63 lower-case letters, digits, dots and hyphens: s3://bucket/prefix/",
                );
            }
            if prefix.starts_with('/') || prefix.contains("//") {
                return fail("a prefix has no empty parts: s3://bucket/prefix/");
            }
            return Ok(StoreUrl::S3 {
                bucket: bucket.to_owned(),
                prefix: slash(prefix),
            });
        }
        if let Some(path) = text.strip_prefix("ssm:") {
            let good = path.starts_with('/')
                && !path.contains("//")
                && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_.-".contains(&b));
            if !good {
                return fail("a parameter path begins with a slash and holds letters, digits, _ . and -: ssm:/path/");
            }
            return Ok(StoreUrl::Ssm { path: slash(path) });
        }
        if let Some(dir) = text.strip_prefix("file:") {
            let dir = dir.strip_prefix("//").unwrap_or(dir);
            if dir.is_empty() {
                return fail("name a folder: file:DIR");
            }
            // Components drop a trailing slash, which would hide the folder's own name; a leading `./` goes, too, so that
            // one folder has one spelling.
            let plain: PathBuf = Path::new(dir)
                .components()
                .filter(|part| *part != Component::CurDir)
                .collect();
            return Ok(StoreUrl::File {
                dir: if plain.as_os_str().is_empty() {
                    PathBuf::from(".")
                } else {
                    plain
                },
            });
        }
        fail("write s3://bucket/prefix/, ssm:/path/ or file:DIR")
    }
}

/// Whether S3 takes this for a bucket's name, as far as letters go.
pub(crate) fn is_bucket(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreUrl::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            StoreUrl::Ssm { path } => write!(f, "ssm:{path}"),
            StoreUrl::File { dir } => write!(f, "file:{}", dir.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_read_and_print() {
        for (text, printed) in [
            ("s3://docs/caches", "s3://docs/caches/"),
            ("s3://docs", "s3://docs/"),
            ("ssm:/valkeep/docs", "ssm:/valkeep/docs/"),
            ("file:./docs/", "file:docs"),
        ] {
            assert_eq!(
                text.parse::<StoreUrl>().map(|url| url.to_string()).as_deref(),
                Ok(printed),
                "{text}"
            );
        }
        for text in ["", "docs", "s3://", "s3://UPPER/x", "s3://docs//x", "ssm:docs", "file:"] {
            assert!(text.parse::<StoreUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_lease_lies_with_the_status_and_is_none() {
        let status: StoreUrl = "s3://bucket/docs-status".parse().expect("good");
        let lease = status.default_lease().expect("S3 has one");
        assert_eq!(lease.to_string(), "s3://bucket/docs-status/.lease");
        let documents: StoreUrl = "s3://bucket/docs".parse().expect("good");
        assert!(status.holds_lease(&lease) && !documents.holds_lease(&lease));
        for text in ["ssm:/docs-status/", "file:docs-status"] {
            assert_eq!(text.parse::<StoreUrl>().expect("good").default_lease(), None, "{text}");
        }
    }

    #[test]
    fn status_lies_beside_the_documents_and_never_among_them() {
        for text in ["s3://bucket/docs/", "ssm:/docs/", "file:docs"] {
            let url: StoreUrl = text.parse().expect("good");
            let status = url.default_status().expect("has a sibling");
            assert!(!url.holds(&status), "{url} {status}");
        }
        let bucket: StoreUrl = "s3://bucket".parse().expect("good");
        assert!(bucket.default_status().is_err());
        let here: StoreUrl = "file:.".parse().expect("good");
        assert!(here.default_status().is_err());
    }
}
