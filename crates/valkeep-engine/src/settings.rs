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
    /// Where several valkeeps share a lease.
    pub lease: LeaseTiming,
}

/// How a lease is held and waited for. A leader that is killed is followed after at most `retry + duration` and the time
/// of three calls: with the defaults 17 s and a little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTiming {
    /// How long one write of it is good for.
    pub duration: Duration,
    /// After which part of it the holder writes it again: two more tries fit into the rest.
    pub renew: Duration,
    /// Between two looks of one that waits, and two tries that fail.
    pub retry: Duration,
    /// The holder stops changing things this long before the end. For requests that are still on their way, and for
    /// clocks that run at unequal speed: an eighth of the duration is far more than any two do.
    pub margin: Duration,
    /// For one call on the lease.
    pub call: Duration,
    /// How long [`crate::Engine::once`] waits for another holder.
    pub patience: Duration,
}

impl Default for LeaseTiming {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew: Duration::from_secs(5),
            retry: Duration::from_secs(2),
            margin: Duration::from_secs(2),
            call: Duration::from_secs(3),
            patience: Duration::from_mins(1),
        }
    }
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
            lease: LeaseTiming::default(),
        }
    }
}

/// Documents of one store that are looked after; more than these are named in the log and left alone. At about 20 KiB
/// each, this many take 200 MiB.
pub const DOCUMENTS_MAX: usize = 10_000;
