//! The operations on tasks.

use super::launch::{self, Launch};
use super::lifecycle;
use super::tasks::{Cause, StopCode};
use super::{cluster_name, create_service, invalid, last_part, page, set_some, settings, task_view, wants_tags};
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{boolean, number, required, strings, tags, text};
use serde_json::{Value, json};

/// Tasks in one look.
const DESCRIBE_MAX: usize = 100;
/// Tasks in one `RunTask`.
const RUN_MAX: i64 = 10;

pub(super) fn list(state: &State, input: &Value) -> Result<Value, ApiError> {
    let cluster = cluster_name(state, input)?;
    let service = match text(input, "serviceName") {
        None => None,
        Some(name) => {
            let arn = state.arn("ecs", &format!("service/{cluster}/{}", last_part(name)));
            let known = state.ecs.services.contains_key(&arn);
            if !known {
                return Err(ApiError::bad("ServiceNotFoundException", "Service not found."));
            }
            Some(arn)
        }
    };
    let wanted = text(input, "desiredStatus").unwrap_or("RUNNING") != "STOPPED";
    let (family, started_by) = (text(input, "family"), text(input, "startedBy"));
    let arns: Vec<&String> = state
        .ecs
        .tasks
        .values()
        .filter(|task| task.cluster == cluster && task.wanted == wanted)
        .filter(|task| service.is_none() || task.service == service)
        .filter(|task| family.is_none_or(|family| task.family == family))
        .filter(|task| started_by.is_none_or(|by| task.is_of(by)))
        .map(|task| &task.arn)
        .collect();
    let (page, next) = page(arns, input, 100)?;
    let mut answer = json!({ "taskArns": page });
    set_some(&mut answer, "nextToken", next);
    Ok(answer)
}

pub(super) fn describe(state: &State, input: &Value) -> Result<Value, ApiError> {
    let cluster = cluster_name(state, input)?;
    let wanted = strings(input, "tasks");
    if wanted.is_empty() {
        return Err(invalid("Tasks cannot be empty."));
    }
    if wanted.len() > DESCRIBE_MAX {
        return Err(invalid(format!("Tasks cannot be more than {DESCRIBE_MAX}.")));
    }
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for id in wanted.iter().map(|name| last_part(name)) {
        let arn = state.arn("ecs", &format!("task/{cluster}/{id}"));
        match state.ecs.tasks.get(&arn) {
            Some(task) => tasks.push(task_view::view(state, task, wants_tags(input))),
            None => failures.push(json!({ "arn": arn, "reason": "MISSING" })),
        }
    }
    Ok(json!({ "tasks": tasks, "failures": failures }))
}

pub(super) fn stop(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let cluster = cluster_name(state, input)?;
    let arn = state.arn(
        "ecs",
        &format!("task/{cluster}/{}", last_part(required(input, "task")?)),
    );
    let missing = || invalid("The referenced task was not found.");
    let mut task = state.ecs.tasks.remove(&arn).ok_or_else(missing)?;
    let reason = text(input, "reason").unwrap_or("Task stopped by user").to_owned();
    lifecycle::stop(
        state,
        &mut task,
        Cause {
            code: StopCode::UserInitiated,
            reason,
        },
    );
    let view = task_view::view(state, &task, true);
    state.ecs.touched.extend(task.service.clone());
    state.ecs.tasks.insert(arn, task);
    Ok(json!({ "task": view }))
}

pub(super) fn run(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let cluster = cluster_name(state, input)?;
    let definition = create_service::usable_definition(state, required(input, "taskDefinition")?)?;
    let (arn, family, awsvpc) = (
        definition.arn.clone(),
        definition.family.clone(),
        definition.is_awsvpc(),
    );
    let roles: Vec<String> = definition.roles().map(str::to_owned).collect();
    if let Some(role) = roles.iter().find(|role| !launch::is_assumable(state, role)) {
        return Err(super::client(launch::cannot_assume(role)));
    }
    let network = settings::network(state, input.get("networkConfiguration"), awsvpc)?;
    let count = number(input, "count").unwrap_or(1);
    if !(1..=RUN_MAX).contains(&count) {
        return Err(invalid(format!("Count must be between 1 and {RUN_MAX}.")));
    }
    let mut tasks = Vec::new();
    for _ in 0..count {
        let launched = Launch {
            cluster: &cluster,
            definition: &arn,
            network: network.as_ref(),
            service: None,
            started_by: text(input, "startedBy").map(str::to_owned),
            group: text(input, "group").map_or_else(|| format!("family:{family}"), str::to_owned),
            on: text(input, "launchType").unwrap_or("EC2").to_owned(),
            exec: boolean(input, "enableExecuteCommand").unwrap_or(false),
            registry: None,
            overrides: input.get("overrides").cloned().unwrap_or(Value::Null),
            tags: tags(input, "tags"),
        };
        let arn = launch::launch(state, launched);
        tasks.extend(state.ecs.tasks.get(&arn).map(|task| task_view::view(state, task, true)));
    }
    Ok(json!({ "tasks": tasks, "failures": [] }))
}
