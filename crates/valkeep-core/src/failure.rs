//! A call that failed, in words that decisions can be made on.

use crate::{DoubtKind, Step};
use serde::{Deserialize, Serialize};

/// A failed call. The text never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{call} failed: {code}: {message}")]
pub struct Failure {
    /// The call in IAM's spelling.
    pub call: String,
    /// What class of trouble it is.
    pub kind: FailureKind,
    /// AWS's code, or our own word where none came (`Timeout`, `NoAnswer`).
    pub code: String,
    /// AWS's message.
    pub message: String,
}

/// Classes of failure; each is another way on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// No permission.
    AccessDenied,
    /// Slow down.
    Throttled,
    /// 5xx.
    ServerError,
    /// No answer in time or none at all; the call may have been applied.
    NoAnswer,
    /// The resource is in a state that does not allow it now; later it will (`IncorrectFileSystemLifeCycleState`, ...).
    NotNow,
    /// What it names is not there (yet: AWS is eventually consistent).
    NotFound,
    /// Something of this name exists and is not ours.
    NotOurs,
    /// The request is invalid; trying again as it is will not help.
    Rejected,
    /// AWS dropped a setting that it was given.
    SettingsLost,
    /// A quota is used up.
    LimitExceeded,
    /// EFS's 24-hour rule.
    Cooldown,
    /// Anything else.
    Other,
}

impl Failure {
    /// The same trouble, met while looking.
    pub fn doubt_kind(&self) -> DoubtKind {
        match self.kind {
            FailureKind::AccessDenied => DoubtKind::AccessDenied,
            FailureKind::Throttled => DoubtKind::Throttled,
            FailureKind::NoAnswer => DoubtKind::Unreachable,
            FailureKind::ServerError => DoubtKind::ServerError,
            FailureKind::NotNow
            | FailureKind::NotFound
            | FailureKind::NotOurs
            | FailureKind::Rejected
            | FailureKind::LimitExceeded
            | FailureKind::SettingsLost
            | FailureKind::Cooldown
            | FailureKind::Other => DoubtKind::Other,
        }
    }
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepFailure {
    /// Which.
    pub step: Step,
    /// How.
    pub failure: Failure,
}
