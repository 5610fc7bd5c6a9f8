//! From what one pass found to the status that readers see. Pure.
//!
//! Conditions of a pass are decided by `valkeep_plan::assess`; here they are put together with ids, figures, holds and
//! history, and with what only the engine knows: that the document is not valid, or in another one's way.

use crate::memory::START_SLACK_S;
use crate::pass::{Pass, address};
use crate::table::{Good, Validity, View, Work};
use valkeep_core::identity::TAG_SNAPSHOTS_ENDED;
use valkeep_core::observed::MountTarget;
use valkeep_core::{
    Condition, ConditionStatus, ConditionType, Desired, Fact, Hold, HoldReason, Observed, Timestamp, ValkeyInfo,
};
use valkeep_document::status::{
    HoldStatus, MountTargetStatus, Resources, StaleDumpStatus, Status, ValkeyStatus, whole_seconds,
};
use valkeep_plan::Assessment;

/// Findings told in one condition's message; all of them stand in the status itself.
const FINDINGS_TOLD: usize = 3;

/// The status of a document of which a version is in force.
pub(crate) fn converging(
    before: Option<&Status>,
    view: &View,
    good: &Good,
    pass: &Pass,
    assessment: &Assessment,
    load_seconds: Option<u64>,
    now: Timestamp,
) -> Status {
    let mut status = begin(before, view, now);
    let (desired, observed) = (&*good.desired, &pass.observed);
    status.installation.clone_from(&desired.identity.installation);
    status.phase.clone_from(&assessment.phase);
    status.address = address(desired, observed).map(|address| address.to_string());
    let known = before.map(|before| before.resources.clone()).unwrap_or_default();
    status.resources = resources(desired, observed, known);
    status.valkey = valkey(before, observed, load_seconds, now);
    status.stale_dump = stale_dump(observed, now);
    status.holds = pass.plan.holds.iter().map(hold).collect();
    for condition in &assessment.conditions {
        status.set_condition(Condition {
            observed_generation: view.entry.generation,
            ..condition.clone()
        });
    }
    let revision = &good.revision;
    match &view.validity {
        Validity::Valid => {
            say(
                &mut status,
                view,
                now,
                ConditionType::DocumentValid,
                ConditionStatus::True,
                "Valid",
                "the document is valid",
            );
        }
        // What is in force is kept true, but it is not what the document says now: that is not Ready, whatever the
        // assessment of the older version is.
        Validity::Invalid(findings) => {
            let reason = HoldReason::InvalidDocument.to_string();
            let message = format!("{}; revision {revision} stays in force", told(findings));
            status.last_good_revision = Some(revision.clone());
            status.phase = String::from("The document is not valid; its last good revision stays in force");
            say(
                &mut status,
                view,
                now,
                ConditionType::DocumentValid,
                ConditionStatus::False,
                &reason,
                &message,
            );
            say(
                &mut status,
                view,
                now,
                ConditionType::Ready,
                ConditionStatus::False,
                &reason,
                &message,
            );
            say(
                &mut status,
                view,
                now,
                ConditionType::Reconciling,
                ConditionStatus::False,
                &reason,
                &message,
            );
            say(
                &mut status,
                view,
                now,
                ConditionType::Stalled,
                ConditionStatus::True,
                &reason,
                &message,
            );
        }
        Validity::Unread(error) => {
            let message = format!("{error}; revision {revision} stays in force");
            status.last_good_revision = Some(revision.clone());
            status.phase =
                String::from("The document changed and cannot be read; its last good revision stays in force");
            say(
                &mut status,
                view,
                now,
                ConditionType::DocumentValid,
                ConditionStatus::Unknown,
                UNREAD,
                &message,
            );
            say(
                &mut status,
                view,
                now,
                ConditionType::Ready,
                ConditionStatus::Unknown,
                UNREAD,
                &message,
            );
        }
    }
    finish(before, status, now)
}

/// The status of a document for which nothing is done: nothing is looked at, so nothing is said of it but what was known.
pub(crate) fn held(before: Option<&Status>, view: &View, installation: &str, now: Timestamp) -> Status {
    let mut status = begin(before, view, now);
    installation.clone_into(&mut status.installation);
    if let Some(before) = before {
        status.resources = before.resources.clone();
    }
    status.conditions.retain(|condition| {
        matches!(
            condition.type_,
            ConditionType::Ready | ConditionType::Reconciling | ConditionType::Stalled | ConditionType::DocumentValid
        )
    });
    match &view.validity {
        Validity::Valid => {
            say(
                &mut status,
                view,
                now,
                ConditionType::DocumentValid,
                ConditionStatus::True,
                "Valid",
                "the document is valid",
            );
        }
        Validity::Invalid(findings) => {
            let reason = HoldReason::InvalidDocument.to_string();
            let message = format!("{}; no good version is known, so nothing is done", told(findings));
            status.phase = String::from("The document is not valid; nothing is done");
            say(
                &mut status,
                view,
                now,
                ConditionType::DocumentValid,
                ConditionStatus::False,
                &reason,
                &message,
            );
            stall(&mut status, view, now, &reason, &message);
        }
        Validity::Unread(error) => {
            let message = format!("{error}; nothing is done until it can be read");
            status.phase = String::from("The document cannot be read; nothing is done");
            say(
                &mut status,
                view,
                now,
                ConditionType::DocumentValid,
                ConditionStatus::Unknown,
                UNREAD,
                &message,
            );
            say(
                &mut status,
                view,
                now,
                ConditionType::Ready,
                ConditionStatus::Unknown,
                UNREAD,
                &message,
            );
            say(
                &mut status,
                view,
                now,
                ConditionType::Reconciling,
                ConditionStatus::True,
                UNREAD,
                &message,
            );
            say(
                &mut status,
                view,
                now,
                ConditionType::Stalled,
                ConditionStatus::False,
                UNREAD,
                &message,
            );
        }
    }
    if let Work::Conflict(message) = &view.work {
        let reason = HoldReason::Conflict.to_string();
        status.phase = String::from("Another document wants the same; nothing is done");
        status.holds = vec![HoldStatus {
            reason: reason.clone(),
            message: message.clone(),
            hint: Some("remove or rename all of them but one".to_owned()),
            until: None,
        }];
        stall(&mut status, view, now, &reason, message);
    }
    finish(before, status, now)
}

const UNREAD: &str = "DocumentUnread";

/// Keeps history and, for their times, conditions.
fn begin(before: Option<&Status>, view: &View, now: Timestamp) -> Status {
    let mut status = Status::new(view.status_name.as_ref().unwrap_or(&view.name));
    status.observed_generation = view.entry.generation;
    status.observed_revision.clone_from(&view.entry.revision);
    status.last_updated = whole_seconds(now);
    if let Validity::Invalid(findings) = &view.validity {
        status.findings.clone_from(&findings.0);
    }
    if let Some(before) = before {
        status.conditions.clone_from(&before.conditions);
        status.history.clone_from(&before.history);
    }
    status
}

/// Remembers what a reader of history wants to find: when it became ready, when it stopped to be, what went on.
fn finish(before: Option<&Status>, mut status: Status, now: Timestamp) -> Status {
    for (type_, begins, ends) in [
        (ConditionType::Ready, "Ready", "NotReady"),
        (ConditionType::Stalled, "Stalled", "NotStalled"),
        (ConditionType::DriftDetected, "Drift", "NoDrift"),
    ] {
        let was = before.is_some_and(|before| before.is(type_));
        let is = status.is(type_);
        if was != is {
            let message = status
                .condition(type_)
                .map_or_else(String::new, |condition| condition.message.clone());
            status.remember(now, if is { begins } else { ends }, message);
        }
    }
    // A phase is a class and, after a colon, details that may change at every look, like the number of keys.
    let class = |phase: &str| phase.split(':').next().unwrap_or_default().to_owned();
    let is_news = before.is_none_or(|before| class(&before.phase) != class(&status.phase));
    if is_news && class(&status.phase) != "Ready" && class(&status.phase) != "Stalled" {
        let phase = status.phase.clone();
        status.remember(now, "Phase", phase);
    }
    status
}

fn stall(status: &mut Status, view: &View, now: Timestamp, reason: &str, message: &str) {
    say(
        status,
        view,
        now,
        ConditionType::Ready,
        ConditionStatus::False,
        reason,
        message,
    );
    say(
        status,
        view,
        now,
        ConditionType::Reconciling,
        ConditionStatus::False,
        reason,
        message,
    );
    say(
        status,
        view,
        now,
        ConditionType::Stalled,
        ConditionStatus::True,
        reason,
        message,
    );
}

fn say(
    status: &mut Status,
    view: &View,
    now: Timestamp,
    type_: ConditionType,
    value: ConditionStatus,
    reason: &str,
    message: &str,
) {
    status.set_condition(Condition {
        type_,
        status: value,
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: now,
        observed_generation: view.entry.generation,
    });
}

fn told(findings: &valkeep_document::Findings) -> String {
    let first: Vec<String> = findings.0.iter().take(FINDINGS_TOLD).map(ToString::to_string).collect();
    let more = findings.0.len().saturating_sub(FINDINGS_TOLD);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", first.join("; "))
}

fn hold(hold: &Hold) -> HoldStatus {
    HoldStatus {
        reason: hold.reason.to_string(),
        message: hold.message.clone(),
        hint: hold.hint.clone(),
        until: hold.until.map(whole_seconds),
    }
}

/// What cannot be seen now keeps the id that it was last known by, for that is when a reader needs it; what is proved to
/// be absent has none.
fn resources(desired: &Desired, observed: &Observed, known: Resources) -> Resources {
    // Nothing belongs to a file system that is not there, and nobody looks for it.
    let storage = if observed.file_system.is_absent() {
        Resources::default()
    } else {
        known.clone()
    };
    let file_system = &observed.file_system;
    let access_point = &observed.access_point;
    Resources {
        security_group_id: id(&observed.security_group, known.security_group_id, |group| {
            group.id.to_string()
        }),
        file_system_id: id(file_system, storage.file_system_id, |found| found.id.to_string()),
        file_system_arn: id(file_system, storage.file_system_arn, |found| found.arn.clone()),
        mount_targets: match &observed.mount_targets {
            Fact::Present(targets) => mount_targets(observed, targets),
            Fact::Absent => Vec::new(),
            Fact::Unknown(_) => storage.mount_targets,
        },
        access_point_id: id(access_point, storage.access_point_id, |found| found.id.to_string()),
        access_point_arn: id(access_point, storage.access_point_arn, |found| found.arn.clone()),
        role_policy_name: id(&observed.role_policy, known.role_policy_name, |_| {
            desired.names.role_policy.clone()
        }),
        log_group: id(&observed.log_group, known.log_group, |group| group.name.clone()),
        task_definition_arn: id(&observed.service, known.task_definition_arn, |service| {
            service.task_definition.clone()
        }),
        service_arn: id(&observed.service, known.service_arn, |service| service.arn.clone()),
        task_arn: match &observed.tasks {
            Fact::Present(_) | Fact::Absent => observed.serving_task().map(|task| task.arn.clone()),
            Fact::Unknown(_) => known.task_arn,
        },
    }
}

fn id<T>(fact: &Fact<T>, known: Option<String>, id: impl FnOnce(&T) -> String) -> Option<String> {
    match fact {
        Fact::Present(found) => Some(id(found)),
        Fact::Absent => None,
        Fact::Unknown(_) => known,
    }
}

/// By zone name where the subnets are known, else by zone id; in the order of zones, because AWS has none.
fn mount_targets(observed: &Observed, targets: &[MountTarget]) -> Vec<MountTargetStatus> {
    let zones = observed.subnets.present();
    let mut targets: Vec<MountTargetStatus> = targets
        .iter()
        .map(|target| MountTargetStatus {
            zone: zones
                .and_then(|subnets| subnets.found.iter().find(|subnet| subnet.zone_id == target.zone_id))
                .map_or_else(|| target.zone_id.clone(), |subnet| subnet.zone.clone()),
            id: target.id.to_string(),
            ip: target.ip.map(|ip| ip.to_string()),
        })
        .collect();
    targets.sort_by(|one, two| (&one.zone, &one.id).cmp(&(&two.zone, &two.id)));
    targets
}

/// As it last answered: what it said before is kept while it cannot be asked, for a reader wants the last known figures
/// most when the server is gone. The conditions say that it is.
fn valkey(
    before: Option<&Status>,
    observed: &Observed,
    load_seconds: Option<u64>,
    now: Timestamp,
) -> Option<ValkeyStatus> {
    let before = before.and_then(|before| before.valkey.as_ref());
    let Some(info) = observed.valkey.present() else {
        return before.cloned();
    };
    let started = started_at(info, now);
    // The same process keeps its start as it was first computed, or else every look would be news.
    let same = before
        .and_then(|before| before.started_at)
        .filter(|before| (before.as_second() - started.as_second()).abs() <= START_SLACK_S);
    let started = same.unwrap_or(started);
    // Before the first save of a process the server gives its start as the time of the last one, and counts saves when
    // they begin. While one runs, the time is the one before.
    let saved = info.saves_started > 0 && info.last_save.as_second() > started.as_second() + START_SLACK_S;
    let load_seconds = load_seconds.or_else(|| same.and(before)?.load_seconds);
    Some(ValkeyStatus {
        version: info.product(),
        keys: info.keys,
        keys_at_risk: info.changes_since_save,
        last_snapshot_at: saved.then(|| whole_seconds(info.last_save)),
        last_snapshot_seconds_taken: info.last_save_duration_s,
        last_snapshot_ok: info.last_save_ok,
        keys_loaded_at_start: info.keys_loaded,
        started_at: Some(started),
        load_seconds,
        used_memory_bytes: info.used_memory,
        maxmemory_bytes: info.maxmemory,
    })
}

fn started_at(info: &ValkeyInfo, now: Timestamp) -> Timestamp {
    let uptime = i64::try_from(info.uptime_s).unwrap_or(i64::MAX);
    // A server that claims to run since before time began is not worth a panic.
    Timestamp::from_second(now.as_second().saturating_sub(uptime)).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn stale_dump(observed: &Observed, now: Timestamp) -> Option<StaleDumpStatus> {
    let tags = &observed.access_point.present()?.tags;
    let ended: Timestamp = tags.get(TAG_SNAPSHOTS_ENDED)?.parse().ok()?;
    Some(StaleDumpStatus {
        snapshots_ended_at: whole_seconds(ended),
        age_seconds: u64::try_from(now.as_second() - ended.as_second()).unwrap_or(0),
    })
}
