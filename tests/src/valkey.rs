//! A Valkey that answers `INFO` as a test tells it to, for worlds whose tasks are simulated.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;
use valkeep_core::ports::Servers;
use valkeep_core::{Doubt, DoubtKind, Timestamp, ValkeyInfo};

/// Every address answers the same, or none does.
#[derive(Debug, Clone)]
pub struct ToldValkey(Arc<Mutex<Told>>);

#[derive(Debug)]
struct Told {
    answer: Result<ValkeyInfo, Doubt>,
    started: Instant,
}

impl ToldValkey {
    /// A healthy server with one key, saved at `last_save`.
    pub fn healthy(last_save: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Told {
            answer: Ok(healthy(last_save)),
            started: Instant::now(),
        })))
    }

    /// Changes what it says.
    pub fn change(&self, change: impl FnOnce(&mut ValkeyInfo)) {
        if let Ok(info) = &mut self.told().answer {
            change(info);
        }
    }

    /// It cannot be reached any more.
    pub fn unreachable(&self) {
        self.told().answer = Err(Doubt {
            kind: DoubtKind::Unreachable,
            call: "valkey:INFO".to_owned(),
            message: "connection timed out".to_owned(),
        });
    }

    /// It can be reached again, and is another process.
    pub fn restarted(&self, last_save: Timestamp, run_id: &str) {
        let answer = Ok(ValkeyInfo {
            run_id: run_id.to_owned(),
            ..healthy(last_save)
        });
        *self.told() = Told {
            answer,
            started: Instant::now(),
        };
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Servers for ToldValkey {
    async fn info(&self, _: SocketAddr) -> Result<ValkeyInfo, Doubt> {
        let told = self.told();
        let mut info = told.answer.clone()?;
        info.uptime_s = told.started.elapsed().as_secs();
        Ok(info)
    }
}

fn healthy(last_save: Timestamp) -> ValkeyInfo {
    ValkeyInfo {
        server: "valkey".to_owned(),
        version: "8.0.1".to_owned(),
        run_id: "0123456789abcdef".to_owned(),
        uptime_s: 0,
        role: "master".to_owned(),
        loading: false,
        loading_percent: None,
        keys: 1,
        used_memory: 1024 * 1024,
        maxmemory: 0,
        changes_since_save: 0,
        last_save,
        saves_started: 1,
        last_save_ok: true,
        saving: false,
        last_save_duration_s: Some(0),
        keys_loaded: 1,
        keys_expired_at_load: 0,
    }
}
