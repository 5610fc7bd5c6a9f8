//! Plans the settings of the running server: what the document says and Valkey takes without a restart is set at once, and
//! again after every start. Writes that valkeep kept out for a replacement that is not wanted any more are let in again.

use crate::append_only;
use crate::data_safety::Running;
use crate::draft::{Draft, Input};
use crate::render::live_settings;
use valkeep_core::valkey::{SETTING_FENCE, fenced_since};
use valkeep_core::{Fact, HoldReason, Resource, ServerChange, ServerSettings, Step, ValkeyInfo};

/// Plans every setting that differs. Not while a server is being replaced, and not where the running definition promises
/// something else about snapshots than the document: that change comes by a restart, with its marks.
pub(crate) fn settings(input: Input, draft: &mut Draft) {
    let (Some(info), Some(running)) = (input.observed.valkey.present(), Running::of(input)) else {
        return;
    };
    if draft.is_stopping() || !is_settled(input) || !running.mounts() || running.snapshots() != input.desired.saves() {
        return;
    }
    let found = match &input.observed.server_settings {
        Fact::Present(found) => found,
        Fact::Absent => return,
        Fact::Unknown(doubt) => return draft.doubt(Resource::Valkey, "the settings of the server", doubt),
    };
    let Some(snapshots) = input.desired.snapshots() else {
        return;
    };
    // Each pass registers again what the service does not run yet: whether the fence goes is for afterwards to say.
    if draft.is_registering() && fenced_since(found).is_some() {
        return;
    }
    let wanted = live_settings(&input.desired.server, snapshots);
    let mut differs = false;
    for (name, value) in &wanted {
        if found.get(*name).is_some_and(|is| is != value) {
            differs = true;
            set(input, info, found, name, value, draft);
        }
    }
    append_only::keep(input, info, &running, draft);
    // What the server saves comes first, then who may write.
    if !differs && fenced_since(found).is_some() {
        set(input, info, found, SETTING_FENCE, "0", draft);
    }
}

/// Plans that a server of valkeep's own, which was started with a secret, takes over what that secret is now: clients that read
/// it are let in then. Others' servers are their owners'.
pub(crate) fn password(input: Input, draft: &mut Draft) {
    let Some(info) = input.observed.valkey.present().filter(|_| input.observed.former_login) else {
        return;
    };
    if starts_with_its_secret(input) && !draft.is_stopping() {
        change(input, info, ServerChange::Password, draft);
    } else if input.desired.adopted().is_some() {
        draft.notice_with_hint(
            Resource::Valkey,
            HoldReason::Warning,
            "the server still has another password than the one that spec.valkey.credentialsFrom leads to",
            "have the server take over its new password; valkeep sets none on a service of others",
        );
    }
}

/// Says that the clocks of valkeep and of the server differ: nothing is lost by that, since what a server has saved is judged by
/// its own clock, but windows and waits go by valkeep's.
pub(crate) fn clock(input: Input, draft: &mut Draft) {
    /// What was seen may be as old as a pass may be long, which is five minutes.
    const APART_S: i64 = 10 * 60;
    let Some(info) = input.observed.valkey.present() else {
        return;
    };
    let ahead_s = input.now.as_second() - info.time.as_second();
    if ahead_s.abs() > APART_S {
        let (minutes, where_to) = (ahead_s.abs() / 60, if ahead_s > 0 { "ahead of" } else { "behind" });
        draft.notice_with_hint(
            Resource::Valkey,
            HoldReason::Warning,
            format!("valkeep's clock is {minutes} min {where_to} the server's"),
            "see to the time of where valkeep runs: maintenance windows and waits go by it",
        );
    }
}

/// Whether the running server has its login from where the document says.
fn starts_with_its_secret(input: Input) -> bool {
    let running = input.observed.running_definition.present();
    let runs_with = running.and_then(|found| found.definition.as_ref()?.container.login());
    input.desired.created().is_some() && runs_with.is_some() && runs_with == input.desired.server.access.login
}

/// Whether the server that answers is the one that the service is to run, and no deployment before it is left.
fn is_settled(input: Input) -> bool {
    let (Some(found), Some(task)) = (input.observed.service.present(), input.observed.serving_task()) else {
        return false;
    };
    found.deployments.len() == 1 && task.task_definition == found.task_definition
}

/// One setting of the server that answered.
pub(crate) fn set(input: Input, info: &ValkeyInfo, found: &ServerSettings, name: &str, to: &str, draft: &mut Draft) {
    let change = ServerChange::Set {
        name: name.to_owned(),
        from: found.get(name).cloned().unwrap_or_default(),
        to: to.to_owned(),
    };
    self::change(input, info, change, draft);
}

/// A change of the server that answered.
pub(crate) fn change(input: Input, info: &ValkeyInfo, change: ServerChange, draft: &mut Draft) {
    if let Some(address) = input.observed.server_address(input.desired.server.port) {
        draft.step(Step::ChangeServer {
            address,
            run_id: info.run_id.clone(),
            change,
        });
    }
}
