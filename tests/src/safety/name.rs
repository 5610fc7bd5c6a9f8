//! The name that clients know: a Cloud Map service, and who stands behind it.

use crate::writers::Resolve;
use anyhow::{Context, Result};
use localaws::{LocalAws, Service, world};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

const NAMESPACE: &str = "trigpointing.local";
const NAME: &str = "valkey";
const PORT: u16 = 6379;

/// Makes the name; the ARN for a service's registry, and how to look it up.
pub(super) async fn make(aws: &LocalAws) -> Result<(String, Resolve)> {
    let call = |operation: &str, input: Value| aws.call(Service::Discovery, operation, &input);
    call(
        "CreatePrivateDnsNamespace",
        json!({ "Name": NAMESPACE, "Vpc": world::VPC }),
    )?;
    tokio::time::sleep(Duration::from_secs_f64(aws.config().delays.namespace + 0.1)).await;
    let found = call("ListNamespaces", json!({}))?;
    let namespace = found["Namespaces"][0]["Id"].as_str().context("the namespace")?;
    let records = json!({ "DnsRecords": [{ "Type": "A", "TTL": 10 }] });
    let made = call(
        "CreateService",
        json!({ "Name": NAME, "NamespaceId": namespace, "DnsConfig": records }),
    )?;
    let arn = made["Service"]["Arn"].as_str().context("its ARN")?.to_owned();
    let aws = aws.clone();
    Ok((arn, Arc::new(move || resolve(&aws))))
}

fn resolve(aws: &LocalAws) -> Vec<SocketAddr> {
    let input = json!({ "NamespaceName": NAMESPACE, "ServiceName": NAME });
    let Ok(found) = aws.call(Service::Discovery, "DiscoverInstances", &input) else {
        return Vec::new();
    };
    let instances = found["Instances"].as_array().into_iter().flatten();
    let addresses = instances.filter_map(|instance| instance["Attributes"]["AWS_INSTANCE_IPV4"].as_str()?.parse().ok());
    addresses.map(|ip: Ipv4Addr| SocketAddr::from((ip, PORT))).collect()
}
