//! Plans the task role's inline policy. The role itself is the user's.

use crate::draft::{Draft, Input};
use crate::policy;
use crate::service;
use valkeep_core::observed::AccessPoint;
use valkeep_core::{Fact, HoldReason, Resource, Step};

/// Says whether the task role is there.
pub(crate) fn role(input: Input, draft: &mut Draft) {
    let name = &input.desired.task_role.name;
    match &input.observed.role {
        Fact::Present(_) => {}
        Fact::Absent => draft.stalled(
            Resource::Role,
            HoldReason::NotFound,
            format!("the task role {name} is not there"),
            "make the role with a trust policy for ecs-tasks.amazonaws.com, or correct spec.taskRole.name; valkeep makes no roles",
        ),
        Fact::Unknown(doubt) => draft.doubt(Resource::Role, &format!("the task role {name}"), doubt),
    }
}

/// Plans the inline policy.
pub(crate) fn policy(input: Input, draft: &mut Draft) {
    let desired = input.desired;
    let (role, policy_name) = (&desired.task_role.name, &desired.names.role_policy);
    if input.observed.role.present().is_none() {
        return draft.waiting(
            Resource::RolePolicy,
            HoldReason::Dependency,
            format!("the policy {policy_name} waits for the role {role}"),
        );
    }
    let from = match &input.observed.role_policy {
        Fact::Present(found) => Some(found.clone()),
        Fact::Absent => None,
        Fact::Unknown(doubt) => {
            return draft.doubt(
                Resource::RolePolicy,
                &format!("the policy {policy_name} of {role}"),
                doubt,
            );
        }
    };
    // It names both by ARN, so it can only be written when both are there; an access point that is still being made
    // has its ARN already.
    let file_system = input.file_system();
    let on_it = |found: &&AccessPoint| file_system.is_some_and(|file_system| file_system.id == found.file_system);
    let (Some(file_system), Some(access_point)) = (file_system, input.access_point().filter(on_it)) else {
        return draft.waiting(
            Resource::RolePolicy,
            HoldReason::Dependency,
            format!("the policy {policy_name} waits for the access point"),
        );
    };
    let arns = (file_system.arn.as_str(), access_point.arn.as_str());
    let to = match input.mounts_before(access_point) {
        // A task that ECS starts anew meanwhile must be able to mount.
        Some((file_system, access_point)) => {
            policy::role_policy_while_moving(desired, arns, (&file_system, &access_point))
        }
        None => policy::role_policy(desired, arns.0, arns.1),
    };
    if from.as_ref().is_some_and(|from| policy::covers(from, &to)) && !service::is_at_rest(input) {
        return; // What it allows too much may be what a task that is ending still needs.
    }
    if !from.as_ref().is_some_and(|from| policy::same(from, &to)) {
        draft.step(Step::PutRolePolicy {
            role: role.clone(),
            policy: policy_name.clone(),
            from,
            to,
        });
    }
}
