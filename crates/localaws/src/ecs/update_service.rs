//! `UpdateService`: what is absent stays; some members start a deployment, some do not.

use super::create_service::{desired_count, usable_definition};
use super::deployments::Target;
use super::service_calls::find;
use super::services::ServiceStatus;
use super::{definitions, settings};
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{boolean, number, text};
use serde_json::{Value, json};

pub(super) fn update(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let mut service = find(state, input)?.clone();
    if service.status != ServiceStatus::Active {
        return Err(ApiError::bad("ServiceNotActiveException", "Service was not ACTIVE."));
    }
    let configuration =
        settings::deployment_configuration(Some(&service.configuration), input.get("deploymentConfiguration"))?;
    let rebalancing = text(input, "availabilityZoneRebalancing");
    service.rebalancing = settings::updated_rebalancing(&service.rebalancing, rebalancing, &configuration)?;
    service.configuration = configuration;
    let old = service.primary().target.clone();
    let definition = match text(input, "taskDefinition") {
        Some(name) => usable_definition(state, name)?.arn.clone(),
        None => old.definition.clone(),
    };
    let awsvpc = definitions::find(state, &definition).is_some_and(definitions::Definition::is_awsvpc);
    let given = |member: &str| input.get(member).filter(|value| !value.is_null());
    let target = Target {
        network: match given("networkConfiguration") {
            Some(network) => settings::network(state, Some(network), awsvpc)?,
            None => old.network.clone(),
        },
        platform_version: text(input, "platformVersion")
            .map(str::to_owned)
            .or_else(|| old.platform_version.clone()),
        registries: match given("serviceRegistries") {
            Some(_) => settings::registries(state, input)?,
            None => old.registries.clone(),
        },
        definition,
    };
    if let Some(desired) = desired_count(input)? {
        service.desired = desired;
    }
    service.exec = boolean(input, "enableExecuteCommand").unwrap_or(service.exec);
    service.managed_tags = boolean(input, "enableECSManagedTags").unwrap_or(service.managed_tags);
    service.grace_s = number(input, "healthCheckGracePeriodSeconds").unwrap_or(service.grace_s);
    if let Some(propagate) = text(input, "propagateTags") {
        propagate.clone_into(&mut service.propagate_tags);
    }
    if target != old || boolean(input, "forceNewDeployment") == Some(true) {
        service.deploy(state, target);
    }
    let view = service.view(state, true);
    state.ecs.touched.insert(service.arn.clone());
    state.ecs.services.insert(service.arn.clone(), service);
    Ok(json!({ "service": view }))
}
