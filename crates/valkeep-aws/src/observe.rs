//! Looks at everything one document means. Changes nothing, decides nothing.
//!
//! Independent chains run beside each other; within a chain each call waits for what it needs. A failed call leaves
//! doubt in its own facts only. A converged document costs 13 reads once its subnets and its revision are known.

mod ec2;
mod ecs;
pub(crate) mod efs;
mod iam;
mod logs;

pub(crate) use ec2::{find_security_group, forget_subnets};
pub(crate) use ecs::{Look, describe_service, family, tasks_left};
pub(crate) use logs::{arn as log_group_arn, find as find_log_group, tags as log_group_tags};

use crate::clients::Inner;
use valkeep_core::{Desired, Observed};

/// Pages of any listing: 100 pages hold 1,000 mount targets (10 a page), far above every quota that is listed here.
pub(crate) const PAGES_MAX: usize = 100;

/// Fills in every part of [`Observed`] but Valkey's own.
pub(crate) async fn observe(aws: &Inner, desired: &Desired) -> Observed {
    let (subnets, security_group, storage, roles, log_group, ecs) = tokio::join!(
        ec2::subnets(aws, desired),
        ec2::security_group(aws, desired),
        efs::storage(aws, desired),
        iam::role(aws, desired),
        logs::log_group(aws, desired),
        ecs::service(aws, desired),
    );
    let (role, role_policy) = roles;
    Observed {
        subnets,
        security_group,
        file_system: storage.file_system,
        lifecycle: storage.lifecycle,
        backups: storage.backups,
        file_system_policy: storage.policy,
        mount_targets: storage.mount_targets,
        access_point: storage.access_point,
        other_access_points: storage.other_access_points,
        role,
        role_policy,
        log_group,
        service: ecs.service,
        cluster: ecs.cluster,
        running_definition: ecs.running,
        family: ecs.family,
        base: ecs.base,
        scaling: ecs.scaling,
        tasks: ecs.tasks,
        ..Observed::nothing()
    }
}
