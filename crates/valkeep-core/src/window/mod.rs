//! Maintenance windows: when valkeep may do by itself what can wait.
//!
//! Pure: the time is an argument, and the time zones are those of the program, never of the machine it runs on.

mod schedule;

use crate::Timestamp;
use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
pub use schedule::{Schedule, ScheduleError};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::LazyLock;

/// A minute to a week. Whoever wants longer ones wants no window.
pub const DURATION_MINUTES: RangeInclusive<u32> = 1..=10_080;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A window that opens again and again and stays open for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Spelled", into = "Spelled")]
pub struct Window {
    schedule: Schedule,
    duration_minutes: u32,
    zone: TimeZone,
}

/// What a window says of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WindowState {
    /// It is open.
    Open {
        /// It is open until then, at least: where it opens more often than it closes, the next one has begun by then.
        until: Timestamp,
    },
    /// It is closed.
    Closed {
        /// When it opens.
        next: Timestamp,
    },
}

/// What makes no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// The schedule is none.
    #[error("`{text}` is no schedule")]
    Schedule {
        /// What was given.
        text: String,
        /// Why.
        source: ScheduleError,
    },
    /// Too short or too long.
    #[error("a window of {0} minutes is not between a minute and a week")]
    Duration(u32),
    /// The time zone is not known.
    #[error("`{0}` is no time zone")]
    Zone(String),
}

impl Window {
    /// A window that opens as the five fields of cron say, on the clocks of a time zone (`Europe/London`, `UTC`).
    pub fn parse(cron: &str, duration_minutes: u32, zone: &str) -> Result<Self, WindowError> {
        let schedule = Schedule::parse(cron).map_err(|source| WindowError::Schedule {
            text: cron.to_owned(),
            source,
        })?;
        if !DURATION_MINUTES.contains(&duration_minutes) {
            return Err(WindowError::Duration(duration_minutes));
        }
        let zone = time_zone(zone).ok_or_else(|| WindowError::Zone(zone.to_owned()))?;
        Ok(Self {
            schedule,
            duration_minutes,
            zone,
        })
    }

    /// Whether it is open. Total: a window that does not open any more in croner's five thousand years opens at the end of
    /// time.
    ///
    /// It opens once for each time of the schedule: in an hour that clocks repeat, the first time; for one in an hour that
    /// they skip, at the moment they are put forward. How long it stays open is real time, whatever clocks do.
    pub fn at(&self, now: Timestamp) -> WindowState {
        let reached = self.reached(now);
        let begun = self.schedule.last_until(reached).and_then(|time| self.moment(time));
        match begun.map(|begun| self.end(begun)) {
            Some(until) if now < until => WindowState::Open { until },
            _ => {
                let next = self.schedule.first_after(reached).and_then(|time| self.moment(time));
                WindowState::Closed {
                    next: next.unwrap_or(Timestamp::MAX),
                }
            }
        }
    }

    fn end(&self, begun: Timestamp) -> Timestamp {
        let duration = SignedDuration::from_mins(self.duration_minutes.into());
        begun.checked_add(duration).unwrap_or(Timestamp::MAX)
    }

    /// The latest time that clocks have shown by now. While they show an hour again, that is its end.
    fn reached(&self, now: Timestamp) -> DateTime {
        let shown = self.zone.to_datetime(now);
        let AmbiguousOffset::Fold { before, after } = self.zone.to_ambiguous_timestamp(shown).offset() else {
            return shown;
        };
        if self.zone.to_offset(now) != after {
            return shown;
        }
        let soon = now.checked_add(SignedDuration::from_nanos(1)).unwrap_or(now);
        let put_back = self.zone.preceding(soon).next();
        put_back
            .map(|transition| before.to_datetime(transition.timestamp()))
            .and_then(|end| end.checked_sub(SignedDuration::from_nanos(1)).ok())
            .unwrap_or(shown)
    }

    /// The first moment at which clocks have reached a time. None beyond the times that there are.
    fn moment(&self, time: DateTime) -> Option<Timestamp> {
        match self.zone.to_ambiguous_timestamp(time).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(time).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(time).ok(),
            AmbiguousOffset::Gap { after, .. } => {
                // On clocks that were put forward too early it is a moment before they are.
                let early = after.to_timestamp(time).ok()?;
                self.zone
                    .following(early)
                    .next()
                    .map(|transition| transition.timestamp())
            }
        }
    }
}

/// A time zone by its name in the IANA database, in any case. `Etc/Unknown`, which is none, has that of UTC in jiff.
pub fn time_zone(name: &str) -> Option<TimeZone> {
    ZONES.get(name).ok().filter(|zone| !zone.is_unknown())
}

/// The names of all time zones.
pub fn time_zone_names() -> Vec<String> {
    ZONES.available().map(|name| name.as_str().to_owned()).collect()
}

/// A window as it is written.
#[derive(Clone, Serialize, Deserialize)]
struct Spelled {
    cron: String,
    duration_minutes: u32,
    zone: String,
}

impl From<Window> for Spelled {
    fn from(window: Window) -> Self {
        let name = window.zone.iana_name();
        Self {
            cron: window.schedule.as_str().to_owned(),
            duration_minutes: window.duration_minutes,
            zone: name.expect("a zone of the database has its name").to_owned(),
        }
    }
}

impl TryFrom<Spelled> for Window {
    type Error = WindowError;

    fn try_from(spelled: Spelled) -> Result<Self, WindowError> {
        Window::parse(&spelled.cron, spelled.duration_minutes, &spelled.zone)
    }
}

#[cfg(test)]
mod tests;
