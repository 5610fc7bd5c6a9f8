//! The critic's view of what a document takes instead of making it: others count on it.

use super::{Court, Rule};
use valkeep_core::desired::FileSystemField;
use valkeep_core::identity::{
    TAG_DATA_FILE, TAG_OWNER, TAG_SETTINGS_BY, TAG_SNAPSHOTS_ENDED, TAG_USED_BY, TAG_WRITTEN_BY,
};
use valkeep_core::ids::SecurityGroupId;
use valkeep_core::observed::{AccessPoint, FileSystem, LifeCycle};
use valkeep_core::{Resource, Step, Tags};

/// What a document takes is never made.
pub(super) fn none_is_named(court: &mut Court, what: &str) {
    let named = court.desired.file_system.taken.is_some() || court.desired.access_point.taken.is_some();
    court.require(
        !named,
        Rule::CreateOnAbsence,
        &format!("a {what} is made although the document names one"),
    );
}

/// A file system that is ours, or the one that the document takes.
pub(super) fn file_system(court: &mut Court, id: &str) {
    let good = court
        .observed
        .file_system
        .present()
        .is_some_and(|found| found.id.as_str() == id && (court.ours(&found.tags) || is_taken(court, found)));
    court.require(good, Rule::OnlyOurs, "a file system that is neither ours nor taken");
}

/// Whether the file system that was seen is ours or taken.
pub(super) fn any_file_system(court: &Court) -> bool {
    court
        .observed
        .file_system
        .present()
        .is_some_and(|found| court.ours(&found.tags) || is_taken(court, found))
}

fn is_taken(court: &Court, found: &FileSystem) -> bool {
    match (&court.desired.file_system.taken, &court.desired.access_point.taken) {
        (Some(id), _) => *id == found.id,
        (None, Some(id)) => court
            .observed
            .access_point
            .present()
            .is_some_and(|point| point.id == *id && point.file_system == found.id),
        (None, None) => false,
    }
}

/// On a file system of others: only what the document itself says, and only under our mark.
pub(super) fn setting(court: &mut Court, step: &Step) {
    let Some(found) = court.observed.file_system.present() else {
        return;
    };
    if court.ours(&found.tags) || !is_taken(court, found) {
        return;
    }
    let field = match step {
        Step::UpdateThroughput { .. } => FileSystemField::Throughput,
        Step::PutLifecycle { .. } => FileSystemField::TransitionToIa,
        _ => FileSystemField::AutomaticBackups,
    };
    let said = court.desired.file_system.said.contains(&field);
    let decides = is_marked(court, &found.tags, TAG_SETTINGS_BY) && !found.tags.contains_key(TAG_OWNER);
    court.require(
        said,
        Rule::OnlyOurs,
        "a setting of others that the document does not name",
    );
    court.require(
        decides,
        Rule::OnlyOurs,
        "a setting of others that somebody else may decide on",
    );
}

/// A group that others put on a mount target never goes.
pub(super) fn groups(court: &mut Court, from: &[SecurityGroupId], to: &[SecurityGroupId]) {
    let found = court.observed.file_system.present();
    if !found.is_some_and(|found| !court.ours(&found.tags) && is_taken(court, found)) {
        return;
    }
    let kept = from.iter().all(|group| to.contains(group));
    court.require(
        kept,
        Rule::AccessKept,
        "a security group of others goes from a mount target",
    );
    let added: Vec<&SecurityGroupId> = to.iter().filter(|group| !from.contains(group)).collect();
    let group = court.observed.security_group.present();
    let ours = group.is_some_and(|group| court.ours(&group.tags) && added == [&group.id]);
    court.require(
        ours && court.desired.file_system.add_security_group,
        Rule::OnlyOurs,
        "a mount target of others gets a group that the document does not ask for",
    );
}

/// No second access point on a directory that another one may use.
pub(super) fn directory_is_free(court: &mut Court, path: &str) {
    let owner = court.desired.identity.owner();
    let others = court.observed.other_access_points.present();
    let free = others.into_iter().flatten().all(|other| {
        other.path != path || other.state == LifeCycle::Deleting || other.tags.get(TAG_OWNER) == Some(&owner)
    });
    court.require(
        free,
        Rule::OneWriter,
        "another access point gives access to the directory",
    );
}

/// Whether the resource that was seen is one that the document takes.
pub(super) fn resource(court: &Court, resource: Resource) -> bool {
    match resource {
        Resource::FileSystem => any_file_system(court),
        Resource::AccessPoint => court
            .observed
            .access_point
            .present()
            .is_some_and(|found| Some(&found.id) == court.desired.access_point.taken.as_ref()),
        _ => false,
    }
}

/// On what is taken valkeep leaves its own marks, never the owner's tag and never the document's tags.
pub(super) fn only_marks(court: &mut Court, resource: Resource, set: &Tags) {
    let marks: &[&str] = match resource {
        Resource::AccessPoint => &[TAG_USED_BY, TAG_DATA_FILE, TAG_WRITTEN_BY, TAG_SNAPSHOTS_ENDED],
        _ => &[TAG_SETTINGS_BY],
    };
    court.require(
        set.keys().all(|key| marks.contains(&key.as_str())),
        Rule::OnlyOurs,
        "a tag on something of others that is not a mark",
    );
    let tags = match resource {
        Resource::AccessPoint => court.observed.access_point.present().map(|found| &found.tags),
        _ => court.observed.file_system.present().map(|found| &found.tags),
    };
    let key = if resource == Resource::AccessPoint {
        TAG_USED_BY
    } else {
        TAG_SETTINGS_BY
    };
    let free = tags.is_some_and(|tags| match (tags.get(key), tags.get(TAG_OWNER)) {
        (_, Some(owner)) if *owner != court.desired.identity.owner() => false,
        (Some(_), _) => is_marked(court, tags, key),
        // What says something about the data comes after the mark that the directory is ours to use.
        (None, _) => set.len() == 1 && set.contains_key(key),
    });
    court.require(free, Rule::OneWriter, "a mark on something that another service uses");
}

/// Whether a server may be given this access point: it is ours, or taken and marked as used by us.
pub(super) fn may_mount(court: &Court, point: &AccessPoint) -> bool {
    let named = court.desired.access_point.taken.as_ref();
    match point.tags.get(TAG_OWNER) {
        _ if named.is_some_and(|id| *id != point.id) => false,
        Some(owner) => *owner == court.desired.identity.owner(),
        None => named.is_some() && is_marked(court, &point.tags, TAG_USED_BY),
    }
}

fn is_marked(court: &Court, tags: &Tags, key: &str) -> bool {
    let owner = court.desired.identity.owner();
    tags.get(key)
        .is_some_and(|mark| mark.split_whitespace().next() == Some(owner.as_str()))
}
