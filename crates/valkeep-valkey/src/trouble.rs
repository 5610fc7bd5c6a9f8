//! What can go wrong between valkeep and one server, in words for a reader who could mistake it.

use crate::InfoError;
use crate::tls::TlsError;
use std::io;
use std::time::Duration;
use valkeep_core::access::{Login, ServerTarget};
use valkeep_core::{Doubt, DoubtKind, Failure, FailureKind};

/// How much of a server's own words is repeated.
const WORDS_MAX: usize = 200;

/// A command that was not answered as it should be.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Nobody listens there.
    Refused,
    /// The system has no way there.
    NoWay(io::Error),
    /// Connecting took too long.
    NoConnection(Duration),
    /// Connected, and no answer in time: whatever keeps it away, it is not a security group.
    NoAnswer(Duration),
    /// Connected, and TLS did not come about in time.
    NoHandshake(Duration),
    /// The connection ended within the answer.
    Closed {
        /// How many bytes had come.
        bytes: usize,
    },
    /// The connection broke.
    Broken(io::Error),
    /// TLS did not come about, or broke.
    Tls(TlsError),
    /// More than any server has to say.
    TooLong {
        /// How many bytes had come.
        bytes: usize,
    },
    /// Not Valkey's protocol, or not this command's answer.
    NotValkey {
        /// How it began.
        start: String,
    },
    /// `INFO` without what is needed.
    Unreadable(InfoError),
    /// The server said no.
    Said {
        /// The first word.
        code: String,
        /// The rest.
        words: String,
    },
    /// Another process is at this address by now.
    OtherServer {
        /// Its run id.
        run_id: String,
    },
    /// Asked to set a password, and given none.
    NoPassword,
    /// The server said yes, and it is not so.
    NotTaken {
        /// What `CONFIG GET` says.
        got: Option<String>,
    },
}

impl From<InfoError> for Trouble {
    fn from(error: InfoError) -> Self {
        Self::Unreadable(error)
    }
}

impl Trouble {
    /// Met while looking.
    pub(crate) fn doubt(&self, target: &ServerTarget, call: &str) -> Doubt {
        Doubt {
            kind: match (self, self.kind()) {
                (Trouble::Refused, _) => DoubtKind::NotListening,
                (_, FailureKind::NoAnswer) => DoubtKind::Unreachable,
                (Trouble::Said { code, .. }, _) if code == "NOAUTH" || code == "WRONGPASS" => DoubtKind::NotLetIn,
                // `AccessDenied` is IAM's, and its way out is a policy.
                _ => DoubtKind::Other,
            },
            call: call.to_owned(),
            message: self.message(target, call),
        }
    }

    /// Met while changing something.
    pub(crate) fn failure(&self, target: &ServerTarget, call: &str) -> Failure {
        Failure {
            call: call.to_owned(),
            kind: self.kind(),
            code: self.code().to_owned(),
            message: self.message(target, call),
        }
    }

    fn kind(&self) -> FailureKind {
        match self {
            Trouble::Refused
            | Trouble::NoWay(_)
            | Trouble::NoConnection(_)
            | Trouble::NoAnswer(_)
            | Trouble::NoHandshake(_)
            | Trouble::Closed { .. }
            | Trouble::Broken(_) => FailureKind::NoAnswer,
            Trouble::OtherServer { .. } => FailureKind::NotNow,
            Trouble::NotTaken { .. } | Trouble::NoPassword => FailureKind::Rejected,
            Trouble::Tls(_) | Trouble::TooLong { .. } | Trouble::NotValkey { .. } | Trouble::Unreadable(_) => {
                FailureKind::Other
            }
            Trouble::Said { code, words } => match code.as_str() {
                "NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED" => FailureKind::AccessDenied,
                "LOADING" | "BUSY" | "MISCONF" | "MASTERDOWN" | "TRYAGAIN" => FailureKind::NotNow,
                // Without words it is the server's own trouble: it could not start a process, for one.
                "ERR" if !words.is_empty() => FailureKind::Rejected,
                _ => FailureKind::Other,
            },
        }
    }

    fn code(&self) -> &str {
        match self {
            Trouble::Refused => "ConnectionRefused",
            Trouble::NoWay(_) => "NoConnection",
            Trouble::NoConnection(_) => "Timeout",
            Trouble::NoAnswer(_) | Trouble::NoHandshake(_) | Trouble::Closed { .. } | Trouble::Broken(_) => "NoAnswer",
            Trouble::Tls(_) => "Tls",
            Trouble::TooLong { .. } | Trouble::NotValkey { .. } | Trouble::Unreadable(_) => "BadAnswer",
            Trouble::OtherServer { .. } => "OtherServer",
            Trouble::NotTaken { .. } => "NotTaken",
            Trouble::NoPassword => "NoPassword",
            Trouble::Said { code, .. } => code,
        }
    }

    fn message(&self, target: &ServerTarget, call: &str) -> String {
        let command = call.trim_start_matches("valkey:");
        let address = target.address;
        match self {
            Trouble::Refused => format!("nothing listens on {address}: the server starts, or has ended"),
            Trouble::NoWay(error) => format!("cannot connect to {address}: {error}"),
            Trouble::NoConnection(within) => format!(
                "no connection to {address} within {within:?}; the task's security group must let valkeep in on this port"
            ),
            Trouble::NoAnswer(within) => format!(
                "{address} takes connections and did not answer {command} within {within:?}: the server hangs or is busy"
            ),
            Trouble::NoHandshake(within) => format!(
                "{address} takes connections and did not begin TLS within {within:?}: it speaks none on this port, or hangs"
            ),
            Trouble::Closed { bytes: 0 } if target.access.tls.is_none() => {
                format!("{address} closed the connection without a word: it speaks only TLS, or has just ended")
            }
            Trouble::Closed { bytes } => {
                format!("{address} closed the connection after {bytes} bytes of its answer")
            }
            Trouble::Broken(error) => format!("the connection to {address} broke: {error}"),
            Trouble::Tls(error) => format!("no TLS with {address}: {error}"),
            Trouble::TooLong { bytes } => {
                format!("{address} sent {bytes} bytes and had not ended; no answer to {command} is that long")
            }
            // The head of an alert: what the server says to somebody who does not encrypt.
            Trouble::NotValkey { start } if start.starts_with("\\u{15}\\u{3}") => {
                format!("{address} speaks TLS, and valkeep was told of none")
            }
            Trouble::NotValkey { start } => format!(
                "what answers on {address} does not speak Valkey's protocol in clear text (it began with `{start}`)"
            ),
            Trouble::Unreadable(error) => format!("{address}: {error}"),
            Trouble::OtherServer { run_id } => format!(
                "another server is at {address} by now (run id {}); {command} was meant for the one before",
                clip(run_id)
            ),
            Trouble::NotTaken { got: Some(got) } => {
                format!("{address} accepted the setting and has `{}` all the same", clip(got))
            }
            Trouble::NoPassword => format!("{address} was to be given a password, and there is none"),
            Trouble::NotTaken { got: None } => format!("{address} accepted the setting and does not know it"),
            Trouble::Said { code, words } => said(target, command, code, words),
        }
    }
}

fn said(target: &ServerTarget, command: &str, code: &str, words: &str) -> String {
    let ServerTarget { address, access } = target;
    let who = user(access.login.as_ref());
    let words = clip(&format!("{code} {words}"));
    let words = words.trim_end();
    match code {
        "NOAUTH" => format!("{address} demands a password, and valkeep was given none ({words})"),
        "WRONGPASS" => format!(
            "the password of {who} is refused by {address} ({words}); it may have been rotated, or the user is switched off"
        ),
        "NOPERM" => format!("{address} does not let {who} run {command} ({words})"),
        "DENIED" => format!("{address} runs in protected mode and answers only on its own loopback ({words})"),
        "LOADING" => format!("{address} is loading its data and takes no {command} until it has ({words})"),
        _ => format!("{address} refused {command}: {words}"),
    }
}

fn user(login: Option<&Login>) -> String {
    match login.and_then(|login| login.user.as_ref()) {
        Some(user) => format!("user `{user}`"),
        None => "its default user".to_owned(),
    }
}

fn clip(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect()
}
