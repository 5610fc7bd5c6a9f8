//! Plans the task definition: finds the one that the document means, or registers it.

use crate::access_point;
use crate::adoption;
use crate::data_safety;
use crate::draft::{Draft, Input, hold, list};
use crate::render::render;
use valkeep_core::desired::Persistence;
use valkeep_core::identity::TAG_HASH;
use valkeep_core::{Desired, Fact, HoldKind, HoldReason, Observed, Resource, Step, TaskDefinition, Timestamp};

/// Which definition the service should run.
pub(crate) enum Target {
    /// This ARN.
    Arn(String),
    /// The one that a step of this plan registers.
    Registering,
    /// Not known yet; a hold or a step says why.
    NotYet,
}

/// The definition that a document means, as far as what it names is there. What must not be rolled out now is
/// not considered.
pub fn wanted_definition(desired: &Desired, observed: &Observed) -> Option<TaskDefinition> {
    // The time decides nothing about what is rendered.
    wanted(Input {
        desired,
        observed,
        now: Timestamp::UNIX_EPOCH,
    })
    .ok()
}

/// Plans the task definition.
pub(crate) fn task_definition(input: Input, draft: &mut Draft) -> Target {
    if input.desired.adopted().is_some() {
        return adoption::target(input, draft);
    }
    let family = &input.desired.names.family;
    if let Some(service) = input.observed.service.present()
        && !input.owns(&service.tags)
    {
        draft.waiting(
            Resource::TaskDefinition,
            HoldReason::Dependency,
            format!("the task definition {family} waits until the service is valkeep's"),
        );
        return Target::NotYet;
    }
    let wanted = match wanted(input) {
        Ok(wanted) => wanted,
        Err(missing) => {
            draft.waiting(
                Resource::TaskDefinition,
                HoldReason::Dependency,
                format!("the task definition {family} waits for {}", list(missing)),
            );
            return Target::NotYet;
        }
    };
    if data_is_in_the_way(input, &format!("the task definition {family}"), draft) {
        return Target::NotYet;
    }
    match &input.observed.running_definition {
        Fact::Unknown(doubt) if !input.observed.service.is_absent() => {
            // Whatever is registered now could not be compared with what runs.
            if input.observed.service.present().is_some() {
                draft.doubt(
                    Resource::TaskDefinition,
                    "the task definition that the service runs",
                    doubt,
                );
            } else {
                draft.waiting(
                    Resource::TaskDefinition,
                    HoldReason::Dependency,
                    format!("the task definition {family} waits until the service can be looked at"),
                );
            }
            return Target::NotYet;
        }
        Fact::Present(running) if running.active && running.definition.as_ref() == Some(&wanted) => {
            return Target::Arn(running.arn.clone());
        }
        _ => {}
    }
    let hash = wanted.hash();
    match &input.observed.family {
        Fact::Unknown(doubt) if doubt.kind != valkeep_core::DoubtKind::NotLooked => {
            draft.doubt(Resource::TaskDefinition, &format!("the revisions of {family}"), doubt);
            return Target::NotYet;
        }
        Fact::Present(revisions) => {
            let usable = revisions.iter().find(|found| {
                found.active
                    && input.owns(&found.tags)
                    && found.tags.get(TAG_HASH) == Some(&hash)
                    && found.definition.as_ref() == Some(&wanted)
            });
            if let Some(found) = usable {
                return Target::Arn(found.arn.clone());
            }
        }
        // Not looked at: one revision too many costs nothing, waiting for a look that never comes would cost all.
        Fact::Absent | Fact::Unknown(_) => {}
    }
    let mut tags = input.desired.tags.clone();
    tags.insert(TAG_HASH.to_owned(), hash);
    draft.step(Step::RegisterTaskDefinition {
        definition: Box::new(wanted),
        tags,
    });
    Target::Registering
}

/// Whether the data forbids another definition now; `what` waits, and the draft says why.
pub(crate) fn data_is_in_the_way(input: Input, what: &str, draft: &mut Draft) -> bool {
    let mounted = input
        .usable_access_point()
        .filter(|_| input.desired.snapshots().is_some());
    let Some(access_point) = mounted else {
        return false;
    };
    let blocks = data_safety::blocks(input, access_point);
    let immutable = !access_point::differences(input.desired, access_point).is_empty();
    if immutable {
        draft.hold(hold(
            Resource::TaskDefinition,
            HoldKind::Waiting,
            HoldReason::Dependency,
            format!("{what} waits until document and access point agree"),
        ));
    }
    let blocked = immutable || !blocks.is_empty();
    for block in blocks {
        draft.hold(block);
    }
    blocked
}

fn wanted(input: Input) -> Result<TaskDefinition, Vec<&'static str>> {
    let Some(created) = input.desired.created() else {
        return Err(Vec::new()); // Its maintainer's definition is not rendered but laid over.
    };
    let role = input.observed.role.present();
    let storage = match &input.desired.persistence {
        Persistence::Disabled => Some(None),
        Persistence::Mounted(snapshots) => match (input.file_system(), input.usable_access_point()) {
            (Some(file_system), Some(access_point)) => Some(Some((file_system, access_point, snapshots))),
            _ => None,
        },
    };
    match (role, storage) {
        (Some(role), Some(None)) => Ok(render(&input.as_found(), created, &role.arn, None, None)),
        (Some(role), Some(Some((file_system, access_point, snapshots)))) => Ok(render(
            &input.as_found(),
            created,
            &role.arn,
            Some((file_system.id.clone(), access_point.id.clone())),
            data_safety::stale_before(snapshots, access_point),
        )),
        (role, storage) => {
            let mut missing = Vec::new();
            if role.is_none() {
                missing.push("the task role");
            }
            if storage.is_none() {
                missing.push("the access point");
            }
            Err(missing)
        }
    }
}
