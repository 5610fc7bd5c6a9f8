//! Cloud Map: private namespaces, services, and the instances that ECS registers.

mod calls;

pub(crate) use calls::call;

use crate::state::State;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// All that Cloud Map remembers.
#[derive(Debug, Default)]
pub(crate) struct Discovery {
    pub(crate) namespaces: BTreeMap<String, Namespace>,
    pub(crate) services: BTreeMap<String, Registry>,
    pub(crate) operations: BTreeMap<String, Operation>,
    /// Grows with every change of instances.
    revision: u64,
}

/// A private DNS namespace.
#[derive(Debug, Clone)]
pub(crate) struct Namespace {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) request: String,
    pub(crate) created_at: Timestamp,
    /// From then on there is something to be found.
    pub(crate) ready_at: Timestamp,
    pub(crate) tags: BTreeMap<String, String>,
}

/// A service: a name in a namespace, under which instances are found.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) created_at: Timestamp,
    pub(crate) dns_config: Option<Value>,
    pub(crate) custom_health: bool,
    pub(crate) tags: BTreeMap<String, String>,
    /// Attributes by instance id.
    pub(crate) instances: BTreeMap<String, BTreeMap<String, String>>,
}

/// An asynchronous operation.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) kind: &'static str,
    pub(crate) targets: Value,
    pub(crate) created_at: Timestamp,
    pub(crate) done_at: Timestamp,
}

/// Whether there is a service with this ARN.
pub(crate) fn service_exists(state: &State, arn: &str) -> bool {
    state.discovery.services.values().any(|service| service.arn == arn)
}

/// Registers an instance (a task) with a service, by the service's ARN. False where there is no such service.
pub(crate) fn register(state: &mut State, arn: &str, instance: &str, attributes: BTreeMap<String, String>) -> bool {
    state.discovery.revision += 1;
    let service = state.discovery.services.values_mut().find(|service| service.arn == arn);
    service
        .map(|service| service.instances.insert(instance.to_owned(), attributes))
        .is_some()
}

/// Removes an instance; one that is gone already is fine.
pub(crate) fn deregister(state: &mut State, arn: &str, instance: &str) {
    state.discovery.revision += 1;
    if let Some(service) = state.discovery.services.values_mut().find(|service| service.arn == arn) {
        service.instances.remove(instance);
    }
}
