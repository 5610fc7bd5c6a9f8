//! Cloud Map.

use crate::client::{instant, pass, slow};
use localaws::world::VPC;
use serde_json::{Value, json};

const CLOUD_MAP: &str = "servicediscovery";

#[tokio::test(start_paused = true)]
async fn a_namespace_takes_its_time() {
    let aws = slow();
    let create = json!({ "Name": "trigpointing.local", "Vpc": VPC, "CreatorRequestId": "r" });
    let started = aws
        .json(CLOUD_MAP, "CreatePrivateDnsNamespace", create.clone())
        .await
        .body;
    let operation = json!({ "OperationId": started["OperationId"] });
    let under_way = aws.json(CLOUD_MAP, "GetOperation", operation.clone()).await.body;
    assert_eq!(under_way["Operation"]["Status"], "PENDING");
    pass(30.0).await;
    let done = aws.json(CLOUD_MAP, "GetOperation", operation).await.body;
    assert_eq!(done["Operation"]["Status"], "SUCCESS");
    let id = &done["Operation"]["Targets"]["NAMESPACE"];
    assert_eq!(
        aws.json(CLOUD_MAP, "GetNamespace", json!({ "Id": id })).await.body["Namespace"]["Name"],
        "trigpointing.local"
    );
    assert_eq!(
        aws.json(CLOUD_MAP, "CreatePrivateDnsNamespace", create).await.body["__type"],
        "NamespaceAlreadyExists"
    );
}

#[tokio::test]
async fn instances_are_found_by_name_until_they_are_deregistered() {
    let aws = instant();
    aws.json(
        CLOUD_MAP,
        "CreatePrivateDnsNamespace",
        json!({ "Name": "n.local", "Vpc": VPC }),
    )
    .await;
    let namespaces = aws.json(CLOUD_MAP, "ListNamespaces", json!({})).await.body;
    let service = json!({
        "Name": "valkey", "NamespaceId": namespaces["Namespaces"][0]["Id"],
        "DnsConfig": { "DnsRecords": [{ "Type": "A", "TTL": 10 }] }, "HealthCheckCustomConfig": { "FailureThreshold": 1 },
    });
    let id = aws.json(CLOUD_MAP, "CreateService", service.clone()).await.body["Service"]["Id"].clone();
    let again = aws.json(CLOUD_MAP, "CreateService", service).await.body;
    assert_eq!(
        (&again["__type"], &again["ServiceId"]),
        (&json!("ServiceAlreadyExists"), &id)
    );
    let instance = json!({ "ServiceId": id, "InstanceId": "i", "Attributes": { "AWS_INSTANCE_IPV4": "127.77.16.4" } });
    aws.json(CLOUD_MAP, "RegisterInstance", instance).await;
    let name = json!({ "NamespaceName": "N.local", "ServiceName": "valkey" });
    let found: Value = aws.json(CLOUD_MAP, "DiscoverInstances", name.clone()).await.body;
    assert_eq!(found["Instances"][0]["Attributes"]["AWS_INSTANCE_IPV4"], "127.77.16.4");
    assert_eq!(
        aws.json(CLOUD_MAP, "DeleteService", json!({ "Id": id })).await.body["__type"],
        "ResourceInUse"
    );
    aws.json(
        CLOUD_MAP,
        "DeregisterInstance",
        json!({ "ServiceId": id, "InstanceId": "i" }),
    )
    .await;
    assert_eq!(
        aws.json(CLOUD_MAP, "DiscoverInstances", name).await.body["Instances"],
        json!([])
    );
    assert_eq!(
        aws.json(CLOUD_MAP, "DeleteService", json!({ "Id": id })).await.status,
        200
    );
}
