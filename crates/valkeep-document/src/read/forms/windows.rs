//! When maintenance windows open.

use super::super::nearest::nearest;
use super::super::report::{Wrong, quote};
use valkeep_core::window::{Schedule, ScheduleError, time_zone, time_zone_names};

/// Five fields of cron, as a Kubernetes CronJob takes them.
pub(in crate::read) fn cron(text: &str) -> Result<(), Wrong> {
    match Schedule::parse(text) {
        Ok(_) => Ok(()),
        Err(ScheduleError::Fields(fields)) => Err(Wrong::new(
            format!("{} has {fields} fields, and a schedule has five", quote(text)),
            "write minute, hour, day of the month, month and day of the week, like `0 2 * * SUN`",
        )),
        Err(ScheduleError::Field {
            field,
            text: part,
            takes,
        }) => Err(Wrong::new(
            format!("{} is not the {field} of a schedule", quote(&part)),
            format!("write {takes}; `*`, ranges like `1-5`, steps like `*/2` and lists like `1,3` are read, too"),
        )),
        Err(ScheduleError::Never) => Err(Wrong::new(
            format!("{} never comes: no year has such a day", quote(text)),
            "write a day that there is, like `0 2 1 * *`",
        )),
    }
}

/// A name of the IANA database.
pub(in crate::read) fn time_zone_name(text: &str) -> Result<(), Wrong> {
    if time_zone(text).is_some() {
        return Ok(());
    }
    let names = time_zone_names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let instead = match nearest(text, &names) {
        Some(name) => format!("did you mean `{name}`?"),
        None => "write `UTC`, or a name like `Europe/London`".to_owned(),
    };
    Err(Wrong::new(format!("{} is not a time zone", quote(text)), instead))
}
