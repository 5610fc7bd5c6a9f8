//! When windows begin, on the wall clock: the five fields of cron, as a Kubernetes CronJob takes them.
//!
//! Knows the calendar and no time zone. Finding the days is croner's work; it takes more than Kubernetes does, which is
//! refused here.

use croner::parser::{CronParser, Seconds, Year};
use croner::{CivilDateTime, Cron, CronDateTime, Resolution, Weekday, errors::CronError};
use jiff::civil::DateTime;
use jiff::{SignedDuration, civil};
use std::cmp::Ordering;

/// Name and values of the fields, and the names that may stand for numbers.
const FIELDS: [(&str, &str, &[&str]); 5] = [
    ("minute", "0 to 59", &[]),
    ("hour", "0 to 23", &[]),
    ("day of the month", "1 to 31", &[]),
    ("month", "1 to 12 or JAN to DEC", &MONTHS),
    ("day of the week", "0 to 6 from Sunday on, or SUN to SAT", &DAYS),
];
const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Times of the wall clock that come again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    cron: Cron,
}

/// A text that is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Not five fields.
    #[error("it has {0} fields, and five are wanted")]
    Fields(usize),
    /// A field that is none.
    #[error("`{text}` is no {field}")]
    Field {
        /// Which one.
        field: &'static str,
        /// What was given.
        text: String,
        /// What it takes.
        takes: &'static str,
    },
    /// No day is like that.
    #[error("no year has such a day, so it never comes")]
    Never,
}

impl Schedule {
    /// Reads five fields of cron: numbers, names of months and days, `*` or `?`, ranges with `-`, steps with `/` after a
    /// range or `*`, lists with `,`. With both a day of the month and a day of the week, either is enough.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() != FIELDS.len() {
            return Err(ScheduleError::Fields(fields.len()));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let mut read = Vec::new();
        for (index, (field, (name, takes, names))) in fields.iter().zip(FIELDS).enumerate() {
            let stars = field.replace('?', "*");
            let mut alone = ["*"; FIELDS.len()];
            alone[index] = &stars;
            if !is_plain(&stars, names) || parser.parse(&alone.join(" ")).is_err() {
                return Err(ScheduleError::Field {
                    field: name,
                    text: (*field).to_owned(),
                    takes,
                });
            }
            // To Kubernetes a step of one is a star, which matters where the other of the two days is said.
            let is_star = stars.strip_prefix("*/").and_then(|step| step.parse().ok()) == Some(1);
            read.push(if is_star { "*".to_owned() } else { stars });
        }
        let schedule = Self {
            text: text.to_owned(),
            // Each field was read already.
            cron: parser.parse(&read.join(" ")).map_err(|_| ScheduleError::Never)?,
        };
        // Leap years are at most eight years apart, and croner looks further than that.
        match schedule.first_after(civil::date(2000, 1, 1).at(0, 0, 0, 0)) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first time after this one.
    pub(super) fn first_after(&self, time: DateTime) -> Option<DateTime> {
        let found = self.cron.find_next_occurrence(&Wall(time), false);
        found.ok().map(|Wall(time)| time)
    }

    /// The last time that is not after this one.
    pub(super) fn last_until(&self, time: DateTime) -> Option<DateTime> {
        let found = self.cron.find_previous_occurrence(&Wall(time), true);
        found.ok().map(|Wall(time)| time)
    }
}

/// Whether a field is made of what Kubernetes takes, so without the `L`, `W`, `#` and `+` of others.
fn is_plain(field: &str, names: &[&str]) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = |text: &str| number(text) || names.iter().any(|name| name.eq_ignore_ascii_case(text));
    field.split(',').all(|item| {
        let (range, step) = item
            .split_once('/')
            .map_or((item, None), |(range, step)| (range, Some(step)));
        let range_fits = match range.split_once('-') {
            // croner reads `SUN-SUN` as the whole week.
            Some((first, last)) => value(first) && value(last) && !first.eq_ignore_ascii_case(last),
            None => range == "*" || value(range),
        };
        range_fits && step.is_none_or(number)
    })
}

/// A time of the wall clock, as croner walks over it: without a time zone there is nothing to skip or to repeat.
#[derive(Clone, Copy)]
struct Wall(DateTime);

impl CronDateTime for Wall {
    fn to_civil(&self) -> CivilDateTime {
        let Self(time) = self;
        let part = |value: i8| u32::from(value.unsigned_abs());
        CivilDateTime::from_ymd_hms(
            i32::from(time.year()),
            part(time.month()),
            part(time.day()),
            part(time.hour()),
            part(time.minute()),
            part(time.second()),
        )
        .expect("jiff has the same calendar, and seconds up to 59")
    }

    fn civil_weekday(&self) -> Weekday {
        let day = self.0.weekday().to_sunday_zero_offset();
        Weekday::from_days_from_sunday(u32::from(day.unsigned_abs()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let part = |value: u32| i8::try_from(value).map_err(|_| CronError::InvalidDate);
        let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
        let date = civil::Date::new(year, part(civil.month())?, part(civil.day())?);
        let time = civil::Time::new(part(civil.hour())?, part(civil.minute())?, part(civil.second())?, 0);
        let (Ok(date), Ok(time)) = (date, time) else {
            return Err(CronError::InvalidDate);
        };
        Ok(Resolution::Single(Self(date.to_datetime(time))))
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Schedule::parse(text).expect_err(text).to_string()
    }

    #[test]
    fn what_kubernetes_takes_is_read() {
        for text in [
            "0 2 * * SUN",
            "0 2 * * sun",
            "0 2 * * 0",
            "0 2 * * 7",
            "*/15 22-23,0-5 * * *",
            "0 2 1,15 * ?",
            "0 2 ? jan-MAR MON-FRI/2",
            "0  2\t* * *",
            "00 02 01 01 *",
            "0 2 29 2 *",
        ] {
            assert_eq!(
                Schedule::parse(text).map(|read| read.as_str().to_owned()),
                Ok(text.to_owned())
            );
        }
    }

    #[test]
    fn what_kubernetes_does_not_take_is_refused_by_its_field() {
        for (text, says) in [
            ("", "it has 0 fields, and five are wanted"),
            ("@weekly", "it has 1 fields, and five are wanted"),
            ("0 0 2 * * SUN", "it has 6 fields, and five are wanted"),
            ("60 2 * * *", "`60` is no minute"),
            ("-1 2 * * *", "`-1` is no minute"),
            ("0 24 * * *", "`24` is no hour"),
            ("0 5-2 * * *", "`5-2` is no hour"),
            ("0 JAN * * *", "`JAN` is no hour"),
            ("0 1,,2 * * *", "`1,,2` is no hour"),
            ("0 */0 * * *", "`*/0` is no hour"),
            ("0 2/4 * * *", "`2/4` is no hour"),
            ("0 2 0 * *", "`0` is no day of the month"),
            ("0 2 32 * *", "`32` is no day of the month"),
            ("0 2 L * *", "`L` is no day of the month"),
            ("0 2 15W * *", "`15W` is no day of the month"),
            ("0 2 * 13 *", "`13` is no month"),
            ("0 2 * JANFEB *", "`JANFEB` is no month"),
            ("0 2 * * 8", "`8` is no day of the week"),
            ("0 2 * * 5#3", "`5#3` is no day of the week"),
            ("0 2 * * +MON", "`+MON` is no day of the week"),
            ("0 2 * * SUNDAY", "`SUNDAY` is no day of the week"),
            ("0 2 * * SUN-SUN", "`SUN-SUN` is no day of the week"),
        ] {
            assert_eq!(refused(text), says, "{text}");
        }
    }

    #[test]
    fn a_day_that_no_year_has_never_comes() {
        for text in ["0 2 30 2 *", "0 2 31 2,4,6,9,11 *"] {
            assert_eq!(Schedule::parse(text), Err(ScheduleError::Never), "{text}");
        }
        // With a day of the week, too, either is enough.
        assert!(Schedule::parse("0 2 30 2 MON").is_ok());
    }

    #[test]
    fn the_times_before_and_after_are_found() {
        let time = |text: &str| text.parse::<DateTime>().expect("a time");
        for (text, now, last, first) in [
            (
                "0 2 * * SUN",
                "2026-11-26T12:00:00.5",
                "2026-11-22T02:00",
                "2026-11-29T02:00",
            ),
            (
                "0 2 * * SUN",
                "2026-11-29T02:00",
                "2026-11-29T02:00",
                "2026-12-06T02:00",
            ),
            ("0 2 29 2 *", "2026-11-26T12:00", "2024-02-29T02:00", "2028-02-29T02:00"),
            ("0 2 29 2 *", "2098-01-01T00:00", "2096-02-29T02:00", "2104-02-29T02:00"),
            (
                "0 2 13 * FRI",
                "2026-11-26T12:00",
                "2026-11-20T02:00",
                "2026-11-27T02:00",
            ),
            (
                "30 23 31 12 *",
                "2026-12-31T23:30:59",
                "2026-12-31T23:30",
                "2027-12-31T23:30",
            ),
        ] {
            let schedule = Schedule::parse(text).expect(text);
            assert_eq!(schedule.last_until(time(now)), Some(time(last)), "{text} at {now}");
            assert_eq!(schedule.first_after(time(now)), Some(time(first)), "{text} at {now}");
        }
    }
}
