//! A clock that jumps.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use localaws::LocalAws;
use std::sync::{Arc, Mutex, PoisonError};
use valkeep_core::ports::Clock;

/// The time of the local AWS, and so much beside.
#[derive(Debug, Clone)]
pub(super) struct Jumping {
    aws: LocalAws,
    ahead: Arc<Mutex<SignedDuration>>,
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        self.aws.now() + *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Jumping {
    pub(super) fn of(aws: &LocalAws) -> Self {
        Self {
            aws: aws.clone(),
            ahead: Arc::default(),
        }
    }

    pub(super) fn jump(&self, by: SignedDuration) {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    /// It is this time now.
    pub(super) fn jump_to(&self, time: &str) -> Result<()> {
        let time: Timestamp = time.parse()?;
        self.jump(time.duration_since(self.now()));
        Ok(())
    }
}
