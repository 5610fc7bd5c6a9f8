//! Errors of commands: whose fault, what happened, what to do. Printed once, at the edge, with the chain of causes.

use crate::exit::Exit;
use crate::output;
use std::error::Error;
use valkeep_core::{Failure, FailureKind};
use valkeep_store::{StoreError, UrlError};

/// A command that could not do what was asked.
#[derive(Debug)]
pub(crate) struct CommandError {
    kind: Kind,
    error: Box<dyn Error + Send + Sync>,
    hints: Vec<String>,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The command line does not say enough, or says too much.
    Usage,
    /// What was given is wrong: a file, a document, a name.
    User,
    /// AWS, a store or the machine did not do its part.
    Outside,
    /// valkeep is wrong.
    Bug,
}

impl CommandError {
    /// The command line does not say enough, or says too much.
    pub(crate) fn usage(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Usage, error)
    }

    /// What was given is wrong.
    pub(crate) fn user(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::User, error)
    }

    /// Somebody outside did not do its part.
    pub(crate) fn outside(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Outside, error)
    }

    /// valkeep is wrong.
    pub(crate) fn bug(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Bug, error).hint("please report this with the command and its output")
    }

    fn new(kind: Kind, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind,
            error: error.into(),
            hints: Vec::new(),
        }
    }

    /// Adds what the reader can do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Says what was attempted, keeping the error as cause.
    #[must_use]
    pub(crate) fn while_(self, attempt: impl Into<String>) -> Self {
        let Self { kind, error, hints } = self;
        Self {
            kind,
            error: Box::new(While {
                attempt: attempt.into(),
                source: error,
            }),
            hints,
        }
    }

    /// Prints the error with its causes and hints to stderr; the exit code that goes with it.
    pub(crate) fn report(&self) -> Exit {
        let Self { kind, error, hints } = self;
        let (word, exit) = match kind {
            Kind::Usage => ("error", Exit::Usage),
            Kind::User | Kind::Outside => ("error", Exit::Error),
            Kind::Bug => ("bug", Exit::Bug),
        };
        output::talk(&format!("{word}: {error}"));
        let mut said = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some libraries repeat their cause in their own text; saying it twice helps nobody.
            if !said.contains(&text) {
                output::talk(&format!("  caused by: {text}"));
                said = text;
            }
            cause = error.source();
        }
        for hint in hints {
            output::talk(&format!("hint: {hint}"));
        }
        exit
    }
}

const REACH_HINT: &str =
    "check the region (AWS_REGION), the endpoint (AWS_ENDPOINT_URL), the credentials (AWS_PROFILE) and the network";

const LOGIN_HINT: &str =
    "check the login that the document refers to (spec.valkey.credentialsFrom), and what its ACL user may do";
const PORT_HINT: &str = "this command must reach the task's port, as from the same VPC";

fn credentials_hint(call: &str) -> String {
    format!(
        "check the credentials that the SDK finds (AWS_PROFILE, environment, container or instance role); they need {call}"
    )
}

/// Whether a call is spelled as IAM does, `service:Action`; file operations have no service.
fn is_aws(call: &str) -> bool {
    call.contains(':')
}

#[derive(Debug)]
struct While {
    attempt: String,
    source: Box<dyn Error + Send + Sync>,
}

impl std::fmt::Display for While {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.attempt)
    }
}

impl Error for While {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        let hint = match &error {
            StoreError::Denied { call, .. } if is_aws(call) => Some(credentials_hint(call)),
            StoreError::Failed { call, .. } if is_aws(call) => Some(REACH_HINT.to_owned()),
            StoreError::Denied { .. } => Some("check who owns the file and the folder".to_owned()),
            StoreError::Missing { what } => Some(format!("check --store, or create {what} first")),
            StoreError::Gone { .. } | StoreError::Changed { .. } | StoreError::Failed { .. } => None,
            StoreError::TooLarge { .. } => Some("a document is a few KB; check that this is one".to_owned()),
        };
        let kind = match &error {
            StoreError::TooLarge { .. } | StoreError::Missing { .. } | StoreError::Changed { .. } => Kind::User,
            StoreError::Gone { .. } | StoreError::Denied { .. } | StoreError::Failed { .. } => Kind::Outside,
        };
        let command = Self::new(kind, error);
        match hint {
            Some(hint) => command.hint(hint),
            None => command,
        }
    }
}

impl From<UrlError> for CommandError {
    fn from(error: UrlError) -> Self {
        Self::usage(error)
    }
}

impl From<Failure> for CommandError {
    fn from(failure: Failure) -> Self {
        let asked_valkey = failure.call.starts_with("valkey:");
        let hint = match failure.kind {
            FailureKind::AccessDenied if asked_valkey => LOGIN_HINT.to_owned(),
            FailureKind::NoAnswer if asked_valkey => PORT_HINT.to_owned(),
            FailureKind::AccessDenied => credentials_hint(&failure.call),
            FailureKind::NoAnswer => REACH_HINT.to_owned(),
            FailureKind::Throttled | FailureKind::ServerError => "try again in a moment".to_owned(),
            FailureKind::NotNow
            | FailureKind::NotFound
            | FailureKind::NotOurs
            | FailureKind::Rejected
            | FailureKind::SettingsLost
            | FailureKind::LimitExceeded
            | FailureKind::Cooldown
            | FailureKind::Other => return Self::outside(failure),
        };
        Self::outside(failure).hint(hint)
    }
}

impl std::fmt::Display for CommandError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}
