//! A task's way, and stopping it.

use super::World;
use crate::world::CLUSTER;
use crate::{Config, Service, TaskFate};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_task_goes_through_every_state_and_back() {
    let world = World::new().await;
    world.start();
    let seen = async |steps: usize| {
        let mut seen: Vec<String> = Vec::new();
        for _ in 0..steps {
            let status = world.newest()["lastStatus"].as_str().unwrap().to_owned();
            if seen.last() != Some(&status) {
                seen.push(status);
            }
            world.pass(0.1).await;
        }
        seen
    };
    assert_eq!(seen(40).await, ["PROVISIONING", "PENDING", "ACTIVATING", "RUNNING"]);
    let task = world.newest();
    let details = task["attachments"][0]["details"].as_array().unwrap();
    let detail = |name: &str| details.iter().find(|detail| detail["name"] == name).unwrap()["value"].clone();
    assert_eq!(task["attachments"][0]["type"], "ElasticNetworkInterface");
    assert_eq!(
        detail("privateIPv4Address"),
        task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"]
    );
    assert!(detail("networkInterfaceId").as_str().unwrap().starts_with("eni-"));
    world.update(json!({ "desiredCount": 0 }));
    assert_eq!(seen(20).await, ["DEACTIVATING", "DEPROVISIONING", "STOPPED"]);
    let task = world.newest();
    assert_eq!(task["stopCode"], "ServiceSchedulerInitiated");
    assert!(
        task["stoppedReason"]
            .as_str()
            .unwrap()
            .starts_with("Scaling activity initiated by (deployment ecs-svc/")
    );
    assert_eq!(task["containers"][0]["exitCode"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_task_is_replaced_and_described_for_an_hour() {
    let world = World::new().await;
    world.start();
    world.until_completed().await;
    let first = world.newest();
    let stop = json!({ "cluster": CLUSTER, "task": first["taskArn"], "reason": "because" });
    world.call("StopTask", stop);
    world
        .until("there is another", |world| {
            world.newest()["lastStatus"] == "RUNNING" && world.tasks().len() == 2
        })
        .await;
    let describe = json!({ "cluster": CLUSTER, "tasks": [first["taskArn"]] });
    let old = world.call("DescribeTasks", describe.clone())["tasks"][0].clone();
    assert_eq!(
        (&old["stopCode"], &old["stoppedReason"]),
        (&json!("UserInitiated"), &json!("because"))
    );
    let address = |task: &Value| task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"].clone();
    assert_ne!(address(&old), address(&world.newest()));
    world.pass(3601.0).await;
    assert_eq!(
        world.call("DescribeTasks", describe)["failures"][0]["reason"],
        "MISSING"
    );
    assert_eq!(world.tasks().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_exits_is_replaced_again_and_again_without_the_breaker() {
    let world = World::new().await;
    world
        .aws
        .every_task(Some(TaskFate::Exits(Duration::from_millis(100), 1)));
    world.start();
    world.pass(60.0).await;
    let tasks = world.tasks();
    assert!(tasks.len() > 10, "only {} tasks", tasks.len());
    assert_eq!(tasks[0]["stopCode"], "EssentialContainerExited");
    assert_eq!(tasks[0]["stoppedReason"], "Essential container in task exited");
    assert_eq!(tasks[0]["containers"][0]["exitCode"], 1);
    let deployment = &world.service()["deployments"][0];
    assert_eq!(
        (&deployment["rolloutState"], &deployment["failedTasks"]),
        (&json!("IN_PROGRESS"), &json!(0))
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ignores_sigterm_is_killed_after_its_stop_timeout() {
    let world = World::new().await;
    world.aws.next_task(TaskFate::IgnoresSigterm);
    world.start();
    world.until_completed().await;
    world.call(
        "StopTask",
        json!({ "cluster": CLUSTER, "task": world.newest()["taskArn"] }),
    );
    world.pass(20.0).await;
    // Nothing is started meanwhile: at most 100 percent.
    assert_eq!(world.statuses(), [("STOPPING".to_owned(), "STOPPED".to_owned())]);
    world.pass(15.0).await;
    let tasks = world.tasks();
    assert_eq!(
        (&tasks[0]["lastStatus"], &tasks[0]["containers"][0]["exitCode"]),
        (&json!("STOPPED"), &json!(137))
    );
    assert_eq!(tasks.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn with_the_knob_a_new_task_starts_while_the_old_one_is_stopping() {
    let mut config = Config::default();
    config.knobs.overlap_stopping = true;
    let world = World::with(config).await;
    world.aws.next_task(TaskFate::IgnoresSigterm);
    world.start();
    world.until_completed().await;
    world.call(
        "StopTask",
        json!({ "cluster": CLUSTER, "task": world.newest()["taskArn"] }),
    );
    world.pass(10.0).await;
    let running = ("RUNNING".to_owned(), "RUNNING".to_owned());
    assert_eq!(
        world.statuses(),
        [("STOPPING".to_owned(), "STOPPED".to_owned()), running]
    );
}

#[tokio::test(start_paused = true)]
async fn an_unhealthy_task_is_replaced_and_said_to_be() {
    let world = World::new().await;
    let mut definition = world.definition();
    definition["containerDefinitions"][0]["healthCheck"] =
        json!({ "command": ["CMD-SHELL", "x"], "interval": 5, "retries": 2, "startPeriod": 10 });
    world.register(definition);
    world.aws.next_task(TaskFate::Unhealthy);
    world.call("CreateService", world.service_input());
    world.pass(19.0).await;
    assert_eq!(
        (world.newest()["healthStatus"].clone(), world.tasks().len()),
        (json!("UNKNOWN"), 1)
    );
    world
        .until("the next one is healthy", |world| {
            world.newest()["healthStatus"] == "HEALTHY"
        })
        .await;
    let first = &world.tasks()[0];
    assert_eq!(first["stoppedReason"], "Task failed container health checks");
    assert!(
        world
            .events()
            .iter()
            .any(|event| event.contains("failed container health checks."))
    );
}

#[tokio::test(start_paused = true)]
async fn a_single_task_runs_with_overrides_and_is_no_part_of_a_service() {
    let world = World::new().await;
    world.register(world.definition());
    world.aws.next_task(TaskFate::Exits(Duration::from_secs(1), 0));
    let run = json!({
        "cluster": CLUSTER, "taskDefinition": "valkey", "launchType": "FARGATE", "startedBy": "me",
        "networkConfiguration": world.service_input()["networkConfiguration"],
        "overrides": { "containerOverrides": [{ "name": "valkey", "command": ["true"] }] },
    });
    let task = world.call("RunTask", run)["tasks"][0].clone();
    assert_eq!(
        (&task["group"], &task["startedBy"]),
        (&json!("family:valkey"), &json!("me"))
    );
    world.pass(10.0).await;
    assert_eq!(world.statuses(), [("STOPPED".to_owned(), "STOPPED".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_service_with_a_registry_is_found_by_name_while_its_task_is_active() {
    let world = World::new().await;
    let found = |world: &World, id: &str| {
        let list = world.other(Service::Discovery, "ListInstances", json!({ "ServiceId": id }));
        list["Instances"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i["Attributes"]["AWS_INSTANCE_IPV4"].clone())
            .collect::<Vec<_>>()
    };
    let namespace = json!({ "Name": "trigpointing.local", "Vpc": crate::world::VPC, "CreatorRequestId": "n" });
    world.other(Service::Discovery, "CreatePrivateDnsNamespace", namespace);
    world.pass(5.0).await;
    let namespaces = world.other(Service::Discovery, "ListNamespaces", json!({}));
    let service = json!({ "Name": "valkey", "NamespaceId": namespaces["Namespaces"][0]["Id"],
        "DnsConfig": { "DnsRecords": [{ "Type": "A", "TTL": 10 }] } });
    let service = world.other(Service::Discovery, "CreateService", service)["Service"].clone();
    let id = service["Id"].as_str().unwrap();
    world.register(world.definition());
    let mut input = world.service_input();
    input["serviceRegistries"] = json!([{ "registryArn": service["Arn"] }]);
    world.call("CreateService", input);
    assert_eq!(found(&world, id), Vec::<Value>::new());
    world.until_completed().await;
    assert_eq!(
        found(&world, id),
        [world.newest()["containers"][0]["networkInterfaces"][0]["privateIpv4Address"].clone()]
    );
    world.update(json!({ "desiredCount": 0 }));
    world.pass(0.1).await;
    assert_eq!(found(&world, id), Vec::<Value>::new());
}
