//! What is remembered of one document between two passes. Losing it all costs one read of the status and some log lines;
//! nothing that decides rests on it.

use crate::keyring::Keyring;
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
    /// What lets valkeep in to the server.
    pub(crate) keyring: Keyring,
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
    /// The last status says that the store cannot be listed.
    pub(crate) told_trouble: bool,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("in range")
    }

    fn info(run_id: &str, uptime_s: u64, keys: u64, loading: bool) -> ValkeyInfo {
        ValkeyInfo {
            server: "valkey".to_owned(),
            version: "8.0.1".to_owned(),
            run_id: run_id.to_owned(),
            uptime_s,
            time: at(0),
            role: "master".to_owned(),
            loading,
            loading_percent: None,
            keys,
            used_memory: 0,
            maxmemory: 0,
            changes_since_save: 0,
            last_save: at(0),
            saves_started: 0,
            last_save_ok: true,
            saving: false,
            saving_for_s: None,
            last_save_duration_s: None,
            keys_loaded: 0,
            keys_expired_at_load: 0,
            append_only: None,
        }
    }

    #[test]
    fn the_server_before_is_remembered_with_its_last_keys() {
        let mut servers = Servers::default();
        servers.saw(&info("one", 10, 5, false), None, at(0));
        servers.saw(&info("one", 40, 7, false), None, at(30));
        assert_eq!(servers.previous(), None);
        servers.saw(&info("two", 1, 0, true), None, at(60));
        servers.saw(&info("two", 5, 3, true), None, at(64));
        servers.saw(&info("two", 9, 7, false), None, at(68));
        let previous = servers.previous().expect("there was one");
        assert_eq!((previous.run_id.as_str(), previous.keys), ("one", 7));
        assert_eq!(servers.load_seconds(&info("two", 9, 7, false)), Some(9));
        assert_eq!(servers.load_seconds(&info("one", 9, 7, false)), None);
    }

    #[test]
    fn a_server_that_was_never_seen_loading_has_no_load_time() {
        let mut servers = Servers::default();
        servers.saw(&info("one", 10, 5, false), None, at(0));
        assert_eq!(servers.load_seconds(&info("one", 10, 5, false)), None);
    }

    #[test]
    fn the_first_answer_is_compared_with_the_status_only_if_it_was_another_process() {
        let written = ValkeyStatus {
            keys: 9,
            started_at: Some(at(0)),
            ..ValkeyStatus::default()
        };
        let mut same = Servers::default();
        same.saw(&info("one", 100, 5, false), Some(&written), at(101));
        assert_eq!(same.previous(), None);
        let mut other = Servers::default();
        other.saw(&info("one", 10, 5, false), Some(&written), at(101));
        assert_eq!(other.previous().map(|previous| previous.keys), Some(9));
    }
}
