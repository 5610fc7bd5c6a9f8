//! Holds a document that names what the operator does not permit. Such a document gets no step, and nothing is looked
//! at in its name.

use crate::draft::{Draft, hold, list};
use valkeep_core::limits::NotPermitted;
use valkeep_core::{Desired, Hold, HoldKind, HoldReason, Resource};

/// Whether everything that the document names is within the operator's limits. Ask before looking: what a document may
/// not touch is not looked at in its name either.
pub fn is_permitted(desired: &Desired) -> bool {
    violations(desired).is_empty()
}

/// Holds the document once for each value outside of the limits; whether there is one.
pub(crate) fn hold_outside(desired: &Desired, draft: &mut Draft) -> bool {
    let holds = violations(desired);
    let any = !holds.is_empty();
    for hold in holds {
        draft.hold(hold);
    }
    any
}

/// A value that the operator does not permit, as a hold. `field` says where it stands: in the document, or on what was
/// found.
pub(crate) fn not_permitted(resource: Resource, field: &str, refused: &NotPermitted) -> Hold {
    let NotPermitted { kind, value, allowed } = refused;
    let permitted = if allowed.is_empty() {
        "permits none".to_owned()
    } else {
        format!("permits {}", list(allowed))
    };
    let mut held = hold(
        resource,
        HoldKind::Stalled,
        HoldReason::NotPermitted,
        format!("{field}: this valkeep may not touch the {kind} {value}; its operator {permitted}"),
    );
    held.hint = Some(format!(
        "ask the operator of this valkeep to permit it ({}, or limits.{} in the settings), or name another",
        kind.flag(),
        kind.setting()
    ));
    held
}

fn violations(desired: &Desired) -> Vec<Hold> {
    let limits = &desired.limits;
    let mut holds = Vec::new();
    let mut ask = |resource, field: &str, answer: Result<(), NotPermitted>| {
        if let Err(refused) = answer {
            holds.push(not_permitted(resource, field, &refused));
        }
    };
    ask(
        Resource::Cluster,
        "spec.region",
        limits.region(&desired.identity.region),
    );
    ask(
        Resource::Cluster,
        "spec.cluster",
        limits.cluster(&desired.identity.cluster),
    );
    ask(
        Resource::Role,
        "spec.taskRole.name",
        limits.role(&desired.task_role.name),
    );
    if let Some(role) = &desired.task.execution_role_arn {
        ask(
            Resource::TaskDefinition,
            "spec.service.create.executionRoleArn",
            limits.role(role),
        );
    }
    ask(
        Resource::TaskDefinition,
        "spec.service.create.image",
        limits.image(&desired.task.image),
    );
    for (field, groups) in [
        ("spec.network.taskSecurityGroupIds", &desired.network.task_groups),
        (
            "spec.network.maintenanceSecurityGroupIds",
            &desired.network.maintenance_groups,
        ),
    ] {
        for (index, group) in groups.iter().enumerate() {
            ask(
                Resource::Network,
                &format!("{field}[{index}]"),
                limits.security_group(group),
            );
        }
    }
    holds
}
