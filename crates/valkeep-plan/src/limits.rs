//! Holds a document that names what the operator does not permit. Such a document gets no step, and nothing is looked
//! at in its name.

use crate::draft::{Draft, Input, hold, list};
use valkeep_core::limits::NotPermitted;
use valkeep_core::{Desired, Hold, HoldKind, HoldReason, Resource};

/// Whether everything that the document names is within the operator's limits. Ask before looking: what a document may
/// not touch is not looked at in its name either.
pub fn is_permitted(desired: &Desired) -> bool {
    violations(desired).is_empty()
}

/// Holds the document once for each value outside of the limits; whether there is one. What a service that others made
/// has counts as if the document named it: valkeep would hand its roles over in its own name.
pub(crate) fn hold_outside(input: Input, draft: &mut Draft) -> bool {
    let mut holds = violations(input.desired);
    holds.extend(found_violations(input));
    let any = !holds.is_empty();
    for hold in holds {
        draft.hold(hold);
    }
    any
}

/// A value that the operator does not permit, as a hold. `field` says where it stands: in the document, or on what was
/// found.
fn not_permitted(resource: Resource, field: &str, refused: &NotPermitted) -> Hold {
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
    if let Some(role) = &desired.place.role {
        ask(Resource::Cluster, "spec.assumeRoleArn", limits.assumed_role(&role.arn));
    }
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
    if let Some(created) = desired.created() {
        if let Some(role) = &created.task.execution_role_arn {
            ask(
                Resource::TaskDefinition,
                "spec.service.create.executionRoleArn",
                limits.role(role),
            );
        }
        ask(
            Resource::TaskDefinition,
            "spec.service.create.image",
            limits.image(&created.task.image),
        );
    }
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

/// What is found on an adopted service: image, roles and groups.
fn found_violations(input: Input) -> Vec<Hold> {
    let (desired, observed) = (input.desired, input.observed);
    let limits = &desired.limits;
    let mut holds = Vec::new();
    let (Some(_), Some(service)) = (desired.adopted(), observed.service.present()) else {
        return holds;
    };
    let mut ask = |resource, field: String, answer: Result<(), NotPermitted>| {
        if let Err(refused) = answer {
            holds.push(not_permitted(resource, &field, &refused));
        }
    };
    for group in &service.settings.groups {
        ask(
            Resource::Service,
            format!("the service {}", desired.identity.service),
            limits.security_group(group),
        );
    }
    let running = observed.running_definition.present();
    let Some((arn, raw)) = running.and_then(|running| Some((&running.arn, running.raw.as_deref()?))) else {
        return holds;
    };
    let container = raw.container(&desired.server.container);
    if let Some(image) = container.and_then(|container| container["image"].as_str()) {
        ask(Resource::TaskDefinition, arn.clone(), limits.image(image));
    }
    for member in ["taskRoleArn", "executionRoleArn"] {
        if let Some(role) = raw.text(member) {
            ask(
                Resource::TaskDefinition,
                format!("{member} of {arn}"),
                limits.role(role),
            );
        }
    }
    holds
}
