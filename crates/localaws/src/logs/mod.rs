//! CloudWatch Logs: groups, streams, and the lines that tasks write.

mod calls;

pub(crate) use calls::call;

use crate::state::State;
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// Lines kept of one stream: a crash loop of a day must not fill the memory.
const STREAM_LINES_MAX: usize = 10_000;

/// All that Logs remembers.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    pub(crate) groups: BTreeMap<String, Group>,
}

/// A log group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) created_at: Timestamp,
    pub(crate) retention_days: Option<i64>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) streams: BTreeMap<String, Stream>,
}

/// A log stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    pub(crate) created_at: Timestamp,
    /// Oldest first.
    pub(crate) lines: VecDeque<(Timestamp, String)>,
    /// Lines dropped from the front.
    pub(crate) dropped: u64,
}

/// Whether the log group is there.
pub(crate) fn group_exists(state: &State, group: &str) -> bool {
    state.logs.groups.contains_key(group)
}

/// Adds a line, making the stream; without the group the line is lost, as with the real log driver.
pub(crate) fn append(state: &mut State, group: &str, stream: &str, at: Timestamp, line: String) {
    let created_at = state.now;
    let Some(group) = state.logs.groups.get_mut(group) else {
        return;
    };
    let stream = group.streams.entry(stream.to_owned()).or_insert_with(|| Stream {
        created_at,
        ..Stream::default()
    });
    stream.lines.push_back((at, line));
    if stream.lines.len() > STREAM_LINES_MAX {
        stream.lines.pop_front();
        stream.dropped += 1;
    }
}
