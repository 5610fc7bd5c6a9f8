//! Plans the access point and the marks on it.

use crate::data_safety;
use crate::draft::{Draft, Input, list};
use valkeep_core::Desired;
use valkeep_core::identity::TAG_USED_BY;
use valkeep_core::observed::{AccessPoint, FileSystem, LifeCycle};
use valkeep_core::{DoubtKind, Fact, HoldReason, Resource, Step};

/// Plans the access point.
pub(crate) fn access_point(input: Input, draft: &mut Draft) {
    if input.desired.snapshots().is_none() {
        return;
    }
    if let (Some(id), Fact::Absent) = (&input.desired.access_point.taken, &input.observed.access_point) {
        return draft.stalled(
            Resource::AccessPoint,
            HoldReason::NotFound,
            format!("the access point {id} is not there"),
            "correct spec.fileSystem.accessPoint.id, or leave it out: valkeep then makes an access point of its own",
        );
    }
    if is_elsewhere(input, draft) {
        return;
    }
    let Some(file_system) = input.file_system() else {
        if let Fact::Unknown(doubt) = &input.observed.access_point
            && doubt.kind != DoubtKind::NotLooked
        {
            return draft.doubt(Resource::AccessPoint, "the access point", doubt);
        }
        return draft.waiting(
            Resource::AccessPoint,
            HoldReason::Dependency,
            "the access point waits for the file system",
        );
    };
    let found = match &input.observed.access_point {
        Fact::Unknown(doubt) => {
            return draft.doubt(
                Resource::AccessPoint,
                &format!("the access point of {}", file_system.id),
                doubt,
            );
        }
        Fact::Absent => return create(input, file_system, draft),
        Fact::Present(found) => found,
    };
    if is_anothers(input, file_system, found, draft) {
        return;
    }
    if !is_usable(input, found, draft) {
        return;
    }
    immutable(input, found, draft);
    creation_only(input, found, draft);
    shared(input, found, draft);
    let mut set = if input.owns(&found.tags) {
        input.missing_tags(&found.tags)
    } else {
        valkeep_core::Tags::new()
    };
    if input.our_access_point().is_none() {
        // Everything else waits until the mark is there: another document must be able to see it.
        set.insert(TAG_USED_BY.to_owned(), input.desired.identity.user_mark());
        return tag(found, set, Vec::new(), draft);
    }
    let (marks, remove) = data_safety::marks(input, found);
    set.extend(marks);
    tag(found, set, remove, draft);
}

/// With persistence disabled nothing is looked after but the mark that snapshots have ended.
pub(crate) fn marks_while_disabled(input: Input, draft: &mut Draft) {
    if let Some(found) = input.our_access_point() {
        let (set, remove) = data_safety::marks(input, found);
        tag(found, set, remove, draft);
    }
}

/// What the document and the access point do not agree on and EFS cannot change. Of one that is taken, what the document
/// does not say is its own.
pub(crate) fn differences(desired: &Desired, found: &AccessPoint) -> Vec<String> {
    let desired = desired.as_found(found);
    let spec = &desired.access_point;
    let number = |value: Option<u32>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
    let mut differences = Vec::new();
    if found.path != spec.path {
        differences.push(format!("path {} where the document says {}", found.path, spec.path));
    }
    if found.uid != Some(spec.uid) {
        differences.push(format!(
            "uid {} where the document says {}",
            number(found.uid),
            spec.uid
        ));
    }
    if found.gid != Some(spec.gid) {
        differences.push(format!(
            "gid {} where the document says {}",
            number(found.gid),
            spec.gid
        ));
    }
    differences
}

fn create(input: Input, file_system: &FileSystem, draft: &mut Draft) {
    let Some(snapshots) = input.desired.snapshots() else {
        return;
    };
    if file_system.state != LifeCycle::Available {
        return draft.waiting(
            Resource::AccessPoint,
            HoldReason::Dependency,
            format!("the access point waits for the file system {}", file_system.id),
        );
    }
    let spec = &input.desired.access_point;
    let others = input.others_on(&spec.path);
    if let Some(other) = others.first() {
        let user = input.desired.identity.other_user(&other.tags, TAG_USED_BY);
        let user = user.map(|user| format!(" for {user}")).unwrap_or_default();
        return draft.stalled(
            Resource::AccessPoint,
            HoldReason::Conflict,
            format!(
                "{} gives access to {} of {}{user} already: two servers on one directory would take turns with one dump",
                list(others.iter().map(|other| &other.id)),
                spec.path,
                file_system.id
            ),
            format!(
                "take it with spec.fileSystem.accessPoint.id: {} if the directory is this service's, or set another \
                 spec.fileSystem.accessPoint.path",
                other.id
            ),
        );
    }
    let mut tags = input.desired.tags.clone();
    tags.extend(data_safety::first_marks(input, snapshots));
    draft.step(Step::CreateAccessPoint {
        token: input.desired.identity.access_point_token(file_system.id.as_str()),
        file_system: file_system.id.clone(),
        path: spec.path.clone(),
        uid: spec.uid,
        gid: spec.gid,
        permissions: spec.permissions.clone(),
        tags,
    });
}

/// Whether the two ids that the document names do not belong together; says so.
fn is_elsewhere(input: Input, draft: &mut Draft) -> bool {
    let (Some(named), Some(point), Some(found)) = (
        &input.desired.file_system.taken,
        &input.desired.access_point.taken,
        input.observed.access_point.present(),
    ) else {
        return false;
    };
    if *point != found.id || found.file_system == *named {
        return false;
    }
    draft.stalled(
        Resource::AccessPoint,
        HoldReason::NotFound,
        format!(
            "{} is on {}, and the document names the file system {named}",
            found.id, found.file_system
        ),
        "leave spec.fileSystem.id out (the access point's file system is then used), or correct one of the two ids",
    );
    true
}

/// Whether it must not be used, because it is another one's; says so.
fn is_anothers(input: Input, file_system: &FileSystem, found: &AccessPoint, draft: &mut Draft) -> bool {
    if let Some(id) = input.desired.access_point.taken.as_ref().filter(|id| **id != found.id) {
        draft.waiting(
            Resource::AccessPoint,
            HoldReason::Dependency,
            format!("the access point {id} was not looked at yet"),
        );
        return true;
    }
    if input.desired.access_point.taken.is_none() {
        if input.owns(&found.tags) && found.file_system == file_system.id {
            return false;
        }
        draft.stalled(
            Resource::AccessPoint,
            HoldReason::NotOurs,
            format!("{} has valkeep's token and does not carry its tag", found.id),
            format!(
                "if valkeep made it, put its tag valkeep.dev/owner back; if not, take it with \
                 spec.fileSystem.accessPoint.id: {}",
                found.id
            ),
        );
        return true;
    }
    let Some(user) = input.desired.identity.other_user(&found.tags, TAG_USED_BY) else {
        return false;
    };
    draft.stalled(
        Resource::AccessPoint,
        HoldReason::Conflict,
        format!(
            "{} is in use by {user}: two servers on one directory would take turns with one dump",
            found.id
        ),
        format!(
            "name another access point; if {user} does not use it any more: aws efs untag-resource --resource-id {} \
             --tag-keys {TAG_USED_BY}",
            found.id
        ),
    );
    true
}

/// Whether its state and its user allow to go on; says why not.
fn is_usable(input: Input, found: &AccessPoint, draft: &mut Draft) -> bool {
    let taken = input.desired.access_point.taken.is_some();
    match found.state {
        LifeCycle::Creating => {
            draft.waiting(
                Resource::AccessPoint,
                HoldReason::Creating,
                format!("{} is being made", found.id),
            );
            return false;
        }
        LifeCycle::Deleting | LifeCycle::Deleted if taken => {
            draft.stalled(
                Resource::AccessPoint,
                HoldReason::NotFound,
                format!("the access point {} is being deleted", found.id),
                "name another access point on the same directory in spec.fileSystem.accessPoint.id; the files stay",
            );
            return false;
        }
        LifeCycle::Deleting | LifeCycle::Deleted => {
            draft.waiting(
                Resource::AccessPoint,
                HoldReason::Creating,
                format!("{} is being deleted; another is made when it is gone", found.id),
            );
            return false;
        }
        LifeCycle::Error => {
            let hint = if taken {
                "name another access point on the same directory in spec.fileSystem.accessPoint.id"
            } else {
                "delete this access point; valkeep makes another on the same directory"
            };
            draft.stalled(
                Resource::AccessPoint,
                HoldReason::Failed,
                format!("{} is in the state error", found.id),
                hint,
            );
            return false;
        }
        LifeCycle::Updating => {
            draft.waiting(
                Resource::AccessPoint,
                HoldReason::Creating,
                format!("{} is being changed", found.id),
            );
        }
        LifeCycle::Available => {}
    }
    if taken && (found.uid.is_none() || found.gid.is_none()) {
        draft.stalled(
            Resource::AccessPoint,
            HoldReason::ImmutableField,
            format!(
                "{} has no POSIX user: clients are who they say they are, the next server may not be able to read what \
                 this one writes, and EFS cannot add a user",
                found.id
            ),
            format!(
                "make one with a user on the same directory, and name it: aws efs create-access-point --file-system-id {} \
                 --posix-user Uid=1000,Gid=1000 --root-directory Path={}",
                found.file_system, found.path
            ),
        );
        return false;
    }
    if found.uid == Some(0) && !input.desired.task_role.root_access && taken {
        draft.stalled(
            Resource::AccessPoint,
            HoldReason::ImmutableField,
            format!(
                "{} has uid 0, and without root access EFS takes it for nobody, who cannot write to the directory",
                found.id
            ),
            "set spec.taskRole.rootAccess: true, or name an access point with another user",
        );
        return false;
    }
    true
}

fn immutable(input: Input, found: &AccessPoint, draft: &mut Draft) {
    let (cluster, service) = (&input.desired.identity.cluster, &input.desired.identity.service);
    let hint = if input.desired.access_point.taken.is_some() {
        "leave path, uid and gid out of spec.fileSystem.accessPoint: they are then the access point's own".to_owned()
    } else {
        format!(
            "set it back, or move the data: aws ecs update-service --cluster {cluster} --service {service} --desired-count \
             0; when the task has stopped, mount {}, cp -a the files to the new directory and chown them to the new owner; \
             aws efs delete-access-point --access-point-id {} (valkeep makes another; the files stay); then --desired-count \
             1",
            found.file_system, found.id
        )
    };
    for difference in differences(input.desired, found) {
        draft.stalled(
            Resource::AccessPoint,
            HoldReason::ImmutableField,
            format!(
                "{} has {difference}, and EFS cannot change that: the server would start without its data or could not \
                 read it",
                found.id
            ),
            hint.clone(),
        );
    }
}

/// Owner and permissions are used once, when EFS makes the directory at the first mount.
fn creation_only(input: Input, found: &AccessPoint, draft: &mut Draft) {
    let desired = input.desired.as_found(found);
    let spec = &desired.access_point;
    let same_permissions = found
        .permissions
        .as_deref()
        .is_none_or(|permissions| permissions.trim_start_matches('0') == spec.permissions.trim_start_matches('0'));
    let same_owner =
        found.owner_uid.is_none_or(|uid| uid == spec.uid) && found.owner_gid.is_none_or(|gid| gid == spec.gid);
    if !same_permissions || !same_owner {
        draft.notice_with_hint(
            Resource::AccessPoint,
            HoldReason::Warning,
            format!("{} was made for a directory with another owner or other permissions than the document's", found.id),
            "they count only when EFS makes the directory; change them on the directory itself, or set the document back",
        );
    }
}

/// Others on the same directory are said; the lock keeps a second server out, and only it.
fn shared(input: Input, found: &AccessPoint, draft: &mut Draft) {
    let others = input.others_on(&found.path);
    let others: Vec<_> = others.iter().filter(|other| other.id != found.id).collect();
    if !others.is_empty() {
        draft.notice_with_hint(
            Resource::AccessPoint,
            HoldReason::Foreign,
            format!(
                "{} gives access to the directory {} of {}, too",
                list(others.iter().map(|other| &other.id)),
                found.path,
                found.file_system
            ),
            "see that no other server writes there",
        );
    }
}

fn tag(found: &AccessPoint, set: valkeep_core::Tags, remove: Vec<String>, draft: &mut Draft) {
    if !set.is_empty() || !remove.is_empty() {
        draft.step(Step::Tag {
            resource: Resource::AccessPoint,
            id: found.id.to_string(),
            set,
            remove,
        });
    }
}
