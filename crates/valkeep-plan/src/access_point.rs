//! Plans the access point and the marks on it.

use crate::data_safety;
use crate::draft::{Draft, Input};
use valkeep_core::Desired;
use valkeep_core::observed::{AccessPoint, LifeCycle};
use valkeep_core::{Fact, HoldReason, Resource, Step};

/// Plans the access point.
pub(crate) fn access_point(input: Input, draft: &mut Draft) {
    let Some(snapshots) = input.desired.snapshots() else {
        return;
    };
    let Some(file_system) = input.file_system() else {
        return draft.waiting(
            Resource::AccessPoint,
            HoldReason::Dependency,
            "the access point waits for the file system",
        );
    };
    let spec = &input.desired.access_point;
    let found = match &input.observed.access_point {
        Fact::Unknown(doubt) => {
            return draft.doubt(
                Resource::AccessPoint,
                &format!("the access point of {}", file_system.id),
                doubt,
            );
        }
        Fact::Absent if file_system.state != LifeCycle::Available => {
            return draft.waiting(
                Resource::AccessPoint,
                HoldReason::Dependency,
                format!("the access point waits for the file system {}", file_system.id),
            );
        }
        Fact::Absent => {
            let mut tags = input.desired.tags.clone();
            tags.extend(data_safety::first_marks(input, snapshots));
            return draft.step(Step::CreateAccessPoint {
                token: input.desired.identity.access_point_token(file_system.id.as_str()),
                file_system: file_system.id.clone(),
                path: spec.path.clone(),
                uid: spec.uid,
                gid: spec.gid,
                permissions: spec.permissions.clone(),
                tags,
            });
        }
        Fact::Present(found) => found,
    };
    if !input.owns(&found.tags) || found.file_system != file_system.id {
        return draft.stalled(
            Resource::AccessPoint,
            HoldReason::NotOurs,
            format!("{} has valkeep's token and does not carry its tag", found.id),
            "if valkeep made it, put its tag valkeep.dev/owner back; taking over other access points comes later",
        );
    }
    match found.state {
        LifeCycle::Creating => {
            return draft.waiting(
                Resource::AccessPoint,
                HoldReason::Creating,
                format!("{} is being made", found.id),
            );
        }
        LifeCycle::Deleting | LifeCycle::Deleted => {
            return draft.waiting(
                Resource::AccessPoint,
                HoldReason::Creating,
                format!("{} is being deleted; another is made when it is gone", found.id),
            );
        }
        LifeCycle::Error => {
            return draft.stalled(
                Resource::AccessPoint,
                HoldReason::Failed,
                format!("{} is in the state error", found.id),
                "delete this access point; valkeep makes another on the same directory",
            );
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
    for difference in differences(input.desired, found) {
        draft.stalled(
            Resource::AccessPoint,
            HoldReason::ImmutableField,
            format!(
                "{} has {difference}: the server would start without its data or could not read it",
                found.id
            ),
            "set it back; moving the data comes with a later version",
        );
    }
    creation_only(input, found, draft);
    let mut set = input.missing_tags(&found.tags);
    let (marks, remove) = data_safety::marks(input, found);
    set.extend(marks);
    tag(found, set, remove, draft);
}

/// With persistence disabled nothing is looked after but the mark that snapshots have ended.
pub(crate) fn marks_while_disabled(input: Input, draft: &mut Draft) {
    if let Some(found) = input
        .observed
        .access_point
        .present()
        .filter(|found| input.owns(&found.tags))
    {
        let (set, remove) = data_safety::marks(input, found);
        tag(found, set, remove, draft);
    }
}

/// What the document and the access point do not agree on and EFS cannot change.
pub(crate) fn differences(desired: &Desired, found: &AccessPoint) -> Vec<String> {
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

/// Owner and permissions are used once, when EFS makes the directory at the first mount.
fn creation_only(input: Input, found: &AccessPoint, draft: &mut Draft) {
    let spec = &input.desired.access_point;
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
