//! The clock of the local AWS: an epoch plus what tokio's clock has counted since.
//!
//! Under a paused clock everything here follows it; nothing in this crate asks the system for the time.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::Instant;

/// Epoch plus elapsed time.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    epoch: Timestamp,
    origin: Instant,
}

impl Clock {
    /// Starts now, at `epoch`.
    pub(crate) fn starting_at(epoch: Timestamp) -> Self {
        Self {
            epoch,
            origin: Instant::now(),
        }
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.origin.elapsed()).unwrap_or(SignedDuration::MAX);
        self.epoch.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}

/// `seconds` after `at`. Negative or absurd values are taken as none.
pub(crate) fn later(at: Timestamp, seconds: f64) -> Timestamp {
    let wait = SignedDuration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(SignedDuration::ZERO);
    at.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// Seconds between two points in time.
pub(crate) fn seconds_between(earlier: Timestamp, later: Timestamp) -> f64 {
    later.duration_since(earlier).as_secs_f64()
}

/// Epoch seconds with milliseconds, the form of the JSON protocols.
pub(crate) fn epoch_seconds(at: Timestamp) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this era have 41 bits")]
    let seconds = at.as_millisecond() as f64 / 1000.0;
    Value::from(seconds)
}

/// `2026-11-23T00:00:00.000Z`, the form of the XML protocols.
pub(crate) fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// `Mon, 23 Nov 2026 00:00:00 GMT`, the form of HTTP headers.
pub(crate) fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_has_its_form_of_a_timestamp() {
        let at: Timestamp = "2026-11-23T01:02:03.5Z".parse().unwrap();
        assert_eq!(iso(at), "2026-11-23T01:02:03.500Z");
        assert_eq!(http_date(at), "Mon, 23 Nov 2026 01:02:03 GMT");
        assert_eq!(epoch_seconds(at), Value::from(1_795_395_723.5));
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_follows_a_paused_one() {
        let clock = Clock::starting_at("2026-11-23T00:00:00Z".parse().unwrap());
        tokio::time::advance(std::time::Duration::from_secs(90)).await;
        assert_eq!(iso(clock.now()), "2026-11-23T00:01:30.000Z");
    }
}
