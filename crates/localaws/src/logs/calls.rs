//! The operations of Logs.

use super::{Group, Stream};
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{boolean, number, required, strings, tags, text, unknown_operation};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const GROUPS_PAGE: usize = 50;
const EVENTS_PAGE: usize = 10_000;
const RETENTIONS: [i64; 23] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653, 3654,
];

/// Answers one operation.
pub(crate) fn call(state: &mut State, operation: &str, input: &Value) -> Result<Value, ApiError> {
    match operation {
        "CreateLogGroup" => create_group(state, input),
        "DeleteLogGroup" => {
            let name = named(input)?.to_owned();
            group(state, &name)?;
            state.logs.groups.remove(&name);
            Ok(json!({}))
        }
        "DescribeLogGroups" => Ok(describe_groups(state, input)),
        "PutRetentionPolicy" => put_retention(state, input),
        "DeleteRetentionPolicy" => {
            group_mut(state, named(input)?)?.retention_days = None;
            Ok(json!({}))
        }
        "TagResource" => {
            let added = tags(input, "tags");
            group_mut(state, &name_of_arn(required(input, "resourceArn")?))?
                .tags
                .extend(added);
            Ok(json!({}))
        }
        "UntagResource" => {
            let keys = strings(input, "tagKeys");
            group_mut(state, &name_of_arn(required(input, "resourceArn")?))?
                .tags
                .retain(|key, _| !keys.contains(key));
            Ok(json!({}))
        }
        "ListTagsForResource" => {
            let found = group(state, &name_of_arn(required(input, "resourceArn")?))?;
            Ok(json!({ "tags": found.tags }))
        }
        "ListTagsLogGroup" => Ok(json!({ "tags": group(state, named(input)?)?.tags })),
        "CreateLogStream" => create_stream(state, input),
        "DescribeLogStreams" => describe_streams(state, input),
        "GetLogEvents" => get_events(state, input),
        "FilterLogEvents" => filter_events(state, input),
        _ => Err(unknown_operation(operation)),
    }
}

fn create_group(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let name = required(input, "logGroupName")?;
    let valid = name.len() <= 512 && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-/.#".contains(c));
    if !valid {
        let words =
            format!("1 validation error detected: Value '{name}' at 'logGroupName' failed to satisfy constraint");
        return Err(ApiError::bad("InvalidParameterException", words));
    }
    if state.logs.groups.contains_key(name) {
        return Err(ApiError::bad(
            "ResourceAlreadyExistsException",
            "The specified log group already exists",
        ));
    }
    let group = Group {
        created_at: state.now,
        retention_days: None,
        tags: tags(input, "tags"),
        streams: BTreeMap::new(),
    };
    state.logs.groups.insert(name.to_owned(), group);
    Ok(json!({}))
}

fn describe_groups(state: &State, input: &Value) -> Value {
    let prefix = text(input, "logGroupNamePrefix").unwrap_or_default();
    let pattern = text(input, "logGroupNamePattern").unwrap_or_default();
    let after = text(input, "nextToken").unwrap_or_default();
    let limit = size(input, GROUPS_PAGE);
    let mut rest = state
        .logs
        .groups
        .iter()
        .filter(|(name, _)| name.starts_with(prefix) && name.contains(pattern) && name.as_str() > after);
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let next = rest.next().and(page.last()).map(|(name, _)| (*name).clone());
    let views: Vec<Value> = page
        .into_iter()
        .map(|(name, group)| {
            let arn = state.arn("logs", &format!("log-group:{name}"));
            let mut view = json!({
                "logGroupName": name, "creationTime": group.created_at.as_millisecond(), "metricFilterCount": 0,
                "arn": format!("{arn}:*"), "logGroupArn": arn, "storedBytes": 0, "logGroupClass": "STANDARD",
            });
            if let Some(days) = group.retention_days {
                view["retentionInDays"] = json!(days);
            }
            view
        })
        .collect();
    paged(json!({ "logGroups": views }), next)
}

fn put_retention(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let days = number(input, "retentionInDays")
        .filter(|days| RETENTIONS.contains(days))
        .ok_or_else(|| {
            let words = "1 validation error detected: Value at 'retentionInDays' failed to satisfy constraint";
            ApiError::bad("InvalidParameterException", words)
        })?;
    group_mut(state, named(input)?)?.retention_days = Some(days);
    Ok(json!({}))
}

fn create_stream(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let (created_at, name) = (state.now, required(input, "logStreamName")?.to_owned());
    let group = group_mut(state, named(input)?)?;
    if group.streams.contains_key(&name) {
        return Err(ApiError::bad(
            "ResourceAlreadyExistsException",
            "The specified log stream already exists",
        ));
    }
    group.streams.insert(
        name,
        Stream {
            created_at,
            ..Stream::default()
        },
    );
    Ok(json!({}))
}

fn describe_streams(state: &State, input: &Value) -> Result<Value, ApiError> {
    let name = named(input)?;
    let prefix = text(input, "logStreamNamePrefix").unwrap_or_default();
    let mut streams: Vec<_> = group(state, name)?
        .streams
        .iter()
        .filter(|(stream, _)| stream.starts_with(prefix))
        .collect();
    if text(input, "orderBy") == Some("LastEventTime") {
        streams.sort_by_key(|(_, stream)| stream.lines.back().map(|(at, _)| *at));
    }
    if boolean(input, "descending") == Some(true) {
        streams.reverse();
    }
    let start = text(input, "nextToken")
        .and_then(|token| token.parse().ok())
        .unwrap_or(0_usize)
        .min(streams.len());
    let end = streams.len().min(start + size(input, GROUPS_PAGE));
    let next = (end < streams.len()).then(|| end.to_string());
    let views: Vec<Value> = streams[start..end]
        .iter()
        .map(|(stream_name, stream)| {
            let mut view = json!({
                "logStreamName": stream_name, "creationTime": stream.created_at.as_millisecond(), "storedBytes": 0,
                "arn": state.arn("logs", &format!("log-group:{name}:log-stream:{stream_name}")),
            });
            if let (Some((first, _)), Some((last, _))) = (stream.lines.front(), stream.lines.back()) {
                view["firstEventTimestamp"] = json!(first.as_millisecond());
                view["lastEventTimestamp"] = json!(last.as_millisecond());
                view["lastIngestionTime"] = json!(last.as_millisecond());
            }
            view
        })
        .collect();
    Ok(paged(json!({ "logStreams": views }), next))
}

/// Tokens are positions counted from the first line ever, so that they stay true when old lines are dropped.
fn get_events(state: &State, input: &Value) -> Result<Value, ApiError> {
    let stream_name = required(input, "logStreamName")?;
    let stream = group(state, named(input)?)?
        .streams
        .get(stream_name)
        .ok_or_else(no_stream)?;
    let (dropped, kept) = (
        usize::try_from(stream.dropped).unwrap_or(usize::MAX),
        stream.lines.len(),
    );
    let limit = size(input, EVENTS_PAGE);
    let position = |token: &str| {
        token
            .get(2..)?
            .parse::<usize>()
            .ok()
            .map(|at| at.saturating_sub(dropped).min(kept))
    };
    let token = text(input, "nextToken");
    let (start, end) = match token.and_then(|token| Some((token.starts_with("b/"), position(token)?))) {
        Some((false, start)) => (start, kept.min(start + limit)),
        Some((true, end)) => (end.saturating_sub(limit), end),
        None if boolean(input, "startFromHead") == Some(true) => (0, kept.min(limit)),
        None => (kept.saturating_sub(limit), kept),
    };
    let (from, to) = span(input);
    let events: Vec<Value> = stream
        .lines
        .range(start..end)
        .map(|(at, line)| (at.as_millisecond(), line))
        .filter(|(at, _)| (from..to).contains(at))
        .map(|(at, line)| json!({ "timestamp": at, "ingestionTime": at, "message": line }))
        .collect();
    Ok(json!({
        "events": events,
        "nextForwardToken": format!("f/{:056}", end + dropped), "nextBackwardToken": format!("b/{:056}", start + dropped),
    }))
}

fn filter_events(state: &State, input: &Value) -> Result<Value, ApiError> {
    let wanted = strings(input, "logStreamNames");
    let prefix = text(input, "logStreamNamePrefix").unwrap_or_default();
    // Of the filter language only the plain term, with or without quotes.
    let term = text(input, "filterPattern").unwrap_or_default().trim_matches('"');
    let (from, to) = span(input);
    let mut events: Vec<(i64, String, Value)> = Vec::new();
    for (name, stream) in &group(state, named(input)?)?.streams {
        if !name.starts_with(prefix) || !(wanted.is_empty() || wanted.contains(name)) {
            continue;
        }
        for (number, (at, line)) in stream.lines.iter().enumerate() {
            let at = at.as_millisecond();
            if (from..to).contains(&at) && line.contains(term) {
                let id = format!("{at}-{name}-{:012}", number as u64 + stream.dropped);
                let event = json!({
                    "logStreamName": name, "timestamp": at, "message": line, "ingestionTime": at, "eventId": id,
                });
                events.push((at, id, event));
            }
        }
    }
    events.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    let start = text(input, "nextToken")
        .and_then(|token| token.parse().ok())
        .unwrap_or(0_usize)
        .min(events.len());
    let end = events.len().min(start + size(input, EVENTS_PAGE));
    let next = (end < events.len()).then(|| end.to_string());
    let page: Vec<Value> = events.drain(start..end).map(|(_, _, event)| event).collect();
    Ok(paged(json!({ "events": page, "searchedLogStreams": [] }), next))
}

fn paged(mut answer: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    answer
}

fn size(input: &Value, usual: usize) -> usize {
    number(input, "limit")
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usual)
        .clamp(1, usual)
}

/// Milliseconds from `startTime` (with it) to `endTime` (without).
fn span(input: &Value) -> (i64, i64) {
    (
        number(input, "startTime").unwrap_or(i64::MIN),
        number(input, "endTime").unwrap_or(i64::MAX),
    )
}

/// `logGroupName`, or the name in `logGroupIdentifier`, which may be an ARN.
fn named(input: &Value) -> Result<&str, ApiError> {
    match text(input, "logGroupIdentifier") {
        Some(identifier) => Ok(identifier
            .split_once(":log-group:")
            .map_or(identifier, |(_, name)| name.trim_end_matches(":*"))),
        None => required(input, "logGroupName"),
    }
}

fn name_of_arn(arn: &str) -> String {
    arn.split_once(":log-group:")
        .map_or(arn, |(_, name)| name)
        .trim_end_matches(":*")
        .to_owned()
}

fn group<'a>(state: &'a State, name: &str) -> Result<&'a Group, ApiError> {
    state.logs.groups.get(name).ok_or_else(no_group)
}

fn group_mut<'a>(state: &'a mut State, name: &str) -> Result<&'a mut Group, ApiError> {
    state.logs.groups.get_mut(name).ok_or_else(no_group)
}

fn no_group() -> ApiError {
    ApiError::bad("ResourceNotFoundException", "The specified log group does not exist.")
}

fn no_stream() -> ApiError {
    ApiError::bad("ResourceNotFoundException", "The specified log stream does not exist.")
}
