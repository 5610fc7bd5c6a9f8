//! Clusters.

use super::services::ServiceStatus;
use super::{last_part, page, set_some, tag_view, wants_tags};
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{strings, tags, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A cluster.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    pub(super) name: String,
    pub(super) tags: BTreeMap<String, String>,
}

pub(super) fn arn(state: &State, name: &str) -> String {
    state.arn("ecs", &format!("cluster/{name}"))
}

pub(super) fn create(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let name = text(input, "clusterName").unwrap_or("default");
    let valid = name.len() <= 255 && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    if !valid {
        return Err(super::invalid(
            "Invalid identifier: Identifier is for cluster. Your identifier is invalid.",
        ));
    }
    // One that exists is the answer, as it is.
    let found = state.ecs.clusters.entry(name.to_owned());
    let cluster = found
        .or_insert_with(|| Cluster {
            name: name.to_owned(),
            tags: tags(input, "tags"),
        })
        .clone();
    Ok(json!({ "cluster": view(state, &cluster, true) }))
}

pub(super) fn describe(state: &State, input: &Value) -> Value {
    let mut wanted = strings(input, "clusters");
    if wanted.is_empty() {
        wanted.push("default".to_owned());
    }
    let (mut clusters, mut failures) = (Vec::new(), Vec::new());
    for name in wanted.iter().map(|wanted| last_part(wanted)) {
        match state.ecs.clusters.get(name) {
            Some(cluster) => clusters.push(view(state, cluster, wants_tags(input))),
            None => failures.push(json!({ "arn": arn(state, name), "reason": "MISSING" })),
        }
    }
    json!({ "clusters": clusters, "failures": failures })
}

pub(super) fn list(state: &State, input: &Value) -> Value {
    let all: Vec<String> = state.ecs.clusters.keys().map(|name| arn(state, name)).collect();
    match page(all, input, 100) {
        Ok((page, next)) => {
            let mut answer = json!({ "clusterArns": page });
            set_some(&mut answer, "nextToken", next);
            answer
        }
        Err(_) => json!({ "clusterArns": [] }),
    }
}

fn view(state: &State, cluster: &Cluster, with_tags: bool) -> Value {
    let tasks = state.ecs.tasks.values().filter(|task| task.cluster == cluster.name);
    let running = tasks.clone().filter(|task| task.is_running()).count();
    let pending = tasks.filter(|task| task.is_pending()).count();
    let services = state.ecs.services.values();
    let active = services
        .filter(|s| s.cluster == cluster.name && s.status == ServiceStatus::Active)
        .count();
    let mut view = json!({
        "clusterArn": arn(state, &cluster.name), "clusterName": cluster.name, "status": "ACTIVE",
        "registeredContainerInstancesCount": 0, "runningTasksCount": running, "pendingTasksCount": pending,
        "activeServicesCount": active, "statistics": [], "settings": [], "capacityProviders": [],
        "defaultCapacityProviderStrategy": [],
    });
    set_some(&mut view, "tags", with_tags.then(|| tag_view(&cluster.tags)));
    view
}
