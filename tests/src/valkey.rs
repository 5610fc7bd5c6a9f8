//! A Valkey that answers `INFO` as a test tells it to, for worlds whose tasks are simulated.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use valkeep_core::ports::Probe;
use valkeep_core::{Doubt, DoubtKind, Timestamp, ValkeyInfo};

/// Every address answers the same, or none does.
#[derive(Debug, Clone)]
pub struct ToldValkey(Arc<Mutex<Result<ValkeyInfo, Doubt>>>);

impl ToldValkey {
    /// A healthy server with one key, saved at `last_save`.
    pub fn healthy(last_save: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Ok(healthy(last_save)))))
    }

    /// Changes what it says.
    pub fn change(&self, change: impl FnOnce(&mut ValkeyInfo)) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(info) = &mut *told {
            change(info);
        }
    }

    /// It cannot be reached any more.
    pub fn unreachable(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Err(Doubt {
            kind: DoubtKind::Unreachable,
            call: "valkey:INFO".to_owned(),
            message: "connection timed out".to_owned(),
        });
    }

    /// It can be reached again, and is another process.
    pub fn restarted(&self, last_save: Timestamp, run_id: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Ok(ValkeyInfo {
            run_id: run_id.to_owned(),
            ..healthy(last_save)
        });
    }
}

impl Probe for ToldValkey {
    async fn info(&self, _: SocketAddr) -> Result<ValkeyInfo, Doubt> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn healthy(last_save: Timestamp) -> ValkeyInfo {
    ValkeyInfo {
        server: "valkey".to_owned(),
        version: "8.0.1".to_owned(),
        run_id: "0123456789abcdef".to_owned(),
        uptime_s: 60,
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
