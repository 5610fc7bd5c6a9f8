//! Tasks as they are shown.

use super::tasks::{Phase, StopCode, Task, TaskContainer};
use super::{clusters, set_some, tag_view};
use crate::clock::epoch_seconds;
use crate::state::State;
use crate::tasks::Health;
use crate::wire::text;
use serde_json::{Value, json};

/// The task as `DescribeTasks` shows it.
pub(super) fn view(state: &State, task: &Task, with_tags: bool) -> Value {
    let cluster = clusters::arn(state, &task.cluster);
    let containers: Vec<Value> = task
        .containers
        .iter()
        .map(|container| container_view(task, container))
        .collect();
    let mut view = json!({
        "taskArn": task.arn, "clusterArn": cluster, "taskDefinitionArn": task.definition, "group": task.group,
        "lastStatus": task.phase.as_str(), "desiredStatus": if task.wanted { "RUNNING" } else { "STOPPED" },
        "launchType": task.launch_type, "createdAt": epoch_seconds(task.created_at),
        "healthStatus": health(task.health), "enableExecuteCommand": task.exec,
        "attachments": attachments(task), "containers": containers, "overrides": overrides(task),
        "attributes": [], "inferenceAccelerators": [], "version": task.version, "tags": [],
    });
    if task.launch_type == "FARGATE" {
        set_some(&mut view, "platformVersion", Some("1.4.0"));
        set_some(&mut view, "platformFamily", Some("Linux"));
    }
    set_some(&mut view, "cpu", task.cpu.clone());
    set_some(&mut view, "memory", task.memory.clone());
    set_some(&mut view, "startedBy", task.started_by.clone());
    set_some(&mut view, "startedAt", task.started_at.map(epoch_seconds));
    set_some(&mut view, "stoppingAt", task.stopping_at.map(epoch_seconds));
    set_some(&mut view, "stoppedAt", task.stopped_at.map(epoch_seconds));
    set_some(&mut view, "executionStoppedAt", task.stopped_at.map(epoch_seconds));
    if task.interface.is_some() {
        set_some(&mut view, "connectivity", Some("CONNECTED"));
    }
    set_some(
        &mut view,
        "availabilityZone",
        task.interface.as_ref().map(|interface| interface.zone.clone()),
    );
    if let Some(cause) = &task.cause {
        set_some(&mut view, "stopCode", Some(cause.code.as_str()));
        set_some(&mut view, "stoppedReason", Some(cause.reason.clone()));
    }
    if with_tags {
        set_some(&mut view, "tags", Some(tag_view(&task.tags)));
    }
    view
}

fn overrides(task: &Task) -> Value {
    if task.overrides.is_object() {
        return task.overrides.clone();
    }
    let containers: Vec<Value> = task
        .containers
        .iter()
        .map(|container| json!({ "name": container.name }))
        .collect();
    json!({ "containerOverrides": containers, "inferenceAcceleratorOverrides": [] })
}

fn attachments(task: &Task) -> Value {
    if task.subnet.is_none() {
        return json!([]);
    }
    let status = match task.phase {
        Phase::Provisioning => "PRECREATED",
        Phase::Stopped => "DELETED",
        _ if task.interface.is_none() => "DELETED",
        _ => "ATTACHED",
    };
    let mut details = vec![json!({ "name": "subnetId", "value": task.subnet })];
    if let Some(interface) = &task.interface {
        let name = format!(
            "ip-{}.compute.internal",
            interface.address.to_string().replace('.', "-")
        );
        details.extend([
            json!({ "name": "networkInterfaceId", "value": interface.id }),
            json!({ "name": "macAddress", "value": interface.mac }),
            json!({ "name": "privateDnsName", "value": name }),
            json!({ "name": "privateIPv4Address", "value": interface.address.to_string() }),
        ]);
    }
    json!([{ "id": task.attachment, "type": "ElasticNetworkInterface", "status": status, "details": details }])
}

fn container_view(task: &Task, container: &TaskContainer) -> Value {
    let status = match task.phase {
        Phase::Provisioning | Phase::Pending | Phase::Activating => "PENDING",
        Phase::Running | Phase::Deactivating | Phase::Stopping if !container.is_over() => "RUNNING",
        _ => "STOPPED",
    };
    let interfaces: Vec<Value> = task
        .interface
        .iter()
        .map(
            |interface| json!({ "attachmentId": task.attachment, "privateIpv4Address": interface.address.to_string() }),
        )
        .collect();
    let cpu = container.definition.get("cpu").and_then(Value::as_i64).unwrap_or(0);
    let health = if container.check().is_some() {
        health(task.health)
    } else {
        "UNKNOWN"
    };
    let mut view = json!({
        "containerArn": container.arn, "taskArn": task.arn, "name": container.name,
        "image": text(&container.definition, "image"), "lastStatus": status,
        "networkBindings": [], "networkInterfaces": interfaces, "healthStatus": health, "cpu": cpu.to_string(),
    });
    set_some(&mut view, "exitCode", container.exit_code);
    // The reason of a failed start stands at the container too where it is the container's own.
    let own = task
        .cause
        .as_ref()
        .filter(|cause| cause.code == StopCode::TaskFailedToStart && cause.reason.starts_with("Cannot"));
    set_some(&mut view, "reason", own.map(|cause| cause.reason.clone()));
    view
}

fn health(health: Health) -> &'static str {
    match health {
        Health::Healthy => "HEALTHY",
        Health::Unhealthy => "UNHEALTHY",
        Health::Unknown | Health::Unavailable => "UNKNOWN",
    }
}
