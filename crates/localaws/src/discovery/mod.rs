//! Cloud Map: private namespaces, services, and the instances that ECS registers.

use crate::error::ApiError;
use crate::state::State;
use crate::wire::unknown_operation;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// All that Cloud Map remembers.
#[derive(Debug, Default)]
pub(crate) struct Discovery {
    pub(crate) namespaces: BTreeMap<String, Namespace>,
    pub(crate) services: BTreeMap<String, DiscoveryService>,
    pub(crate) operations: BTreeMap<String, Operation>,
}

/// A private DNS namespace.
#[derive(Debug, Clone)]
pub(crate) struct Namespace {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) vpc: String,
    pub(crate) created_at: Timestamp,
}

/// A service: a name in a namespace.
#[derive(Debug, Clone)]
pub(crate) struct DiscoveryService {
    pub(crate) id: String,
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) created_at: Timestamp,
    pub(crate) dns_config: Option<Value>,
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

/// Registers an instance (a task) with a service, by the service's ARN. False where there is no such service.
pub(crate) fn register(state: &mut State, arn: &str, instance: &str, attributes: BTreeMap<String, String>) -> bool {
    let service = state.discovery.services.values_mut().find(|service| service.arn == arn);
    service.map(|service| service.instances.insert(instance.to_owned(), attributes)).is_some()
}

/// Removes an instance; one that is gone already is fine.
pub(crate) fn deregister(state: &mut State, arn: &str, instance: &str) {
    if let Some(service) = state.discovery.services.values_mut().find(|service| service.arn == arn) {
        service.instances.remove(instance);
    }
}

/// Answers one operation.
pub(crate) fn call(_state: &mut State, operation: &str, _input: &Value) -> Result<Value, ApiError> {
    Err(unknown_operation(operation))
}
