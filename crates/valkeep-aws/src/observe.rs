//! Looks at everything one document means. Changes nothing, decides nothing.
//!
//! Independent chains run beside each other; within a chain each call waits for what it needs. A failed call leaves
//! doubt in its own facts only. A converged document costs 13 reads once its subnets, its groups and its revision are
//! known, and at most 14 where it takes a file system that exists.

pub(crate) mod access_points;
mod ec2;
mod ecs;
pub(crate) mod efs;
mod iam;
mod logs;
mod tasks;

pub(crate) use ec2::{find_security_group, forget_network};
pub(crate) use ecs::{Look, describe_definition, describe_service, family, scaling};
pub(crate) use logs::{arn as log_group_arn, find as find_log_group, tags as log_group_tags};
pub(crate) use tasks::tasks_left;

use crate::clients::Inner;
use crate::convert::fact;
use valkeep_core::observed::{AccessPoint, LifeCycle, SecurityGroup};
use valkeep_core::{Desired, Doubt, Fact, Observed};

/// Pages of any listing: 100 pages hold 1,000 mount targets (10 a page), far above every quota that is listed here.
pub(crate) const PAGES_MAX: usize = 100;

/// Fills in every part of [`Observed`] but Valkey's own.
pub(crate) async fn observe(aws: &Inner, desired: &Desired) -> Observed {
    let (subnets, named_groups, (storage, security_group, target_groups), roles, log_group, ecs) = tokio::join!(
        ec2::subnets(aws, desired),
        ec2::named_groups(aws, desired),
        storage_and_groups(aws, desired),
        iam::role(aws, desired),
        logs::log_group(aws, desired),
        ecs::service(aws, desired),
    );
    let (role, role_policy) = roles;
    let running = ecs.running.present();
    let mounted = |id: &str| {
        running.is_some_and(|found| match (&found.raw, &found.definition) {
            (Some(raw), _) => raw
                .volumes()
                .iter()
                .any(|volume| volume["efsVolumeConfiguration"]["authorizationConfig"]["accessPointId"] == id),
            (None, definition) => definition
                .as_ref()
                .and_then(|definition| definition.volume.as_ref())
                .is_some_and(|volume| volume.access_point.as_str() == id),
        })
    };
    let tasks = if ecs.service_was_deleted_by_its_owner(desired) {
        match places(desired, &storage) {
            Ok(places) => fact(tasks::tasks_of_cluster(aws, desired, &places).await.map(Some)),
            Err(doubt) => Fact::Unknown(doubt),
        }
    } else {
        ecs.tasks
    };
    let path = storage.access_point.present().map(|found| &found.path);
    let path = path.unwrap_or(&desired.access_point.path);
    let ours = storage.access_point.present().map(|found| &found.id);
    let matters = |other: &AccessPoint| {
        Some(&other.id) != ours
            && other.state != LifeCycle::Deleted
            && (desired.deletion.is_some() || other.path == *path || mounted(other.id.as_str()))
    };
    let mut other_access_points = storage.access_points;
    if let Some(others) = other_access_points.present_mut() {
        others.retain(matters);
    }
    Observed {
        subnets,
        named_groups,
        security_group,
        target_groups,
        other_access_points,
        file_system: storage.file_system,
        lifecycle: storage.lifecycle,
        backups: storage.backups,
        file_system_policy: storage.policy,
        mount_targets: storage.mount_targets,
        access_point: storage.access_point,
        role,
        role_policy,
        log_group,
        service: ecs.service,
        cluster: ecs.cluster,
        running_definition: ecs.running,
        family: ecs.family,
        base: ecs.base,
        scaling: ecs.scaling,
        tasks,
        ..Observed::nothing()
    }
}

/// Ids of what the document's deletion takes away, and of the directory that it names: whoever mounts one of them uses it.
fn places(desired: &Desired, storage: &efs::Storage) -> Result<Vec<String>, Doubt> {
    let identity = &desired.identity;
    let mut places = Vec::new();
    match &storage.file_system {
        Fact::Present(found) if identity.owns(&found.tags) => places.push(found.id.to_string()),
        Fact::Present(_) => {}
        // Everything on it went with it.
        Fact::Absent => return Ok(places),
        Fact::Unknown(doubt) => return Err(doubt.clone()),
    }
    match &storage.access_point {
        Fact::Present(point) => places.push(point.id.to_string()),
        Fact::Absent => {}
        Fact::Unknown(doubt) => return Err(doubt.clone()),
    }
    if let Some(doubt) = storage.access_points.doubt() {
        return Err(doubt.clone());
    }
    let others = storage.access_points.present().into_iter().flatten();
    places.extend(
        others
            .filter(|point| identity.owns(&point.tags))
            .map(|point| point.id.to_string()),
    );
    Ok(places)
}

/// Groups of others on mount targets are asked for by name together with ours, in one call, so they come after the mount
/// targets. Where valkeep makes the file system there are none, and nothing waits.
async fn storage_and_groups(
    aws: &Inner,
    desired: &Desired,
) -> (efs::Storage, Fact<SecurityGroup>, Fact<Vec<SecurityGroup>>) {
    if desired.takes_file_system() {
        let storage = efs::storage(aws, desired).await;
        let (ours, others) = ec2::security_groups(aws, desired, &storage.group_names).await;
        return (storage, ours, others);
    }
    let (storage, ours) = tokio::join!(efs::storage(aws, desired), ec2::security_group(aws, desired));
    (storage, ours, Fact::Absent)
}
