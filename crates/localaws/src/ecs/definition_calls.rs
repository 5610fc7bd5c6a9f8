//! The operations on task definitions.

use super::definitions::{self, Definition};
use super::{client, cpu_memory, page, set_some, tag_view, wants_tags};
use crate::clock::epoch_seconds;
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{list as list_of, number, required, strings, tags, text};
use serde_json::{Map, Value, json};

/// Longest stop timeout on Fargate, in seconds.
const STOP_TIMEOUT_MAX: i64 = 120;

pub(super) fn register(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let family = text(input, "family")
        .ok_or_else(|| client("Family should not be null or empty."))?
        .to_owned();
    if family.len() > 255 || !family.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) {
        return Err(client(
            "Family contains invalid characters. Only letters, numbers, hyphens and underscores are allowed.",
        ));
    }
    let Value::Object(mut body) = input.clone() else {
        return Err(client("Family should not be null or empty."));
    };
    body.remove("tags");
    validate(input)?;
    normalise(&mut body, "cpu", cpu_memory::cpu_units);
    normalise(&mut body, "memory", cpu_memory::memory_mib);
    definitions::fill(&mut body, &mut state.rng);
    let attributes = definitions::required_attributes(&body);
    body.insert("requiresAttributes".to_owned(), attributes);
    let revision = state.ecs.definitions.get(&family).map_or(0, Vec::len) + 1;
    let arn = state.arn("ecs", &format!("task-definition/{family}:{revision}"));
    body.insert("taskDefinitionArn".to_owned(), json!(arn));
    body.insert("revision".to_owned(), json!(revision));
    body.insert(
        "registeredBy".to_owned(),
        json!(format!("arn:aws:iam::{}:root", state.config.account)),
    );
    let definition = Definition {
        arn,
        family: family.clone(),
        active: true,
        registered_at: state.now,
        deregistered_at: None,
        body,
        tags: tags(input, "tags"),
    };
    let answer = json!({ "taskDefinition": view(&definition), "tags": tag_view(&definition.tags) });
    state.ecs.definitions.entry(family).or_default().push(definition);
    Ok(answer)
}

fn normalise(body: &mut Map<String, Value>, member: &str, read: fn(&str) -> Option<u32>) {
    if let Some(amount) = body.get(member).and_then(Value::as_str).and_then(read) {
        body.insert(member.to_owned(), json!(amount.to_string()));
    }
}

fn validate(input: &Value) -> Result<(), ApiError> {
    let containers = list_of(input, "containerDefinitions");
    if containers.is_empty() {
        return Err(client("Container list cannot be empty."));
    }
    let fargate = strings(input, "requiresCompatibilities")
        .iter()
        .any(|kind| kind == "FARGATE");
    let awsvpc = text(input, "networkMode") == Some("awsvpc");
    if fargate {
        validate_fargate(input, awsvpc)?;
    }
    let volumes = list_of(input, "volumes");
    for container in containers {
        let name = text(container, "name").ok_or_else(|| client("Container.name should not be null or empty."))?;
        text(container, "image").ok_or_else(|| client("Container.image should not be null or empty."))?;
        for mount in list_of(container, "mountPoints") {
            let source = text(mount, "sourceVolume").unwrap_or_default();
            if !volumes.iter().any(|volume| text(volume, "name") == Some(source)) {
                return Err(client(format!("Unknown volume '{source}'.")));
            }
        }
        for port in list_of(container, "portMappings") {
            let host = number(port, "hostPort").filter(|host| *host != 0);
            if awsvpc && host.is_some() && host != number(port, "containerPort") {
                return Err(client(
                    "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
                ));
            }
        }
        let has_memory = ["memory", "memoryReservation"]
            .iter()
            .any(|member| number(container, member).is_some());
        if text(input, "memory").is_none() && !has_memory {
            return Err(client(format!(
                "Invalid setting for container '{name}'. At least one of 'memory' or 'memoryReservation' must be specified."
            )));
        }
        if fargate && definitions::stop_timeout_s(container) > STOP_TIMEOUT_MAX {
            return Err(client(format!(
                "Invalid setting for container '{name}'. The stopTimeout must be at most {STOP_TIMEOUT_MAX} seconds on Fargate."
            )));
        }
    }
    volumes
        .iter()
        .filter_map(|volume| volume.get("efsVolumeConfiguration"))
        .try_for_each(validate_efs)
}

fn validate_fargate(input: &Value, awsvpc: bool) -> Result<(), ApiError> {
    if !awsvpc {
        return Err(client("Fargate only supports network mode 'awsvpc'."));
    }
    let given = |member: &str| {
        text(input, member).ok_or_else(|| {
            client(format!(
                "Fargate requires that '{member}' be defined at the task level."
            ))
        })
    };
    let (cpu, memory) = (given("cpu")?, given("memory")?);
    let exists = match (cpu_memory::cpu_units(cpu), cpu_memory::memory_mib(memory)) {
        (Some(cpu), Some(memory)) => cpu_memory::exists_on_fargate(cpu, memory),
        _ => false,
    };
    if !exists {
        return Err(client(format!(
            "No Fargate configuration exists for given values: {cpu} CPU, {memory} memory. See the Amazon ECS documentation for the valid values."
        )));
    }
    let logs = list_of(input, "containerDefinitions")
        .iter()
        .filter_map(|container| container.get("logConfiguration"));
    let mut drivers = logs.filter_map(|log| text(log, "logDriver"));
    if text(input, "executionRoleArn").is_none() && drivers.any(|driver| driver == "awslogs") {
        return Err(client(
            "Fargate requires task definition to have execution role ARN to support log driver awslogs.",
        ));
    }
    Ok(())
}

fn validate_efs(efs: &Value) -> Result<(), ApiError> {
    if text(efs, "fileSystemId").is_none() {
        return Err(client("EFS volume must have a file system id."));
    }
    let encrypted = text(efs, "transitEncryption") == Some("ENABLED");
    let authorization = efs.get("authorizationConfig").unwrap_or(&Value::Null);
    if text(authorization, "accessPointId").is_some() {
        if text(efs, "rootDirectory").is_some_and(|root| root != "/") {
            return Err(client(
                "When using an EFS access point, the root directory must either be set to \"/\" or be omitted",
            ));
        }
        if !encrypted {
            return Err(client(
                "EFS access point authorization requires TransitEncryption to be enabled",
            ));
        }
    }
    if text(authorization, "iam") == Some("ENABLED") && !encrypted {
        return Err(client("EFS IAM authorization requires TransitEncryption to be enabled"));
    }
    if number(efs, "transitEncryptionPort").is_some() && !encrypted {
        return Err(client(
            "TransitEncryptionPort requires that TransitEncryption is enabled",
        ));
    }
    Ok(())
}

pub(super) fn describe(state: &State, input: &Value) -> Result<Value, ApiError> {
    let found = definitions::find(state, required(input, "taskDefinition")?);
    let definition = found.ok_or_else(|| client("Unable to describe task definition."))?;
    let mut answer = json!({ "taskDefinition": view(definition) });
    set_some(
        &mut answer,
        "tags",
        wants_tags(input).then(|| tag_view(&definition.tags)),
    );
    Ok(answer)
}

pub(super) fn list(state: &State, input: &Value) -> Result<Value, ApiError> {
    let active = text(input, "status").unwrap_or("ACTIVE") == "ACTIVE";
    // The whole family name in spite of the member's name.
    let family = text(input, "familyPrefix");
    let mut arns: Vec<&String> = state
        .ecs
        .definitions
        .values()
        .flatten()
        .filter(|definition| definition.active == active && family.is_none_or(|family| definition.family == family))
        .map(|definition| &definition.arn)
        .collect();
    if text(input, "sort") == Some("DESC") {
        arns.reverse();
    }
    let (page, next) = page(arns, input, 100)?;
    let mut answer = json!({ "taskDefinitionArns": page });
    set_some(&mut answer, "nextToken", next);
    Ok(answer)
}

pub(super) fn deregister(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let name = required(input, "taskDefinition")?;
    if !super::last_part(name).contains(':') {
        return Err(client("Deregistering a task definition requires its revision."));
    }
    let missing = || client("The specified task definition does not exist.");
    let arn = definitions::find(state, name).ok_or_else(missing)?.arn.clone();
    let now = state.now;
    let definition = state
        .ecs
        .definitions
        .values_mut()
        .flatten()
        .find(|found| found.arn == arn)
        .ok_or_else(missing)?;
    if !definition.active {
        return Err(client(
            "The specified task definition is inactive. You may only deregister active task definitions.",
        ));
    }
    (definition.active, definition.deregistered_at) = (false, Some(now));
    Ok(json!({ "taskDefinition": view(definition) }))
}

fn view(definition: &Definition) -> Value {
    let mut view = Value::Object(definition.body.clone());
    set_some(
        &mut view,
        "status",
        Some(if definition.active { "ACTIVE" } else { "INACTIVE" }),
    );
    set_some(&mut view, "registeredAt", Some(epoch_seconds(definition.registered_at)));
    set_some(
        &mut view,
        "deregisteredAt",
        definition.deregistered_at.map(epoch_seconds),
    );
    view
}
