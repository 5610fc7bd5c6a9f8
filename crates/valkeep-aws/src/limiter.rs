//! Client-side rates: a token bucket for each of AWS's, per account and region, so that valkeep is throttled by itself and
//! not by AWS, and what is slow in one account is slow there only.
//!
//! Follows tokio's clock and makes no decision but "when". Our own, because what is wanted is rare together: the wait must
//! be known before it begins (a pass that would wait long gives its place away instead), and the rate must change when AWS
//! says that it is too high.

use crate::rates::Bucket;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The longest wait for a turn. Eight passes that each ask EFS for six things at once are 48 calls: ten seconds at five a
/// second. Whoever would wait longer is refused, and looks again later.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(20);
/// The same while AWS throttles: passes there end soon and give their places to others.
const SLOWED_WAIT_MAX: Duration = Duration::from_secs(2);
/// Throttled calls of one moment are one sign.
const SIGN_EVERY: Duration = Duration::from_secs(1);
/// The rate doubles in this time without a sign, up to its full height.
const RECOVERY: Duration = Duration::from_secs(30);
/// The lowest part of the rate.
const LOWEST: f64 = 1.0 / 32.0;

/// All buckets of this process. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Limiter {
    meters: Arc<Mutex<HashMap<Key, Meter>>>,
    /// The part of each rate that valkeep takes.
    share: f64,
}

/// A few dozen for each account and region, of which there are at most as many as documents.
type Key = (&'static str, Arc<str>, Arc<str>);

/// A call that would have to wait too long.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TooBusy {
    bucket: &'static str,
    per_second: f64,
    slowed: bool,
    wait: Duration,
}

impl fmt::Display for TooBusy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bucket,
            per_second,
            slowed,
            wait,
        } = self;
        let why = if *slowed {
            "AWS has asked to slow down, so valkeep makes"
        } else {
            "so as not to be throttled, valkeep makes"
        };
        write!(
            f,
            "{why} {per_second:.2} calls a second of {bucket} here; the next is due in {} s",
            wait.as_secs()
        )
    }
}

impl std::error::Error for TooBusy {}

impl Limiter {
    /// Takes `share` of every bucket; 0.5 is half.
    pub(crate) fn new(share: f64) -> Self {
        Self {
            meters: Arc::default(),
            share,
        }
    }

    /// Takes a token, and says how long to wait before it is used.
    pub(crate) fn take(&self, bucket: &Bucket, account: &Arc<str>, region: &Arc<str>) -> Result<Duration, TooBusy> {
        self.with(bucket, account, region, |meter, _| meter.take(bucket.name))
    }

    /// AWS answered that this was too often.
    pub(crate) fn throttled(&self, bucket: &Bucket, account: &Arc<str>, region: &Arc<str>) {
        self.with(bucket, account, region, Meter::slow_down);
    }

    fn with<T>(
        &self,
        bucket: &Bucket,
        account: &Arc<str>,
        region: &Arc<str>,
        use_it: impl FnOnce(&mut Meter, Instant) -> T,
    ) -> T {
        let region = if bucket.global {
            Arc::from("")
        } else {
            Arc::clone(region)
        };
        let now = Instant::now();
        // A panic elsewhere leaves every meter whole: they are numbers.
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let meter = meters
            .entry((bucket.name, Arc::clone(account), region))
            .or_insert_with(|| Meter::new(bucket, self.share, now));
        meter.refill(now);
        use_it(meter, now)
    }
}

/// One token bucket.
#[derive(Debug)]
struct Meter {
    burst: f64,
    per_second: f64,
    /// Below zero: tokens that were taken ahead of time.
    tokens: f64,
    /// The part of the rate that is used now; less than 1 after AWS has throttled.
    part: f64,
    seen: Instant,
    sign: Option<Instant>,
}

impl Meter {
    fn new(bucket: &Bucket, share: f64, now: Instant) -> Self {
        // At least one call must be possible.
        let burst = (bucket.burst * share).max(1.0);
        Self {
            burst,
            per_second: bucket.per_second * share,
            tokens: burst,
            part: 1.0,
            seen: now,
            sign: None,
        }
    }

    fn rate(&self) -> f64 {
        self.per_second * self.part
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.seen).as_secs_f64();
        self.seen = now;
        self.tokens = (self.tokens + passed * self.rate()).min(self.burst);
        self.part = (self.part * (passed / RECOVERY.as_secs_f64()).exp2()).min(1.0);
    }

    fn take(&mut self, bucket: &'static str) -> Result<Duration, TooBusy> {
        let slowed = self.part < 1.0;
        let missing = (1.0 - self.tokens).max(0.0);
        let wait = Duration::try_from_secs_f64(missing / self.rate()).unwrap_or(Duration::MAX);
        if wait > if slowed { SLOWED_WAIT_MAX } else { WAIT_MAX } {
            return Err(TooBusy {
                bucket,
                per_second: self.rate(),
                slowed,
                wait,
            });
        }
        self.tokens -= 1.0;
        Ok(wait)
    }

    fn slow_down(&mut self, now: Instant) {
        let is_news = self.sign.is_none_or(|sign| now - sign >= SIGN_EVERY);
        if is_news {
            self.sign = Some(now);
            self.part = (self.part / 2.0).max(LOWEST);
        }
        self.tokens = self.tokens.min(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{advance, sleep};

    const EFS: Bucket = Bucket {
        name: "EFS",
        burst: 8.0,
        per_second: 4.0,
        global: false,
    };

    struct Bench(Limiter);

    impl Bench {
        fn take_in(&self, bucket: &Bucket, account: &str, region: &str) -> Result<Duration, TooBusy> {
            self.0.take(bucket, &Arc::from(account), &Arc::from(region))
        }

        fn take(&self, account: &str) -> Result<Duration, TooBusy> {
            self.take_in(&EFS, account, "eu-west-1")
        }

        fn throttle(&self, account: &str) {
            self.0.throttled(&EFS, &Arc::from(account), &Arc::from("eu-west-1"));
        }

        /// Calls that get through within a time, each waiting for its turn.
        async fn calls_within(&self, account: &str, time: Duration) -> usize {
            let end = Instant::now() + time;
            let mut calls = 0;
            while let Ok(wait) = self.take(account) {
                sleep(wait).await;
                if Instant::now() > end {
                    break;
                }
                calls += 1;
            }
            calls
        }
    }

    fn bench() -> Bench {
        Bench(Limiter::new(0.5))
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_the_burst_goes_at_once_and_then_half_of_the_rate() {
        let bench = bench();
        for _ in 0..4 {
            assert_eq!(bench.take("a"), Ok(Duration::ZERO));
        }
        assert_eq!(bench.take("a"), Ok(Duration::from_millis(500)));
        assert_eq!(bench.take("a"), Ok(Duration::from_secs(1)));
        advance(Duration::from_mins(1)).await;
        assert_eq!(bench.calls_within("a", Duration::from_secs(10)).await, 4 + 20);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_would_wait_long_is_told_so_at_once() {
        let bench = bench();
        let waits: Vec<Duration> = std::iter::from_fn(|| bench.take("a").ok()).collect();
        assert_eq!(waits.last(), Some(&WAIT_MAX));
        let refused = bench.take("a").expect_err("too busy");
        assert_eq!(
            refused.to_string(),
            "so as not to be throttled, valkeep makes 2.00 calls a second of EFS here; the next is due in 20 s"
        );
        advance(Duration::from_secs(1)).await;
        assert!(bench.take("a").is_ok(), "a refusal takes no token");
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_regions_and_groups_have_their_own() {
        let bench = bench();
        while bench.take("a").is_ok() {}
        assert_eq!(bench.take("b"), Ok(Duration::ZERO));
        assert_eq!(bench.take_in(&EFS, "a", "us-east-1"), Ok(Duration::ZERO));
        assert_eq!(
            bench.take_in(&Bucket { name: "ECS", ..EFS }, "a", "eu-west-1"),
            Ok(Duration::ZERO)
        );
        let global = Bucket {
            name: "IAM",
            global: true,
            ..EFS
        };
        while bench.take_in(&global, "a", "eu-west-1").is_ok() {}
        assert!(bench.take_in(&global, "a", "us-east-1").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_account_slows_down_alone_and_recovers() {
        let bench = bench();
        bench.throttle("a");
        assert_eq!(bench.take("a"), Ok(Duration::from_secs(1)), "empty, and half as fast");
        assert_eq!(bench.take("b"), Ok(Duration::ZERO));
        // Others of the same moment say nothing new.
        bench.throttle("a");
        let refused = std::iter::repeat_with(|| bench.take("a"))
            .find_map(Result::err)
            .expect("too busy");
        assert!(
            refused
                .to_string()
                .starts_with("AWS has asked to slow down, so valkeep makes 1.00 calls"),
            "{refused}"
        );
        for _ in 0..20 {
            advance(SIGN_EVERY).await;
            bench.throttle("a");
        }
        assert!(bench.take("a").is_err());
        // 2 to the fifth is 32.
        advance(6 * RECOVERY).await;
        assert_eq!(bench.calls_within("a", Duration::from_secs(10)).await, 4 + 20);
    }
}
