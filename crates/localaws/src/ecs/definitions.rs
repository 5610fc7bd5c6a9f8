//! Task definitions: what is registered, what AWS fills in, and reading them for a launch.

use crate::config::Program;
use crate::state::State;
use crate::wire::{list, number, strings, text};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A registered revision.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    pub(super) arn: String,
    pub(super) family: String,
    pub(super) active: bool,
    pub(super) registered_at: Timestamp,
    pub(super) deregistered_at: Option<Timestamp>,
    /// As it reads back, without what changes.
    pub(super) body: Map<String, Value>,
    pub(super) tags: BTreeMap<String, String>,
}

impl Definition {
    /// A member of the task definition.
    pub(super) fn text(&self, member: &str) -> Option<&str> {
        self.body
            .get(member)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    }

    pub(super) fn is_awsvpc(&self) -> bool {
        self.text("networkMode") == Some("awsvpc")
    }

    pub(super) fn containers(&self) -> &[Value] {
        self.body
            .get("containerDefinitions")
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    pub(super) fn volumes(&self) -> &[Value] {
        self.body
            .get("volumes")
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    pub(super) fn roles(&self) -> impl Iterator<Item = &str> {
        ["executionRoleArn", "taskRoleArn"]
            .into_iter()
            .filter_map(|member| self.text(member))
    }
}

/// The revision that a name means: an ARN, `family:revision`, or a family for its newest ACTIVE one.
pub(super) fn find<'a>(state: &'a State, name: &str) -> Option<&'a Definition> {
    let (family, revision) = match last_part_of(name).split_once(':') {
        Some((family, revision)) => (family, Some(revision.parse::<usize>().ok()?)),
        None => (last_part_of(name), None),
    };
    let revisions = state.ecs.definitions.get(family)?;
    match revision {
        Some(revision) => revisions.get(revision.checked_sub(1)?),
        None => revisions.iter().rfind(|definition| definition.active),
    }
}

fn last_part_of(name: &str) -> &str {
    if name.starts_with("arn:") {
        super::last_part(name)
    } else {
        name
    }
}

/// Fills in what AWS fills in, and shuffles what AWS does not keep in order.
pub(super) fn fill(body: &mut Map<String, Value>, rng: &mut fastrand::Rng) {
    default(body, "placementConstraints", json!([]));
    default(body, "volumes", json!([]));
    default(body, "enableFaultInjection", json!(false));
    default(body, "compatibilities", json!(["EC2", "FARGATE"]));
    let awsvpc = body.get("networkMode").and_then(Value::as_str) == Some("awsvpc");
    for container in objects(body, "containerDefinitions") {
        fill_container(container, awsvpc, rng);
    }
    for volume in objects(body, "volumes") {
        if let Some(Value::Object(efs)) = volume.get_mut("efsVolumeConfiguration") {
            default(efs, "rootDirectory", json!("/"));
            let authorization = efs.entry("authorizationConfig").or_insert_with(|| json!({}));
            if let Value::Object(authorization) = authorization {
                default(authorization, "iam", json!("DISABLED"));
            }
        }
    }
}

fn fill_container(container: &mut Map<String, Value>, awsvpc: bool, rng: &mut fastrand::Rng) {
    default(container, "cpu", json!(0));
    default(container, "essential", json!(true));
    for member in [
        "portMappings",
        "environment",
        "environmentFiles",
        "mountPoints",
        "volumesFrom",
        "ulimits",
        "systemControls",
    ] {
        default(container, member, json!([]));
    }
    for port in objects(container, "portMappings") {
        default(port, "protocol", json!("tcp"));
        let host = if awsvpc {
            port.get("containerPort").cloned().unwrap_or(json!(0))
        } else {
            json!(0)
        };
        default(port, "hostPort", host);
    }
    for mount in objects(container, "mountPoints") {
        default(mount, "readOnly", json!(false));
    }
    if let Some(Value::Object(log)) = container.get_mut("logConfiguration") {
        default(log, "secretOptions", json!([]));
    }
    if let Some(Value::Object(check)) = container.get_mut("healthCheck") {
        default(check, "interval", json!(30));
        default(check, "timeout", json!(5));
        default(check, "retries", json!(3));
    }
    for member in ["environment", "secrets", "portMappings", "volumesFrom", "links"] {
        if let Some(Value::Array(values)) = container.get_mut(member) {
            rng.shuffle(values);
        }
    }
}

fn default(members: &mut Map<String, Value>, name: &str, value: Value) {
    let member = members.entry(name).or_insert(Value::Null);
    if member.is_null() {
        *member = value;
    }
}

fn objects<'a>(members: &'a mut Map<String, Value>, name: &str) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    members
        .get_mut(name)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
}

/// What the container agent must be able to do for this definition; a few of the real list, for those who look.
pub(super) fn required_attributes(body: &Map<String, Value>) -> Value {
    let mut names = vec!["com.amazonaws.ecs.capability.docker-remote-api.1.18"];
    let text = |member: &str| body.get(member).and_then(Value::as_str);
    if text("networkMode") == Some("awsvpc") {
        names.push("ecs.capability.task-eni");
    }
    if text("taskRoleArn").is_some() {
        names.push("com.amazonaws.ecs.capability.task-iam-role");
    }
    if text("executionRoleArn").is_some() {
        names.push("ecs.capability.execution-role-awslogs");
    }
    let has_efs = body.get("volumes").and_then(Value::as_array).is_some_and(|volumes| {
        volumes
            .iter()
            .any(|volume| volume.get("efsVolumeConfiguration").is_some())
    });
    if has_efs {
        names.extend(["ecs.capability.efs", "ecs.capability.efsAuth"]);
    }
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

/// The container's stop timeout in seconds.
pub(super) fn stop_timeout_s(container: &Value) -> i64 {
    number(container, "stopTimeout").unwrap_or(30)
}

/// The log group and the stream of a task's container; none without the awslogs driver.
pub(super) fn log_stream(container: &Value, task_id: &str) -> Option<(String, String)> {
    let log = container.get("logConfiguration")?;
    let options = log.get("options")?;
    let group = text(options, "awslogs-group").filter(|_| text(log, "logDriver") == Some("awslogs"))?;
    let name = text(container, "name").unwrap_or_default();
    let stream = match text(options, "awslogs-stream-prefix") {
        Some(prefix) => format!("{prefix}/{name}/{task_id}"),
        None => format!("{name}/{task_id}"),
    };
    Some((group.to_owned(), stream))
}

/// Entry point and command of a container whose image holds one program.
pub(super) fn words_of(program: &Program, container: &Value) -> Vec<String> {
    let entry = strings(container, "entryPoint");
    let entry = if entry.is_empty() {
        vec![program.path.clone()]
    } else {
        entry
    };
    entry.into_iter().chain(strings(container, "command")).collect()
}

/// Entry point and command as the image would run them: the official Valkey image's entry point puts the server
/// before arguments that begin with a hyphen, and its command is the server.
pub(super) fn words(container: &Value) -> Vec<String> {
    let strings = |member| {
        list(container, member)
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
    };
    let entry: Vec<String> = strings("entryPoint").collect();
    let mut words: Vec<String> = entry.iter().cloned().chain(strings("command")).collect();
    if entry.is_empty() && words.first().is_none_or(|first| first.starts_with('-')) {
        words.insert(0, "valkey-server".to_owned());
    }
    words
}
