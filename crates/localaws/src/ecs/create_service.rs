//! `CreateService`.

use super::deployments::{Deployment, Target};
use super::services::{Service, ServiceStatus};
use super::{client, cluster_name, definitions, invalid, settings};
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{boolean, list, number, required, strings, tags, text};
use serde_json::{Value, json};
use std::collections::VecDeque;

const TOKEN_MAX: usize = 36;

pub(super) fn create(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let cluster = cluster_name(state, input)?;
    let name = required(input, "serviceName")?.to_owned();
    if name.len() > 255 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) {
        return Err(invalid(
            "Invalid service name. Only letters, numbers, hyphens and underscores are allowed.",
        ));
    }
    let token = text(input, "clientToken").map(str::to_owned);
    if token.as_ref().is_some_and(|token| token.len() > TOKEN_MAX) {
        return Err(invalid("idempotency token longer than 36."));
    }
    let arn = state.arn("ecs", &format!("service/{cluster}/{name}"));
    if let Some(found) = state.ecs.services.get(&arn) {
        match found.status {
            ServiceStatus::Active if token.is_some() && found.token == token && found.input == *input => {
                return Ok(json!({ "service": found.view(state, true) }));
            }
            ServiceStatus::Active => return Err(invalid("Creation of service was not idempotent.")),
            ServiceStatus::Draining(_) => return Err(invalid("Unable to Start a service that is still Draining.")),
            ServiceStatus::Inactive(_) => {}
        }
    }
    let (target, launch_type) = target(state, input)?;
    let configuration = settings::deployment_configuration(None, input.get("deploymentConfiguration"))?;
    let rebalancing = settings::new_rebalancing(text(input, "availabilityZoneRebalancing"), &configuration)?;
    let service = Service {
        arn: arn.clone(),
        name,
        cluster,
        status: ServiceStatus::Active,
        created_at: state.now,
        desired: desired_count(input)?.unwrap_or(0),
        launch_type,
        configuration,
        rebalancing,
        exec: boolean(input, "enableExecuteCommand").unwrap_or(false),
        propagate_tags: text(input, "propagateTags").unwrap_or("NONE").to_owned(),
        managed_tags: boolean(input, "enableECSManagedTags").unwrap_or(false),
        grace_s: number(input, "healthCheckGracePeriodSeconds").unwrap_or(0),
        tags: tags(input, "tags"),
        token,
        input: input.clone(),
        deployments: vec![Deployment::new(state, target)],
        events: VecDeque::new(),
        steady_said_at: None,
        last_completed: None,
    };
    // What an INACTIVE service of the same name left behind is no longer this service's; its tasks are over.
    state.ecs.of_service.remove(&arn);
    state.ecs.touched.insert(arn.clone());
    let view = service.view(state, true);
    state.ecs.services.insert(arn, service);
    Ok(json!({ "service": view }))
}

/// The desired count, if given.
pub(super) fn desired_count(input: &Value) -> Result<Option<usize>, ApiError> {
    let count = number(input, "desiredCount");
    count
        .map(|count| usize::try_from(count).map_err(|_| invalid("The desiredCount must not be negative.")))
        .transpose()
}

/// What the first deployment deploys, and where.
fn target(state: &State, input: &Value) -> Result<(Target, String), ApiError> {
    let definition = usable_definition(state, required(input, "taskDefinition")?)?;
    let by_strategy = !list(input, "capacityProviderStrategy").is_empty();
    let launch_type = match text(input, "launchType") {
        Some(_) if by_strategy => {
            return Err(invalid(
                "Specifying both a launch type and capacity provider strategy is not supported",
            ));
        }
        Some(launch_type) => launch_type,
        None if by_strategy => "FARGATE",
        None => "EC2",
    };
    if launch_type == "EC2" && text(input, "platformVersion").is_some() {
        return Err(invalid(
            "The platform version must be null when specifying an EC2 launch type",
        ));
    }
    let kinds: Vec<String> = definition
        .body
        .get("requiresCompatibilities")
        .map(|_| strings(&json!(definition.body), "requiresCompatibilities"))
        .unwrap_or_default();
    if launch_type == "FARGATE" && !kinds.iter().any(|kind| kind == "FARGATE") {
        return Err(invalid("Task definition does not support launch_type FARGATE."));
    }
    let target = Target {
        definition: definition.arn.clone(),
        network: settings::network(state, input.get("networkConfiguration"), definition.is_awsvpc())?,
        platform_version: text(input, "platformVersion").map(str::to_owned),
        registries: settings::registries(state, input)?,
    };
    Ok((target, launch_type.to_owned()))
}

/// The definition, if new tasks may use it.
pub(super) fn usable_definition<'a>(state: &'a State, name: &str) -> Result<&'a definitions::Definition, ApiError> {
    let definition = definitions::find(state, name).ok_or_else(|| client("TaskDefinition not found."))?;
    if definition.active {
        Ok(definition)
    } else {
        Err(client("TaskDefinition is inactive"))
    }
}
