//! The drill's own keys: written before, read back after, deleted in any case.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use valkeep_core::Failure;
use valkeep_valkey::Session;

/// Keys of one drill, under a prefix that no other drill has.
pub(super) struct Canaries {
    run: String,
    count: u32,
    expire: Duration,
}

/// What was read back.
pub(super) struct Found {
    /// With their value.
    pub(super) back: u32,
    /// Gone, or with another value.
    pub(super) lost: u32,
}

impl Canaries {
    pub(super) fn new(count: u32, expire: Duration) -> Self {
        // The system's own randomness, as much as it takes for two drills at the same time.
        let draw = RandomState::new().hash_one(std::process::id());
        Self {
            run: format!("{draw:016x}"),
            count,
            expire,
        }
    }

    /// Id of this drill.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// What all its keys begin with.
    pub(super) fn prefix(&self) -> String {
        format!("valkeep:verify:{}:", self.run)
    }

    /// The key that is written again and again.
    pub(super) fn beat(&self) -> String {
        format!("{}beat", self.prefix())
    }

    /// When the keys expire, should nobody delete them.
    pub(super) fn expire(&self) -> Duration {
        self.expire
    }

    pub(super) async fn write(&self, session: &mut Session) -> Result<(), Failure> {
        for n in 1..=self.count {
            session.set(&self.key(n), &self.value(n), self.expire).await?;
        }
        Ok(())
    }

    pub(super) async fn read(&self, session: &mut Session) -> Result<Found, Failure> {
        let mut back = 0;
        for n in 1..=self.count {
            if session
                .get(&self.key(n))
                .await?
                .is_some_and(|value| value == self.value(n))
            {
                back += 1;
            }
        }
        Ok(Found {
            back,
            lost: self.count - back,
        })
    }

    pub(super) async fn delete(&self, session: &mut Session) -> Result<(), Failure> {
        for n in 1..=self.count {
            session.delete(&self.key(n)).await?;
        }
        session.delete(&self.beat()).await
    }

    fn key(&self, n: u32) -> String {
        format!("{}{n}", self.prefix())
    }

    fn value(&self, n: u32) -> String {
        format!("{}-{n}", self.run)
    }
}
