//! Replaces a server that does not hold the directory's lock. One that cannot reach the directory gives way like any other;
//! else there is one order that cannot have two writers: mark, desired count 0, every task stopped, the new definition,
//! desired count 1.
//!
//! Each pass finds the next step in what it sees; the mark says that the 0 is ours, so a user's own 0 is never undone and
//! ours is always ended.

use super::{Input, reach};
use crate::data_safety::{self, Running};
use crate::draft::Draft;
use crate::replacement;
use crate::task_definition::Target;
use crate::tasks;
use valkeep_core::desired::FirstTransition;
use valkeep_core::identity::TAG_STARTING;
use valkeep_core::observed::Service;
use valkeep_core::{HoldReason, Resource, Step, Tags};

/// What to do about a running definition without the lock.
pub(crate) enum Next {
    /// This step, and nothing else on the service.
    Step(Box<Step>),
    /// Nothing now; the draft says why.
    Held,
    /// No task is left, or none that could be a second writer: settings and definition may be changed in one call.
    Change,
    /// The service goes up again as it was: what it was taken down for cannot be done without a person.
    Back,
}

/// The next step, for a service whose running definition does not carry the lock and whose target does. `ready` says
/// whether everything that a new task needs is there; `stalled` whether a person is needed before it can be.
pub(crate) fn replace_without_lock(
    input: Input,
    found: &Service,
    target: &Target,
    ready: bool,
    draft: &mut Draft,
) -> Next {
    let name = &input.desired.identity.service;
    let marked = found.tags.contains_key(TAG_STARTING);
    let down = found.desired == 0;
    let Some(left) = tasks::left(input, found.counted(), draft) else {
        return Next::Held;
    };
    let clear_mark = || Next::Step(Box::new(Step::ClearStarting { arn: found.arn.clone() }));
    if !matches!(target, Target::Arn(_)) || !ready {
        return if down && marked && draft.is_stalled() && left == 0 {
            Next::Back
        } else if !down && marked {
            // It was marked and is not down yet, and now it need not be.
            clear_mark()
        } else {
            Next::Held
        };
    }
    if down && left == 0 {
        return Next::Change;
    }
    if down {
        draft.waiting(
            Resource::Task,
            HoldReason::TasksStopping,
            format!(
                "the new definition of {name} waits until {left} task(s) without the directory's lock have stopped"
            ),
        );
        return Next::Held;
    }
    if may_lose(input) {
        if marked {
            // The document gave the cache up when it was marked, and does so no more.
            return clear_mark();
        }
        draft.stalled(
            Resource::Service,
            HoldReason::FirstTransition,
            format!(
                "the cache of {name} is not persisted, so replacing its server loses {}",
                keys(input)
            ),
            "set spec.rollout.firstTransition: AcceptLoss to lose it once, or wait for a version that moves it; a pipeline \
             that deploys through `valkeep mutate` keeps what is persisted",
        );
        return Next::Held;
    }
    if found.desired == 1 && reach::is_beyond(input, found) {
        // With the mark on it a 0 that somebody sets meanwhile would look like ours.
        return if marked { clear_mark() } else { Next::Change };
    }
    let what = format!("the new definition of {name}");
    if !replacement::may_stop(input, found, &what, draft) {
        return Next::Held;
    }
    Next::Step(Box::new(if marked {
        Step::SetDesired {
            cluster: input.desired.identity.cluster.clone(),
            name: name.clone(),
            from: found.desired,
            to: 0,
        }
    } else {
        Step::Tag {
            resource: Resource::Service,
            id: found.arn.clone(),
            set: Tags::from([(TAG_STARTING.to_owned(), "true".to_owned())]),
            remove: Vec::new(),
        }
    }))
}

/// Whether stopping the server would lose a cache that the document has not given up.
fn may_lose(input: Input) -> bool {
    let accepted = input
        .desired
        .adopted()
        .is_some_and(|adopted| adopted.first_transition == FirstTransition::AcceptLoss);
    // A server that saves to the very directory loads from it again.
    let persisted = Running::of(input).is_some_and(|running| running.snapshots());
    !accepted && !persisted && data_safety::live_data(input)
}

fn keys(input: Input) -> String {
    match input.observed.valkey.present() {
        Some(info) => format!("{} keys", info.keys),
        None => "what it holds".to_owned(),
    }
}
