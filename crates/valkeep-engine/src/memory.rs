//! What is remembered of one document between two passes. Losing it all costs one read of the status and some log lines;
//! nothing that decides rests on it.

use crate::pass::Pass;
use crate::status_file::StatusFile;
use crate::table::Good;
use valkeep_core::{HoldReason, Resource, Timestamp, ValkeyInfo};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) file: StatusFile,
    /// The last pass, for looks at Valkey between passes.
    pub(crate) last: Option<(Good, Pass)>,
    /// The generation that was fully converged: what its next pass has to change is drift.
    pub(crate) converged: Option<i64>,
    /// What differed although the generation had been converged, until a pass finds nothing more.
    pub(crate) drift: Vec<String>,
    /// Passes in a row in which nothing changed.
    pub(crate) quiet: u32,
    /// Of the last pass, to tell whether anything changed.
    pub(crate) held: Vec<(Resource, HoldReason, Option<Timestamp>)>,
    pub(crate) load: Load,
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
        self.quiet = if pass.done.is_empty() && held == self.held { self.quiet.saturating_add(1) } else { 0 };
        self.held = held;
    }
}

/// How long the server took to load its data, where that was seen.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// The process that was seen loading.
    loading: Option<String>,
    /// A process, and the seconds from its start to the first answer in which it had loaded: the load time is at most
    /// that, and less by at most the time between two looks.
    loaded: Option<(String, u64)>,
}

impl Load {
    pub(crate) fn saw(&mut self, info: &ValkeyInfo) {
        if info.loading {
            self.loading = Some(info.run_id.clone());
        } else if self.loading.take_if(|run_id| *run_id == info.run_id).is_some() {
            self.loaded = Some((info.run_id.clone(), info.uptime_s));
        }
    }

    /// Of this process.
    pub(crate) fn seconds(&self, run_id: &str) -> Option<u64> {
        self.loaded.as_ref().filter(|(known, _)| known == run_id).map(|(_, seconds)| *seconds)
    }
}
