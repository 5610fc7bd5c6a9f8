//! Status as a table, in detail, and as JSON.

use crate::output::table::{Cell, Table};
use crate::output::{Out, Tone, printable};
use serde_json::{Value, json};
use std::fmt::Write;
use valkeep_core::{Condition, ConditionStatus, ConditionType, Timestamp};
use valkeep_document::status::{Resources, Status, ValkeyStatus};

/// One document and what is known of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Row {
    /// `metadata.name`, or the stem of its key.
    pub(crate) name: String,
    /// Where it lies; none when only the status is left.
    pub(crate) place: Option<String>,
    /// Its revision in the store.
    pub(crate) revision: Option<String>,
    /// None before valkeep looked at it.
    pub(crate) status: Option<Status>,
}

impl Row {
    /// Whether the status is of another version than the one in the store.
    fn is_outdated(&self) -> bool {
        match (&self.status, &self.revision) {
            (Some(status), Some(revision)) => status.observed_revision != *revision,
            _ => false,
        }
    }
}

/// All documents, one a line. A following table of changes goes without headings.
pub(crate) fn table(rows: &[&Row], now: Timestamp, headings: bool, out: &Out) -> String {
    let mut table = Table::new(&["NAME", "READY", "KEYS", "AT RISK", "LAST SNAPSHOT", "UPDATED", "PHASE"]);
    for row in rows {
        let Row { name, status, .. } = row;
        let Some(status) = status else {
            let dash = || Cell::plain("-");
            table.row(vec![
                Cell::plain(name),
                Cell::plain("Unknown"),
                dash(),
                dash(),
                dash(),
                dash(),
                Cell::plain("no status yet"),
            ]);
            continue;
        };
        let valkey = status.valkey.as_ref();
        let number = |of: fn(&ValkeyStatus) -> u64| valkey.map_or("-".to_owned(), |valkey| of(valkey).to_string());
        let snapshot = valkey.and_then(|valkey| valkey.last_snapshot_at);
        let mut phase = status.phase.clone();
        if row.is_outdated() {
            phase = format!("new version not looked at yet; before: {phase}");
        }
        table.row(vec![
            Cell::plain(name),
            ready(row, status),
            Cell::plain(number(|valkey| valkey.keys)),
            Cell::plain(number(|valkey| valkey.keys_at_risk)),
            Cell::plain(snapshot.map_or("-".to_owned(), |at| ago(at, now))),
            Cell::plain(ago(status.last_updated, now)),
            Cell::plain(short(&phase)),
        ]);
    }
    let skip = usize::from(!headings);
    table
        .lines(out)
        .into_iter()
        .skip(skip)
        .map(|line| line + "\n")
        .collect()
}

/// A phase may quote AWS at length; a table and a line of progress show its beginning, the detail all of it.
pub(crate) fn short(phase: &str) -> String {
    const LONGEST: usize = 120;
    if phase.chars().count() <= LONGEST {
        return phase.to_owned();
    }
    phase.chars().take(LONGEST - 1).chain(['\u{2026}']).collect()
}

/// Everything about one document.
pub(crate) fn detail(row: &Row, now: Timestamp, out: &Out) -> String {
    let mut text = String::new();
    let Row {
        name,
        place,
        revision,
        status,
    } = row;
    let place = place.as_deref().unwrap_or("the document is not in the store any more");
    line(
        &mut text,
        &format!("{}  {}", out.paint(Tone::Strong, &printable(name)), printable(place)),
    );
    let Some(status) = status else {
        line(&mut text, "no status yet; does `valkeep run` look at this store?");
        return text;
    };
    let mut pairs = vec![("phase", status.phase.clone())];
    if let Some(revision) = revision.as_ref().filter(|_| row.is_outdated()) {
        pairs.push(("outdated", format!("revision {revision} has not been looked at yet")));
    }
    pairs.push((
        "revision",
        format!(
            "{}, generation {}",
            status.observed_revision, status.observed_generation
        ),
    ));
    if let Some(good) = &status.last_good_revision {
        pairs.push(("in force", format!("revision {good}, because this one is not valid")));
    }
    pairs.extend(status.address.clone().map(|address| ("address", address)));
    pairs.extend(status.region.clone().map(|region| ("region", region)));
    pairs.extend(status.account.clone().map(|account| ("account", account)));
    pairs.extend(status.assumed_role_arn.clone().map(|arn| ("role", arn)));
    pairs.push((
        "written",
        format!(
            "{:.0} ({}) by installation {}",
            status.last_updated,
            ago(status.last_updated, now),
            status.installation
        ),
    ));
    if status.shortened {
        pairs.push(("shortened", "the store takes no longer status".to_owned()));
    }
    list(&mut text, None, &pairs, out);
    conditions(&mut text, &status.conditions, now, out);
    list(&mut text, Some("Resources"), &resources(&status.resources), out);
    if let Some(valkey) = &status.valkey {
        list(&mut text, Some("Valkey"), &server(valkey, now), out);
    }
    if let Some(stale) = &status.stale_dump {
        let since = format!("{:.0}; the dump on the file system is older", stale.snapshots_ended_at);
        list(&mut text, Some("Stale dump"), &[("no snapshots since", since)], out);
    }
    if !status.holds.is_empty() {
        heading(&mut text, "Held and noted", out);
        for hold in &status.holds {
            let until = hold
                .until
                .map(|until| format!(", until {until:.0}"))
                .unwrap_or_default();
            line(
                &mut text,
                &format!("  {}: {}{until}", printable(&hold.reason), printable(&hold.message)),
            );
            if let Some(hint) = &hold.hint {
                line(&mut text, &format!("    hint: {}", printable(hint)));
            }
        }
    }
    if !status.findings.is_empty() {
        heading(&mut text, "Findings", out);
        for finding in &status.findings {
            line(&mut text, &format!("  {}", printable(&finding.to_string())));
        }
    }
    if !status.history.is_empty() {
        heading(&mut text, "History", out);
        for event in &status.history {
            let event = format!("{:.0}  {}: {}", event.at, event.event, event.message);
            line(&mut text, &format!("  {}", printable(&event)));
        }
    }
    text
}

/// The status as it was written, with nothing in its place where there is none yet.
pub(crate) fn value(row: &Row) -> Value {
    row.status.as_ref().map_or_else(
        || {
            json!({
                "apiVersion": valkeep_document::API_VERSION,
                "kind": valkeep_document::KIND,
                "metadata": {"name": row.name},
                "status": null,
            })
        },
        Status::to_value,
    )
}

/// All of them.
pub(crate) fn list_value(rows: &[&Row]) -> Value {
    json!({"items": rows.iter().map(|row| value(row)).collect::<Vec<_>>()})
}

fn ready(row: &Row, status: &Status) -> Cell {
    if row.is_outdated() {
        return Cell::toned(Tone::Fair, "Unknown");
    }
    let stalled = status.is(ConditionType::Stalled);
    match status.condition(ConditionType::Ready).map(|ready| ready.status) {
        Some(ConditionStatus::True) => Cell::toned(Tone::Good, "True"),
        Some(ConditionStatus::False) if stalled => Cell::toned(Tone::Bad, "False (stalled)"),
        Some(ConditionStatus::False) => Cell::toned(Tone::Fair, "False"),
        Some(ConditionStatus::Unknown) | None => Cell::toned(Tone::Fair, "Unknown"),
    }
}

fn conditions(text: &mut String, conditions: &[Condition], now: Timestamp, out: &Out) {
    if conditions.is_empty() {
        return;
    }
    heading(text, "Conditions", out);
    let mut table = Table::new(&["TYPE", "STATUS", "SINCE", "REASON", "MESSAGE"]);
    for condition in conditions {
        let Condition {
            type_,
            status,
            reason,
            message,
            last_transition_time,
            observed_generation: _,
        } = condition;
        let tone = match status {
            status if *status == type_.at_rest() => Tone::Good,
            ConditionStatus::Unknown | ConditionStatus::True => Tone::Fair,
            ConditionStatus::False => Tone::Bad,
        };
        table.row(vec![
            Cell::plain(format!("{type_:?}")),
            Cell::toned(tone, format!("{status:?}")),
            Cell::plain(ago(*last_transition_time, now)),
            Cell::plain(reason),
            Cell::plain(message),
        ]);
    }
    for row in table.lines(out) {
        writeln!(text, "  {row}").expect("writing to a String never fails");
    }
}

fn resources(resources: &Resources) -> Vec<(&'static str, String)> {
    let Resources {
        security_group_id,
        file_system_id,
        file_system_arn: _,
        mount_targets,
        access_point_id,
        access_point_arn: _,
        role_policy_name,
        log_group,
        task_definition_arn,
        service_arn,
        task_arn,
    } = resources;
    let mut pairs = Vec::new();
    let mut add = |label: &'static str, value: &Option<String>| pairs.extend(value.clone().map(|value| (label, value)));
    add("security group", security_group_id);
    add("file system", file_system_id);
    add("access point", access_point_id);
    add("task-role policy", role_policy_name);
    add("log group", log_group);
    add("task definition", task_definition_arn);
    add("service", service_arn);
    add("task", task_arn);
    for target in mount_targets {
        let ip = target.ip.as_deref().unwrap_or("no address yet");
        pairs.push(("mount target", format!("{} in {}, {ip}", target.id, target.zone)));
    }
    pairs
}

fn server(valkey: &ValkeyStatus, now: Timestamp) -> Vec<(&'static str, String)> {
    let ValkeyStatus {
        version,
        keys,
        keys_at_risk,
        append_fsync,
        last_snapshot_at,
        last_snapshot_seconds_taken,
        last_snapshot_ok,
        keys_loaded_at_start,
        started_at,
        load_seconds,
        used_memory_bytes,
        maxmemory_bytes,
    } = valkey;
    let mut pairs = vec![
        ("version", version.clone()),
        ("keys", keys.to_string()),
        (
            "at risk",
            match append_fsync {
                Some(fsync) => format!("nothing that the append-only file has (appendfsync {fsync})"),
                None => format!("{keys_at_risk} changes since the last snapshot"),
            },
        ),
    ];
    let took = last_snapshot_seconds_taken
        .map(|took| format!(", took {took} s"))
        .unwrap_or_default();
    let went = if *last_snapshot_ok { "" } else { "; the last one failed" };
    pairs.push((
        "last snapshot",
        match last_snapshot_at {
            Some(at) => format!("{at:.0} ({}){took}{went}", ago(*at, now)),
            None => format!("none since the start{went}"),
        },
    ));
    if let Some(at) = started_at {
        let loading = load_seconds.map(|took| format!(" in {took} s")).unwrap_or_default();
        pairs.push((
            "started",
            format!(
                "{at:.0} ({}), {keys_loaded_at_start} keys loaded{loading}",
                ago(*at, now)
            ),
        ));
    }
    let limit = match maxmemory_bytes {
        0 => "no limit".to_owned(),
        bytes => format!("limit {}", mebibytes(*bytes)),
    };
    pairs.push(("memory", format!("{}, {limit}", mebibytes(*used_memory_bytes))));
    pairs
}

fn mebibytes(bytes: u64) -> String {
    let tenths = bytes * 10 / (1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

fn list(text: &mut String, title: Option<&str>, pairs: &[(&str, String)], out: &Out) {
    if pairs.is_empty() {
        return;
    }
    if let Some(title) = title {
        heading(text, title, out);
    }
    let width = pairs.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    for (label, value) in pairs {
        line(text, &format!("  {label:width$}  {}", printable(value)));
    }
}

fn heading(text: &mut String, title: &str, out: &Out) {
    line(text, "");
    line(text, &out.paint(Tone::Strong, title));
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a String never fails");
}

/// How long ago, in the largest unit that fits twice.
fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - at.as_second();
    match seconds {
        ..0 => "now".to_owned(),
        0..120 => format!("{seconds}s ago"),
        120..7200 => format!("{}m ago", seconds / 60),
        7200..172_800 => format!("{}h ago", seconds / 3600),
        _ => format!("{}d ago", seconds / 86400),
    }
}
