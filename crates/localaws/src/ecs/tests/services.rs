//! What services may be, and what is refused.

use super::World;
use crate::world::CLUSTER;
use serde_json::{Value, json};

#[tokio::test(start_paused = true)]
async fn the_same_token_and_input_give_the_same_service_and_another_input_is_refused() {
    let world = World::new().await;
    let first = world.start();
    let again = world.call("CreateService", world.service_input());
    assert_eq!(first["service"]["serviceArn"], again["service"]["serviceArn"]);
    assert_eq!(
        first["service"]["deployments"][0]["id"],
        again["service"]["deployments"][0]["id"]
    );
    let mut other = world.service_input();
    other["desiredCount"] = json!(2);
    let conflict = "InvalidParameterException: Creation of service was not idempotent.";
    assert_eq!(world.refused("CreateService", other), conflict);
    let mut untold = world.service_input();
    untold["clientToken"] = Value::Null;
    assert_eq!(world.refused("CreateService", untold), conflict);
}

#[tokio::test(start_paused = true)]
async fn create_refuses_what_does_not_fit() {
    let world = World::new().await;
    world.register(world.definition());
    let refused = |member: &str, value: Value| {
        let mut input = world.service_input();
        input[member] = value;
        world.refused("CreateService", input)
    };
    assert_eq!(
        refused("cluster", json!("other")),
        "ClusterNotFoundException: Cluster not found."
    );
    assert!(refused("clientToken", json!("x".repeat(37))).ends_with("idempotency token longer than 36."));
    assert!(refused("networkConfiguration", Value::Null).contains("must be provided when networkMode 'awsvpc'"));
    assert!(
        refused("availabilityZoneRebalancing", json!("ENABLED")).contains("does not support maximumPercent <= 100 %")
    );
    assert!(refused("taskDefinition", json!("other")).starts_with("ClientException: "));
    let network = json!({ "awsvpcConfiguration": { "subnets": ["subnet-9"] } });
    assert!(refused("networkConfiguration", network).contains("The subnet ID 'subnet-9' does not exist"));
    world.call("DeregisterTaskDefinition", json!({ "taskDefinition": "valkey:1" }));
    assert_eq!(
        refused("taskDefinition", json!("valkey:1")),
        "ClientException: TaskDefinition is inactive"
    );
}

#[tokio::test(start_paused = true)]
async fn zone_rebalancing_goes_off_by_itself_on_creation_and_must_be_turned_off_by_an_update() {
    let world = World::new().await;
    assert_eq!(world.start()["service"]["availabilityZoneRebalancing"], "DISABLED");
    let mut wide = world.service_input();
    wide["serviceName"] = json!("wide");
    wide["deploymentConfiguration"] = json!({ "maximumPercent": 200 });
    assert_eq!(
        world.call("CreateService", wide)["service"]["availabilityZoneRebalancing"],
        "ENABLED"
    );
    let mut narrow =
        json!({ "cluster": CLUSTER, "service": "wide", "deploymentConfiguration": { "maximumPercent": 100 } });
    assert_eq!(
        world.refused("UpdateService", narrow.clone()),
        "InvalidParameterException: The service couldn't be updated because Availability Zone Rebalancing does not support maximumPercent <= 100 % as deployment configuration."
    );
    narrow["availabilityZoneRebalancing"] = json!("DISABLED");
    assert_eq!(
        world.call("UpdateService", narrow)["service"]["availabilityZoneRebalancing"],
        "DISABLED"
    );
}

#[tokio::test(start_paused = true)]
async fn an_absent_member_stays_and_counts_are_no_deployment() {
    let world = World::new().await;
    let before = world.start();
    let id = &before["service"]["deployments"][0]["id"];
    let after = world.update(json!({ "desiredCount": 0 }));
    assert_eq!(
        (&after["deployments"][0]["id"], &after["desiredCount"]),
        (id, &json!(0))
    );
    assert_eq!(
        after["deploymentConfiguration"],
        before["service"]["deploymentConfiguration"]
    );
    let forced = world.update(json!({ "forceNewDeployment": true }));
    assert_ne!(&forced["deployments"][0]["id"], id);
    assert_eq!(forced["desiredCount"], 0);
}

#[tokio::test(start_paused = true)]
async fn looking_at_services_has_limits_and_says_what_is_missing() {
    let world = World::new().await;
    world.start();
    let describe = |services: Value| json!({ "cluster": CLUSTER, "services": services, "include": ["TAGS"] });
    let answer = world.call("DescribeServices", describe(json!(["valkey", "other"])));
    assert_eq!(answer["services"][0]["tags"], json!([]));
    assert_eq!(answer["failures"][0]["reason"], "MISSING");
    let eleven: Vec<String> = (0..11).map(|n| n.to_string()).collect();
    assert!(
        world
            .refused("DescribeServices", describe(json!(eleven)))
            .starts_with("InvalidParameterException")
    );
    let elsewhere = world.refused("DescribeServices", json!({ "cluster": "x", "services": ["valkey"] }));
    assert_eq!(elsewhere, "ClusterNotFoundException: Cluster not found.");
    let unknown = world.refused("UpdateService", json!({ "cluster": CLUSTER, "service": "x" }));
    assert_eq!(unknown, "ServiceNotFoundException: Service not found.");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_service_drains_and_its_name_is_free_once_it_is_inactive() {
    let world = World::new().await;
    world.start();
    world.until_completed().await;
    let delete = json!({ "cluster": CLUSTER, "service": "valkey" });
    assert!(
        world
            .refused("DeleteService", delete.clone())
            .ends_with("The service cannot be stopped while it is scaled above 0.")
    );
    world.update(json!({ "desiredCount": 0 }));
    assert_eq!(
        world.call("DeleteService", delete.clone())["service"]["status"],
        "DRAINING"
    );
    assert_eq!(
        world.refused("CreateService", world.service_input()),
        "InvalidParameterException: Unable to Start a service that is still Draining."
    );
    assert_eq!(
        world.refused("UpdateService", delete.clone()),
        "ServiceNotActiveException: Service was not ACTIVE."
    );
    world
        .until("it is inactive", |world| world.service()["status"] == "INACTIVE")
        .await;
    world.call("CreateService", world.service_input());
    world.until_completed().await;
    assert_eq!(world.service()["status"], "ACTIVE");
}

#[tokio::test(start_paused = true)]
async fn tags_can_be_read_and_changed() {
    let world = World::new().await;
    let arn = world.start()["service"]["serviceArn"].clone();
    world.call(
        "TagResource",
        json!({ "resourceArn": arn, "tags": [{ "key": "a", "value": "1" }, { "key": "b", "value": "2" }] }),
    );
    world.call("UntagResource", json!({ "resourceArn": arn, "tagKeys": ["a"] }));
    let tags = world.call("ListTagsForResource", json!({ "resourceArn": arn }));
    assert_eq!(tags["tags"], json!([{ "key": "b", "value": "2" }]));
}
