//! Decides when a server that works may be stopped on purpose: what it holds must be on the directory first, and its last
//! save must have the time that it takes. Knows nothing of what replaces it.
//!
//! Only a process that may hold unsaved writes is waited for, so that a hold never keeps its own cure away: no server, one
//! that still loads, an empty one and one that promises nothing may be stopped at once.

use crate::data_safety::Running;
use crate::draft::{Draft, Input, LET_IN, list};
use crate::overlay;
use crate::rollout;
use crate::saving::{HANGS_HINT, final_save_s, hangs};
use crate::server;
use crate::tasks;
use valkeep_core::observed::{Rollout, Service};
use valkeep_core::valkey::{SETTING_FENCE, fence, fenced_since};
use valkeep_core::{DoubtKind, Fact, HoldReason, Resource, ServerChange, Timestamp, ValkeyInfo};

/// How old a good snapshot may be and still prove that saving works. Long enough for the calls and passes between the
/// snapshot and the stop; what changes within it is saved by the server's own final save.
const FRESH_S: i64 = 60;

/// Whether the running server may be stopped now; else the draft says why not, and has what must come first. `what` is like
/// `the change of NAME`.
pub(crate) fn may_stop(input: Input, found: &Service, what: &str, draft: &mut Draft) -> bool {
    let Some(tasks) = tasks::listed(input, draft) else {
        return false;
    };
    let running = tasks.iter().filter(|task| task.is_running()).count();
    let promises = Running::of(input).is_none_or(|running| running.snapshots());
    if running == 0 || !promises {
        return true;
    }
    if running > 1 {
        draft.waiting(
            Resource::Task,
            HoldReason::RollingOut,
            format!("{what} waits while {running} tasks run: which of them holds the data cannot be told"),
        );
        return false;
    }
    let info = match &input.observed.valkey {
        Fact::Present(info) => info,
        // A live server listens from its first moment on, before it loads.
        Fact::Unknown(doubt) if doubt.kind == DoubtKind::NotListening => return true,
        Fact::Unknown(_) if rollout::waits_for_window(input, what, draft) => return false,
        Fact::Unknown(doubt) if input.desired.rollout.require_snapshot => {
            draft.stalled(
                Resource::Valkey,
                HoldReason::ServerUnreachable,
                format!(
                    "{what} waits: the server may hold writes that are not saved, and it cannot be asked: {}",
                    doubt.message
                ),
                format!(
                    "{}, or set spec.rollout.requireSnapshot: false to trust the server's own final save",
                    if doubt.kind == DoubtKind::NotLetIn {
                        LET_IN.to_owned()
                    } else {
                        let groups = list(&input.desired.network.task_groups);
                        format!("let valkeep reach TCP {} of {groups}", input.desired.server.port)
                    },
                ),
            );
            return false;
        }
        Fact::Absent | Fact::Unknown(_) => return true,
    };
    // While it loads it takes no writes, and a stop leaves the dump as it is.
    if info.loading {
        return true;
    }
    if rollout::waits_for_window(input, what, draft) {
        return false;
    }
    if info.keys == 0 && info.changes_since_save == 0 {
        return true;
    }
    if is_under_way(found) {
        draft.waiting(
            Resource::Service,
            HoldReason::RollingOut,
            format!("{what} waits until the deployment before it has ended: one replacement at a time"),
        );
        return false;
    }
    if !input.desired.rollout.require_snapshot {
        return true;
    }
    prepared(input, info, what, draft)
}

fn is_under_way(found: &Service) -> bool {
    found
        .deployments
        .iter()
        .any(|deployment| deployment.primary && deployment.rollout == Rollout::InProgress)
}

/// The snapshot, then the time that a final save needs.
fn prepared(input: Input, info: &ValkeyInfo, what: &str, draft: &mut Draft) -> bool {
    let is_fenced = is_fenced(input, info);
    if is_fenced {
        draft.keep_writes_out();
    }
    if info.saving {
        match too_small_budget(input, info) {
            Some(budget) if is_fenced => say_fenced(what, budget, draft),
            _ => under_way(info, what, draft),
        }
        return false;
    }
    let nothing_new = info.changes_since_save == 0 && info.last_save_ok;
    if !nothing_new && !is_fresh(info) {
        return save(input, info, what, draft);
    }
    match too_small_budget(input, info) {
        None => true,
        // A guess by the memory; a snapshot tells.
        Some(_) if info.last_save_duration_s.is_none() => save(input, info, what, draft),
        Some(budget) => without_final_save(input, info, what, budget, draft),
    }
}

/// Seconds that a final save may take, and that ECS gives it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) needs_s: u64,
    pub(crate) has_s: u64,
}

/// The time for a final save, where it is too short.
pub(crate) fn too_small_budget(input: Input, info: &ValkeyInfo) -> Option<Budget> {
    let (needs_s, has_s) = (final_save_s(info), stop_timeout_s(input));
    (needs_s > has_s).then_some(Budget { needs_s, has_s })
}

/// Whether a snapshot of this process ended well a short time ago, all by the server's own clock.
fn is_fresh(info: &ValkeyInfo) -> bool {
    let age_s = info.time.as_second() - info.last_save.as_second();
    info.saves_started > 0 && info.last_save_ok && (0..=FRESH_S).contains(&age_s)
}

/// Plans a snapshot. One that failed is said and tried again: disk and permissions are mended without a sign to valkeep.
fn save(input: Input, info: &ValkeyInfo, what: &str, draft: &mut Draft) -> bool {
    if info.last_save_ok {
        draft.waiting(
            Resource::Valkey,
            HoldReason::Snapshotting,
            format!("{what} waits for a snapshot"),
        );
    } else {
        failed(info, what, draft);
    }
    server::change(input, info, ServerChange::Save, draft);
    false
}

/// Says what the snapshot is that is being written: one that is waited for, another try, or one that does not end.
fn under_way(info: &ValkeyInfo, what: &str, draft: &mut Draft) {
    if let Some(hangs) = hangs(info) {
        draft.stalled(
            Resource::Valkey,
            HoldReason::SnapshotHangs,
            format!("{what} waits: {hangs}"),
            format!(
                "{HANGS_HINT}. To replace the server all the same: spec.rollout.requireSnapshot: false; if its final save hangs, \
                 too, what changed since the last snapshot is lost"
            ),
        );
    } else if info.last_save_ok {
        draft.waiting(
            Resource::Valkey,
            HoldReason::Snapshotting,
            format!("{what} waits for the snapshot that is being written"),
        );
    } else {
        failed(info, what, draft);
    }
}

/// Says that the last snapshot failed. The same while another one is tried.
fn failed(info: &ValkeyInfo, what: &str, draft: &mut Draft) {
    draft.stalled(
        Resource::Valkey,
        HoldReason::SnapshotFailed,
        format!(
            "{what} waits: the last snapshot failed, and {} changes are nowhere but in the server",
            info.changes_since_save
        ),
        "see the container's log (a full or read-only directory, permissions, too little memory for the fork); valkeep tries \
         again at every look. To take the data out: valkey-cli -h ADDRESS --rdb FILE. To replace the server all the same: \
         spec.rollout.requireSnapshot: false",
    );
}

/// A final save would be cut off, so there is none: nobody writes any more, everything is saved, and then the server stops
/// without another save. Each look finds the next step in what the server says.
fn without_final_save(input: Input, info: &ValkeyInfo, what: &str, budget: Budget, draft: &mut Draft) -> bool {
    draft.keep_writes_out();
    let settings = match &input.observed.server_settings {
        Fact::Present(settings) => settings,
        Fact::Absent | Fact::Unknown(_) => {
            draft.waiting(
                Resource::Valkey,
                HoldReason::Snapshotting,
                format!("{what} waits until the server's settings can be read"),
            );
            return false;
        }
    };
    say_fenced(what, budget, draft);
    let Some(since) = fenced_since(settings) else {
        server::set(input, info, settings, SETTING_FENCE, &fence(info.time), draft);
        return false;
    };
    if !has_everything_since(info, since) {
        server::change(input, info, ServerChange::Save, draft);
        return false;
    }
    if settings.get("save").is_some_and(|points| !points.is_empty()) {
        server::set(input, info, settings, "save", "", draft);
        return false;
    }
    true
}

fn say_fenced(what: &str, Budget { needs_s, has_s }: Budget, draft: &mut Draft) {
    draft.waiting(
        Resource::Valkey,
        HoldReason::StopBudgetTooSmall,
        format!(
            "{what}: a final save may take {needs_s} s and ECS gives it {has_s} s, so writes are refused, everything is \
             saved, and the server stops without another save (a longer spec.rollout.stopTimeoutSeconds avoids this)"
        ),
    );
}

/// Whether writes are kept out already. They stay out while everything is saved, and not where saving fails or hangs: clients
/// need not wait until somebody has mended that.
fn is_fenced(input: Input, info: &ValkeyInfo) -> bool {
    let settings = input.observed.server_settings.present();
    info.last_save_ok && hangs(info).is_none() && settings.is_some_and(|settings| fenced_since(settings).is_some())
}

/// Whether the last snapshot holds all that was written until writes were kept out. Keys that expire go on counting as
/// changes, so a snapshot that was begun after that will do; the fence may be up some seconds later than it says.
fn has_everything_since(info: &ValkeyInfo, fenced: Timestamp) -> bool {
    /// Longer than any one command to a server is waited for.
    const FENCE_UP_S: i64 = 15;
    let took_s = info.last_save_duration_s.and_then(|took| i64::try_from(took).ok());
    let begun_after = took_s.is_some_and(|took_s| {
        info.last_save.as_second() - took_s > fenced.as_second() + FENCE_UP_S && info.saves_started > 0
    });
    info.last_save_ok && (info.changes_since_save == 0 || begun_after)
}

/// Seconds from SIGTERM to SIGKILL of what runs, which is not what the document may ask for by now.
fn stop_timeout_s(input: Input) -> u64 {
    let Some(running) = input.observed.running_definition.present() else {
        return overlay::STOP_TIMEOUT_S;
    };
    if let Some(definition) = &running.definition {
        return definition.container.stop_timeout_s.into();
    }
    running
        .raw
        .as_ref()
        .and_then(|raw| raw.container(&input.desired.server.container)?["stopTimeout"].as_u64())
        .unwrap_or(overlay::STOP_TIMEOUT_S)
}
