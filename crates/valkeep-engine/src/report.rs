//! From what one pass found to the status that readers see. Pure.
//!
//! Conditions of a pass are decided by `valkeep_plan::assess`; here they are put together with ids, figures, holds and
//! history, and with what only the engine knows: that the document is not valid, or in another one's way.

use crate::figures::{resources, stale_dump, valkey};
use crate::pass::Pass;
use crate::snapshot::StoreTrouble;
use crate::table::{Good, Validity, View, Work};
use valkeep_core::{Condition, ConditionStatus, ConditionType, Desired, Hold, HoldReason, Scope, Timestamp};
use valkeep_document::status::{HoldStatus, Status, whole_seconds};
use valkeep_plan::{Assessment, hold_for};

/// Findings told in the message of `DocumentValid`, where the other conditions tell one; all of them stand in the status.
const FINDINGS_TOLD: usize = 3;

/// What the loop remembers of the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Server {
    /// How long it took to load, where that was seen.
    pub(crate) load_seconds: Option<u64>,
    /// The one before it is known.
    pub(crate) compared: bool,
}

/// The status of a document of which a version is in force.
pub(crate) fn converging(
    before: Option<&Status>,
    view: &View,
    good: &Good,
    pass: &Pass,
    assessment: &Assessment,
    server: Server,
    now: Timestamp,
) -> Status {
    let mut status = begin(before, view, now);
    let (desired, observed) = (&*good.desired, &pass.observed);
    status.installation.clone_from(&desired.identity.installation);
    status.look_now.clone_from(&desired.look_now);
    status.phase.clone_from(&assessment.phase);
    status.address = observed
        .server_address(desired.server.port)
        .map(|address| address.to_string());
    let known = before.map(|before| before.resources.clone()).unwrap_or_default();
    status.resources = resources(desired, observed, known);
    status.valkey = valkey(before, desired, observed, server.load_seconds, now);
    status.stale_dump = stale_dump(observed, now);
    let failed = pass.failures.iter().map(|failure| hold_for(desired, failure, now));
    status.holds = pass.plan.holds.iter().cloned().chain(failed).map(hold).collect();
    let keeps_start = !server.compared && is_same_process(before, &status);
    // Such as `Deleted`, which is there only while it is asked for.
    let assessed = |type_| assessment.conditions.iter().any(|condition| condition.type_ == type_);
    status.conditions.retain(|condition| assessed(condition.type_));
    for condition in &assessment.conditions {
        let was_told = status
            .condition(condition.type_)
            .is_some_and(|old| old.status != ConditionStatus::Unknown);
        if condition.type_ == ConditionType::WarmStart && keeps_start && was_told {
            // Compared when it started; whoever restarted since then knows less.
            continue;
        }
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
            let message = format!("{}; revision {revision} stays in force", told(findings, FINDINGS_TOLD));
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
            let message = format!("{}; revision {revision} stays in force", told(findings, 1));
            stall(&mut status, view, now, &reason, &message);
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

/// Region, account and role, where they are not those of home.
pub(crate) fn place(status: &mut Status, desired: &Desired, home: &Scope) {
    let differs = |there: &String, here: &String| Some(there.clone()).filter(|_| there != here);
    status.region = differs(&desired.identity.region, &home.region);
    status.account = differs(&desired.identity.account, &home.account);
    status.assumed_role_arn = desired.place.role.as_ref().map(|role| role.arn.to_string());
}

/// The status of a document for which nothing is done: nothing is looked at, so nothing is said of it but what was known.
pub(crate) fn held(
    before: Option<&Status>,
    view: &View,
    installation: &str,
    trouble: Option<&StoreTrouble>,
    now: Timestamp,
) -> Status {
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
    let held = if matches!(view.work, Work::Spare) { SPARED } else { HELD };
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
            let message = format!("{}; {held}", told(findings, FINDINGS_TOLD));
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
            stall(
                &mut status,
                view,
                now,
                &reason,
                &format!("{}; {held}", told(findings, 1)),
            );
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
    if let (Work::Converge(_), Some(trouble)) = (&view.work, trouble) {
        // A deletion; everything else goes on by the version last read.
        let message = format!(
            "the store cannot be listed since {}: {}; nothing is deleted meanwhile, for the document may be another by now",
            whole_seconds(trouble.since),
            trouble.message
        );
        status.phase = String::from("The store cannot be listed; nothing is deleted meanwhile");
        for (type_, value) in [
            (ConditionType::DocumentValid, ConditionStatus::Unknown),
            (ConditionType::Ready, ConditionStatus::False),
            (ConditionType::Reconciling, ConditionStatus::True),
            (ConditionType::Stalled, ConditionStatus::False),
        ] {
            say(&mut status, view, now, type_, value, "StoreUnreadable", &message);
        }
    }
    finish(before, status, now)
}

/// The store cannot be listed: whether the document still says this is not known. What is in force stays so, and is as
/// ready as it is.
pub(crate) fn doubt(before: Option<&Status>, status: &mut Status, view: &View, trouble: &StoreTrouble, now: Timestamp) {
    if !matches!(view.validity, Validity::Valid) {
        return;
    }
    let message = format!(
        "the store cannot be listed since {}: {}; the version last read stays in force (hint: valkeep tries again at each \
         poll; see that the store is there and that valkeep may list it)",
        whole_seconds(trouble.since),
        trouble.message
    );
    say(
        status,
        view,
        now,
        ConditionType::DocumentValid,
        ConditionStatus::Unknown,
        "StoreUnreadable",
        &message,
    );
    settle(before, status);
}

/// The status of a document that asks to be left alone: nothing is looked at, so nothing is said but what was known and
/// since when.
pub(crate) fn paused(before: Option<&Status>, view: &View, good: &Good, now: Timestamp) -> Status {
    let mut status = held(before, view, &good.desired.identity.installation, None, now);
    let since = before.and_then(|before| before.paused_since);
    let since = since.unwrap_or_else(|| whole_seconds(now));
    status.paused_since = Some(since);
    if !matches!(view.validity, Validity::Valid) {
        return status; // What is wrong with the newest version is said; the one in force is paused.
    }
    let message = format!("the mode is Paused: since {since} nothing is looked at and nothing is changed");
    status.phase = format!("Paused since {since}");
    for (type_, value) in [
        (ConditionType::Ready, ConditionStatus::Unknown),
        (ConditionType::Reconciling, ConditionStatus::False),
        (ConditionType::Stalled, ConditionStatus::False),
    ] {
        say(&mut status, view, now, type_, value, PAUSED, &message);
    }
    // Once it was put together anew, as `held` may have said another phase.
    status.history = before.map(|before| before.history.clone()).unwrap_or_default();
    finish(before, status, now)
}

/// Reason of the conditions of a paused document.
pub(crate) const PAUSED: &str = "Paused";

const UNREAD: &str = "DocumentUnread";
const HELD: &str = "no good version is known, so nothing is done";
const SPARED: &str = "the last good version asks for its deletion, which only the current one can, so nothing is done";

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

/// Where more than one has a say in a condition, it may have gone to and fro while it was put together. Only what came out
/// counts as a transition.
fn settle(before: Option<&Status>, status: &mut Status) {
    for condition in &mut status.conditions {
        let old = before.and_then(|before| before.condition(condition.type_));
        if let Some(old) = old.filter(|old| old.status == condition.status) {
            condition.last_transition_time = old.last_transition_time;
        }
    }
}

/// Remembers what a reader of history wants to find: when it became ready, when it stopped to be, what went on.
fn finish(before: Option<&Status>, mut status: Status, now: Timestamp) -> Status {
    settle(before, &mut status);
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

/// The first findings, and how many there are beyond.
fn told(findings: &valkeep_document::Findings, most: usize) -> String {
    let first: Vec<String> = findings.0.iter().take(most).map(ToString::to_string).collect();
    let more = findings.0.len().saturating_sub(most);
    let more = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", first.join("; "))
}

fn is_same_process(before: Option<&Status>, status: &Status) -> bool {
    let started = |status: &Status| status.valkey.as_ref().and_then(|valkey| valkey.started_at);
    before.and_then(started).is_some_and(|was| started(status) == Some(was))
}

fn hold(hold: Hold) -> HoldStatus {
    HoldStatus {
        reason: hold.reason.to_string(),
        message: hold.message,
        hint: hold.hint,
        until: hold.until.map(whole_seconds),
    }
}
