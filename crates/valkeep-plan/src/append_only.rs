//! Plans the way between snapshots and the append-only file. A restart would not do: a server that starts with an
//! append-only file loads nothing but that, and one that starts without loads nothing but the dump. So the running server
//! writes the other kind first, and only then it is replaced.
//!
//! A crash in between needs no memory: the server that ECS starts again is of the definition from before and loads what
//! that says; its `INFO` shows that the other kind is not being written, and the way begins anew. What the lock script
//! finds of append-only files then it sets aside, so that they are never loaded.

use crate::data_safety::Running;
use crate::draft::{Draft, Input, hold};
use crate::rollout;
use crate::server;
use valkeep_core::identity::{TAG_APPEND_ONLY, TAG_WRITTEN_BY};
use valkeep_core::observed::AccessPoint;
use valkeep_core::valkey::SETTING_APPEND_ONLY;
use valkeep_core::{
    Desired, Fact, Hold, HoldKind, HoldReason, Observed, Resource, ServerChange, Timestamp, ValkeyInfo,
};

/// Whether the service's definition has the other kind of file than the document wants: only a server of that definition can
/// change over, so it is started where none runs.
pub(crate) fn changes(input: Input) -> bool {
    let running = Running::of(input).filter(Running::mounts);
    input.desired.snapshots().is_some()
        && running.is_some_and(|running| running.append_only() != input.desired.appends())
}

/// Whether a definition of the document may follow the running one as far as this is concerned; plans what must come first.
/// `what` is like `the change of NAME`.
pub(crate) fn may_follow(input: Input, what: &str, draft: &mut Draft) -> bool {
    if !changes(input) {
        return true; // Without a server on the directory, `blocks` says what may start there.
    }
    let will = input.desired.appends();
    let info = match &input.observed.valkey {
        Fact::Present(info) if !info.loading => info,
        _ => {
            draft.hold(Hold {
                hint: Some(format!(
                    "if it cannot be brought to serve, set spec.persistence.appendOnly.enabled: {} again, which is what it \
                     starts with",
                    !will
                )),
                ..hold(
                    Resource::Valkey,
                    HoldKind::Waiting,
                    HoldReason::AppendOnlyByRestart,
                    format!(
                        "{what} waits for a server that serves: it must write {} before another one may start with that",
                        if will { "the append-only file" } else { "a snapshot" }
                    ),
                )
            });
            return false;
        }
    };
    if will {
        switched_on(input, info, what, draft)
    } else {
        has_snapshot(input, info, what, draft)
    }
}

/// Whether the running server writes the append-only file, with everything in it.
fn switched_on(input: Input, info: &ValkeyInfo, what: &str, draft: &mut Draft) -> bool {
    let wait = |draft: &mut Draft, message: String| {
        draft.waiting(Resource::Valkey, HoldReason::AppendOnlyBegins, message);
    };
    match info.append_only {
        None if rollout::waits_for_window(input, what, draft) => false,
        None => {
            wait(
                draft,
                format!("{what} waits until the running server has begun its append-only file"),
            );
            switch(input, info, "yes", draft);
            false
        }
        Some(file) if file.rewriting => {
            wait(
                draft,
                format!("{what} waits until everything is in the append-only file"),
            );
            false
        }
        Some(file) if !file.last_rewrite_ok || !file.last_write_ok => {
            draft.stalled(
                Resource::Valkey,
                HoldReason::AppendOnlyFailed,
                format!("{what} waits: the running server could not write its append-only file"),
                "see the container's log (a full or read-only directory, too little memory for the fork); Valkey tries again \
                 by itself. To stay with snapshots, set spec.persistence.appendOnly.enabled: false",
            );
            false
        }
        Some(_) => true,
    }
}

/// Whether this process has written a dump that holds what its append-only file does; its own final save will renew it.
fn has_snapshot(input: Input, info: &ValkeyInfo, what: &str, draft: &mut Draft) -> bool {
    if info.saves_started > 0 && info.last_save_ok && !info.saving {
        return true;
    }
    if !info.saving && rollout::waits_for_window(input, what, draft) {
        return false;
    }
    draft.waiting(
        Resource::Valkey,
        HoldReason::Snapshotting,
        format!("{what} waits for a snapshot of what is in the append-only file"),
    );
    if !info.saving {
        server::change(input, info, ServerChange::Save, draft);
    }
    false
}

/// What the running server writes beside its definition: begun for a change that is not wanted any more, or ended by hand.
pub(crate) fn keep(input: Input, info: &ValkeyInfo, running: &Running, draft: &mut Draft) {
    let (is, says) = (info.append_only.is_some(), running.append_only());
    if is != says && says == input.desired.appends() {
        switch(input, info, if says { "yes" } else { "no" }, draft);
    }
}

fn switch(input: Input, info: &ValkeyInfo, to: &str, draft: &mut Draft) {
    if let Some(found) = input.observed.server_settings.present() {
        server::set(input, info, found, SETTING_APPEND_ONLY, to, draft);
    }
}

/// Why no server may start on the directory with what the document says, where none runs on it that could change over.
pub(crate) fn blocks(input: Input, access_point: &AccessPoint, running: Option<&Running>) -> Option<Hold> {
    let running = running.filter(|running| running.mounts());
    if running.is_some() && !input.observed.service.is_absent() {
        return None; // `may_follow` says what its server must do first.
    }
    let marked = access_point.tags.contains_key(TAG_APPEND_ONLY) || running.is_some_and(Running::append_only);
    let used = access_point.tags.contains_key(TAG_WRITTEN_BY) || running.is_some();
    let (message, before) = match (input.desired.appends(), marked) {
        (true, false) if used => ("a dump, which a server with an append-only file would not load", false),
        (false, true) => ("an append-only file, which a server without one would not load", true),
        _ => return None,
    };
    Some(Hold {
        hint: Some(format!(
            "set spec.persistence.appendOnly.enabled: {before}, let the server start, and then change it: valkeep changes it \
             while the server runs"
        )),
        ..hold(
            Resource::TaskDefinition,
            HoldKind::Stalled,
            HoldReason::AppendOnlyByRestart,
            format!("the data of {} is in {message}", access_point.id),
        )
    })
}

/// How the append-only file is synced (`appendfsync`), where it holds what the server holds and a server that starts again loads
/// it; else a crash goes back to the last snapshot.
pub fn append_fsync(desired: &Desired, observed: &Observed) -> Option<String> {
    let now = Timestamp::UNIX_EPOCH; // Nothing here depends on it.
    let file = observed.valkey.present()?.append_only?;
    let loads_it = Running::of(Input { desired, observed, now })?.append_only();
    let fsync = observed.server_settings.present()?.get("appendfsync")?;
    (loads_it && file.last_write_ok).then(|| fsync.clone())
}

/// The mark that says in which kind of file the data is: to set (true) or to take away (false).
pub(crate) fn mark(input: Input, access_point: &AccessPoint, running: &Running) -> Option<bool> {
    let info = input.observed.valkey.present().filter(|info| !info.loading)?;
    let is = info.append_only.is_some();
    // While the two differ one of them is about to change.
    let settled = running.mounts() && running.append_only() == is;
    (settled && access_point.tags.contains_key(TAG_APPEND_ONLY) != is).then_some(is)
}
