//! Values of the command line that are more than text: durations, wanted conditions, formats.

use clap::ValueEnum;
use jiff::SignedDuration;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use valkeep_core::{ConditionStatus, ConditionType};

/// What `status` and `plan` print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextOrJson {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// What `render` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum YamlOrJson {
    /// As people write it.
    Yaml,
    /// For machines.
    Json,
}

/// What `status` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextJsonOrYaml {
    /// For people.
    Text,
    /// For machines.
    Json,
    /// For both.
    Yaml,
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A condition that is waited for: `Ready`, `Reconciling=False`, `condition=Stalled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Want {
    /// Which condition.
    pub(crate) type_: ConditionType,
    /// What it must be.
    pub(crate) status: ConditionStatus,
}

impl Want {
    /// `Ready` is `True`.
    pub(crate) const READY: Want = Want {
        type_: ConditionType::Ready,
        status: ConditionStatus::True,
    };
    /// `Deleted` is `True`.
    pub(crate) const DELETED: Want = Want {
        type_: ConditionType::Deleted,
        status: ConditionStatus::True,
    };
}

impl FromStr for Want {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // kubectl's spelling is in many fingers: `--for=condition=Ready`.
        let bare = text.strip_prefix("condition=").unwrap_or(text);
        let (name, status) = bare.split_once('=').unwrap_or((bare, "True"));
        let type_ = ConditionType::ALL
            .into_iter()
            .find(|type_| format!("{type_:?}").eq_ignore_ascii_case(name))
            .ok_or_else(|| {
                let names: Vec<String> = ConditionType::ALL.iter().map(|type_| format!("{type_:?}")).collect();
                format!("there is no condition `{name}`; one of {}", names.join(", "))
            })?;
        let status = [ConditionStatus::True, ConditionStatus::False, ConditionStatus::Unknown]
            .into_iter()
            .find(|known| format!("{known:?}").eq_ignore_ascii_case(status))
            .ok_or_else(|| format!("a condition is True, False or Unknown, never `{status}`"))?;
        Ok(Want { type_, status })
    }
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { type_, status } = self;
        write!(f, "{type_:?}={status:?}")
    }
}

/// Reads `15s`, `10m`, `1h30m`, `500ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let signed: SignedDuration = text
        .parse()
        .map_err(|_| "write a duration like 15s, 10m, 1h30m or 500ms".to_owned())?;
    Duration::try_from(signed).map_err(|_| "a duration is not negative".to_owned())
}

/// Reads a duration of which zero makes no sense, because something is done again after each.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be longer than zero".to_owned()),
        some => Ok(some),
    }
}

/// Reads a part of AWS's rates.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.01..=100.0).contains(&share) => Ok(share),
        Ok(_) => Err("must be from 0.01 to 100; 0.5 is half of what AWS documents".to_owned()),
        Err(_) => Err("must be a number, like 0.5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_part_of_something() {
        assert_eq!(share("0.5"), Ok(0.5));
        for text in ["0", "-1", "half", "nan", "inf", "101"] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_read_as_people_write_them() {
        assert_eq!(duration("15s"), Ok(Duration::from_secs(15)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for text in ["", "15", "soon", "-3s"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(interval("0s").is_err());
    }

    #[test]
    fn conditions_read_in_our_spelling_and_in_that_of_kubectl() {
        assert_eq!("Ready".parse(), Ok(Want::READY));
        assert_eq!("condition=ready".parse(), Ok(Want::READY));
        assert_eq!("condition=Ready=true".parse(), Ok(Want::READY));
        assert_eq!(
            "Reconciling=False".parse(),
            Ok(Want {
                type_: ConditionType::Reconciling,
                status: ConditionStatus::False
            })
        );
        assert!("Readiness".parse::<Want>().is_err());
        assert!("Ready=Maybe".parse::<Want>().is_err());
    }
}
