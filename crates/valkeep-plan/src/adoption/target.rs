//! Which definition an adopted service should run: its base with the document's persistence laid over it, or the base.
//!
//! Nothing is remembered but in the definitions: what stood under an overlay is in its label, which revision that was
//! in its tag. So a new revision of somebody else's is the new base, whether it was made from scratch or from a copy of ours.

use crate::data_safety;
use crate::draft::{Draft, Input, list};
use crate::meaning::Meaning;
use crate::overlay::{self, Overlay};
use crate::task_definition::{Target, data_is_in_the_way};
use valkeep_core::desired::{Persistence, Snapshots};
use valkeep_core::identity::{TAG_BASE, TAG_MEANING, TAG_PREFIX};
use valkeep_core::observed::{AccessPoint, ObservedDefinition, Role};
use valkeep_core::task_definition::EfsVolume;
use valkeep_core::{Fact, HoldReason, RawDefinition, Resource, Step, Tags};

/// Plans the definition of an adopted service.
pub(crate) fn target(input: Input, draft: &mut Draft) -> Target {
    let name = &input.desired.identity.service;
    let running = match &input.observed.running_definition {
        Fact::Present(running) => running,
        Fact::Unknown(doubt) => {
            draft.doubt(
                Resource::TaskDefinition,
                &format!("the task definition that {name} runs"),
                doubt,
            );
            return Target::NotYet;
        }
        Fact::Absent => return Target::NotYet, // There is no service, and that is said elsewhere.
    };
    let Some(raw) = running.raw.as_deref() else {
        draft.stalled(
            Resource::TaskDefinition,
            HoldReason::CommandNotUnderstood,
            format!("{} could not be read", running.arn),
            "this is a bug of valkeep: report it with the definition",
        );
        return Target::NotYet;
    };
    let locked = overlay::is_locked(raw, &input.desired.server.container);
    let Some(base) = base(input, raw, locked) else {
        draft.stalled(
            Resource::TaskDefinition,
            HoldReason::NotFound,
            format!(
                "{} carries valkeep's lock, and neither a label nor a tag says what stood there before",
                running.arn
            ),
            "deploy the service from its original definition; valkeep lays persistence over that again",
        );
        return Target::NotYet;
    };
    match &input.desired.persistence {
        Persistence::Disabled if !locked => Target::Arn(running.arn.clone()),
        Persistence::Disabled => base_again(input, running, &base, draft),
        Persistence::Mounted(snapshots) => laid_over(input, snapshots, running, raw, &base, draft),
    }
}

/// What somebody else maintains, without anything of ours.
fn base(input: Input, running: &RawDefinition, locked: bool) -> Option<RawDefinition> {
    if !locked {
        return Some(running.clone());
    }
    overlay::take_off(running).or_else(|| {
        let remembered = input.observed.base.present()?.raw.as_deref()?;
        Some(remembered.clone())
    })
}

/// Back to the base: the very revision where it is still what lies under the overlay.
fn base_again(input: Input, running: &ObservedDefinition, base: &RawDefinition, draft: &mut Draft) -> Target {
    let family = input.observed.family.present().into_iter().flatten();
    let there = input
        .observed
        .base
        .present()
        .into_iter()
        .chain(family)
        .find(|found| found.active && found.raw.as_ref().is_some_and(|raw| raw.same(base)));
    if let Some(there) = there {
        return Target::Arn(there.arn.clone());
    }
    draft.step(Step::RegisterRevision {
        from: running.arn.clone(),
        definition: Box::new(base.clone()),
        tags: foreign(&running.tags),
    });
    Target::Registering
}

fn laid_over(
    input: Input,
    snapshots: &Snapshots,
    running: &ObservedDefinition,
    raw: &RawDefinition,
    base: &RawDefinition,
    draft: &mut Draft,
) -> Target {
    let wanted = match wanted(input, snapshots, base) {
        Ok(wanted) => wanted,
        Err(Not::There(missing)) => {
            draft.waiting(
                Resource::TaskDefinition,
                HoldReason::Dependency,
                format!(
                    "the task definition of {} waits for {}",
                    input.desired.identity.service,
                    list(missing)
                ),
            );
            return Target::NotYet;
        }
        Err(Not::Possible(refusal)) => {
            draft.stalled(Resource::TaskDefinition, refusal.reason, refusal.message, refusal.hint);
            return Target::NotYet;
        }
    };
    let what = format!("the new definition of {}", input.desired.identity.service);
    if data_is_in_the_way(input, &what, draft) {
        return Target::NotYet;
    }
    if running.active && raw.same(&wanted) {
        return Target::Arn(running.arn.clone());
    }
    let family = input.observed.family.present().into_iter().flatten();
    let there = family.into_iter().find(|found| {
        found.active && input.owns(&found.tags) && found.raw.as_ref().is_some_and(|raw| raw.same(&wanted))
    });
    if let Some(there) = there {
        return Target::Arn(there.arn.clone());
    }
    let mut tags = foreign(&running.tags);
    tags.extend(input.desired.tags.clone());
    let base_revision = match running.tags.get(TAG_BASE) {
        Some(revision) => Some(revision.clone()),
        None if overlay::is_locked(raw, &input.desired.server.container) => None,
        None => running.arn.rsplit_once(':').map(|(_, revision)| revision.to_owned()),
    };
    tags.extend(base_revision.map(|revision| (TAG_BASE.to_owned(), revision)));
    tags.extend(meaning(input, snapshots).map(|meaning| (TAG_MEANING.to_owned(), meaning)));
    draft.step(Step::RegisterRevision {
        from: running.arn.clone(),
        definition: Box::new(wanted),
        tags,
    });
    Target::Registering
}

/// Why there is no definition to want.
enum Not {
    There(Vec<&'static str>),
    Possible(overlay::Refusal),
}

fn wanted(input: Input, snapshots: &Snapshots, base: &RawDefinition) -> Result<RawDefinition, Not> {
    let role = input.observed.role.present();
    let storage = input.file_system().zip(input.usable_access_point());
    let (Some(role), Some((file_system, access_point))) = (role, storage) else {
        // What is in the way of the definition itself is said before anything is made for it.
        let probe = EfsVolume {
            name: String::new(),
            file_system: valkeep_core::ids::FileSystemId::known_after("CreateFileSystem"),
            access_point: valkeep_core::ids::AccessPointId::known_after("CreateAccessPoint"),
        };
        let role = role.map_or_else(
            || format!("role/{}", input.desired.task_role.name),
            |role| role.arn.clone(),
        );
        overlay_of(input, snapshots, &probe, &role, None, base).map_err(Not::Possible)?;
        let mut missing = Vec::new();
        if input.observed.role.present().is_none() {
            missing.push("the task role");
        }
        if storage.is_none() {
            missing.push("the access point");
        }
        return Err(Not::There(missing));
    };
    let volume = EfsVolume {
        name: valkeep_core::identity::OVERLAY_VOLUME.to_owned(),
        file_system: file_system.id.clone(),
        access_point: access_point.id.clone(),
    };
    let Role { arn } = role;
    overlay_of(input, snapshots, &volume, arn, Some(access_point), base).map_err(Not::Possible)
}

fn overlay_of(
    input: Input,
    snapshots: &Snapshots,
    volume: &EfsVolume,
    role_arn: &str,
    access_point: Option<&AccessPoint>,
    base: &RawDefinition,
) -> Result<RawDefinition, overlay::Refusal> {
    // Of an access point that is taken, path and owner are its own.
    let found = input.as_found();
    let spec = &found.access_point;
    overlay::lay_over(
        base,
        &Overlay {
            server: &input.desired.server,
            snapshots,
            volume,
            path: &spec.path,
            user: &format!("{}:{}", spec.uid, spec.gid),
            role_arn,
            stale_before: access_point.and_then(|found| data_safety::stale_before(snapshots, found)),
            restart: found.restart.as_deref(),
        },
    )
}

/// The hash of what the document says that a server must be started anew for; what it is laid over is compared itself.
fn meaning(input: Input, snapshots: &Snapshots) -> Option<String> {
    let found = input.as_found();
    let spec = &found.access_point;
    let (file_system, access_point) = input.file_system().zip(input.usable_access_point())?;
    let role = input.observed.role.present()?;
    let user = format!("{}:{}", spec.uid, spec.gid);
    let stale_before = data_safety::stale_before(snapshots, access_point);
    let meaning = Meaning::of_server(&input.desired.server, &role.arn, &user, found.restart.as_deref());
    let volume = (&file_system.id, &access_point.id);
    Some(meaning.with_data(snapshots, volume, stale_before).hash())
}

/// Tags that are somebody else's: they survive as the definition's own members do.
fn foreign(tags: &Tags) -> Tags {
    tags.iter()
        .filter(|(key, _)| !key.starts_with(TAG_PREFIX))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
