//! What looking brought: a value, proof of absence, or doubt.

use serde::{Deserialize, Serialize};

/// The result of looking at one thing. Unknown is not absent: create on [`Fact::Absent`], wait on
/// [`Fact::Unknown`], remove only on proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact<T> {
    /// It is there, and this is it.
    Present(T),
    /// AWS said that it is not there.
    Absent,
    /// Looking failed, or was not possible yet.
    Unknown(Doubt),
}

/// Why a fact is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// What class of trouble it is.
    pub kind: DoubtKind,
    /// The call that failed in IAM's spelling (`elasticfilesystem:DescribeFileSystems`), or what could not be reached.
    pub call: String,
    /// The error's own words, without secrets.
    pub message: String,
}

/// Classes of doubt; each leads to another next step for the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DoubtKind {
    /// The caller lacks a permission.
    AccessDenied,
    /// AWS asked us to slow down.
    Throttled,
    /// No answer in time, or none at all.
    Unreachable,
    /// The host answers, and nothing listens on the port: no server runs there, not even one that still loads its data.
    NotListening,
    /// AWS answered 5xx.
    ServerError,
    /// The server refuses the login, or asks for one.
    NotLetIn,
    /// It was not looked at, because what it belongs to is not there yet.
    NotLooked,
    /// Anything else; the message says what.
    Other,
}

impl<T> Fact<T> {
    /// The value, if there is one.
    pub fn present(&self) -> Option<&T> {
        match self {
            Fact::Present(value) => Some(value),
            Fact::Absent | Fact::Unknown(_) => None,
        }
    }

    /// The value to change, if there is one.
    pub fn present_mut(&mut self) -> Option<&mut T> {
        match self {
            Fact::Present(value) => Some(value),
            Fact::Absent | Fact::Unknown(_) => None,
        }
    }

    /// Why it is unknown, if it is.
    pub fn doubt(&self) -> Option<&Doubt> {
        match self {
            Fact::Unknown(doubt) => Some(doubt),
            Fact::Present(_) | Fact::Absent => None,
        }
    }

    /// Whether absence was proved.
    pub fn is_absent(&self) -> bool {
        matches!(self, Fact::Absent)
    }

    /// A fact that was not looked at, because `call` needs something that is not there yet.
    pub fn not_looked(call: &str) -> Self {
        Fact::Unknown(Doubt {
            kind: DoubtKind::NotLooked,
            call: call.to_owned(),
            message: "not looked at yet".to_owned(),
        })
    }
}
