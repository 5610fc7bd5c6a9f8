//! Decides when a replacement is due: at once, in the maintenance window, or together with the next one that is.

use crate::data_safety::Running;
use crate::draft::{Draft, Input};
use crate::pending::{self, Change};
use valkeep_core::valkey::fenced_since;
use valkeep_core::{HoldReason, Resource, Timestamp, WindowState};

/// Whether the running server may stay for now although another definition is wanted, because it does what that says
/// already. In an open window it is replaced all the same: that is what a window is for.
pub(crate) fn may_wait(input: Input, wanted: &str, draft: &mut Draft) -> bool {
    let rollout = &input.desired.rollout;
    let next = opens(input);
    if rollout.window.is_some() && next.is_none() {
        return false;
    }
    let (Some(running), Some(wanted)) = (input.observed.running_definition.present(), input.definition(wanted)) else {
        return false;
    };
    match pending::change(running, wanted, &input.desired.server.container) {
        Change::Server => return false,
        Change::Tuning if !rollout.live_only => return false,
        // Another valkeep must not restart every server that it looks after.
        Change::Tuning | Change::Writing => {}
    }
    let until = match next {
        Some(next) => format!("until the maintenance window at {next}"),
        None => "until the server is replaced for another reason".to_owned(),
    };
    draft.notice_with_hint(
        Resource::Service,
        HoldReason::RestartPending,
        format!(
            "{} waits {until}: the running server is set as the document says already",
            wanted.arn.rsplit('/').next().unwrap_or(&wanted.arn)
        ),
        "to replace the server now, give the annotation valkeep.dev/restart a new value",
    );
    true
}

/// Whether a server that works must stay until the maintenance window opens. What was begun is ended.
pub(crate) fn waits_for_window(input: Input, what: &str, draft: &mut Draft) -> bool {
    let fenced = input
        .observed
        .server_settings
        .present()
        .and_then(fenced_since)
        .is_some();
    let Some(next) = opens(input).filter(|_| !fenced && !changes_over(input)) else {
        return false;
    };
    draft.waiting_until(
        Resource::Service,
        HoldReason::OutsideWindow,
        format!("{what} waits for the maintenance window, which opens at {next}"),
        next,
    );
    true
}

/// Whether the server has begun to write the other kind of file, for which it is replaced at once.
fn changes_over(input: Input) -> bool {
    let written = input
        .observed
        .valkey
        .present()
        .is_some_and(|info| info.append_only.is_some());
    input.desired.appends() && written && Running::of(input).is_some_and(|running| !running.append_only())
}

/// When the window opens, if there is one and it is closed.
fn opens(input: Input) -> Option<Timestamp> {
    match input.desired.rollout.window.as_ref()?.at(input.now) {
        WindowState::Open { .. } => None,
        WindowState::Closed { next } => Some(next),
    }
}
