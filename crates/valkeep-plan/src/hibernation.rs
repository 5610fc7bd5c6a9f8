//! Decides when the service rests at desired count 0, and when it leaves it. A 0 of the document's is reached like any stop on
//! purpose, with everything on the directory first, and carries the mark that says that it is ours: it ends when the
//! document says so. A 0 without the mark is somebody else's wish, and only a document that says 1 ends it.

use crate::data_safety::{self, Running};
use crate::draft::{Draft, Input};
use crate::replacement;
use crate::tasks;
use valkeep_core::identity::TAG_STARTING;
use valkeep_core::observed::Service;
use valkeep_core::{HoldReason, Resource, Step, Tags};

/// Whether a new definition waits until the service rests: starting a server for it, to stop that again, helps nobody. Where
/// stopping would lose the cache, the definition that saves it comes first.
pub(crate) fn comes_first(input: Input, found: &Service) -> bool {
    input.desired.hibernates() && found.desired > 0 && !would_lose(input)
}

/// Plans the stop; else the draft says why not now.
pub(crate) fn fall_asleep(input: Input, found: &Service, draft: &mut Draft) {
    let name = &input.desired.identity.service;
    if would_lose(input) {
        return draft.waiting(
            Resource::Service,
            HoldReason::WouldHideData,
            format!("{name} hibernates when its server saves: it does not yet, and would lose what it holds"),
        );
    }
    if replacement::may_stop(input, found, &format!("the hibernation of {name}"), draft) {
        draft.step(Step::StopService {
            cluster: input.desired.identity.cluster.clone(),
            name: name.clone(),
            arn: found.arn.clone(),
            from: found.desired,
        });
    }
}

/// A service at desired count 0 that is not ours to start: it stays, unless the document says otherwise.
pub(crate) fn stay_asleep(input: Input, found: &Service, draft: &mut Draft) {
    let (cluster, name) = (&input.desired.identity.cluster, &input.desired.identity.service);
    match input.desired.task_count {
        Some(0) if tasks::left(input, found.counted(), draft).is_none_or(|left| left > 0) => draft.waiting(
            Resource::Service,
            HoldReason::TasksStopping,
            format!("{name} hibernates when its task has stopped"),
        ),
        Some(0) => draft.notice_with_hint(
            Resource::Service,
            HoldReason::Hibernated,
            format!("the service {name} has the desired count 0, as the document says"),
            "spec.service.desiredCount: 1 wakes it, with what is on the file system",
        ),
        Some(_) => draft.step(Step::Tag {
            resource: Resource::Service,
            id: found.arn.clone(),
            set: Tags::from([(TAG_STARTING.to_owned(), "true".to_owned())]),
            remove: Vec::new(),
        }),
        None => draft.notice_with_hint(
            Resource::Service,
            HoldReason::Hibernated,
            format!("the service {name} has the desired count 0, set by somebody else, and stays so"),
            format!(
                "spec.service.desiredCount: 1 wakes it, or aws ecs update-service --cluster {cluster} --service {name} \
                 --desired-count 1"
            ),
        ),
    }
}

/// Whether the server does not save yet what the document promises to keep.
fn would_lose(input: Input) -> bool {
    let saves = Running::of(input).is_some_and(|running| running.snapshots());
    input.desired.saves() && !saves && data_safety::live_data(input)
}
