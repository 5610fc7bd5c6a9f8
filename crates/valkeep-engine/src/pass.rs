//! One pass of one document: look, then plan, check and act in rounds, until nothing is left to do now.
//!
//! In mode `Observe` nothing is acted on: acting needs a [`Permit`], and only a document that is enforced gives one.
//!
//! Keeps nothing: what it needs comes in, what it found goes out, so it may be cut off at any await and the next one
//! starts from what AWS says. It must not know stores, status or the queue.

use crate::keyring::Keyring;
use crate::mandate::{Ended, Mandate};
use crate::servers::{act_on, ask_server};
use futures_util::StreamExt;
use std::collections::HashSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};
use valkeep_core::desired::Mode;
use valkeep_core::ports::{Clock, Secrets, Servers, World};
use valkeep_core::valkey::{SETTING_FENCE, ServerChange};
use valkeep_core::{
    Desired, Failure, FailureKind, Hold, HoldKind, HoldReason, Observed, Plan, Resource, Step, StepFailure,
};
use valkeep_plan::{critic, describe_step, fold, is_permitted, plan};

/// Rounds of acting and looking again. The longest chain of dependent steps is nine (file system, mount target or access
/// point, policy, definition, service, start, tags), with a look after at most five of them; twenty leaves room and ends.
const ROUNDS_MAX: usize = 20;
/// Steps at the same time within one round: one mount target per zone and a few others.
const ACTS: usize = 8;
/// No step is begun with less than this left of the lease: it would most likely be cut off, its outcome unknown. A lease
/// that is renewed as it should be has four times as much.
const ACT_ROOM: Duration = Duration::from_secs(2);

/// What one pass found and did.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    /// As AWS answered, with the answers to this pass's own steps folded in.
    pub(crate) observed: Observed,
    /// The last plan of the pass: what is left, and why.
    pub(crate) plan: Plan,
    /// Steps that failed.
    pub(crate) failures: Vec<StepFailure>,
    /// Steps that were done, in words.
    pub(crate) done: Vec<String>,
    /// What the first plan wanted to change back: drift, if this generation had been converged before.
    pub(crate) first_wanted: Vec<Step>,
    /// The critic refused a plan: a bug of ours.
    pub(crate) refused: bool,
}

/// The right to change something for a document.
#[derive(Clone, Copy)]
struct Permit<'a> {
    desired: &'a Desired,
}

impl<'a> Permit<'a> {
    fn of(desired: &'a Desired) -> Option<Self> {
        match desired.mode {
            Mode::Enforce => Some(Self { desired }),
            Mode::Observe | Mode::Paused => None,
        }
    }
}

/// Runs one pass. `stop` ends it between two rounds, and so does a newer version of the document (`is_current`): what a
/// document no longer says is not carried on with. The end of the mandate ends it before its next step.
#[expect(clippy::too_many_arguments, reason = "everything that a pass knows comes in")]
pub(crate) async fn pass<W: World + Secrets, S: Servers, C: Clock>(
    world: &W,
    servers: &S,
    clock: &C,
    mandate: &Mandate,
    stop: &CancellationToken,
    is_current: impl Fn() -> bool,
    keyring: &Keyring,
    desired: &Desired,
) -> Pass {
    let observed = look(world, servers, keyring, desired).await;
    let mut found = Pass {
        plan: plan(desired, &observed, clock.now()),
        observed,
        failures: Vec::new(),
        done: Vec::new(),
        first_wanted: Vec::new(),
        refused: false,
    };
    found.first_wanted = found
        .plan
        .steps
        .iter()
        .filter(|step| is_repair(step))
        .cloned()
        .collect();
    // Tried in this pass already, well or badly. A failed step waits for the next pass; one that is planned again
    // although it was done is a stale answer of AWS's, or would be a loop.
    let mut tried: HashSet<String> = HashSet::new();
    let mut unseen = 0;
    for round in 1..=ROUNDS_MAX {
        if let Err(objections) = critic(desired, &found.observed, &found.plan) {
            let words: Vec<String> = objections.iter().map(ToString::to_string).collect();
            refuse(desired, &mut found, &words);
            break;
        }
        let Some(permit) = Permit::of(desired) else {
            break;
        };
        if stop.is_cancelled() || mandate.is_over() || !is_current() {
            break;
        }
        let plan_now = &found.plan;
        let steps: Vec<Step> = plan_now
            .steps
            .iter()
            .filter(|step| tried.insert(attempt(step)))
            .cloned()
            .collect();
        if !steps.is_empty() {
            debug!(document = desired.document, round, steps = steps.len(), "acting");
            act(world, servers, keyring, mandate, permit, steps, &mut found).await;
        } else if found.done.len() > unseen && plan_now.holds.iter().any(|hold| hold.kind == HoldKind::Waiting) {
            // Something waits, perhaps only for what was just made; what is usable at once is gone on with at once.
            unseen = found.done.len();
            found.observed = look(world, servers, keyring, desired).await;
        } else {
            break;
        }
        found.plan = plan(desired, &found.observed, clock.now());
    }
    found
}

/// At AWS, and at the server that serves. Not in the name of a document that names what the operator does not permit.
async fn look<W: World + Secrets, S: Servers>(
    world: &W,
    servers: &S,
    keyring: &Keyring,
    desired: &Desired,
) -> Observed {
    if !is_permitted(desired) {
        return Observed::nothing();
    }
    let mut observed = world.observe(desired).await;
    ask_server(world, servers, keyring, desired, &mut observed).await;
    observed
}

/// All steps of one round. They are independent of each other, so one that fails stops no other.
async fn act<W: World + Secrets, S: Servers>(
    world: &W,
    servers: &S,
    keyring: &Keyring,
    mandate: &Mandate,
    Permit { desired }: Permit<'_>,
    steps: Vec<Step>,
    found: &mut Pass,
) {
    let mut results = futures_util::stream::iter(steps)
        .map(|step| async move {
            let result = mandate
                .within(ACT_ROOM, act_on(world, servers, keyring, desired, &step))
                .await;
            (step, result)
        })
        .buffer_unordered(ACTS);
    while let Some((step, result)) = results.next().await {
        let text = words(&step);
        let result = result.unwrap_or_else(|Ended| Err(no_mandate(&step)));
        match result {
            Ok(done) => {
                info!(
                    document = desired.document,
                    generation = desired.generation,
                    call = step.action(),
                    reason = text,
                    "done"
                );
                fold(&mut found.observed, &step, &done);
                found.done.push(text);
            }
            Err(failure) => {
                warn!(
                    document = desired.document,
                    generation = desired.generation,
                    call = failure.call,
                    code = failure.code,
                    message = failure.message,
                    reason = text,
                    "failed; the next pass tries again"
                );
                found.failures.push(StepFailure { step, failure });
            }
        }
    }
}

/// A step that was not begun, or was cut off and may have been done or not.
fn no_mandate(step: &Step) -> Failure {
    Failure {
        call: step.action().to_owned(),
        kind: FailureKind::NoAnswer,
        code: "LeaseEnded".to_owned(),
        message: "the lease ended before this was done; whoever leads next looks again".to_owned(),
    }
}

/// Nothing of a refused plan is done, not even what nobody objected to: the planner is wrong about something.
fn refuse(desired: &Desired, found: &mut Pass, objections: &[String]) {
    let objections = objections.join("; ");
    error!(
        document = desired.document,
        generation = desired.generation,
        objections,
        "the critic refused the plan: a bug of valkeep; nothing was done"
    );
    found.refused = true;
    found.plan.steps.clear();
    found.plan.holds.push(Hold {
        resource: Resource::Document,
        kind: HoldKind::Stalled,
        reason: HoldReason::RefusedByCritic,
        message: format!("valkeep's own check refused what it had planned, so nothing was done: {objections}"),
        hint: Some("report this as a bug of valkeep, with this status".to_owned()),
        until: None,
    });
}

/// What makes a step the same attempt as another one of this pass. Times and the `from` side may differ between two
/// plans of one pass, and do not make a failed step worth another try.
fn attempt(step: &Step) -> String {
    match step {
        Step::UpdateThroughput { id, .. } => format!("throughput of {id}"),
        Step::UpdateService {
            name,
            to,
            to_definition,
            force,
            ..
        } => format!("service {name} to {to_definition} {force} {to:?}"),
        Step::Tag {
            resource,
            id,
            set,
            remove,
        } => {
            let keys: Vec<&String> = set.keys().collect();
            format!("tags of {resource} {id}: {keys:?} {remove:?}")
        }
        other => format!("{other:?}"),
    }
}

/// Whether a step puts something back that should have been so; valkeep's own book-keeping and what comes before a stop
/// are not that.
fn is_repair(step: &Step) -> bool {
    match step {
        Step::Tag { .. } | Step::ClearStarting { .. } | Step::UpdateService { force: true, .. } => false,
        Step::ChangeServer { change, .. } => match change {
            ServerChange::Save | ServerChange::Password => false,
            ServerChange::Set { name, .. } => name != SETTING_FENCE,
        },
        _ => true,
    }
}

/// Verb, resource and id, for the log.
pub(crate) fn words(step: &Step) -> String {
    let text = describe_step(step);
    format!("{} {} {}", text.verb, text.resource, text.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use valkeep_core::ids::{FileSystemId, MountTargetId};
    use valkeep_core::{Tags, Timestamp};

    #[test]
    fn a_step_with_another_time_is_the_same_attempt_and_one_on_another_resource_is_not() {
        let id = FileSystemId::parse("fs-0123456789abcdef0").expect("good");
        let throughput = |changed_at| Step::UpdateThroughput {
            id: id.clone(),
            from: valkeep_core::desired::Throughput::Bursting,
            to: valkeep_core::desired::Throughput::Elastic,
            changed_at,
        };
        assert_eq!(
            attempt(&throughput(None)),
            attempt(&throughput(Some(Timestamp::UNIX_EPOCH)))
        );
        let groups = |id: &str| Step::SetMountTargetGroups {
            id: MountTargetId::parse(id).expect("good"),
            from: Vec::new(),
            to: Vec::new(),
        };
        assert_ne!(
            attempt(&groups("fsmt-0123456789abcdef0")),
            attempt(&groups("fsmt-0123456789abcdef1"))
        );
        let tag = |value: &str| Step::Tag {
            resource: Resource::AccessPoint,
            id: "fsap-1".to_owned(),
            set: Tags::from([("key".to_owned(), value.to_owned())]),
            remove: Vec::new(),
        };
        assert_eq!(attempt(&tag("one")), attempt(&tag("two")));
        assert!(!is_repair(&tag("one")) && is_repair(&throughput(None)));
    }
}
