//! The lease: one object, written by compare-and-swap, that says which of several valkeeps leads.
//!
//! Here are its words and its place. When to take, renew and give it up is the engine's matter; how S3 compares and
//! swaps is the AWS crate's.

use crate::{Expect, Written};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// One object that is written only by compare-and-swap. Each call is one attempt and may be dropped at any await; its
/// outcome is then not known.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Where it lies, for people.
    fn url(&self) -> &LeaseUrl;

    /// As it is now; `None` where there is none.
    async fn read(&self) -> Result<Option<StoredLease>, LeaseError>;

    /// Writes it if nobody wrote meanwhile. One attempt: a write whose answer is lost is an error, and the next read
    /// shows what came of it.
    async fn write(&self, record: &LeaseRecord, expect: &Expect) -> Result<Written, LeaseError>;
}

/// What the object says. Nobody compares its times: they are for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseRecord {
    /// The process that holds it, or held it last; no two processes ever share one.
    pub holder: String,
    /// Where that process runs.
    pub host: String,
    /// Since when it leads, by its own clock.
    pub since: Timestamp,
    /// Grows with every write of this holder, so that no two writes are the same bytes, which S3 would give one `ETag`.
    pub writes: u64,
    /// How long each write of it is good for, in milliseconds. Others wait this long without seeing a new write.
    pub duration_ms: u64,
    /// The holder gave it up: it may be taken at once.
    pub released: bool,
}

impl LeaseRecord {
    /// As stored.
    pub fn to_json(&self) -> Vec<u8> {
        let mut body = serde_json::to_vec_pretty(self).expect("strings, numbers and a time are JSON");
        body.push(b'\n');
        body
    }

    /// Reads what [`LeaseRecord::to_json`] wrote; `None` for anything else.
    pub fn from_json(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// See [`LeaseRecord::duration_ms`].
    pub fn duration(&self) -> Duration {
        Duration::from_millis(self.duration_ms)
    }
}

/// The lease as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLease {
    /// What [`Expect::Tag`] takes; another one after every write.
    pub tag: String,
    /// What it says; none where something else lies in its place.
    pub record: Option<LeaseRecord>,
}

/// A lease that could not be read or written. After a failed write it may be written all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// No permission.
    #[error("{call} on {url} was denied: {message}")]
    Denied {
        /// The call in IAM's spelling.
        call: String,
        /// The lease.
        url: LeaseUrl,
        /// The store's own words.
        message: String,
    },
    /// The bucket is not there.
    #[error("the bucket of {url} does not exist")]
    NoBucket {
        /// The lease.
        url: LeaseUrl,
    },
    /// The store does not compare before it writes, so it cannot keep a lease.
    #[error("{url} is in a store that does not take conditional writes: {message}")]
    Unconditional {
        /// The lease.
        url: LeaseUrl,
        /// The store's own words.
        message: String,
    },
    /// Anything else: throttled, unreachable, broken.
    #[error("{call} on {url} failed: {message}")]
    Failed {
        /// The call in IAM's spelling.
        call: String,
        /// The lease.
        url: LeaseUrl,
        /// The store's own words.
        message: String,
    },
}

impl LeaseError {
    /// What the reader can do, where it does not heal by itself.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            LeaseError::Denied { .. } => {
                Some("allow s3:GetObject and s3:PutObject on the lease, and s3:ListBucket on its bucket")
            }
            LeaseError::NoBucket { .. } => Some("make the bucket, or name a lease in another one with --lease"),
            LeaseError::Unconditional { .. } => {
                Some("name a lease in Amazon S3 with --lease, or run one valkeep only and say so with --single-replica")
            }
            LeaseError::Failed { .. } => None,
        }
    }
}

/// `s3://bucket/key`: where a lease lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaseUrl {
    /// Bucket name.
    pub bucket: String,
    /// The whole key.
    pub key: String,
}

/// A text that names no lease.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a lease: {problem}")]
pub struct LeaseUrlError {
    /// What was given.
    pub text: String,
    /// What is wrong with it and what to write.
    pub problem: &'static str,
}

impl FromStr for LeaseUrl {
    type Err = LeaseUrlError;

    fn from_str(text: &str) -> Result<Self, LeaseUrlError> {
        let fail = |problem| {
            Err(LeaseUrlError {
                text: text.to_owned(),
                problem,
            })
        };
        let Some(rest) = text.strip_prefix("s3://") else {
            return fail("only S3 compares before it writes: s3://bucket/key");
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if !crate::url::is_bucket(bucket) {
            return fail("a bucket name has 3 to 63 lower-case letters, digits, dots and hyphens: s3://bucket/key");
        }
        if key.is_empty() || key.ends_with('/') || key.starts_with('/') || key.contains("//") {
            return fail("it needs the key of one object: s3://bucket/key");
        }
        Ok(Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        })
    }
}

impl fmt::Display for LeaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bucket, key } = self;
        write!(f, "s3://{bucket}/{key}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_named_by_one_object_in_s3() {
        let url: LeaseUrl = "s3://docs/valkeep/lease".parse().expect("good");
        assert_eq!((url.bucket.as_str(), url.key.as_str()), ("docs", "valkeep/lease"));
        assert_eq!(url.to_string(), "s3://docs/valkeep/lease");
        for text in [
            "",
            "docs/lease",
            "ssm:/lease",
            "file:lease",
            "s3://docs",
            "s3://docs/",
            "s3://docs/lease/",
            "s3://docs//lease",
            "s3://UPPER/lease",
        ] {
            assert!(text.parse::<LeaseUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_nothing_else_is_one() {
        let record = LeaseRecord {
            holder: "a".to_owned(),
            host: "b".to_owned(),
            since: "2026-11-26T00:00:00Z".parse().expect("a time"),
            writes: 3,
            duration_ms: 15_000,
            released: false,
        };
        assert_eq!(LeaseRecord::from_json(&record.to_json()), Some(record.clone()));
        let next = LeaseRecord { writes: 4, ..record };
        assert_ne!(LeaseRecord::from_json(&next.to_json()).map(|next| next.writes), Some(3));
        for body in [&b""[..], b"{}", b"[]", b"\xff", b"{\"holder\":\"a\"}"] {
            assert_eq!(LeaseRecord::from_json(body), None);
        }
    }
}
