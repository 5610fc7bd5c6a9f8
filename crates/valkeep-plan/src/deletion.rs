//! Plans the deletion that a document asks for: looks at what is left, and finds the next step. Keeps no memory of its own,
//! so it goes on wherever it was cut off.
//!
//! Goes by the owner tag alone; a service that was adopted stays, and has to run without the directory first. What does not carry it (a service, file system or access point that somebody else made, also
//! where the document names it as its own) is left, and where it may be using what is ours, everything waits for its owner.
//! While anything cannot be seen, nothing goes that may be needed by what is there.

use crate::adoption;
use crate::draft::{Draft, Input, list};
use crate::tasks;
use valkeep_core::desired::Deletion;
use valkeep_core::identity::{TAG_DATA_FILE, TAG_POLICY, TAG_SNAPSHOTS_ENDED, TAG_WRITTEN_BY};
use valkeep_core::observed::{AccessPoint, FileSystem, LifeCycle, MountTarget, Service, ServiceStatus};
use valkeep_core::{Fact, HoldReason, Resource, Step, Tags};

/// Revisions that one plan deregisters. ECS allows about one such call a second, and a plan with hundreds of lines helps
/// nobody; the next round takes the next ones.
const REVISIONS_MOST: usize = 10;

/// What an access point says of its directory, and what another one on the same directory has to know.
const MARKS: [&str; 3] = [TAG_DATA_FILE, TAG_WRITTEN_BY, TAG_SNAPSHOTS_ENDED];

/// Plans the deletion.
pub(crate) fn deletion(input: Input, asked: Deletion, draft: &mut Draft) {
    // What a person has to decide is asked before the first step.
    if is_used_by_adopted(input, draft) || lacks_backup(input, asked, draft) || is_used_by_others(input, draft) {
        return;
    }
    kept(input, draft);
    if !server_is_gone(input, draft) || !storage_is_gone(input, draft) {
        return;
    }
    role_policy(input, draft);
    security_group(input, draft);
    revisions(input, draft);
    if let Some(found) = input.observed.service.present().filter(|_| is_adopted(input))
        && draft.is_at_rest()
        && let Some(step) = adoption::unmark(input, found)
    {
        draft.step(step);
    }
}

/// Whether somebody else makes the service: it stays, whatever its tags say.
fn is_adopted(input: Input) -> bool {
    input.desired.adopted().is_some()
}

/// The log of what went before is worth most when the rest is gone.
fn kept(input: Input, draft: &mut Draft) {
    if let Some(found) = input.observed.log_group.present() {
        draft.notice_with_hint(
            Resource::LogGroup,
            HoldReason::Kept,
            format!("the log group {} is kept", found.name),
            format!(
                "aws logs delete-log-group --log-group-name {} deletes it and its logs",
                found.name
            ),
        );
    }
}

/// An adopted service goes on running, so it must run without the directory first.
fn is_used_by_adopted(input: Input, draft: &mut Draft) -> bool {
    match &input.observed.service {
        Fact::Present(found) if is_adopted(input) => !adoption::is_unused(input, found, draft),
        Fact::Present(_) | Fact::Absent | Fact::Unknown(_) => false,
    }
}

/// Without a final backup or the permission to do without one, nothing at all is touched: a service that goes on serving
/// is easier to understand, and to decide about, than one of which half is gone.
fn lacks_backup(input: Input, asked: Deletion, draft: &mut Draft) -> bool {
    if asked.without_backup {
        return false;
    }
    match &input.observed.file_system {
        Fact::Present(found) if input.owns(&found.tags) && !is_going(found.state) => {
            draft.stalled(
                Resource::FileSystem,
                HoldReason::BackupRequired,
                format!(
                    "{} holds the data of {} and would be deleted without a final backup, so nothing is deleted",
                    found.id, input.desired.identity.service
                ),
                format!(
                    "to delete the data for good, add the annotation valkeep.dev/delete-without-backup: {}; to keep \
                     everything, remove valkeep.dev/delete; final backups come with a later version",
                    input.desired.document
                ),
            );
            true
        }
        Fact::Unknown(doubt) => {
            draft.doubt(
                Resource::FileSystem,
                "the file system, which may hold data without a backup",
                doubt,
            );
            true
        }
        Fact::Present(_) | Fact::Absent => false,
    }
}

/// An access point that is not ours is somebody's way to the data on our file system. Those that cannot be seen hold the
/// storage further on.
fn is_used_by_others(input: Input, draft: &mut Draft) -> bool {
    let ours = |found: &&FileSystem| input.owns(&found.tags) && !is_going(found.state);
    let Some(file_system) = input.observed.file_system.present().filter(ours) else {
        return false;
    };
    let others = input.observed.other_access_points.present().into_iter().flatten();
    let in_the_way: Vec<String> = input
        .observed
        .access_point
        .present()
        .into_iter()
        .chain(others)
        .filter(|point| !input.owns(&point.tags) && !is_going(point.state))
        .map(|point| format!("{} ({})", point.id, point.path))
        .collect();
    if in_the_way.is_empty() {
        return false;
    }
    draft.stalled(
        Resource::AccessPoint,
        HoldReason::InUse,
        format!(
            "{} of {} does not carry valkeep's tag: somebody else may be using the file system, so nothing is deleted",
            list(in_the_way),
            file_system.id
        ),
        "delete what is not needed any more; to keep the file system, remove valkeep.dev/delete",
    );
    true
}

/// Whether nothing is left that may use the storage.
fn server_is_gone(input: Input, draft: &mut Draft) -> bool {
    let name = &input.desired.identity.service;
    match &input.observed.service {
        Fact::Unknown(doubt) => {
            draft.doubt(Resource::Service, &format!("the service {name}"), doubt);
            false
        }
        // It was proved to use nothing of ours.
        Fact::Present(_) if is_adopted(input) => {
            draft.notice(
                Resource::Service,
                HoldReason::Kept,
                format!("the service {name} is somebody else's and is left as it is"),
            );
            true
        }
        Fact::Present(found) if !input.owns(&found.tags) => another_service(input, draft),
        Fact::Present(found) => {
            service(input, found, draft);
            false
        }
        Fact::Absent => tasks_are_gone(input, "the deletion of the storage", 0, draft),
    }
}

/// Somebody else's service stays. As long as storage of ours is there it may be using that; what it runs is known only as
/// far as it has valkeep's own form, so only its owner can tell.
fn another_service(input: Input, draft: &mut Draft) -> bool {
    let name = &input.desired.identity.service;
    if may_have_storage(input) {
        draft.stalled(
            Resource::Service,
            HoldReason::NotOurs,
            format!(
                "the service {name} does not carry valkeep's tag and may be using this storage, so nothing is deleted"
            ),
            "delete that service, or let it use other storage and remove what is left here by hand",
        );
        return false;
    }
    draft.notice(
        Resource::Service,
        HoldReason::Kept,
        format!("the service {name} does not carry valkeep's tag and is left"),
    );
    true
}

fn may_have_storage(input: Input) -> bool {
    let may_be_ours = |tags: Option<&Tags>, is_absent: bool| tags.map_or(!is_absent, |tags| input.owns(tags));
    let Some(file_system) = input.observed.file_system.present() else {
        return !input.observed.file_system.is_absent();
    };
    let point = &input.observed.access_point;
    may_be_ours(Some(&file_system.tags), false)
        || may_be_ours(point.present().map(|found| &found.tags), point.is_absent())
}

/// Ours: scaled to 0, so that the server saves as it stops; deleted when every task has stopped for good.
fn service(input: Input, found: &Service, draft: &mut Draft) {
    let name = &input.desired.identity.service;
    let cluster = &input.desired.identity.cluster;
    if found.status == ServiceStatus::Draining {
        return draft.waiting(
            Resource::Service,
            HoldReason::Draining,
            format!("the service {name} is being deleted"),
        );
    }
    if found.desired > 0 {
        return draft.step(Step::StopService {
            cluster: cluster.clone(),
            name: name.clone(),
            arn: found.arn.clone(),
            from: found.desired,
        });
    }
    // The service's own count and the list of tasks are read apart; the higher one is believed.
    if tasks_are_gone(
        input,
        &format!("the deletion of the service {name}"),
        found.counted(),
        draft,
    ) {
        draft.step(Step::DeleteService {
            cluster: cluster.clone(),
            name: name.clone(),
            arn: found.arn.clone(),
            owner: input.desired.identity.owner(),
        });
    }
}

fn tasks_are_gone(input: Input, what: &str, counted: usize, draft: &mut Draft) -> bool {
    let Some(left) = tasks::left(input, counted, draft) else {
        return false;
    };
    if left > 0 {
        draft.waiting(
            Resource::Task,
            HoldReason::TasksStopping,
            format!("{what} waits until {left} task(s) have stopped: a server saves its data as it stops"),
        );
    }
    left == 0
}

/// Whether the storage is gone or going, as far as it is ours.
fn storage_is_gone(input: Input, draft: &mut Draft) -> bool {
    let found = match &input.observed.file_system {
        Fact::Unknown(doubt) => {
            draft.doubt(Resource::FileSystem, "the file system", doubt);
            return false;
        }
        // Everything on it went with it.
        Fact::Absent => return true,
        Fact::Present(found) => found,
    };
    if !input.owns(&found.tags) {
        draft.notice(
            Resource::FileSystem,
            HoldReason::Kept,
            format!(
                "{} does not carry valkeep's tag and is left, with its mount targets",
                found.id
            ),
        );
        return access_points_are_gone(input, found, draft);
    }
    match found.state {
        LifeCycle::Deleting | LifeCycle::Deleted => {
            draft.waiting(
                Resource::FileSystem,
                HoldReason::Deleting,
                format!("{} is being deleted", found.id),
            );
            return true;
        }
        LifeCycle::Creating | LifeCycle::Updating => {
            draft.waiting(
                Resource::FileSystem,
                HoldReason::Creating,
                format!(
                    "{} is being made or changed, and EFS deletes it only after that",
                    found.id
                ),
            );
            return false;
        }
        LifeCycle::Available | LifeCycle::Error => {}
    }
    if !access_points_are_seen(input, found, draft)
        || !policy_is_gone(input, found, draft)
        || !access_points_are_gone(input, found, draft)
        || !mount_targets_are_gone(input, found, draft)
    {
        return false;
    }
    draft.step(Step::DeleteFileSystem {
        id: found.id.clone(),
        owner: input.desired.identity.owner(),
    });
    false
}

/// Every access point of the file system, ours or not.
fn access_points(input: Input<'_>) -> Result<Vec<&AccessPoint>, &valkeep_core::Doubt> {
    let first = match &input.observed.access_point {
        Fact::Present(found) => Some(found),
        Fact::Absent => None,
        Fact::Unknown(doubt) => return Err(doubt),
    };
    match &input.observed.other_access_points {
        Fact::Present(others) => Ok(first.into_iter().chain(others).collect()),
        Fact::Absent => Ok(first.into_iter().collect()),
        Fact::Unknown(doubt) => Err(doubt),
    }
}

/// Whoever cannot be seen may need what would go.
fn access_points_are_seen(input: Input, found: &FileSystem, draft: &mut Draft) -> bool {
    if let Err(doubt) = access_points(input) {
        draft.doubt(
            Resource::AccessPoint,
            &format!("the access points of {}", found.id),
            doubt,
        );
        return false;
    }
    true
}

/// Only a policy that we put; another goes with the file system.
fn policy_is_gone(input: Input, found: &FileSystem, draft: &mut Draft) -> bool {
    if !found.tags.contains_key(TAG_POLICY) {
        return true;
    }
    match &input.observed.file_system_policy {
        Fact::Absent => true,
        Fact::Present(from) => {
            draft.step(Step::DeleteFileSystemPolicy {
                id: found.id.clone(),
                from: from.clone(),
            });
            false
        }
        Fact::Unknown(doubt) => {
            draft.doubt(Resource::FileSystem, &format!("the policy of {}", found.id), doubt);
            false
        }
    }
}

/// Whether every access point of ours is gone or going; one that goes is in nobody's way.
fn access_points_are_gone(input: Input, file_system: &FileSystem, draft: &mut Draft) -> bool {
    let points = match access_points(input) {
        Ok(points) => points,
        Err(doubt) => {
            let what = format!("the access points of {}", file_system.id);
            draft.doubt(Resource::AccessPoint, &what, doubt);
            return false;
        }
    };
    if let Some(point) = input.observed.access_point.present()
        && !input.owns(&point.tags)
    {
        draft.notice(
            Resource::AccessPoint,
            HoldReason::Kept,
            format!("{} does not carry valkeep's tag and is left", point.id),
        );
    }
    let ours: Vec<&AccessPoint> = points.into_iter().filter(|point| input.owns(&point.tags)).collect();
    for point in ours.iter().filter(|point| is_going(point.state)) {
        draft.waiting(
            Resource::AccessPoint,
            HoldReason::Deleting,
            format!("{} is being deleted", point.id),
        );
    }
    let left: Vec<&&AccessPoint> = ours.iter().filter(|point| !is_going(point.state)).collect();
    if let Some(step) = remember_marks(input, file_system, &left) {
        draft.step(step);
        return false;
    }
    for point in &left {
        draft.step(Step::DeleteAccessPoint {
            id: point.id.clone(),
            file_system: point.file_system.clone(),
            path: point.path.clone(),
            owner: input.desired.identity.owner(),
        });
    }
    left.is_empty()
}

/// As long as the directory is there, the deletion may be taken back: what the access point knows of the files in it then
/// has to be known to the next one, so it moves up to the file system first.
fn remember_marks(input: Input, file_system: &FileSystem, left: &[&&AccessPoint]) -> Option<Step> {
    let point = left
        .iter()
        .find(|point| point.path == input.desired.access_point.path)
        .filter(|_| input.owns(&file_system.tags))?;
    let set: Tags = MARKS
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), point.tags.get(*key)?.clone())))
        .filter(|(key, value)| file_system.tags.get(key) != Some(value))
        .collect();
    let remove: Vec<String> = MARKS
        .iter()
        .filter(|key| !point.tags.contains_key(**key) && file_system.tags.contains_key(**key))
        .map(|key| (*key).to_owned())
        .collect();
    (!set.is_empty() || !remove.is_empty()).then(|| Step::Tag {
        resource: Resource::FileSystem,
        id: file_system.id.to_string(),
        set,
        remove,
    })
}

/// Whether every mount target is gone for good: EFS deletes no file system before that.
fn mount_targets_are_gone(input: Input, file_system: &FileSystem, draft: &mut Draft) -> bool {
    let targets: Vec<&MountTarget> = match &input.observed.mount_targets {
        Fact::Present(targets) => targets
            .iter()
            .filter(|target| target.state != LifeCycle::Deleted)
            .collect(),
        Fact::Absent => Vec::new(),
        Fact::Unknown(doubt) => {
            let what = format!("the mount targets of {}", file_system.id);
            draft.doubt(Resource::MountTarget, &what, doubt);
            return false;
        }
    };
    for target in &targets {
        if target.state == LifeCycle::Deleting {
            draft.waiting(
                Resource::MountTarget,
                HoldReason::Deleting,
                format!("{} in {} is being deleted", target.id, target.zone_id),
            );
        } else {
            draft.step(Step::DeleteMountTarget {
                id: target.id.clone(),
                file_system: file_system.id.clone(),
                zone_id: target.zone_id.clone(),
                owner: input.desired.identity.owner(),
            });
        }
    }
    targets.is_empty()
}

/// The inline policy of our name. The role itself is the user's.
fn role_policy(input: Input, draft: &mut Draft) {
    let (role, policy) = (&input.desired.task_role.name, &input.desired.names.role_policy);
    match &input.observed.role_policy {
        Fact::Absent => {}
        Fact::Present(from) => draft.step(Step::DeleteRolePolicy {
            role: role.clone(),
            policy: policy.clone(),
            from: from.clone(),
        }),
        Fact::Unknown(doubt) => draft.doubt(Resource::RolePolicy, &format!("the policy {policy} of {role}"), doubt),
    }
}

fn security_group(input: Input, draft: &mut Draft) {
    let name = &input.desired.names.security_group;
    let found = match &input.observed.security_group {
        Fact::Absent => return,
        Fact::Unknown(doubt) => {
            return draft.doubt(Resource::SecurityGroup, &format!("the security group {name}"), doubt);
        }
        Fact::Present(found) => found,
    };
    if !input.owns(&found.tags) {
        return draft.notice(
            Resource::SecurityGroup,
            HoldReason::Kept,
            format!(
                "the security group {} does not carry valkeep's tag and is left",
                found.id
            ),
        );
    }
    // Mount targets of our file system are gone by now. Those of another one stay, and so does what they need.
    let file_system = &input.observed.file_system;
    let is_anothers = file_system.present().is_some_and(|found| !input.owns(&found.tags));
    let targets = input.observed.mount_targets.present().filter(|_| is_anothers);
    let users: Vec<String> = targets
        .into_iter()
        .flatten()
        .filter(|target| !is_going(target.state))
        .filter(|target| target.groups.present().is_some_and(|groups| groups.contains(&found.id)))
        .map(|target| target.id.to_string())
        .collect();
    if users.is_empty() {
        draft.step(Step::DeleteSecurityGroup {
            id: found.id.clone(),
            name: name.clone(),
            owner: input.desired.identity.owner(),
        });
    } else {
        draft.notice(
            Resource::SecurityGroup,
            HoldReason::Kept,
            format!(
                "the security group {} is left, because {} has it",
                found.id,
                list(users)
            ),
        );
    }
}

/// What could still be run of ours; the revisions stay readable.
fn revisions(input: Input, draft: &mut Draft) {
    let family = match (input.desired.adopted(), &input.observed.running_definition) {
        (Some(_), Fact::Present(running)) => running.arn.as_str(),
        _ => &input.desired.names.family,
    };
    match &input.observed.family {
        Fact::Absent => {}
        Fact::Unknown(doubt) => draft.doubt(Resource::TaskDefinition, &format!("the revisions of {family}"), doubt),
        Fact::Present(revisions) => {
            let ours = revisions
                .iter()
                .filter(|found| found.active && input.owns(&found.tags) && !is_run(input, &found.arn));
            for found in ours.take(REVISIONS_MOST) {
                draft.step(Step::DeregisterTaskDefinition {
                    arn: found.arn.clone(),
                    owner: input.desired.identity.owner(),
                });
            }
        }
    }
}

/// Whether an adopted service, which stays, runs this revision.
fn is_run(input: Input, arn: &str) -> bool {
    let adopted = input.observed.service.present().filter(|_| is_adopted(input));
    adopted.is_some_and(|service| {
        service.task_definition == arn
            || service
                .deployments
                .iter()
                .any(|deployment| deployment.task_definition == arn)
    })
}

fn is_going(state: LifeCycle) -> bool {
    matches!(state, LifeCycle::Deleting | LifeCycle::Deleted)
}

/// The marks that a deletion has moved up to the file system, for an access point that is made again on the same directory.
pub(crate) fn remembered_marks(file_system: &FileSystem) -> Tags {
    MARKS
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), file_system.tags.get(*key)?.clone())))
        .collect()
}
