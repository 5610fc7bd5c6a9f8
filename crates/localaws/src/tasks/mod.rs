//! Running the containers of tasks: for real, in a sandbox, or only as a story that ECS tells.
//!
//! Knows processes, namespaces and signals. Knows nothing of ECS, of files systems' rules or of the state.

mod child;
mod health;
mod plain;
mod sandbox;
mod servers;
mod shims;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use child::{Child, Stop};
pub(crate) use health::Health;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

/// How tasks are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TaskRunner {
    /// Not at all: a task runs because ECS says so, and stops when it is told to.
    #[default]
    Simulated,
    /// Each container is a real process: in namespaces of its own through `bwrap` where the machine permits, plain
    /// with mapped paths where not. Either way it is gone when this process is.
    Processes,
}

/// A container to be run.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    /// Entry point and command. Executed verbatim.
    pub(crate) words: Vec<String>,
    /// The task's environment; nothing else is passed on.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The task's address, on loopback.
    pub(crate) address: Ipv4Addr,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) work_dir: Option<String>,
    pub(crate) health: Option<HealthCheck>,
    /// A directory of this container alone, for the shims.
    pub(crate) files: PathBuf,
}

/// A host directory at a path of the container. The directory exists.
#[derive(Debug, Clone)]
pub(crate) struct Mount {
    pub(crate) host: PathBuf,
    pub(crate) container: String,
    pub(crate) read_only: bool,
}

/// How to ask a container whether it is well.
#[derive(Debug, Clone)]
pub(crate) struct HealthCheck {
    /// Program and arguments.
    pub(crate) words: Vec<String>,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) retries: u32,
    pub(crate) start_period: Duration,
}

/// Whether tasks run in namespaces of their own on this machine.
#[cfg(test)]
pub(crate) fn is_sandboxed() -> bool {
    sandbox::bwrap().is_some()
}
