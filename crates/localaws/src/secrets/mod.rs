//! Secrets Manager: secrets with their versions.

mod calls;

pub(crate) use calls::{call, value};

use jiff::Timestamp;
use std::collections::BTreeMap;

/// All that Secrets Manager remembers, by name.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    secrets: BTreeMap<String, Secret>,
}

/// A secret.
#[derive(Debug)]
struct Secret {
    arn: String,
    /// By stage: `AWSCURRENT`, and `AWSPREVIOUS` once there was another.
    versions: BTreeMap<String, Version>,
}

/// One version of it.
#[derive(Debug, Clone)]
struct Version {
    id: String,
    /// What it was given as: `SecretString` or `SecretBinary`.
    member: &'static str,
    value: String,
    created_at: Timestamp,
}
