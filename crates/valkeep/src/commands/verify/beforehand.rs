//! What must be so before a drill begins: it promises that nothing is lost, so it is not begun where that is not promised.

use crate::commands::wait::{self, Look, Trouble, Version, Waiting};
use crate::error::CommandError;
use crate::stores::Found;
use crate::values::Want;
use std::net::SocketAddr;
use std::time::Duration;
use valkeep_core::{Desired, Fact, Observed, Timestamp, WindowState};
use valkeep_document::{Document, Mode, Preset, RESTART, annotated};

/// A server that serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Serving {
    /// Where.
    pub(super) address: SocketAddr,
    /// Which process.
    pub(super) run_id: String,
    /// Keys in all databases.
    pub(super) keys: u64,
}

/// Whether the document promises what a drill tries.
pub(super) fn to_be_verified(document: &Document) -> Result<(), CommandError> {
    let persistence = &document.spec.persistence;
    let refused = if document.asks_for_deletion() {
        "the document asks for its deletion"
    } else if document.spec.mode != Mode::Enforce {
        "spec.mode is not Enforce, so valkeep would restart nothing"
    } else if document.spec.service.desired_count == Some(0) {
        "spec.service.desiredCount is 0: there is no server"
    } else if !persistence.enabled {
        "spec.persistence.enabled is false: a restart loses every key"
    } else if persistence.snapshots.preset == Preset::Off {
        "spec.persistence.snapshots.preset is Off: a restart loses everything since the last dump, the drill's keys among it"
    } else {
        return Ok(());
    };
    Err(CommandError::user(format!(
        "`{}` cannot be verified: {refused}",
        document.metadata.name
    )))
}

/// Whether the current version is Ready.
pub(super) async fn ready(found: &Found) -> Result<(), CommandError> {
    let waiting = Waiting {
        name: &found.name,
        version: Version {
            revision: found.entry.revision.clone(),
            generation: Some(found.entry.generation),
        },
        wants: &[Want::READY],
        timeout: Duration::ZERO,
        poll: Duration::ZERO,
        through_stalls: false,
    };
    let why = match wait::look(&*found.store, &waiting).await {
        Ok(Look::AsWanted) => return Ok(()),
        Ok(Look::NotSeen(why)) => why.to_owned(),
        Ok(Look::Stalled { why, .. }) => format!("stalled: {why}"),
        Ok(Look::Phase(phase)) => phase,
        Err(Trouble::Passing(why)) => return Err(CommandError::outside(why)),
        Err(Trouble::Lasting(error)) => return Err(error.into()),
    };
    Err(CommandError::user(format!("`{}` is not Ready: {why}", found.name))
        .hint("a drill begins and ends with a document that is; see `valkeep status`, `valkeep wait`"))
}

/// Whether a restart would be carried out now.
pub(super) fn in_window(desired: &Desired, now: Timestamp) -> Result<(), CommandError> {
    match desired.rollout.window.as_ref().map(|window| window.at(now)) {
        None | Some(WindowState::Open { .. }) => Ok(()),
        Some(WindowState::Closed { next }) => Err(CommandError::user(format!(
            "the maintenance window of `{}` is closed until {next}, and the restart would wait for it",
            desired.document
        ))),
    }
}

/// The only server, which must answer.
pub(super) fn serving(desired: &Desired, observed: &Observed) -> Result<Serving, CommandError> {
    let Some(address) = observed.server_address(desired.server.port) else {
        return Err(CommandError::outside(format!(
            "there is not exactly one running task of {}/{}",
            desired.identity.cluster, desired.identity.service
        ))
        .hint("see `valkeep plan` with the document's name"));
    };
    match &observed.valkey {
        Fact::Present(info) => Ok(Serving {
            address,
            run_id: info.run_id.clone(),
            keys: info.keys,
        }),
        Fact::Unknown(doubt) => Err(CommandError::outside(doubt.message.clone())
            .while_("cannot ask Valkey")
            .hint("this command must reach the task's address, as from the same VPC")),
        Fact::Absent => Err(CommandError::outside("no server was found to ask")),
    }
}

/// The document that asks for the restart: it differs in the annotation and in nothing else.
pub(super) struct Request {
    /// Of the annotation.
    pub(super) value: String,
    /// The document.
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn new(found: &Found, value: String) -> Result<Self, CommandError> {
        match annotated(&found.body, RESTART, &value) {
            Some(body) => Ok(Self { value, body }),
            None => Err(CommandError::user(format!(
                "{} is written in a way in which one annotation is more than one line",
                found.place()
            ))
            .hint(format!(
                "give `metadata:` and `annotations:` lines of their own; or set {RESTART} by hand, and look at `valkeep status`"
            ))),
        }
    }
}
