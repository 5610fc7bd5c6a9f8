//! Looking at services and deleting them.

use super::deployments::Rollout;
use super::services::{Service, ServiceStatus};
use super::{cluster_name, invalid, last_part, page, set_some, wants_tags};
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{boolean, required, strings, text};
use serde_json::{Value, json};

/// Services in one look.
const DESCRIBE_MAX: usize = 10;

/// The service that a call names, by name or ARN.
pub(super) fn find<'a>(state: &'a State, input: &Value) -> Result<&'a Service, ApiError> {
    let cluster = cluster_name(state, input)?;
    let name = last_part(required(input, "service")?);
    let arn = state.arn("ecs", &format!("service/{cluster}/{name}"));
    state
        .ecs
        .services
        .get(&arn)
        .ok_or_else(|| ApiError::bad("ServiceNotFoundException", "Service not found."))
}

pub(super) fn describe(state: &State, input: &Value) -> Result<Value, ApiError> {
    let cluster = cluster_name(state, input)?;
    let wanted = strings(input, "services");
    if wanted.is_empty() {
        return Err(invalid("Services cannot be empty."));
    }
    if wanted.len() > DESCRIBE_MAX {
        return Err(invalid(format!("Services cannot be more than {DESCRIBE_MAX}.")));
    }
    let (mut services, mut failures) = (Vec::new(), Vec::new());
    for name in wanted.iter().map(|name| last_part(name)) {
        let arn = state.arn("ecs", &format!("service/{cluster}/{name}"));
        match state.ecs.services.get(&arn) {
            Some(service) => services.push(service.view(state, wants_tags(input))),
            None => failures.push(json!({ "arn": arn, "reason": "MISSING" })),
        }
    }
    Ok(json!({ "services": services, "failures": failures }))
}

pub(super) fn list(state: &State, input: &Value) -> Result<Value, ApiError> {
    let cluster = cluster_name(state, input)?;
    let launch_type = text(input, "launchType");
    let arns: Vec<&String> = state
        .ecs
        .services
        .values()
        .filter(|service| service.cluster == cluster && !matches!(service.status, ServiceStatus::Inactive(_)))
        .filter(|service| launch_type.is_none_or(|launch_type| service.launch_type == launch_type))
        .map(|service| &service.arn)
        .collect();
    let (page, next) = page(arns, input, 10)?;
    let mut answer = json!({ "serviceArns": page });
    set_some(&mut answer, "nextToken", next);
    Ok(answer)
}

pub(super) fn delete(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let mut service = find(state, input)?.clone();
    let forced = boolean(input, "force") == Some(true);
    match service.status {
        ServiceStatus::Active if !forced && service.desired > 0 => {
            return Err(invalid("The service cannot be stopped while it is scaled above 0."));
        }
        ServiceStatus::Active
            if !forced && service.deployments.len() > 1 && service.primary().rollout == Rollout::InProgress =>
        {
            return Err(invalid("The service cannot be stopped while deployments are active."));
        }
        ServiceStatus::Active => {
            service.status = ServiceStatus::Draining(state.in_seconds(state.config.delays.service_draining));
            service.desired = 0;
        }
        ServiceStatus::Draining(_) => {}
        ServiceStatus::Inactive(_) => {
            return Err(ApiError::bad("ServiceNotFoundException", "Service not found."));
        }
    }
    let view = service.view(state, true);
    state.ecs.touched.insert(service.arn.clone());
    state.ecs.services.insert(service.arn.clone(), service);
    Ok(json!({ "service": view }))
}
