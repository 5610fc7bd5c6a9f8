//! A moment of a replacement: a call of valkeep that is held before or after it was carried out, or what the server is about.

use super::kept::{BOUND, Kept, client};
use crate::real::Task;
use anyhow::{Result, ensure};
use localaws::{Fault, FaultKind};
use std::fmt;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const LOOK: Duration = Duration::from_millis(3);

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// This call has arrived and is not carried out.
    Before(&'static str),
    /// This call is carried out and not answered.
    After(&'static str),
    /// The server writes a snapshot.
    Saving,
    /// It has written one.
    Saved,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before(call) => write!(f, "before {call}"),
            Self::After(call) => write!(f, "after {call}"),
            Self::Saving => f.write_str("during BGSAVE"),
            Self::Saved => f.write_str("after BGSAVE"),
        }
    }
}

impl Moment {
    /// Must be done before the change is asked for.
    pub(super) fn arm(self, kept: &Kept) {
        kept.real.clear_calls();
        match self {
            Self::Before(call) => kept.real.scene.aws.inject(Fault::on(call, FaultKind::Timeout)),
            Self::After(call) => kept.real.scene.aws.inject(Fault::on(call, FaultKind::Silence)),
            Self::Saving | Self::Saved => {}
        }
    }

    /// Waits for it. What is held stays so until the faults are cleared.
    pub(super) async fn reached(self, kept: &Kept, task: &Task) -> Result<()> {
        let deadline = Instant::now() + BOUND;
        while !self.is(kept, task)? {
            ensure!(Instant::now() < deadline, "{self} never came: {}", kept.real.log());
            sleep(LOOK).await;
        }
        Ok(())
    }

    fn is(self, kept: &Kept, task: &Task) -> Result<bool> {
        let says = |field| -> Result<u64> { client(task)?.info("persistence", field) };
        Ok(match self {
            Self::Before(call) | Self::After(call) => kept.real.has_called(call),
            Self::Saving => says("rdb_bgsave_in_progress")? == 1,
            Self::Saved => says("rdb_saves")? > 0 && says("rdb_bgsave_in_progress")? == 0,
        })
    }
}
