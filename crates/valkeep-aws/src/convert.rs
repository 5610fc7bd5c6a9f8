//! Small conversions between the SDK's values and ours.

use aws_smithy_types::DateTime;
use valkeep_core::failure::{Failure, FailureKind};
use valkeep_core::ids::IdError;
use valkeep_core::{Done, Doubt, Fact, Tags, Timestamp};

/// An answer that does not hold what AWS documents.
pub(crate) fn unexpected(call: &str, message: &str) -> Failure {
    Failure {
        call: call.to_owned(),
        kind: FailureKind::Other,
        code: "UnexpectedAnswer".to_owned(),
        message: message.to_owned(),
    }
}

/// A resource with our name that somebody else made.
pub(crate) fn not_ours(call: &str, what: &str) -> Failure {
    Failure {
        call: call.to_owned(),
        kind: FailureKind::NotOurs,
        code: "NotOurs".to_owned(),
        message: format!("{what} exists and does not carry this installation's owner tag"),
    }
}

/// Something that will be possible later.
pub(crate) fn not_now(call: &str, message: String) -> Failure {
    Failure {
        call: call.to_owned(),
        kind: FailureKind::NotNow,
        code: "NotNow".to_owned(),
        message,
    }
}

/// What came of deleting: what is not there is deleted, whoever did it.
pub(crate) fn gone_or_done<T>(gone: Result<T, Failure>) -> Result<Done, Failure> {
    match gone {
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(Done::Changed),
        gone => gone.map(|_| Done::Changed),
    }
}

/// An id out of an answer.
pub(crate) fn id<T>(call: &str, parsed: Result<T, IdError>) -> Result<T, Failure> {
    parsed.map_err(|error| unexpected(call, &error.to_string()))
}

/// A part that AWS always sends.
pub(crate) fn some<T>(call: &str, part: &str, value: Option<T>) -> Result<T, Failure> {
    value.ok_or_else(|| unexpected(call, &format!("no {part} in the answer")))
}

/// The same trouble, met while looking.
pub(crate) fn doubt(failure: Failure) -> Doubt {
    Doubt {
        kind: failure.doubt_kind(),
        message: format!("{}: {}", failure.code, failure.message),
        call: failure.call,
    }
}

/// What looking brought.
pub(crate) fn fact<T>(looked: Result<Option<T>, Failure>) -> Fact<T> {
    match looked {
        Ok(Some(value)) => Fact::Present(value),
        Ok(None) => Fact::Absent,
        Err(failure) => Fact::Unknown(doubt(failure)),
    }
}

/// Seconds and nanoseconds of an SDK time; none where it is out of every calendar's range.
pub(crate) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    let nanos = i32::try_from(time.subsec_nanos()).ok()?;
    Timestamp::new(time.secs(), nanos).ok()
}

/// A count that AWS gives signed and never makes negative.
pub(crate) fn count(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

/// A number for a request. Limits of documents lie far below the edge.
pub(crate) fn int(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// Tags from pairs, without AWS's own, which nobody may change.
pub(crate) fn tags<'a>(pairs: impl Iterator<Item = (Option<&'a str>, Option<&'a str>)>) -> Tags {
    pairs
        .filter_map(|(key, value)| Some((key?.to_owned(), value.unwrap_or_default().to_owned())))
        .filter(|(key, _)| !key.starts_with("aws:"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_aws_itself_are_left_out() {
        let found = tags([(Some("aws:x"), Some("1")), (Some("a"), None), (None, Some("2"))].into_iter());
        assert_eq!(found, Tags::from([("a".to_owned(), String::new())]));
    }

    #[test]
    fn times_keep_their_fraction() {
        let time = timestamp(&DateTime::from_secs_and_nanos(1_795_400_000, 250_000_000)).expect("in range");
        assert_eq!(time.as_millisecond(), 1_795_400_000_250);
    }
}
