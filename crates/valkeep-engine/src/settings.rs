//! How often, how many, how long. Values only; each says its unit by its type and its reason here.

use std::time::Duration;

/// Settings of the engine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Between two listings of a store.
    pub poll: Duration,
    /// Between two passes of a document at rest, and of one that needs a person.
    pub resync: Duration,
    /// At least between two passes at rest of documents in one account, which makes [`Settings::resync`] longer for large
    /// fleets: 200 documents of one account are looked at in ten minutes, 1,000 in fifty. A pass at rest asks EFS for at
    /// most six things, and EFS publishes no rate and throttles early; six calls in three seconds are two a second. Every
    /// other API is asked for at most two things a pass, which is two in three seconds: a tenth or less of the 10 a second
    /// and more that AWS documents.
    pub idle_spacing: Duration,
    /// Between two questions to a serving Valkey, apart from passes.
    pub probe: Duration,
    /// Passes at the same time.
    pub concurrency: usize,
    /// For one pass. Longer than any pass that makes progress: twelve rounds of calls of at most twenty seconds.
    pub attempt_timeout: Duration,
    /// For the passes in flight at a stop. Below the 30 s that ECS gives a task by default.
    pub drain_timeout: Duration,
    /// Until the next look while AWS works; grows to [`Settings::wait_max`] while nothing changes.
    pub wait: Duration,
    /// See [`Settings::wait`].
    pub wait_max: Duration,
    /// First back-off after a failed pass; doubles, with full jitter.
    pub backoff_base: Duration,
    /// The longest back-off.
    pub backoff_cap: Duration,
    /// Of all jitter, so that a run can be repeated.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(15),
            resync: Duration::from_mins(10),
            idle_spacing: Duration::from_secs(3),
            probe: Duration::from_secs(30),
            concurrency: 8,
            attempt_timeout: Duration::from_mins(5),
            drain_timeout: Duration::from_secs(25),
            wait: Duration::from_secs(5),
            wait_max: Duration::from_secs(15),
            backoff_base: Duration::from_secs(1),
            backoff_cap: Duration::from_mins(5),
            seed: 0,
        }
    }
}

/// Documents of one store that are looked after; more than these are named in the log and left alone. At about 20 KiB
/// each, this many take 200 MiB.
pub const DOCUMENTS_MAX: usize = 10_000;
