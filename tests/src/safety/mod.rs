//! What replacing a server costs, shown with real Valkeys on a local AWS: each row of the table that `make safety` prints is a
//! file here. A row judges itself by what it promises; what happens without valkeep is only counted.

pub mod killed;
pub mod kills;
pub mod overlaps;
pub mod replacements;

mod dump;
mod ground;
mod name;
mod own;

use localaws::Delays;
use std::fmt;

/// The table's head.
pub const HEAD: &str = "| What | With valkeep | Without |\n|---|---|---|";

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What was done, and how often.
    pub what: String,
    /// What came of it.
    pub with: String,
    /// What comes of it otherwise.
    pub without: String,
    /// Acknowledged writes lost without valkeep; the scene is not worth much where there are none.
    pub lost_without: Option<usize>,
    /// What was promised and did not come true.
    pub broken: Vec<String>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            with,
            without,
            lost_without: _,
            broken: _,
        } = self;
        write!(f, "| {what} | {with} | {without} |")
    }
}

/// ECS without its leisure, so that what is left is Valkey's own and valkeep's.
fn quick() -> Delays {
    Delays {
        file_system: 0.2,
        mount_target: 0.2,
        access_point: 0.2,
        dns: 0.2,
        iam_propagation: 0.2,
        namespace: 0.2,
        task_provisioning: 0.1,
        task_pending: 0.1,
        task_activating: 0.1,
        task_deactivating: 0.1,
        task_deprovisioning: 0.1,
        no_health_check: 0.2,
        rollout_completion: 0.3,
        restart_first: 0.5,
        restart_max: 1.0,
        scheduler: 0.05,
        ..Delays::default()
    }
}
