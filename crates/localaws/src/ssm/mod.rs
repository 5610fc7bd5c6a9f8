//! SSM Parameter Store: parameters with their history.

mod calls;

pub(crate) use calls::{call, plain};

use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// All that Parameter Store remembers.
#[derive(Debug, Default)]
pub(crate) struct Ssm {
    parameters: BTreeMap<String, Parameter>,
}

/// A parameter.
#[derive(Debug, Clone)]
struct Parameter {
    description: Option<String>,
    tags: BTreeMap<String, String>,
    /// Oldest first, never none.
    versions: VecDeque<Version>,
}

/// One version of it.
#[derive(Debug, Clone)]
struct Version {
    number: i64,
    value: String,
    kind: Kind,
    tier: Tier,
    modified_at: Timestamp,
    labels: Vec<String>,
}

/// Type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    String,
    StringList,
    SecureString,
}

/// How much a parameter may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tier {
    Standard,
    Advanced,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::StringList => "StringList",
            Self::SecureString => "SecureString",
        }
    }
}

impl Tier {
    fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "Standard",
            Self::Advanced => "Advanced",
        }
    }

    fn length_max(self) -> usize {
        match self {
            Self::Standard => 4096,
            Self::Advanced => 8192,
        }
    }
}

impl Parameter {
    fn latest(&self) -> &Version {
        self.versions.back().expect("a parameter has a version")
    }
}
