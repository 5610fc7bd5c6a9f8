//! ECS: clusters, task definitions, services with their deployments, and tasks.
//!
//! The scheduler ([`tick`]) brings everything to the present. It runs before each request, in steps from one due time
//! to the next, so that under a paused clock nothing is skipped however long nobody asked; with real tasks a thread
//! runs it too. Processes are started and signalled through [`crate::tasks`] only.

mod clusters;
mod cpu_memory;
mod create_service;
mod definition_calls;
mod definitions;
mod deployments;
mod fates;
mod launch;
mod lifecycle;
mod mounts;
mod scheduler;
mod secret_values;
mod service_calls;
mod services;
mod settings;
mod tagging;
mod task_calls;
mod task_view;
mod tasks;
mod ticker;
mod update_service;

#[cfg(test)]
mod tests;

pub(crate) use scheduler::tick;
pub(crate) use ticker::shutdown;

pub use fates::TaskFate;

use crate::error::ApiError;
use crate::state::State;
use crate::wire::number;
use crate::{LocalAws, wire};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// All that ECS remembers.
#[derive(Debug, Default)]
pub(crate) struct EcsState {
    /// By name.
    clusters: BTreeMap<String, clusters::Cluster>,
    /// Revisions by family; the first is revision 1.
    definitions: BTreeMap<String, Vec<definitions::Definition>>,
    /// By ARN.
    services: BTreeMap<String, services::Service>,
    /// By ARN.
    tasks: BTreeMap<String, tasks::Task>,
    /// ARNs of the tasks of each service, by its ARN.
    of_service: BTreeMap<String, BTreeSet<String>>,
    /// Services that have to be looked at, because they or their tasks have changed.
    touched: BTreeSet<String>,
    /// Up to when the scheduler has seen everything.
    seen_until: Option<Timestamp>,
    /// Nothing happens by itself before this; none when something may have changed since it was found out.
    quiet_until: Option<Timestamp>,
    /// Directories that mounts have made: file system and path. On disk too when tasks are real.
    directories: BTreeSet<(String, String)>,
    /// What befalls the next tasks.
    fates: VecDeque<TaskFate>,
    /// What befalls every task that has no fate of its own.
    common_fate: Option<TaskFate>,
    /// Tasks that are to stop are taken for stopped, and their processes live on.
    partitioned: bool,
    /// Processes of tasks that ECS has lost sight of, with the task's id.
    lost: Vec<(String, crate::tasks::Child)>,
    /// Counts tasks, to spread them over the subnets.
    started: usize,
    has_ticker: bool,
    /// Shut down: nothing is started any more.
    is_closed: bool,
}

/// Answers one operation. Locks the state itself.
#[expect(clippy::needless_pass_by_value, reason = "the caller has no use for it afterwards")]
pub(crate) fn call(aws: &LocalAws, operation: &str, input: Value) -> Result<Value, ApiError> {
    let state = &mut *aws.state();
    let input = &input;
    if !operation.starts_with("Describe") && !operation.starts_with("List") {
        state.ecs.quiet_until = None;
    }
    match operation {
        "CreateCluster" => clusters::create(state, input),
        "DescribeClusters" => Ok(clusters::describe(state, input)),
        "ListClusters" => Ok(clusters::list(state, input)),
        "RegisterTaskDefinition" => definition_calls::register(state, input),
        "DescribeTaskDefinition" => definition_calls::describe(state, input),
        "ListTaskDefinitions" => definition_calls::list(state, input),
        "DeregisterTaskDefinition" => definition_calls::deregister(state, input),
        "CreateService" => create_service::create(state, input),
        "UpdateService" => update_service::update(state, input),
        "DescribeServices" => service_calls::describe(state, input),
        "ListServices" => service_calls::list(state, input),
        "DeleteService" => service_calls::delete(state, input),
        "ListTasks" => task_calls::list(state, input),
        "DescribeTasks" => task_calls::describe(state, input),
        "StopTask" => task_calls::stop(state, input),
        "RunTask" => task_calls::run(state, input),
        "TagResource" => tagging::tag(state, input),
        "UntagResource" => tagging::untag(state, input),
        "ListTagsForResource" => tagging::list(state, input),
        _ => Err(wire::unknown_operation(operation)),
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::bad("InvalidParameterException", message)
}

fn client(message: impl Into<String>) -> ApiError {
    ApiError::bad("ClientException", message)
}

/// Whether the caller wants tags too.
fn wants_tags(input: &Value) -> bool {
    wire::strings(input, "include").iter().any(|what| what == "TAGS")
}

/// A page of `all`, and the token of the next one.
fn page<T>(all: Vec<T>, input: &Value, usual: usize) -> Result<(Vec<T>, Option<String>), ApiError> {
    let size = number(input, "maxResults")
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(usual)
        .clamp(1, 100);
    let start: usize = match wire::text(input, "nextToken") {
        None => 0,
        Some(token) => token.parse().map_err(|_| invalid("Invalid token"))?,
    };
    let more = all.len() > start + size;
    Ok((
        all.into_iter().skip(start).take(size).collect(),
        more.then(|| (start + size).to_string()),
    ))
}

/// The part of an ARN behind the last slash, or a plain name.
fn last_part(name_or_arn: &str) -> &str {
    name_or_arn.rsplit('/').next().unwrap_or(name_or_arn)
}

/// Adds a value where there is one.
fn set_some(members: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let (Some(members), Some(value)) = (members.as_object_mut(), value) {
        members.insert(name.to_owned(), value.into());
    }
}

/// Tags as ECS writes them.
fn tag_view(tags: &BTreeMap<String, String>) -> Value {
    wire::tag_list(tags, "key", "value")
}

/// The cluster that a call names, by name or ARN; `default` when it names none.
fn cluster_name(state: &State, input: &Value) -> Result<String, ApiError> {
    let name = last_part(wire::text(input, "cluster").unwrap_or("default"));
    if state.ecs.clusters.contains_key(name) {
        return Ok(name.to_owned());
    }
    Err(ApiError::bad("ClusterNotFoundException", "Cluster not found."))
}
