//! What is remembered of one document between two passes. Losing it all costs one read of the status and some log lines;
//! nothing that decides rests on it.

use crate::pass::Pass;
use crate::status_file::StatusFile;
use crate::table::{Good, View};
use valkeep_core::{HoldReason, Resource, Step, Timestamp, ValkeyInfo};
use valkeep_document::status::ValkeyStatus;
use valkeep_plan::assess::PreviousServer;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) file: StatusFile,
    /// The last pass, for looks at Valkey between passes.
    pub(crate) last: Option<Last>,
    /// The revision that was fully converged: what its next pass has to change is drift. Not the generation, of which two
    /// changes within one second share one where it is a time.
    pub(crate) converged: Option<String>,
    /// What differed although the revision had been converged, until a pass finds nothing more.
    pub(crate) drift: Vec<Step>,
    /// Passes in a row in which nothing changed.
    pub(crate) quiet: u32,
    /// Of the last pass, to tell whether anything changed.
    held: Vec<(Resource, HoldReason, Option<Timestamp>)>,
    pub(crate) servers: Servers,
}

/// The last pass and what it was about.
#[derive(Debug)]
pub(crate) struct Last {
    pub(crate) view: View,
    pub(crate) good: Good,
    pub(crate) pass: Pass,
}

impl Memory {
    /// Counts passes in which nothing was done and the same was waited for.
    pub(crate) fn count_quiet(&mut self, pass: &Pass) {
        let held: Vec<_> = pass
            .plan
            .holds
            .iter()
            .map(|hold| (hold.resource, hold.reason, hold.until))
            .collect();
        self.quiet = if pass.done.is_empty() && held == self.held {
            self.quiet.saturating_add(1)
        } else {
            0
        };
        self.held = held;
    }
}

/// The server processes that were seen: the one that answers, the one before, and how long loading took.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    now: Option<PreviousServer>,
    before: Option<PreviousServer>,
    /// The process that was seen loading.
    loading: Option<String>,
    /// A process, and the seconds from its start to the first answer in which it had loaded: the load time is at most
    /// that, and less by at most the time between two looks.
    loaded: Option<(String, u64)>,
}

/// Two looks at one process may differ by this much about when it started: its uptime is in whole seconds.
pub(crate) const START_SLACK_S: i64 = 2;

impl Servers {
    /// Takes note of an answer. `written` is what the status says of the server, for the first answer since a restart of
    /// valkeep.
    pub(crate) fn saw(&mut self, info: &ValkeyInfo, written: Option<&ValkeyStatus>, at: Timestamp) {
        let known = match &self.now {
            Some(known) => Some(known.clone()),
            None => written
                .filter(|written| {
                    let started = at
                        .as_second()
                        .saturating_sub(i64::try_from(info.uptime_s).unwrap_or(i64::MAX));
                    written
                        .started_at
                        .is_some_and(|before| (before.as_second() - started).abs() > START_SLACK_S)
                })
                .map(|written| PreviousServer {
                    run_id: "of the last status".to_owned(),
                    keys: written.keys,
                }),
        };
        if let Some(known) = known
            && known.run_id != info.run_id
        {
            self.before = Some(known);
        }
        // While loading it counts the keys that it has so far, and may be cut off there.
        if !info.loading || self.now.as_ref().is_none_or(|now| now.run_id != info.run_id) {
            self.now = Some(PreviousServer {
                run_id: info.run_id.clone(),
                keys: info.keys,
            });
        }
        if info.loading {
            self.loading = Some(info.run_id.clone());
        } else if self.loading.take_if(|run_id| *run_id == info.run_id).is_some() {
            self.loaded = Some((info.run_id.clone(), info.uptime_s));
        }
    }

    /// The process before the one that answers.
    pub(crate) fn previous(&self) -> Option<PreviousServer> {
        self.before.clone()
    }

    /// How long this process took to load, where it was seen.
    pub(crate) fn load_seconds(&self, info: &ValkeyInfo) -> Option<u64> {
        let loaded = self.loaded.as_ref().filter(|(run_id, _)| *run_id == info.run_id);
        loaded.map(|(_, seconds)| *seconds)
    }
}
