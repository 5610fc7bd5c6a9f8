//! A Valkey that answers as a test tells it to and takes what it is told, for worlds whose tasks are simulated.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;
use valkeep_core::access::{Login, ServerTarget};
use valkeep_core::ports::Servers;
use valkeep_core::valkey::{AppendOnly, ServerChange, ServerSettings};
use valkeep_core::{Doubt, DoubtKind, Failure, FailureKind, Timestamp, ValkeyInfo};

/// Every address answers the same, or none does.
#[derive(Debug, Clone)]
pub struct ToldValkey(Arc<Mutex<Told>>);

#[derive(Debug)]
struct Told {
    answer: Result<ValkeyInfo, Doubt>,
    /// What `CONFIG GET` knows; a test puts in what it is about.
    settings: ServerSettings,
    /// What it was told, by all of its processes.
    changes: Vec<ServerChange>,
    started: Instant,
    started_at: Timestamp,
}

impl ToldValkey {
    /// A healthy server with one key, started and saved at `now`.
    pub fn healthy(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Told::start(now))))
    }

    /// Changes what it says.
    pub fn change(&self, change: impl FnOnce(&mut ValkeyInfo)) {
        if let Ok(info) = &mut self.told().answer {
            change(info);
        }
    }

    /// Gives it a setting, by hand.
    pub fn set(&self, name: &str, value: &str) {
        self.told().settings.insert(name.to_owned(), value.to_owned());
    }

    /// What it was told, in order, whether it took it or not.
    pub fn changes(&self) -> Vec<ServerChange> {
        self.told().changes.clone()
    }

    /// It cannot be reached any more.
    pub fn unreachable(&self) {
        self.told().answer = Err(Doubt {
            kind: DoubtKind::Unreachable,
            call: "valkey:INFO".to_owned(),
            message: "connection timed out".to_owned(),
        });
    }

    /// It can be reached again, and is another process, with the settings of the one before.
    pub fn restarted(&self, now: Timestamp, run_id: &str) {
        let mut told = self.told();
        *told = Told {
            answer: Ok(ValkeyInfo {
                run_id: run_id.to_owned(),
                ..healthy(now)
            }),
            settings: std::mem::take(&mut told.settings),
            changes: std::mem::take(&mut told.changes),
            ..Told::start(now)
        };
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Servers for ToldValkey {
    async fn info(&self, _: impl Into<ServerTarget> + Send) -> Result<ValkeyInfo, Doubt> {
        let told = self.told();
        Ok(ValkeyInfo {
            uptime_s: told.started.elapsed().as_secs(),
            time: told.now(),
            ..told.answer.clone()?
        })
    }

    async fn settings(&self, _: impl Into<ServerTarget> + Send, names: &[&str]) -> Result<ServerSettings, Doubt> {
        let told = self.told();
        told.answer.as_ref().map_err(Doubt::clone)?;
        let mut settings = told.settings.clone();
        settings.retain(|name, _| names.contains(&name.as_str()));
        Ok(settings)
    }

    async fn change(
        &self,
        _: impl Into<ServerTarget> + Send,
        run_id: &str,
        change: &ServerChange,
    ) -> Result<(), Failure> {
        self.told().change(run_id, change)
    }

    async fn set_password(&self, _: impl Into<ServerTarget> + Send, run_id: &str, _: &Login) -> Result<(), Failure> {
        self.told().change(run_id, &ServerChange::Password)
    }
}

impl Told {
    fn start(now: Timestamp) -> Self {
        Self {
            answer: Ok(healthy(now)),
            settings: ServerSettings::new(),
            changes: Vec::new(),
            started: Instant::now(),
            started_at: now,
        }
    }

    fn now(&self) -> Timestamp {
        self.started_at + self.started.elapsed()
    }

    fn change(&mut self, run_id: &str, change: &ServerChange) -> Result<(), Failure> {
        let now = self.now();
        self.changes.push(change.clone());
        let fail = |kind, code: &str, message: String| Failure {
            call: change.command().to_owned(),
            kind,
            code: code.to_owned(),
            message,
        };
        let info = match &mut self.answer {
            Ok(info) if info.run_id == run_id => info,
            Ok(info) => {
                let message = format!("another server is there by now (run id {})", info.run_id);
                return Err(fail(FailureKind::NotNow, "OtherServer", message));
            }
            Err(doubt) => return Err(fail(FailureKind::NoAnswer, "Timeout", doubt.message.clone())),
        };
        match change {
            ServerChange::Password => {}
            ServerChange::Save => {
                (info.last_save, info.last_save_ok, info.changes_since_save) = (now, true, 0);
                info.saves_started += 1;
            }
            ServerChange::Set { name, to, .. } => {
                self.settings.insert(name.clone(), to.clone());
                if name == "maxmemory" {
                    info.maxmemory = to.parse().unwrap_or_default();
                }
                if name == "appendonly" {
                    info.append_only = (to == "yes").then_some(AppendOnly {
                        rewriting: false,
                        last_rewrite_ok: true,
                        last_write_ok: true,
                    });
                }
            }
        }
        Ok(())
    }
}

fn healthy(now: Timestamp) -> ValkeyInfo {
    ValkeyInfo {
        server: "valkey".to_owned(),
        version: "8.0.1".to_owned(),
        run_id: "0123456789abcdef".to_owned(),
        uptime_s: 0,
        time: now,
        role: "master".to_owned(),
        loading: false,
        loading_percent: None,
        keys: 1,
        used_memory: 1024 * 1024,
        maxmemory: 0,
        changes_since_save: 0,
        last_save: now,
        saves_started: 1,
        last_save_ok: true,
        saving: false,
        saving_for_s: None,
        last_save_duration_s: Some(0),
        keys_loaded: 1,
        keys_expired_at_load: 0,
        append_only: None,
    }
}
