//! Says in conditions what a pass found and did. Looks at nothing and decides nothing about what is done.

mod deletion;
mod failures;
mod persistence;
pub mod stopped_task;

pub use failures::hold_for;
pub use stopped_task::{Explanation, explain as explain_task};

use crate::draft::Input;
use crate::{describe_step, overlay};
use valkeep_core::desired::{Mode, Persistence};
use valkeep_core::identity::TAG_PREFIX;
use valkeep_core::observed::Rollout;
use valkeep_core::{
    Condition, ConditionStatus, ConditionType, Desired, Hold, HoldKind, HoldReason, Observed, Plan, Resource, Step,
    StepFailure, Timestamp,
};

/// What the loop knows and this pass's observation does not tell.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// When this is said.
    pub now: Timestamp,
    /// The server process before the one that runs now, as it was last seen.
    pub previous: Option<PreviousServer>,
    /// Steps of this pass that repaired what somebody else had changed: the document had been converged in this
    /// generation before.
    pub drift: Vec<Step>,
}

/// A server process that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousServer {
    /// Its `run_id`.
    pub run_id: String,
    /// Keys when it was last seen.
    pub keys: u64,
}

/// A document's state in words and conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// One sentence.
    pub phase: String,
    /// Every condition, in the order in which they are written. `last_transition_time` is now; who keeps the status
    /// keeps the older time where the status did not change.
    pub conditions: Vec<Condition>,
}

/// A condition before it is dated.
struct Verdict {
    status: ConditionStatus,
    reason: String,
    message: String,
}

impl Verdict {
    fn new(status: ConditionStatus, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
            message: message.into(),
        }
    }
}

/// Reason of `Reconciling` in mode `Observe`.
pub const OBSERVING: &str = "Observing";

/// What each condition is about.
const PARTS: &[(ConditionType, &[Resource])] = &[
    (ConditionType::DocumentValid, &[Resource::Document]),
    (
        ConditionType::NetworkReady,
        &[Resource::Network, Resource::SecurityGroup],
    ),
    (ConditionType::FileSystemReady, &[Resource::FileSystem]),
    (ConditionType::MountTargetsReady, &[Resource::MountTarget]),
    (ConditionType::AccessPointReady, &[Resource::AccessPoint]),
    (ConditionType::PermissionsReady, &[Resource::Role, Resource::RolePolicy]),
    (
        ConditionType::TaskDefinitionReady,
        &[Resource::TaskDefinition, Resource::LogGroup],
    ),
    (
        ConditionType::ServiceStable,
        &[Resource::Cluster, Resource::Service, Resource::Task, Resource::Valkey],
    ),
];

/// Says how a document stands. `plan` is the pass's last plan: its steps are those that were not done.
pub fn assess(
    desired: &Desired,
    observed: &Observed,
    plan: &Plan,
    failures: &[StepFailure],
    context: &Context,
) -> Assessment {
    let mut plan = plan.clone();
    if desired.mode != Mode::Enforce {
        plan.steps.retain(|step| !is_book_keeping(step));
    }
    let plan = &plan;
    let mut holds = plan.holds.clone();
    holds.extend(failures.iter().map(|failure| hold_for(desired, failure, context.now)));
    let deleting = desired.deletion.map(|_| deletion::stage(plan, &holds));
    let mut parts: Vec<(ConditionType, Verdict)> = PARTS
        .iter()
        .map(|(type_, resources)| (*type_, part(desired, observed, plan, &holds, *type_, resources)))
        .collect();
    let without_server = deleting.filter(|_| observed.valkey.present().is_none());
    let healthy = if is_outside(&holds) {
        not_looked_at()
    } else {
        without_server.map_or_else(
            || persistence::healthy(desired, observed, context.now),
            deletion::server,
        )
    };
    parts.push((ConditionType::PersistenceHealthy, healthy));
    let ready = match deleting {
        Some(_) => deletion::ready(plan, &holds),
        None => ready(&parts, rests(desired, &holds)),
    };
    let loading = observed.valkey.present().is_some_and(|info| info.loading);
    let reconciling = reconciling(desired, plan, &holds, loading);
    let stalled = stalled(&holds);
    let phase = match deleting {
        Some(_) => deletion::phase(plan, &holds),
        None => phase(desired, observed, plan, &holds, &ready),
    };
    let mut verdicts = vec![
        (ConditionType::Ready, ready),
        (ConditionType::Reconciling, reconciling),
        (ConditionType::Stalled, stalled),
    ];
    verdicts.extend(parts);
    verdicts.push((
        ConditionType::WarmStart,
        without_server.map_or_else(
            || {
                let now = context.now;
                persistence::warm_start(Input { desired, observed, now }, context.previous.as_ref())
            },
            deletion::server,
        ),
    ));
    verdicts.push((ConditionType::DriftDetected, drift(desired, plan, &context.drift)));
    verdicts.push((ConditionType::RestartPending, restart_pending(&holds)));
    if deleting.is_some() {
        verdicts.push((ConditionType::Deleted, deletion::deleted(plan, &holds)));
    }
    Assessment {
        phase,
        conditions: verdicts
            .into_iter()
            .map(|(type_, verdict)| Condition {
                type_,
                status: verdict.status,
                reason: verdict.reason,
                message: verdict.message,
                last_transition_time: Timestamp::from_second(context.now.as_second())
                    .expect("a timestamp's own seconds are within its range"),
                observed_generation: desired.generation,
            })
            .collect(),
    }
}

/// A mark that valkeep would leave is no difference from what the document says.
fn is_book_keeping(step: &Step) -> bool {
    match step {
        Step::Tag { set, remove, .. } => set.keys().chain(remove).all(|key| key.starts_with(TAG_PREFIX)),
        Step::ClearStarting { .. } => true,
        _ => false,
    }
}

fn part(
    desired: &Desired,
    observed: &Observed,
    plan: &Plan,
    holds: &[Hold],
    type_: ConditionType,
    resources: &[Resource],
) -> Verdict {
    let about: Vec<&Hold> = holds.iter().filter(|hold| resources.contains(&hold.resource)).collect();
    let worst = about
        .iter()
        .filter(|hold| hold.kind != HoldKind::Notice)
        // Of two that are equally bad, the one that is not only waiting for another.
        .max_by_key(|hold| (hold.kind, hold.reason != HoldReason::Dependency));
    if let Some(worst) = worst {
        let status = if worst.kind == HoldKind::Unknown {
            ConditionStatus::Unknown
        } else {
            ConditionStatus::False
        };
        let same: Vec<&Hold> = about
            .iter()
            .copied()
            .filter(|hold| hold.kind == worst.kind && hold.reason == worst.reason)
            .collect();
        return Verdict::new(status, worst.reason.to_string(), messages(&same));
    }
    if is_outside(holds) && type_ != ConditionType::DocumentValid {
        return not_looked_at();
    }
    let steps: Vec<String> = plan
        .steps
        .iter()
        .filter(|step| resources.contains(&step.resource()))
        .map(step_words)
        .collect();
    if !steps.is_empty() {
        let (reason, what) = match desired.mode {
            Mode::Enforce => ("Changing", "to do"),
            Mode::Observe | Mode::Paused => ("Differs", "left, because the mode is Observe"),
        };
        return Verdict::new(ConditionStatus::False, reason, format!("{what}: {}", bounded(&steps)));
    }
    if desired.deletion.is_some() && type_ != ConditionType::DocumentValid {
        return deletion::part(plan, holds, &about);
    }
    if let Some(hibernated) = about.iter().find(|hold| hold.reason == HoldReason::Hibernated) {
        let status = if rests(desired, holds) {
            ConditionStatus::True
        } else {
            ConditionStatus::False
        };
        return Verdict::new(status, HoldReason::Hibernated.to_string(), messages(&[hibernated]));
    }
    if type_ == ConditionType::ServiceStable && !runs_as_meant(observed) {
        return Verdict::new(
            ConditionStatus::False,
            "NotRunning",
            "the service does not run its one task yet",
        );
    }
    let (reason, message) = good(desired, observed, type_);
    let notices: Vec<&Hold> = about.into_iter().filter(|hold| hold.kind == HoldKind::Notice).collect();
    let message = if notices.is_empty() {
        message
    } else {
        format!("{message}; note: {}", messages(&notices))
    };
    Verdict::new(ConditionStatus::True, reason, message)
}

/// Whether the service is at desired count 0 because the document says so.
fn rests(desired: &Desired, holds: &[Hold]) -> bool {
    desired.hibernates() && holds.iter().any(|hold| hold.reason == HoldReason::Hibernated)
}

/// Whether the document names what the operator does not permit.
fn is_outside(holds: &[Hold]) -> bool {
    holds.iter().any(|hold| hold.reason == HoldReason::NotPermitted)
}

fn not_looked_at() -> Verdict {
    Verdict::new(
        ConditionStatus::Unknown,
        HoldReason::NotPermitted.to_string(),
        "not looked after while the document is for something that the operator does not permit",
    )
}

/// By the deployment's own state, never by the text of an event.
fn runs_as_meant(observed: &Observed) -> bool {
    observed.service.present().is_some_and(|service| {
        service.desired == 1
            && service.running == 1
            && service.deployments.iter().any(|deployment| {
                deployment.primary
                    && deployment.rollout == Rollout::Completed
                    && deployment.task_definition == service.task_definition
            })
    })
}

fn good(desired: &Desired, observed: &Observed, type_: ConditionType) -> (&'static str, String) {
    let storage = matches!(
        type_,
        ConditionType::FileSystemReady | ConditionType::MountTargetsReady | ConditionType::AccessPointReady
    );
    if storage && desired.persistence == Persistence::Disabled {
        return (
            "PersistenceDisabled",
            "kept as it is and not looked after: persistence is disabled".to_owned(),
        );
    }
    if type_ == ConditionType::TaskDefinitionReady
        && let Some(bare) = still_bare(desired, observed)
    {
        return (
            "AsDesired",
            format!("the definition with persistence is there; the service still runs {bare}"),
        );
    }
    let subject = match type_ {
        ConditionType::DocumentValid => return ("Valid", "the document is valid".to_owned()),
        ConditionType::NetworkReady => observed
            .security_group
            .present()
            .map(|found| format!("security group {} is", found.id)),
        ConditionType::FileSystemReady => observed
            .file_system
            .present()
            .map(|found| format!("file system {} is", found.id)),
        ConditionType::MountTargetsReady => observed.mount_targets.present().map(|found| match found.as_slice() {
            [one] => format!("mount target {} is", one.id),
            several => format!("{} mount targets are", several.len()),
        }),
        ConditionType::AccessPointReady => observed
            .access_point
            .present()
            .map(|found| format!("access point {} is", found.id)),
        ConditionType::PermissionsReady => Some(format!("policy {} is", desired.names.role_policy)),
        ConditionType::TaskDefinitionReady => observed
            .running_definition
            .present()
            .map(|found| format!("task definition {} is", short_name(&found.arn))),
        ConditionType::ServiceStable => {
            let primary = observed
                .service
                .present()
                .and_then(|service| service.deployments.iter().find(|deployment| deployment.primary));
            return (
                "Stable",
                primary.map_or_else(
                    || "one task runs".to_owned(),
                    |deployment| format!("one task runs, deployment {}", deployment.id),
                ),
            );
        }
        _ => None,
    };
    (
        "AsDesired",
        subject.map_or_else(
            || "as the document says".to_owned(),
            |subject| format!("{subject} as the document says"),
        ),
    )
}

/// The definition of a service that is taken over, while it runs without the persistence that the document asks for.
fn still_bare<'a>(desired: &Desired, observed: &'a Observed) -> Option<&'a str> {
    if desired.adopted().is_none() || desired.persistence == Persistence::Disabled {
        return None;
    }
    let running = observed.running_definition.present()?;
    let raw = running.raw.as_ref()?;
    (!overlay::is_locked(raw, &desired.server.container)).then(|| short_name(&running.arn))
}

/// What follows the last slash of an ARN: family and revision.
fn short_name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// Where the service is to rest, nobody can be asked how the data is.
fn ready(parts: &[(ConditionType, Verdict)], rests: bool) -> Verdict {
    let counts = |(type_, _): &&(ConditionType, Verdict)| !(rests && *type_ == ConditionType::PersistenceHealthy);
    let first = |status| {
        parts
            .iter()
            .filter(counts)
            .find(|(_, verdict)| verdict.status == status)
    };
    let Some(worst) = first(ConditionStatus::False).or_else(|| first(ConditionStatus::Unknown)) else {
        return if rests {
            Verdict::new(
                ConditionStatus::True,
                HoldReason::Hibernated.to_string(),
                "everything is as the document says: the service rests at desired count 0",
            )
        } else {
            Verdict::new(
                ConditionStatus::True,
                "AsDesired",
                "everything is as the document says, and the data is served",
            )
        };
    };
    // A part that only waits for another says less than the other.
    let telling = parts
        .iter()
        .filter(counts)
        .find(|(_, verdict)| worst.1.status == verdict.status && verdict.reason != HoldReason::Dependency.to_string());
    let (type_, verdict) = telling.unwrap_or(worst);
    Verdict::new(
        verdict.status,
        verdict.reason.clone(),
        format!("{type_:?}: {}", verdict.message),
    )
}

fn reconciling(desired: &Desired, plan: &Plan, holds: &[Hold], loading: bool) -> Verdict {
    if desired.mode != Mode::Enforce {
        return Verdict::new(
            ConditionStatus::False,
            OBSERVING,
            "the mode is Observe: what differs is reported and left",
        );
    }
    if let Some(step) = plan.steps.first() {
        return Verdict::new(ConditionStatus::True, "Changing", step_words(step));
    }
    let moving = |hold: &&Hold| matches!(hold.kind, HoldKind::Waiting | HoldKind::Unknown);
    let telling = holds
        .iter()
        .filter(moving)
        .find(|hold| hold.reason != HoldReason::Dependency)
        // What only waits for something stalled does not move.
        .or_else(|| holds.iter().find(moving).filter(|_| !holds.iter().any(is_stalled)));
    match telling {
        Some(hold) => Verdict::new(ConditionStatus::True, hold.reason.to_string(), messages(&[hold])),
        None if loading => Verdict::new(ConditionStatus::True, "Loading", "the server loads its dump"),
        None => Verdict::new(
            ConditionStatus::False,
            "AtRest",
            "nothing is being changed or waited for",
        ),
    }
}

fn is_stalled(hold: &Hold) -> bool {
    hold.kind == HoldKind::Stalled
}

fn stalled(holds: &[Hold]) -> Verdict {
    let stalled: Vec<&Hold> = holds.iter().filter(|hold| is_stalled(hold)).collect();
    match stalled.first() {
        Some(first) => Verdict::new(ConditionStatus::True, first.reason.to_string(), messages(&stalled)),
        None => Verdict::new(ConditionStatus::False, "NotStalled", "nothing needs a person"),
    }
}

fn drift(desired: &Desired, plan: &Plan, steps: &[Step]) -> Verdict {
    let words = |steps: &[Step]| bounded(&steps.iter().map(difference).collect::<Vec<_>>());
    if desired.mode != Mode::Enforce && !plan.steps.is_empty() {
        return Verdict::new(
            ConditionStatus::True,
            "Observed",
            format!(
                "something differs from the document and is left, because the mode is Observe; valkeep would {}",
                words(&plan.steps)
            ),
        );
    }
    if steps.is_empty() {
        return Verdict::new(
            ConditionStatus::False,
            "NoDrift",
            "nothing was changed by somebody else",
        );
    }
    Verdict::new(
        ConditionStatus::True,
        "Repaired",
        format!(
            "something differed from the document and was not its own change: {}",
            words(steps)
        ),
    )
}

/// Fields of one step that are told.
const FIELDS_MOST: usize = 3;
/// Characters of a value that are told; a policy has more.
const VALUE_MOST: usize = 80;

/// A step with what it changes from what to what. Values are cut: the plan shows them whole.
fn difference(step: &Step) -> String {
    let short = |value: Option<String>| {
        let value = value.unwrap_or_else(|| "nothing".to_owned());
        match value.char_indices().nth(VALUE_MOST) {
            Some((at, _)) => format!("{}…", &value[..at]),
            None => value,
        }
    };
    let fields: Vec<String> = describe_step(step)
        .changes
        .into_iter()
        .take(FIELDS_MOST)
        .map(|(field, from, to)| format!("{field}: {} -> {}", short(from), short(to)))
        .collect();
    let words = step_words(step);
    if fields.is_empty() {
        words
    } else {
        format!("{words} ({})", fields.join(", "))
    }
}

fn restart_pending(holds: &[Hold]) -> Verdict {
    match holds.iter().find(|hold| hold.reason == HoldReason::RestartPending) {
        Some(hold) => Verdict::new(ConditionStatus::True, "DefinitionWaits", messages(&[hold])),
        None => Verdict::new(
            ConditionStatus::False,
            "NothingPending",
            "no new definition waits for the server to be replaced",
        ),
    }
}

fn phase(desired: &Desired, observed: &Observed, plan: &Plan, holds: &[Hold], ready: &Verdict) -> String {
    if desired.mode != Mode::Enforce {
        return match plan.steps.as_slice() {
            [] => format!("{OBSERVING}: {}", enforced_phase(desired, observed, plan, holds, ready)),
            [step] => format!("{OBSERVING}: would {}", step_words(step)),
            [step, more @ ..] => format!("{OBSERVING}: would {} and change {} more", step_words(step), more.len()),
        };
    }
    enforced_phase(desired, observed, plan, holds, ready)
}

fn enforced_phase(desired: &Desired, observed: &Observed, plan: &Plan, holds: &[Hold], ready: &Verdict) -> String {
    if let Some(hold) = holds.iter().find(|hold| is_stalled(hold)) {
        return format!("Stalled: {}", hold.message);
    }
    let telling = |kind: HoldKind| {
        holds
            .iter()
            .find(|hold| hold.kind == kind && hold.reason != HoldReason::Dependency)
    };
    if let Some(hold) = telling(HoldKind::Waiting) {
        return format!("Waiting: {}", hold.message);
    }
    if let Some(hold) = telling(HoldKind::Unknown) {
        return format!("Unknown: {}", hold.message);
    }
    if let Some(step) = plan.steps.first() {
        return format!("Changing: {}", step_words(step));
    }
    if let Some(hold) = holds.iter().find(|hold| hold.reason == HoldReason::Hibernated) {
        return format!("Hibernated: {}", hold.message);
    }
    match (ready.status, observed.valkey.present()) {
        (ConditionStatus::True, Some(info)) => {
            format!(
                "Ready: {} serves {} keys of {}",
                info.product(),
                info.keys,
                desired.document
            )
        }
        (ConditionStatus::True, None) => "Ready".to_owned(),
        (ConditionStatus::False, _) => format!("Not ready: {}", ready.message),
        (ConditionStatus::Unknown, _) => format!("Unknown: {}", ready.message),
    }
}

fn step_words(step: &Step) -> String {
    let text = describe_step(step);
    format!("{} {} {}", text.verb, text.resource, text.id)
}

/// At most this many items in one message; the rest is counted.
const ITEMS_MOST: usize = 4;

fn bounded(items: &[String]) -> String {
    let shown = items.iter().take(ITEMS_MOST).cloned().collect::<Vec<_>>().join("; ");
    match items.len().saturating_sub(ITEMS_MOST) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

fn messages(holds: &[&Hold]) -> String {
    let texts: Vec<String> = holds
        .iter()
        .map(|hold| match &hold.hint {
            Some(hint) => format!("{} (hint: {hint})", hold.message),
            None => hold.message.clone(),
        })
        .collect();
    bounded(&texts)
}
