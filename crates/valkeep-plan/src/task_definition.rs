//! Plans the task definition: finds the one that the document means, or registers it.

use crate::access_point;
use crate::adoption;
use crate::data_safety;
use crate::draft::{Draft, Input, hold, list};
use crate::meaning::Meaning;
use crate::render::render;
use valkeep_core::desired::{Created, Persistence, Snapshots};
use valkeep_core::identity::{TAG_HASH, TAG_MEANING};
use valkeep_core::ids::{AccessPointId, FileSystemId};
use valkeep_core::observed::{AccessPoint, FileSystem};
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
    tags.extend(meaning(input).map(|meaning| (TAG_MEANING.to_owned(), meaning)));
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
    let needed = needed(input)?;
    let volume = needed.volume();
    Ok(render(
        &input.as_found(),
        needed.created,
        needed.role_arn,
        volume.map(|(file_system, access_point)| (file_system.clone(), access_point.clone())),
        needed.stale_before(),
    ))
}

/// The hash of what the document says that a server must be started anew for.
fn meaning(input: Input) -> Option<String> {
    let needed = needed(input).ok()?;
    let desired = input.as_found();
    let user = format!("{}:{}", desired.access_point.uid, desired.access_point.gid);
    let meaning = Meaning::of_server(&desired.server, needed.role_arn, &user, desired.restart.as_deref())
        .with_task(&desired, needed.created);
    let mounted = needed.storage.map(|(.., snapshots)| snapshots).zip(needed.volume());
    let meaning = match mounted {
        Some((snapshots, volume)) => meaning.with_data(snapshots, volume, needed.stale_before()),
        None => meaning,
    };
    Some(meaning.hash())
}

/// What a definition of our own is made of.
struct Needed<'a> {
    created: &'a Created,
    role_arn: &'a str,
    storage: Option<(&'a FileSystem, &'a AccessPoint, &'a Snapshots)>,
}

impl Needed<'_> {
    fn volume(&self) -> Option<(&FileSystemId, &AccessPointId)> {
        let (file_system, access_point, _) = self.storage?;
        Some((&file_system.id, &access_point.id))
    }

    fn stale_before(&self) -> Option<Timestamp> {
        let (_, access_point, snapshots) = self.storage?;
        data_safety::stale_before(snapshots, access_point)
    }
}

fn needed(input: Input<'_>) -> Result<Needed<'_>, Vec<&'static str>> {
    let Some(created) = input.desired.created() else {
        return Err(Vec::new()); // Its maintainer's definition is not rendered but laid over.
    };
    let role = input.observed.role.present();
    let storage = match &input.desired.persistence {
        Persistence::Disabled => Some(None),
        Persistence::Mounted(snapshots) => input
            .file_system()
            .zip(input.usable_access_point())
            .map(|(file_system, access_point)| Some((file_system, access_point, snapshots))),
    };
    match (role, storage) {
        (Some(role), Some(storage)) => Ok(Needed {
            created,
            role_arn: &role.arn,
            storage,
        }),
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
