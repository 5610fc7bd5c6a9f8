//! The keyed queue: who runs now, who later, who again.
//!
//! One task owns all of its state, so there is no lock. It knows keys, times and verdicts; it must not know what a key
//! stands for or what running it does. Semantics are those of client-go's work queue and kube-runtime's runner:
//!
//! - a key is in exactly one of: ready, delayed, running, running and dirty; nudges coalesce;
//! - never two runs of one key; nudged while it runs, it goes to the *tail* when it is done and finds the newest state;
//! - ready keys start first in, first out within their lane, and lanes take turns ([`crate::lanes`]); at most
//!   [`Limits::concurrency`] at a time, and none while the gate is shut;
//! - [`Verdict::After`] sets a timer; the earliest of several wins; a nudge cancels it and runs at once;
//! - [`Verdict::Retry`] backs off per key, exponentially, with full jitter and a cap, until a run does not fail; other
//!   work of the same key that is due earlier is not delayed by it;
//! - a panic or a timeout is one failed run of one key;
//! - at a stop nothing starts any more, what runs gets [`Limits::drain_timeout`], then it is aborted; numbers tell.

use crate::lanes::Lanes;
use futures_util::StreamExt;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::time::{DelayQueue, delay_queue};
use tracing::{error, info, warn};

/// Nudges on their way to the queue. Senders wait when it is full, nothing is dropped; the queue takes them in batches
/// and never waits for a sender, so this cannot block for long. 1024 keys of some 100 bytes are 100 KiB.
pub(crate) const NUDGES_MAX: usize = 1024;
/// Nudges taken at once before running keys are looked at again.
const BATCH_MAX: usize = 256;
/// Longer timers are cut; a run after a day does no harm. The timer wheel itself ends at about two years.
const DELAY_MAX: Duration = Duration::from_hours(24);
/// 2^16 seconds is 18 hours; every sensible cap is reached before.
const DOUBLINGS_MAX: u32 = 16;

/// With nothing else due earlier.
pub(crate) const RETRY: Verdict = Verdict::Retry { within: DELAY_MAX };

/// "Look at this key." Carries no data: losing one costs latency only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Nudge<K> {
    /// As soon as there is room.
    Now(K),
    /// After a while, unless something makes it earlier.
    After(K, Duration),
}

/// What a run asks for next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing before the next nudge; the key is forgotten.
    Done,
    /// Another run after this time. Counts as success.
    After(Duration),
    /// Another run after the back-off, or after `within` if that is shorter. Counts as failure.
    Retry { within: Duration },
}

/// Bounds of the queue. The number of keys is bounded by who nudges: one for each document known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) concurrency: usize,
    pub(crate) backoff_base: Duration,
    pub(crate) backoff_cap: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) drain_timeout: Duration,
}

/// Counters and levels, as client-go's work queue has them. Published after every change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Keys that could run now.
    pub depth: usize,
    /// The most keys that ever could.
    pub depth_max: usize,
    /// Keys with a timer.
    pub delayed: usize,
    /// Keys that run.
    pub running: usize,
    /// Nudges taken.
    pub adds: u64,
    /// Nudges that added nothing, because the key was to run anyway.
    pub coalesced: u64,
    /// Runs started.
    pub started: u64,
    /// Runs that did not fail.
    pub succeeded: u64,
    /// Runs that failed: asked for a retry, timed out or panicked.
    pub failed: u64,
    /// Of these: cut off at the attempt timeout.
    pub timeouts: u64,
    /// Of these: panicked.
    pub panics: u64,
    /// Since when the oldest ready key waits.
    pub oldest_ready: Option<Instant>,
    /// Since when the longest running key runs.
    pub longest_running: Option<Instant>,
    /// Sum of the times from ready to start.
    pub waited: Duration,
    /// Sum of the times from start to end.
    pub worked: Duration,
}

/// What became of the work at the stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drained {
    /// Keys that were ready and did not start any more. Delayed ones are not counted: nothing was due.
    pub dropped: usize,
    /// Runs that finished within the drain timeout.
    pub finished: usize,
    /// Runs that were aborted at its end.
    pub aborted: usize,
    /// How long it took.
    pub took: Duration,
}

enum State {
    Ready(Instant),
    Delayed(delay_queue::Key, Instant),
    Running { dirty: bool, later: Option<Instant> },
}

struct Entry {
    state: State,
    /// Failed runs in a row.
    failures: u32,
}

enum Ended {
    Verdict(Verdict),
    TimedOut,
}

/// What a key shares with others that are slow or fast together with it.
type LaneOf<K> = Box<dyn Fn(&K) -> Arc<str> + Send>;

/// See the module.
pub(crate) struct Queue<K> {
    limits: Limits,
    lane: LaneOf<K>,
    entries: HashMap<K, Entry>,
    ready: Lanes<K>,
    delayed: DelayQueue<K>,
    running: JoinSet<Ended>,
    keys: HashMap<Id, (K, Instant)>,
    stats: QueueStats,
}

impl<K> Queue<K>
where
    K: Hash + Eq + Clone + fmt::Display + Send + 'static,
{
    /// `lane` says what a key shares with others that are slow or fast together with it.
    pub(crate) fn new(limits: Limits, lane: impl Fn(&K) -> Arc<str> + Send + 'static) -> Self {
        Self {
            limits,
            lane: Box::new(lane),
            entries: HashMap::new(),
            ready: Lanes::default(),
            delayed: DelayQueue::new(),
            running: JoinSet::new(),
            keys: HashMap::new(),
            stats: QueueStats::default(),
        }
    }

    /// Runs keys until `stop`, or until nobody can nudge any more and nothing is left. `jitter` maps the longest
    /// back-off to the one that is taken.
    pub(crate) async fn run<F, Fut>(
        mut self,
        mut nudges: mpsc::Receiver<Nudge<K>>,
        mut gate: watch::Receiver<bool>,
        stop: CancellationToken,
        publish: watch::Sender<QueueStats>,
        mut jitter: impl FnMut(Duration) -> Duration,
        mut work: F,
    ) -> Drained
    where
        F: FnMut(K) -> Fut,
        Fut: Future<Output = Verdict> + Send + 'static,
    {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let (mut nudgeable, mut gated) = (true, true);
        loop {
            if *gate.borrow_and_update() {
                self.start(&mut work);
            }
            publish.send_replace(self.levels());
            if !nudgeable && self.entries.is_empty() {
                break;
            }
            // In this order without chance: a timer or an end is finite work that nudges cannot crowd out, and nudges
            // are taken in every turn.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(expired) = self.delayed.next(), if !self.delayed.is_empty() => self.push(expired.into_inner()),
                Some(ended) = self.running.join_next_with_id(), if !self.running.is_empty() => {
                    self.end(ended, &mut jitter);
                }
                changed = gate.changed(), if gated => gated = changed.is_ok(),
                count = nudges.recv_many(&mut batch, BATCH_MAX), if nudgeable => nudgeable = count > 0,
            }
            while batch.len() < BATCH_MAX
                && let Ok(nudge) = nudges.try_recv()
            {
                batch.push(nudge);
            }
            for nudge in batch.drain(..) {
                self.take(nudge);
            }
        }
        let drained = self.drain().await;
        publish.send_replace(self.levels());
        drained
    }

    /// Starts as many as may run, oldest first.
    fn start<F, Fut>(&mut self, work: &mut F)
    where
        F: FnMut(K) -> Fut,
        Fut: Future<Output = Verdict> + Send + 'static,
    {
        let now = Instant::now();
        while let Some(key) = self.ready.pop(self.limits.concurrency) {
            let entry = self.entries.get_mut(&key).expect("a ready key has an entry");
            if let State::Ready(since) = entry.state {
                self.stats.waited += now - since;
            }
            entry.state = State::Running {
                dirty: false,
                later: None,
            };
            let (run, timeout) = (work(key.clone()), self.limits.attempt_timeout);
            let task = self.running.spawn(async move {
                match tokio::time::timeout(timeout, run).await {
                    Ok(verdict) => Ended::Verdict(verdict),
                    Err(_) => Ended::TimedOut,
                }
            });
            self.keys.insert(task.id(), (key, now));
            self.stats.started += 1;
        }
    }

    /// A run has ended, well or badly.
    fn end(&mut self, ended: Result<(Id, Ended), JoinError>, jitter: &mut impl FnMut(Duration) -> Duration) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let (key, started) = self.keys.remove(&id).expect("every task was started for a key");
        self.stats.worked += started.elapsed();
        let verdict = match ended {
            Ok((_, Ended::Verdict(verdict))) => verdict,
            Ok((_, Ended::TimedOut)) => {
                self.stats.timeouts += 1;
                warn!(%key, timeout_s = self.limits.attempt_timeout.as_secs(), "the pass took too long and was cut off; it is tried again");
                RETRY
            }
            Err(failed) => {
                self.stats.panics += 1;
                error!(%key, error = %failed, "the pass panicked: a bug of valkeep; it is tried again");
                RETRY
            }
        };
        let entry = self.entries.get_mut(&key).expect("a running key has an entry");
        let State::Running { dirty, later } = entry.state else {
            unreachable!("only running keys have tasks");
        };
        self.ready.ended(&key, matches!(verdict, Verdict::Retry { .. }));
        let delay = match verdict {
            Verdict::Done | Verdict::After(_) => {
                entry.failures = 0;
                self.stats.succeeded += 1;
                if let Verdict::After(delay) = verdict {
                    Some(delay)
                } else {
                    None
                }
            }
            Verdict::Retry { within } => {
                let longest = self
                    .limits
                    .backoff_base
                    .saturating_mul(1 << entry.failures.min(DOUBLINGS_MAX))
                    .min(self.limits.backoff_cap);
                entry.failures = entry.failures.saturating_add(1);
                self.stats.failed += 1;
                // Full jitter may draw next to nothing; a tenth of the base keeps a broken key from spinning.
                Some(jitter(longest).max(self.limits.backoff_base / 10).min(within))
            }
        };
        if dirty {
            self.push(key);
            return;
        }
        let at = delay.map(|delay| Instant::now() + delay.min(DELAY_MAX));
        if let Some(at) = at.into_iter().chain(later).min() {
            self.delay(key, at);
        } else {
            self.entries.remove(&key);
            self.ready.forget(&key);
        }
    }

    fn take(&mut self, nudge: Nudge<K>) {
        self.stats.adds += 1;
        match nudge {
            Nudge::Now(key) => self.add(key),
            Nudge::After(key, delay) => self.add_at(key, Instant::now() + delay.min(DELAY_MAX)),
        }
    }

    fn add(&mut self, key: K) {
        match self.entries.get_mut(&key).map(|entry| &mut entry.state) {
            None => self.push(key),
            Some(State::Ready(_)) => self.stats.coalesced += 1,
            Some(State::Running { dirty, .. }) => {
                self.stats.coalesced += u64::from(*dirty);
                *dirty = true;
            }
            Some(State::Delayed(timer, _)) => {
                self.delayed.remove(timer);
                self.push(key);
            }
        }
    }

    fn add_at(&mut self, key: K, at: Instant) {
        match self.entries.get_mut(&key).map(|entry| &mut entry.state) {
            None => self.delay(key, at),
            Some(State::Ready(_) | State::Running { dirty: true, .. }) => self.stats.coalesced += 1,
            Some(State::Running { later, .. }) => *later = Some(later.map_or(at, |other| other.min(at))),
            Some(State::Delayed(timer, set)) => {
                if at < *set {
                    self.delayed.reset_at(timer, at);
                    *set = at;
                } else {
                    self.stats.coalesced += 1;
                }
            }
        }
    }

    /// To the tail of the ready ones.
    fn push(&mut self, key: K) {
        let now = Instant::now();
        let state = State::Ready(now);
        match self.entries.get_mut(&key) {
            Some(entry) => entry.state = state,
            None => {
                self.entries.insert(key.clone(), Entry { state, failures: 0 });
            }
        }
        let lane = (self.lane)(&key);
        self.ready.push(key, lane, now);
        self.stats.depth_max = self.stats.depth_max.max(self.ready.len());
    }

    fn delay(&mut self, key: K, at: Instant) {
        let state = State::Delayed(self.delayed.insert_at(key.clone(), at), at);
        match self.entries.get_mut(&key) {
            Some(entry) => entry.state = state,
            None => {
                self.entries.insert(key, Entry { state, failures: 0 });
            }
        }
    }

    /// Nothing new starts; what runs may finish, within the bound.
    async fn drain(&mut self) -> Drained {
        let begin = Instant::now();
        let mut drained = Drained {
            dropped: self.ready.len(),
            ..Drained::default()
        };
        self.ready.clear();
        let deadline = begin + self.limits.drain_timeout;
        while !self.running.is_empty() {
            match tokio::time::timeout_at(deadline, self.running.join_next_with_id()).await {
                Ok(Some(Ok((id, _)))) => {
                    self.keys.remove(&id);
                    drained.finished += 1;
                }
                Ok(Some(Err(failed))) => {
                    self.keys.remove(&failed.id());
                    self.stats.panics += 1;
                    drained.finished += 1;
                    error!(error = %failed, "the pass panicked while draining: a bug of valkeep");
                }
                Ok(None) => break,
                Err(_) => {
                    drained.aborted = self.running.len();
                    self.running.shutdown().await;
                    self.keys.clear();
                }
            }
        }
        drained.took = begin.elapsed();
        info!(
            finished = drained.finished,
            aborted = drained.aborted,
            dropped = drained.dropped,
            "stopped"
        );
        drained
    }

    fn levels(&mut self) -> QueueStats {
        self.stats.depth = self.ready.len();
        self.stats.delayed = self.delayed.len();
        self.stats.running = self.running.len();
        self.stats.oldest_ready = self.ready.oldest();
        self.stats.longest_running = self.keys.values().map(|(_, since)| *since).min();
        self.stats.clone()
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
