//! Judges from what the server says whether the data is as safe as the document promises, and whether the last start
//! was warm.

use super::{PreviousServer, Verdict};
use crate::append_only::append_fsync;
use crate::data_safety::{Ended, Running};
use crate::draft::{Input, LET_IN, allow, list};
use crate::replacement::{self, Budget};
use crate::saving::{HANGS_HINT, hangs};
use valkeep_core::ConditionStatus::{False, True, Unknown};
use valkeep_core::{Desired, DoubtKind, Fact, Observed, Timestamp, ValkeyInfo};

/// `PersistenceHealthy`.
pub(super) fn healthy(desired: &Desired, observed: &Observed, now: Timestamp) -> Verdict {
    let info = match &observed.valkey {
        Fact::Present(info) => info,
        Fact::Absent => return not_running(observed),
        Fact::Unknown(doubt) if doubt.kind == DoubtKind::NotLooked => return not_running(observed),
        Fact::Unknown(doubt) if doubt.kind == DoubtKind::NotLetIn => {
            let message = format!("cannot ask Valkey: {} (hint: {LET_IN})", doubt.message);
            return Verdict::new(Unknown, "LoginRefused", message);
        }
        // What is asked of AWS for the server's sake is what it takes to be let in.
        Fact::Unknown(doubt) if !doubt.call.starts_with("valkey:") => {
            let hint = match doubt.kind {
                DoubtKind::AccessDenied => format!(
                    "{}, and tag the secret valkeep.dev/given-to: {}; a key of its own needs kms:Decrypt, too",
                    allow(&desired.place, &doubt.call),
                    desired.identity.installation
                ),
                _ => "see spec.valkey; valkeep reads it again by itself".to_owned(),
            };
            let message = format!(
                "cannot read what it takes to ask Valkey: {}: {} (hint: {hint})",
                doubt.call, doubt.message
            );
            return Verdict::new(Unknown, "SecretUnreadable", message);
        }
        Fact::Unknown(doubt) if doubt.kind == DoubtKind::NotListening => {
            return Verdict::new(Unknown, "NotListening", format!("cannot ask Valkey: {}", doubt.message));
        }
        // It answered, and not as a server that may be believed.
        Fact::Unknown(doubt) if doubt.kind == DoubtKind::Other => {
            let message = format!("cannot ask Valkey: {} (hint: see spec.valkey)", doubt.message);
            return Verdict::new(Unknown, "CannotAsk", message);
        }
        Fact::Unknown(doubt) => {
            let message = format!(
                "cannot ask Valkey: {} (hint: if no connection comes about, allow TCP {} from valkeep's own security group \
                 or address to {})",
                doubt.message,
                desired.server.port,
                list(&desired.network.task_groups)
            );
            return Verdict::new(Unknown, "Unreachable", message);
        }
    };
    if info.loading {
        let percent = info
            .loading_percent
            .map(|percent| format!(", {percent} %"))
            .unwrap_or_default();
        return Verdict::new(Unknown, "Loading", format!("the server loads its dump{percent}"));
    }
    if !desired.saves() {
        return Verdict::new(True, "SnapshotsOff", unsaved(observed, info, now));
    }
    if running_definition_saves(desired, observed, now) == Some(false) {
        return Verdict::new(
            False,
            "NotSaving",
            format!(
                "the running server writes no snapshots, although the document asks for them: a restart loses {} keys",
                info.keys
            ),
        );
    }
    saving(Input { desired, observed, now }, info)
}

/// Whether the definition that runs writes snapshots to the directory; unknown where its words cannot be read.
fn running_definition_saves(desired: &Desired, observed: &Observed, now: Timestamp) -> Option<bool> {
    let running = Running::of(Input { desired, observed, now })?;
    Some(running.snapshots())
}

fn not_running(observed: &Observed) -> Verdict {
    match observed.serving_task() {
        Some(_) => Verdict::new(Unknown, "NotAsked", "the server has not been asked yet"),
        None => Verdict::new(Unknown, "NotRunning", "no server runs that could be asked"),
    }
}

fn unsaved(observed: &Observed, info: &ValkeyInfo, now: Timestamp) -> String {
    let dump = match observed.access_point.present().map(Ended::of) {
        Some(Ended::At(at)) => format!(
            "; a dump on the directory is from before {at}, {} ago, unless one was written by hand",
            age(at, now)
        ),
        _ => String::new(),
    };
    format!(
        "snapshots are off, as the document says: a restart loses {} keys{dump}",
        info.keys
    )
}

fn saving(input: Input, info: &ValkeyInfo) -> Verdict {
    let desired = input.desired;
    if !info.last_save_ok {
        return Verdict::new(
            False,
            "SaveFailing",
            format!(
                "the last snapshot failed; {} changes are not saved (hint: see the container's log; the usual causes \
                 are a directory that cannot be written and too little memory for the fork)",
                info.changes_since_save
            ),
        );
    }
    if let Some(hangs) = hangs(info) {
        return Verdict::new(
            False,
            "SaveHangs",
            format!(
                "{hangs}; {} changes are not saved (hint: {HANGS_HINT})",
                info.changes_since_save
            ),
        );
    }
    // By the server's own clock: valkeep's may be another, or jump.
    let waited_s = info.time.as_second() - info.last_save.as_second();
    let overdue =
        desired.snapshots().and_then(|snapshots| {
            snapshots.save.0.iter().find(|rule| {
                info.changes_since_save >= u64::from(rule.changes) && waited_s > 2 * i64::from(rule.seconds)
            })
        });
    if let Some(rule) = overdue.filter(|_| !info.saving) {
        return Verdict::new(
            False,
            "SaveOverdue",
            format!(
                "no snapshot for {waited_s} s with {} changes, although one is due after {} s and {} change(s) \
                 (hint: compare CONFIG GET save with the document)",
                info.changes_since_save, rule.seconds, rule.changes
            ),
        );
    }
    let budget = replacement::too_small_budget(input, info).zip(info.last_save_duration_s);
    if let Some((Budget { needs_s, has_s }, took_s)) = budget {
        return Verdict::new(
            False,
            "StopBudgetTooSmall",
            format!(
                "the last snapshot took {took_s} s, so a final save may take {needs_s} s, and ECS kills after {has_s} s; when valkeep \
                 replaces the server it refuses writes and saves before, but whoever else stops the task loses what is not saved \
                 (hint: raise spec.rollout.stopTimeoutSeconds, or elastic throughput for the file system)"
            ),
        );
    }
    let running_appends = Running::of(input).is_some_and(|running| running.append_only());
    if info
        .append_only
        .is_some_and(|file| running_appends && !file.last_write_ok)
    {
        return Verdict::new(
            False,
            "AppendFailing",
            "the last write to the append-only file failed, and Valkey refuses writes until one succeeds (hint: see the \
             container's log; the usual cause is a full or read-only directory)",
        );
    }
    // Before its first save the server gives its start as the time of the last one.
    let last = if info.saves_started == 0 {
        "no snapshot since the start".to_owned()
    } else {
        format!("last snapshot {}", info.last_save)
    };
    if let Some(fsync) = append_fsync(desired, input.observed) {
        let gone = match fsync.as_str() {
            "always" => "nothing",
            "everysec" => "at most the last second",
            _ => "what the system has not written yet",
        };
        let message =
            format!("every write is in the append-only file (appendfsync {fsync}), so a kill loses {gone}; {last}");
        return Verdict::new(True, "Appending", message);
    }
    Verdict::new(
        True,
        "Saving",
        format!(
            "{last}; {} changes since, which a kill would lose",
            info.changes_since_save
        ),
    )
}

/// `WarmStart`.
pub(super) fn warm_start(input: Input, previous: Option<&PreviousServer>) -> Verdict {
    let desired = input.desired;
    let Some(info) = input.observed.valkey.present() else {
        return Verdict::new(Unknown, "NotAsked", "the server has not answered yet");
    };
    if info.loading {
        return Verdict::new(Unknown, "Loading", "the server loads its dump");
    }
    // Of an append-only file Valkey counts only the base as loaded; soon after the start its keys say more.
    let appended = Running::of(input).is_some_and(|running| running.append_only());
    let loaded = if appended { info.keys } else { info.keys_loaded };
    match previous.filter(|previous| previous.run_id != info.run_id) {
        // Expired keys were in the dump and are rightly gone.
        Some(previous) if loaded.saturating_add(info.keys_expired_at_load) >= previous.keys => Verdict::new(
            True,
            "Warm",
            format!("{loaded} keys were loaded; the server before had {}", previous.keys),
        ),
        Some(previous) if loaded == 0 => Verdict::new(
            False,
            "Cold",
            format!(
                "nothing was loaded; the server before had {} keys{}",
                previous.keys,
                if desired.saves() { "" } else { ", and snapshots are off" }
            ),
        ),
        Some(previous) => Verdict::new(
            False,
            "LoadedLess",
            format!(
                "{loaded} keys were loaded; the server before had {} when last seen: the rest was newer than its last \
                 snapshot, expired or removed",
                previous.keys
            ),
        ),
        None if loaded > 0 => Verdict::new(True, "Warm", format!("{loaded} keys were loaded")),
        None => Verdict::new(
            Unknown,
            "FirstStart",
            "nothing was loaded, and no earlier server is known",
        ),
    }
}

fn age(from: Timestamp, to: Timestamp) -> String {
    let seconds = (to.as_second() - from.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
