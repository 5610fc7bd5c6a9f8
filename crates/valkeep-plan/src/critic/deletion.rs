//! What must hold before anything is deleted: asked for, ours, used by nobody, and no data without a backup or its waiver.

use super::{Court, Rule, adoption};
use valkeep_core::observed::{AccessPoint, LifeCycle, ObservedDefinition, Task};
use valkeep_core::{Fact, Step, Tags};

/// Examines a step that stops or deletes.
pub(super) fn examine_deletion(court: &mut Court, step: &Step) {
    let asked = court.desired.deletion.is_some();
    court.require(
        asked,
        Rule::AskedFor,
        "something goes that the document does not ask to delete",
    );
    if let Some(owner) = claimed_owner(step) {
        let ours = *owner == court.desired.identity.owner();
        court.require(ours, Rule::OnlyOurs, "what goes was seen with another owner's tag");
    }
    match step {
        Step::StopService { arn, from, .. } => {
            let found = our_service(court, arn);
            let as_seen = found.is_none_or(|found| found.desired == *from && *from > 0);
            court.require(
                as_seen,
                Rule::OneWriter,
                "the service is not at the desired count that it leaves",
            );
        }
        Step::DeleteService { arn, .. } => {
            let found = our_service(court, arn);
            let idle = found.is_none_or(|found| found.desired == 0 && found.running == 0 && found.pending == 0);
            let stopped = tasks_have_stopped(court);
            court.require(
                idle && stopped,
                Rule::NotInUse,
                "the service goes while a task of it may run",
            );
        }
        Step::DeleteAccessPoint { id, file_system, .. } => {
            let observed = court.observed;
            let others = observed.other_access_points.present().into_iter().flatten();
            let ours = observed
                .access_point
                .present()
                .into_iter()
                .chain(others)
                .any(|point| point.id == *id && point.file_system == *file_system && court.ours(&point.tags));
            court.require(ours, Rule::OnlyOurs, "an access point that is not ours");
            storage(court);
        }
        Step::DeleteMountTarget { id, file_system, .. } => {
            let listed = court
                .observed
                .mount_targets
                .present()
                .is_some_and(|targets| targets.iter().any(|target| target.id == *id));
            let ours = listed && is_our_file_system(court, file_system.as_str());
            court.require(ours, Rule::OnlyOurs, "a mount target that is not of our file system");
            storage(court);
            nobody_elses_access_point(court);
        }
        Step::DeleteFileSystem { id, .. } => {
            let ours = is_our_file_system(court, id.as_str());
            court.require(ours, Rule::OnlyOurs, "a file system that is not ours");
            let waived = court.desired.deletion.is_some_and(|asked| asked.without_backup);
            court.require(
                waived,
                Rule::DataKept,
                "the data goes without a backup and without a waiver",
            );
            let unmounted = match &court.observed.mount_targets {
                Fact::Present(targets) => targets.iter().all(|target| target.state == LifeCycle::Deleted),
                Fact::Absent => true,
                Fact::Unknown(_) => false,
            };
            court.require(
                unmounted,
                Rule::NotInUse,
                "the file system goes while it may have mount targets",
            );
            storage(court);
            nobody_elses_access_point(court);
        }
        Step::DeleteRolePolicy { role, policy, .. } => {
            let named = *role == court.desired.task_role.name && *policy == court.desired.names.role_policy;
            court.require(named, Rule::OnlyOurs, "a role or policy that is not this document's");
            no_service_of_ours(court);
        }
        Step::DeleteSecurityGroup { id, .. } => {
            super::our_group(court, id.as_str());
            no_service_of_ours(court);
        }
        Step::DeregisterTaskDefinition { arn, .. } => {
            let revisions: &[ObservedDefinition] = court.observed.family.present().map_or(&[], Vec::as_slice);
            let ours = revisions
                .iter()
                .any(|found| found.arn == *arn && court.ours(&found.tags));
            court.require(ours, Rule::OnlyOurs, "a revision that is not ours");
            let run = court
                .observed
                .service
                .present()
                .is_some_and(|found| court.desired.adopted().is_some() && found.task_definition == *arn);
            court.require(!run, Rule::NotInUse, "a revision goes that the service runs");
            no_service_of_ours(court);
        }
        _ => {}
    }
}

/// While a document asks for its deletion, nothing is made, started or put back.
pub(super) fn nothing_is_made(court: &mut Court, step: &Step) {
    let takes_away = matches!(
        step,
        Step::StopService { .. }
            | Step::DeleteService { .. }
            | Step::DeleteFileSystemPolicy { .. }
            | Step::DeleteAccessPoint { .. }
            | Step::DeleteMountTarget { .. }
            | Step::DeleteFileSystem { .. }
            | Step::DeleteRolePolicy { .. }
            | Step::DeleteSecurityGroup { .. }
            | Step::DeregisterTaskDefinition { .. }
            | Step::Tag { .. }
    );
    let converges = court.desired.deletion.is_none();
    court.require(
        converges || takes_away,
        Rule::AskedFor,
        "something is made or changed although the document asks for its deletion",
    );
}

/// The owner that a step says it has seen.
fn claimed_owner(step: &Step) -> Option<&String> {
    match step {
        Step::DeleteService { owner, .. }
        | Step::DeleteAccessPoint { owner, .. }
        | Step::DeleteMountTarget { owner, .. }
        | Step::DeleteFileSystem { owner, .. }
        | Step::DeleteSecurityGroup { owner, .. }
        | Step::DeregisterTaskDefinition { owner, .. } => Some(owner),
        _ => None,
    }
}

fn our_service<'a>(court: &mut Court<'a>, arn: &str) -> Option<&'a valkeep_core::observed::Service> {
    let found = court
        .observed
        .service
        .present()
        .filter(|found| found.arn == arn && court.ours(&found.tags) && court.desired.adopted().is_none());
    court.require(
        found.is_some(),
        Rule::OnlyOurs,
        "a service that is not ours, or that nobody has seen",
    );
    found
}

fn is_our_file_system(court: &Court, id: &str) -> bool {
    court
        .observed
        .file_system
        .present()
        .is_some_and(|found| found.id.as_str() == id && court.ours(&found.tags))
}

/// Storage goes only when the service is proved to be gone with all of its tasks, and never from under data that has
/// neither backup nor waiver.
fn storage(court: &mut Court) {
    let gone = court.observed.service.is_absent() && tasks_have_stopped(court) || adoption::runs_without_us(court);
    court.require(gone, Rule::NotInUse, "storage goes while a server may use it");
    let holds_data = match &court.observed.file_system {
        Fact::Present(found) => court.ours(&found.tags),
        Fact::Absent => false,
        Fact::Unknown(_) => true,
    };
    let waived = court.desired.deletion.is_some_and(|asked| asked.without_backup);
    court.require(
        waived || !holds_data,
        Rule::DataKept,
        "the way to the data goes without a backup and without a waiver",
    );
}

fn nobody_elses_access_point(court: &mut Court) {
    let is_in_the_way = |tags: &Tags, point: &AccessPoint| {
        !court.ours(tags) && !matches!(point.state, LifeCycle::Deleting | LifeCycle::Deleted)
    };
    let first = match &court.observed.access_point {
        Fact::Present(point) => is_in_the_way(&point.tags, point),
        Fact::Absent => false,
        Fact::Unknown(_) => true,
    };
    let others = match &court.observed.other_access_points {
        Fact::Present(points) => points.iter().any(|point| is_in_the_way(&point.tags, point)),
        Fact::Absent => false,
        Fact::Unknown(_) => true,
    };
    court.require(
        !first && !others,
        Rule::NotInUse,
        "storage goes that somebody else has an access point of, or nobody knows",
    );
}

fn tasks_have_stopped(court: &Court) -> bool {
    match &court.observed.tasks {
        Fact::Present(tasks) => tasks.iter().all(Task::is_stopped),
        Fact::Absent => true,
        Fact::Unknown(_) => false,
    }
}

/// What a server of ours needs goes after it.
fn no_service_of_ours(court: &mut Court) {
    let gone = match &court.observed.service {
        Fact::Absent => tasks_have_stopped(court),
        Fact::Present(_) if court.desired.adopted().is_some() => adoption::runs_without_us(court),
        Fact::Present(found) => !court.ours(&found.tags),
        Fact::Unknown(_) => false,
    };
    court.require(gone, Rule::NotInUse, "what a server needs goes before it");
}
