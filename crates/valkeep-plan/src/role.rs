//! Plans the task role's inline policy. The role itself is the user's.

use crate::draft::{Draft, Input};
use crate::policy;
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
    let (Some(file_system), Some(access_point)) = (input.file_system(), input.access_point()) else {
        return draft.waiting(
            Resource::RolePolicy,
            HoldReason::Dependency,
            format!("the policy {policy_name} waits for the access point"),
        );
    };
    let to = policy::role_policy(desired, &file_system.arn, &access_point.arn);
    if !from.as_ref().is_some_and(|from| policy::same(from, &to)) {
        draft.step(Step::PutRolePolicy {
            role: role.clone(),
            policy: policy_name.clone(),
            from,
            to,
        });
    }
}
