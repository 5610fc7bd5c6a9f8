//! Deployments: order, completion, circuit breaker, back-off.

use super::World;
use crate::{TaskFate, world::CLUSTER};
use serde_json::{Value, json};

fn counts(service: &Value) -> Vec<(Value, Value, Value, Value)> {
    let deployments = service["deployments"].as_array().unwrap();
    let of = |d: &Value, name: &str| d[name].clone();
    deployments
        .iter()
        .map(|d| {
            (
                of(d, "status"),
                of(d, "desiredCount"),
                of(d, "pendingCount"),
                of(d, "runningCount"),
            )
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_new_service_is_completed_a_little_after_its_task_counts_as_healthy() {
    let world = World::new().await;
    world.start();
    world
        .until("it runs", |world| world.service()["runningCount"] == 1)
        .await;
    let service = world.service();
    let id = service["deployments"][0]["id"].as_str().unwrap();
    assert_eq!(service["deployments"][0]["rolloutState"], "IN_PROGRESS");
    assert_eq!(
        service["deployments"][0]["rolloutStateReason"],
        format!("ECS deployment {id} in progress.")
    );
    world.until_completed().await;
    assert_eq!(
        world.service()["deployments"][0]["rolloutStateReason"],
        format!("ECS deployment {id} completed.")
    );
    let events = world.events();
    assert_eq!(events[0], "(service valkey) has reached a steady state.");
    assert_eq!(
        events[1],
        format!("(service valkey) (deployment {id}) deployment completed.")
    );
    assert!(events[2].starts_with("(service valkey) has started 1 tasks: (task "));
}

#[tokio::test(start_paused = true)]
async fn zero_to_one_hundred_percent_stops_before_it_starts() {
    let world = World::new().await;
    world.start();
    world.until_completed().await;
    world.register(world.definition());
    world.update(json!({ "taskDefinition": "valkey:2" }));
    let mut most = 0;
    for _ in 0..200 {
        let alive = world.statuses().iter().filter(|(last, _)| last != "STOPPED").count();
        most = most.max(alive);
        world.pass(0.1).await;
    }
    assert_eq!(most, 1);
    world.until_completed().await;
    assert_eq!(
        counts(&world.service()),
        [(json!("PRIMARY"), json!(1), json!(0), json!(1))]
    );
    assert!(world.newest()["taskDefinitionArn"].as_str().unwrap().ends_with(":2"));
}

#[tokio::test(start_paused = true)]
async fn one_hundred_to_two_hundred_percent_starts_before_it_stops() {
    let world = World::new().await;
    world.register(world.definition());
    let mut input = world.service_input();
    input["deploymentConfiguration"] = json!({});
    world.call("CreateService", input);
    world.until_completed().await;
    world.update(json!({ "forceNewDeployment": true }));
    world
        .until("both run", |world| world.service()["runningCount"] == 2)
        .await;
    let both = [
        (json!("PRIMARY"), json!(1), json!(0), json!(1)),
        (json!("ACTIVE"), json!(1), json!(0), json!(1)),
    ];
    assert_eq!(counts(&world.service()), both);
    world.until_completed().await;
    assert_eq!(world.service()["runningCount"], 1);
}

#[tokio::test(start_paused = true)]
async fn one_hundred_to_one_hundred_percent_is_stuck_and_says_so() {
    let world = World::new().await;
    world.register(world.definition());
    let mut input = world.service_input();
    input["deploymentConfiguration"]["minimumHealthyPercent"] = json!(100);
    world.call("CreateService", input);
    world.until_completed().await;
    world.update(json!({ "forceNewDeployment": true }));
    world.pass(60.0).await;
    assert_eq!(world.statuses().len(), 1);
    assert!(world.events()[0].contains("was unable to stop or start tasks during a deployment"));
}

#[tokio::test(start_paused = true)]
async fn an_older_deployment_starts_its_own_revision_again() {
    let world = World::new().await;
    world.register(world.definition());
    let mut input = world.service_input();
    input["deploymentConfiguration"] = json!({});
    world.call("CreateService", input);
    world.until_completed().await;
    world.register(world.definition());
    world.aws.every_task(Some(TaskFate::FailsToStart("x".to_owned())));
    world.update(json!({ "taskDefinition": "valkey:2" }));
    world.pass(0.5).await;
    world.aws.every_task(None);
    let old = world.tasks()[0].clone();
    world.aws.every_task(Some(TaskFate::FailsToStart("x".to_owned())));
    world.call("StopTask", json!({ "cluster": CLUSTER, "task": old["taskArn"] }));
    world.pass(20.0).await;
    let again = world
        .tasks()
        .iter()
        .filter(|task| task["taskDefinitionArn"] == old["taskDefinitionArn"])
        .count();
    assert!(again > 1, "the old revision was not started again");
}

#[tokio::test(start_paused = true)]
async fn three_failed_starts_trip_the_circuit_breaker() {
    let world = World::new().await;
    world
        .aws
        .every_task(Some(TaskFate::FailsToStart("CannotPullContainerError: x".to_owned())));
    world.start();
    world
        .until("it failed", |world| {
            world.service()["deployments"][0]["rolloutState"] == "FAILED"
        })
        .await;
    let deployment = world.service()["deployments"][0].clone();
    assert_eq!(
        deployment["rolloutStateReason"],
        "ECS deployment circuit breaker: tasks failed to start."
    );
    assert_eq!(deployment["failedTasks"], 3);
    let id = deployment["id"].as_str().unwrap();
    let events = world.events();
    assert_eq!(
        events[0],
        format!("(service valkey) (deployment {id}) deployment failed: tasks failed to start.")
    );
    assert_eq!(
        events[1],
        "(service valkey) failed circuit breaker: tasks failed to start."
    );
    assert_eq!(
        events[2],
        "(service valkey) is unable to consistently start tasks successfully."
    );
    world.pass(300.0).await;
    assert_eq!(world.tasks().len(), 3);
    world.aws.every_task(None);
    world.update(json!({ "forceNewDeployment": true }));
    world.until_completed().await;
}

#[tokio::test(start_paused = true)]
async fn with_rollback_the_last_completed_revision_comes_back() {
    let world = World::new().await;
    world.register(world.definition());
    let mut input = world.service_input();
    input["deploymentConfiguration"]["deploymentCircuitBreaker"]["rollback"] = json!(true);
    world.call("CreateService", input);
    world.until_completed().await;
    world.register(world.definition());
    for _ in 0..3 {
        world.aws.next_task(TaskFate::FailsToStart("x".to_owned()));
    }
    world.update(json!({ "taskDefinition": "valkey:2" }));
    world.pass(120.0).await;
    world.until_completed().await;
    assert!(
        world.service()["taskDefinition"]
            .as_str()
            .unwrap()
            .ends_with("valkey:1")
    );
    assert!(
        world
            .events()
            .iter()
            .any(|event| event.contains("rolling back to deployment"))
    );
}

#[tokio::test(start_paused = true)]
async fn failed_starts_wait_longer_each_time_and_a_new_deployment_does_not() {
    let world = World::new().await;
    world.register(world.definition());
    let mut input = world.service_input();
    input["deploymentConfiguration"]["deploymentCircuitBreaker"] = Value::Null;
    world.call("CreateService", input);
    world.update(json!({ "desiredCount": 0 }));
    world.until_completed().await;
    let before = world.tasks().len();
    world.aws.every_task(Some(TaskFate::FailsToStart("x".to_owned())));
    world.update(json!({ "desiredCount": 1 }));
    world.pass(60.0).await;
    // Waits of 2, 4, 8, 16 and 20 s, and 2.5 s for each attempt.
    let tries = world.tasks().len() - before;
    assert!((4..=6).contains(&tries), "{tries} tries");
    // Raising the count is no deployment: nothing trips.
    assert_eq!(world.service()["deployments"][0]["rolloutState"], "COMPLETED");
    world.aws.every_task(None);
    world.update(json!({ "forceNewDeployment": true }));
    world.pass(4.0).await;
    assert_eq!(world.newest()["lastStatus"], "RUNNING");
}
