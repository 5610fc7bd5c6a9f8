//! What a replacement takes of Valkey's own: its final save, its start, its loading. From what the servers say in their logs.

use anyhow::{Context, Result};
use localaws::{LocalAws, Service};
use serde_json::json;
use std::time::Duration;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// From the request to end until the end.
pub(super) fn save(aws: &LocalAws, group: &str, task: &str) -> Result<Duration> {
    between(&lines(aws, group, task)?, "User requested shutdown", "bye bye")
}

/// From the first word until connections are taken.
pub(super) fn start(aws: &LocalAws, group: &str, task: &str) -> Result<Duration> {
    between(
        &lines(aws, group, task)?,
        "Valkey is starting",
        "Ready to accept connections",
    )
}

/// What a task has written; `task` is its ARN.
fn lines(aws: &LocalAws, group: &str, task: &str) -> Result<Vec<String>> {
    let id = task.rsplit('/').next().unwrap_or(task);
    let streams = aws.call(Service::Logs, "DescribeLogStreams", &json!({ "logGroupName": group }))?;
    let mut names = streams["logStreams"].as_array().into_iter().flatten();
    let name = names.find_map(|stream| stream["logStreamName"].as_str().filter(|name| name.ends_with(id)));
    let name = name.with_context(|| format!("no log of {task}"))?;
    let input = json!({ "logGroupName": group, "logStreamName": name, "startFromHead": true });
    let found = aws.call(Service::Logs, "GetLogEvents", &input)?;
    let events = found["events"].as_array().into_iter().flatten();
    Ok(events
        .filter_map(|event| Some(event["message"].as_str()?.to_owned()))
        .collect())
}

fn between(lines: &[String], from: &str, until: &str) -> Result<Duration> {
    let at = |words: &str| {
        let line = lines.iter().find(|line| line.contains(words));
        let line = line.with_context(|| format!("no line `{words}` in {lines:#?}"))?;
        of_day_ms(line).with_context(|| format!("no time in `{line}`"))
    };
    let (from, until) = (at(from)?, at(until)?);
    Ok(Duration::from_millis((until + DAY_MS - from) % DAY_MS))
}

/// The time of day in `1:M 26 Nov 2026 07:46:11.123 * words`, in milliseconds.
fn of_day_ms(line: &str) -> Option<u64> {
    let time = line.split_whitespace().nth(4)?;
    let (clock, ms) = time.split_once('.')?;
    let mut seconds = 0;
    for part in clock.split(':') {
        seconds = seconds * 60 + part.parse::<u64>().ok()?;
    }
    Some(seconds * 1000 + ms.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_between_two_lines_may_go_over_midnight() {
        let lines = [
            "1:M 26 Nov 2026 23:59:59.900 # User requested shutdown...",
            "1:M 27 Nov 2026 00:00:00.250 # bye bye...",
        ];
        let lines = lines.map(str::to_owned);
        assert_eq!(between(&lines, "User", "bye").ok(), Some(Duration::from_millis(350)));
        assert!(between(&lines, "User", "Ready").is_err());
    }
}
