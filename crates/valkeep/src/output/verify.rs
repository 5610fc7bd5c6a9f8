//! What a drill found, for people and machines. The JSON is a promise.

use crate::output::table::{Cell, Table};
use crate::output::{Out, Tone};
use serde::Serialize;

/// The result of a drill.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// `metadata.name`.
    pub(crate) document: String,
    /// `cluster/service`.
    pub(crate) service: String,
    /// From the first look to the last.
    pub(crate) took_seconds: i64,
    /// The server that was replaced.
    pub(crate) before: Before,
    /// The server that serves now.
    pub(crate) after: After,
    /// The keys that were written before.
    pub(crate) canaries: Canaries,
    /// The key that was written again and again.
    pub(crate) writes: Writes,
}

/// The server before.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Before {
    /// `host:port`
    pub(crate) address: String,
    /// Which process.
    pub(crate) run_id: String,
    /// Keys in all databases, without the drill's own.
    pub(crate) keys: u64,
    /// Keys in all databases with the drill's own, as they were last counted, which was at most some seconds before the stop.
    pub(crate) keys_at_stop: u64,
}

/// The server after.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct After {
    /// `host:port`
    pub(crate) address: String,
    /// Which process.
    pub(crate) run_id: String,
    /// Keys in all databases, without the drill's own.
    pub(crate) keys: u64,
    /// Keys that the start loaded, the drill's among them.
    pub(crate) keys_loaded: u64,
    /// Whether it was an append-only file, of which `INFO` counts only the keys of its base.
    pub(crate) append_only: bool,
    /// Keys that had expired by then.
    pub(crate) keys_expired_at_load: u64,
}

/// Keys that were written before the replacement.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Canaries {
    /// How many.
    pub(crate) written: u32,
    /// How many have their value.
    pub(crate) back: u32,
    /// How many have not.
    pub(crate) lost: u32,
}

/// Writes all through the replacement, ten a second as long as a server takes them.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Writes {
    /// How many a server has taken.
    pub(crate) acknowledged: u64,
    /// How many of these the next server did not know.
    pub(crate) lost: u64,
    /// The longest time from one that was taken to the next.
    pub(crate) longest_gap_ms: u64,
}

impl Report {
    /// Whether everything that was written is there.
    pub(crate) fn is_warm(&self) -> bool {
        self.canaries.lost == 0 && self.writes.lost == 0
    }
}

/// A verdict, a table, and how long nobody could write.
pub(crate) fn text(report: &Report, out: &Out) -> String {
    let Report {
        document,
        service,
        took_seconds,
        before,
        after,
        canaries,
        writes,
    } = report;
    let (tone, verdict) = if report.is_warm() {
        (Tone::Good, "everything that was written came back")
    } else {
        (Tone::Bad, "what was written is not all there")
    };
    let mut table = Table::new(&["", "BEFORE", "AFTER"]);
    let mut row = |name: &str, before: String, after: String, bad: bool| {
        let after = if bad {
            Cell::toned(Tone::Bad, after)
        } else {
            Cell::plain(after)
        };
        table.row(vec![Cell::plain(name), Cell::plain(before), after]);
    };
    let id = |run_id: &str| run_id.chars().take(8).collect::<String>();
    row(
        "server",
        format!("{}, run {}", before.address, id(&before.run_id)),
        format!("{}, run {}", after.address, id(&after.run_id)),
        false,
    );
    row("keys", before.keys.to_string(), after.keys.to_string(), false);
    let expired = match after.keys_expired_at_load {
        0 => String::new(),
        expired => format!(", {expired} had expired"),
    };
    let file = if after.append_only {
        " from the append-only file's base"
    } else {
        ""
    };
    row(
        "loaded",
        format!("{} at the stop", before.keys_at_stop),
        format!("{}{file}{expired}", after.keys_loaded),
        false,
    );
    row(
        "canaries",
        format!("{} written", canaries.written),
        match canaries.lost {
            0 => format!("{} back", canaries.back),
            lost => format!("{} back, {lost} lost", canaries.back),
        },
        canaries.lost > 0,
    );
    row(
        "writes",
        format!("{} acknowledged", writes.acknowledged),
        format!("{} lost", writes.lost),
        writes.lost > 0,
    );
    let gap_s = writes.longest_gap_ms / 1000;
    let gap_tenths = writes.longest_gap_ms % 1000 / 100;
    format!(
        "{document}: {}: {service} after {took_seconds} s\n\n{}\n\nLongest time without a successful write: {gap_s}.{gap_tenths} s\n",
        out.paint(tone, verdict),
        table
            .lines(out)
            .iter()
            .map(|line| line.trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("\n"),
    )
}
