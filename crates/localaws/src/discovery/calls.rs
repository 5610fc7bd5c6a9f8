//! The operations of Cloud Map.

use super::{Namespace, Operation, Registry, deregister, register};
use crate::clock::epoch_seconds;
use crate::error::ApiError;
use crate::ids;
use crate::state::State;
use crate::wire::{list, required, strings, tag_list, tags, text, unknown_operation};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Answers one operation.
pub(crate) fn call(state: &mut State, operation: &str, input: &Value) -> Result<Value, ApiError> {
    match operation {
        "CreatePrivateDnsNamespace" => create_namespace(state, input),
        "GetNamespace" => Ok(json!({ "Namespace": namespace_view(namespace(state, required(input, "Id")?)?, state) })),
        "ListNamespaces" => {
            let views: Vec<Value> = ready(state).map(|found| namespace_view(found, state)).collect();
            Ok(json!({ "Namespaces": views }))
        }
        "DeleteNamespace" => delete_namespace(state, input),
        "GetOperation" => get_operation(state, input),
        "CreateService" => create_service(state, input),
        "GetService" => Ok(json!({ "Service": service_view(service(state, required(input, "Id")?)?) })),
        "ListServices" => Ok(list_services(state, input)),
        "DeleteService" => delete_service(state, input),
        "RegisterInstance" => {
            let arn = service(state, required(input, "ServiceId")?)?.arn.clone();
            let instance = required(input, "InstanceId")?;
            register(state, &arn, instance, tags(input, "Attributes"));
            Ok(json!({ "OperationId": operate(state, "REGISTER_INSTANCE", json!({ "INSTANCE": instance }), 0.0) }))
        }
        "DeregisterInstance" => {
            let found = service(state, required(input, "ServiceId")?)?;
            let instance = required(input, "InstanceId")?;
            if !found.instances.contains_key(instance) {
                return Err(ApiError::bad(
                    "InstanceNotFound",
                    format!("Instance with id {instance} not found."),
                ));
            }
            let arn = found.arn.clone();
            deregister(state, &arn, instance);
            Ok(json!({ "OperationId": operate(state, "DEREGISTER_INSTANCE", json!({ "INSTANCE": instance }), 0.0) }))
        }
        "ListInstances" => {
            let found = service(state, required(input, "ServiceId")?)?;
            let view =
                |(id, attributes): (&String, &BTreeMap<String, String>)| json!({ "Id": id, "Attributes": attributes });
            Ok(json!({ "Instances": found.instances.iter().map(view).collect::<Vec<_>>() }))
        }
        "DiscoverInstances" => discover(state, input),
        "ListTagsForResource" => {
            let tags = tags_mut(state, required(input, "ResourceARN")?)?;
            Ok(json!({ "Tags": tag_list(tags, "Key", "Value") }))
        }
        "TagResource" => {
            tags_mut(state, required(input, "ResourceARN")?)?.extend(tags(input, "Tags"));
            Ok(json!({}))
        }
        "UntagResource" => {
            let keys = strings(input, "TagKeys");
            tags_mut(state, required(input, "ResourceARN")?)?.retain(|key, _| !keys.contains(key));
            Ok(json!({}))
        }
        _ => Err(unknown_operation(operation)),
    }
}

fn create_namespace(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let (name, vpc) = (required(input, "Name")?, required(input, "Vpc")?);
    let request = text(input, "CreatorRequestId").unwrap_or_default();
    if !state.ec2.vpcs.contains_key(vpc) {
        return Err(ApiError::bad("InvalidInput", format!("The VPC {vpc} does not exist")));
    }
    if let Some(found) = state
        .discovery
        .namespaces
        .values()
        .find(|found| found.name.eq_ignore_ascii_case(name))
    {
        let words = "The namespace that you're trying to create already exists.";
        return Err(ApiError::bad("NamespaceAlreadyExists", words)
            .with("CreatorRequestId", found.request.clone())
            .with("NamespaceId", found.id.clone()));
    }
    let id = format!("ns-{}", ids::hex(&mut state.rng, 16));
    let wait = state.config.delays.namespace;
    let namespace = Namespace {
        id: id.clone(),
        arn: state.arn("servicediscovery", &format!("namespace/{id}")),
        name: name.to_owned(),
        request: request.to_owned(),
        created_at: state.now,
        ready_at: state.in_seconds(wait),
        tags: tags(input, "Tags"),
    };
    state.discovery.namespaces.insert(id.clone(), namespace);
    Ok(json!({ "OperationId": operate(state, "CREATE_NAMESPACE", json!({ "NAMESPACE": id }), wait) }))
}

fn delete_namespace(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let id = namespace(state, required(input, "Id")?)?.id.clone();
    if state.discovery.services.values().any(|service| service.namespace == id) {
        return Err(ApiError::bad(
            "ResourceInUse",
            format!("Namespace has associated services, namespaceId:{id}"),
        ));
    }
    state.discovery.namespaces.remove(&id);
    let wait = state.config.delays.namespace;
    Ok(json!({ "OperationId": operate(state, "DELETE_NAMESPACE", json!({ "NAMESPACE": id }), wait) }))
}

fn get_operation(state: &State, input: &Value) -> Result<Value, ApiError> {
    let id = required(input, "OperationId")?;
    let found = state
        .discovery
        .operations
        .get(id)
        .ok_or_else(|| ApiError::bad("OperationNotFound", format!("Operation with id {id} not found.")))?;
    let done = found.done_at <= state.now;
    Ok(json!({ "Operation": {
        "Id": id, "Type": found.kind, "Status": if done { "SUCCESS" } else { "PENDING" },
        "CreateDate": epoch_seconds(found.created_at), "UpdateDate": epoch_seconds(found.done_at.min(state.now)),
        "Targets": found.targets,
    } }))
}

fn create_service(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let name = required(input, "Name")?;
    let id = text(input, "NamespaceId").or_else(|| input.get("DnsConfig").and_then(|dns| text(dns, "NamespaceId")));
    let namespace = namespace(state, id.unwrap_or_default())?.id.clone();
    if let Some(found) = state
        .discovery
        .services
        .values()
        .find(|found| found.namespace == namespace && found.name.eq_ignore_ascii_case(name))
    {
        let words = "Service already exists.";
        return Err(ApiError::bad("ServiceAlreadyExists", words)
            .with("ServiceId", found.id.clone())
            .with("ServiceArn", found.arn.clone()));
    }
    let id = format!("srv-{}", ids::hex(&mut state.rng, 16));
    let service = Registry {
        id: id.clone(),
        arn: state.arn("servicediscovery", &format!("service/{id}")),
        name: name.to_owned(),
        namespace,
        created_at: state.now,
        dns_config: input.get("DnsConfig").cloned(),
        custom_health: input.get("HealthCheckCustomConfig").is_some(),
        tags: tags(input, "Tags"),
        instances: BTreeMap::new(),
    };
    let view = service_view(&service);
    state.discovery.services.insert(id, service);
    Ok(json!({ "Service": view }))
}

fn list_services(state: &State, input: &Value) -> Value {
    let wanted: Vec<String> = list(input, "Filters")
        .iter()
        .filter(|filter| text(filter, "Name") == Some("NAMESPACE_ID"))
        .flat_map(|filter| strings(filter, "Values"))
        .collect();
    let services = state.discovery.services.values();
    let views: Vec<Value> = services
        .filter(|found| wanted.is_empty() || wanted.contains(&found.namespace))
        .map(service_view)
        .collect();
    json!({ "Services": views })
}

fn delete_service(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let found = service(state, required(input, "Id")?)?;
    if !found.instances.is_empty() {
        return Err(ApiError::bad(
            "ResourceInUse",
            "Service contains registered instances; delete the instances before deleting the service",
        ));
    }
    let id = found.id.clone();
    state.discovery.services.remove(&id);
    Ok(json!({}))
}

fn discover(state: &State, input: &Value) -> Result<Value, ApiError> {
    let (namespace_name, service_name) = (required(input, "NamespaceName")?, required(input, "ServiceName")?);
    let namespace = ready(state)
        .find(|found| found.name.eq_ignore_ascii_case(namespace_name))
        .ok_or_else(|| ApiError::bad("NamespaceNotFound", format!("Namespace {namespace_name} not found.")))?;
    let service = state
        .discovery
        .services
        .values()
        .find(|found| found.namespace == namespace.id && found.name.eq_ignore_ascii_case(service_name))
        .ok_or_else(|| ApiError::bad("ServiceNotFound", format!("Service {service_name} not found.")))?;
    let wanted = tags(input, "QueryParameters");
    let views: Vec<Value> = service
        .instances
        .iter()
        .filter(|(_, attributes)| wanted.iter().all(|(key, value)| attributes.get(key) == Some(value)))
        .map(|(id, attributes)| {
            json!({
                "InstanceId": id, "NamespaceName": namespace.name, "ServiceName": service.name,
                "HealthStatus": if service.custom_health { "HEALTHY" } else { "UNKNOWN" }, "Attributes": attributes,
            })
        })
        .collect();
    Ok(json!({ "Instances": views, "InstancesRevision": state.discovery.revision }))
}

fn operate(state: &mut State, kind: &'static str, targets: Value, wait: f64) -> String {
    let id = ids::uuid(&mut state.rng);
    let done_at: Timestamp = state.in_seconds(wait);
    state.discovery.operations.insert(
        id.clone(),
        Operation {
            kind,
            targets,
            created_at: state.now,
            done_at,
        },
    );
    id
}

fn ready(state: &State) -> impl Iterator<Item = &Namespace> {
    state
        .discovery
        .namespaces
        .values()
        .filter(|namespace| namespace.ready_at <= state.now)
}

/// Ids may be given as ARNs.
fn namespace<'a>(state: &'a State, id: &str) -> Result<&'a Namespace, ApiError> {
    ready(state)
        .find(|found| found.id == id || found.arn == id)
        .ok_or_else(|| ApiError::bad("NamespaceNotFound", format!("Namespace with id {id} not found.")))
}

fn service<'a>(state: &'a State, id: &str) -> Result<&'a Registry, ApiError> {
    state
        .discovery
        .services
        .values()
        .find(|found| found.id == id || found.arn == id)
        .ok_or_else(|| ApiError::bad("ServiceNotFound", format!("Service with id {id} not found.")))
}

fn tags_mut<'a>(state: &'a mut State, arn: &str) -> Result<&'a mut BTreeMap<String, String>, ApiError> {
    let services = state
        .discovery
        .services
        .values_mut()
        .map(|service| (&service.arn, &mut service.tags));
    let namespaces = state
        .discovery
        .namespaces
        .values_mut()
        .map(|namespace| (&namespace.arn, &mut namespace.tags));
    services
        .chain(namespaces)
        .find(|(known, _)| *known == arn)
        .map(|(_, tags)| tags)
        .ok_or_else(|| ApiError::bad("ResourceNotFoundException", format!("{arn} not found.")))
}

fn namespace_view(found: &Namespace, state: &State) -> Value {
    let services = state
        .discovery
        .services
        .values()
        .filter(|service| service.namespace == found.id)
        .count();
    json!({
        "Id": found.id, "Arn": found.arn, "Name": found.name, "Type": "DNS_PRIVATE", "ServiceCount": services,
        "Properties": {
            "DnsProperties": { "HostedZoneId": found.id.replacen("ns-", "Z", 1).to_uppercase(), "SOA": { "TTL": 15 } },
            "HttpProperties": { "HttpName": found.name },
        },
        "CreateDate": epoch_seconds(found.created_at), "CreatorRequestId": found.request,
    })
}

fn service_view(found: &Registry) -> Value {
    let mut view = json!({
        "Id": found.id, "Arn": found.arn, "Name": found.name, "NamespaceId": found.namespace,
        "InstanceCount": found.instances.len(), "Type": if found.dns_config.is_some() { "DNS_HTTP" } else { "HTTP" },
        "CreateDate": epoch_seconds(found.created_at),
    });
    if let Some(dns) = &found.dns_config {
        view["DnsConfig"] = dns.clone();
    }
    if found.custom_health {
        view["HealthCheckCustomConfig"] = json!({ "FailureThreshold": 1 });
    }
    view
}
