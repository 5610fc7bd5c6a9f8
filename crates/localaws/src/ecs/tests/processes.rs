//! Services whose tasks are real. Everything here needs `valkey-server` and fails without it.

use super::World;
use crate::tasks::tests::{LOCK, ask};
use crate::world::CLUSTER;
use crate::{Config, Delays, Knobs, Service, TaskRunner};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Real time: short, and bounded by [`World::until`].
fn delays() -> Delays {
    Delays {
        no_health_check: 0.2,
        ..Delays::zero()
    }
}

async fn world(home: &TempDir) -> World {
    world_of(home, Knobs::default()).await
}

async fn world_of(home: &TempDir, knobs: Knobs) -> World {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let [.., low] = std::process::id().to_be_bytes();
    let block = NEXT.fetch_add(1, Ordering::Relaxed);
    let config = Config {
        delays: delays(),
        knobs,
        tasks: TaskRunner::Processes,
        data_dir: home.path().to_owned(),
        ip_block: [127, 20 + (low % 8) * 8 + block],
        ..Config::default()
    };
    World::with(config).await
}

fn definition(world: &World) -> Value {
    let mut definition = world.definition();
    let container = &mut definition["containerDefinitions"][0];
    container["entryPoint"] = json!(["sh", "-c", LOCK, "lock"]);
    container["command"] = json!(["/data", "valkey-server", "--dir", "/data", "--save", "3600 1"]);
    container["healthCheck"] =
        json!({ "command": ["CMD-SHELL", "valkey-cli -p 6379 ping | grep -q PONG"], "interval": 5, "retries": 3 });
    definition
}

fn address(task: &Value) -> Ipv4Addr {
    task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// The next task's address, once it serves.
async fn serving(world: &World, number: usize) -> Ipv4Addr {
    world
        .until("the task serves", |world| {
            let tasks = world.tasks();
            tasks.len() == number && tasks[number - 1]["lastStatus"] == "RUNNING" && {
                let at = address(&tasks[number - 1]);
                ask(at, "PING").as_deref() == Some("+PONG")
            }
        })
        .await;
    address(&world.newest())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_task_saves_and_the_next_one_has_the_keys() {
    let home = tempfile::tempdir().unwrap();
    let world = world(&home).await;
    world.register(definition(&world));
    world.call("CreateService", world.service_input());
    let first = serving(&world, 1).await;
    world
        .until("it is healthy", |world| world.newest()["healthStatus"] == "HEALTHY")
        .await;
    assert_eq!(ask(first, "SET key value").as_deref(), Some("+OK"));
    world.call(
        "StopTask",
        json!({ "cluster": CLUSTER, "task": world.newest()["taskArn"] }),
    );
    let second = serving(&world, 2).await;
    assert_ne!(first, second);
    assert_eq!(ask(second, "GET key").as_deref(), Some("value"));
    assert_eq!(world.tasks()[0]["containers"][0]["exitCode"], 0);
    let id = world.tasks()[0]["taskArn"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let stream = json!({ "logGroupName": "/ecs/valkey", "logStreamName": format!("valkey/valkey/{id}") });
    let lines = world.other(Service::Logs, "GetLogEvents", stream);
    assert!(lines.to_string().contains("DB saved on disk"), "{lines}");
    // The directory was made with what the access point says.
    let made = home.path().join("efs").join(&world.file_system).join("valkey-data");
    assert!(made.join("dump.rdb").exists());
    world.aws.shutdown().await;
    assert_eq!(ask(second, "PING"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_task_is_noticed_and_replaced_without_anybody_asking() {
    let home = tempfile::tempdir().unwrap();
    let world = world(&home).await;
    world.register(definition(&world));
    world.call("CreateService", world.service_input());
    let first = serving(&world, 1).await;
    ask(first, "SET kept 1");
    assert_eq!(ask(first, "SAVE").as_deref(), Some("+OK"));
    ask(first, "SET lost 1");
    assert!(world.aws.kill_task(world.newest()["taskArn"].as_str().unwrap()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = serving(&world, 2).await;
    assert_eq!(
        (ask(second, "GET kept").as_deref(), ask(second, "GET lost").as_deref()),
        (Some("1"), Some("$-1"))
    );
    let task = &world.tasks()[0];
    assert_eq!(
        (&task["stopCode"], &task["containers"][0]["exitCode"]),
        (&json!("EssentialContainerExited"), &json!(137))
    );
    world.aws.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_lost_in_a_partition_keeps_the_lock_and_the_next_one_waits() {
    let home = tempfile::tempdir().unwrap();
    let world = world(&home).await;
    world.register(definition(&world));
    world.call("CreateService", world.service_input());
    let first = serving(&world, 1).await;
    world.aws.set_partitioned(true);
    world.call(
        "StopTask",
        json!({ "cluster": CLUSTER, "task": world.newest()["taskArn"] }),
    );
    world
        .until("the next one runs", |world| {
            world.statuses().last().is_some_and(|(last, _)| last == "RUNNING") && world.tasks().len() == 2
        })
        .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(ask(first, "PING").as_deref(), Some("+PONG"));
    assert_eq!(ask(address(&world.newest()), "PING"), None);
    world.aws.shutdown().await;
    assert_eq!(ask(first, "PING"), None);
}

/// Without a lock, and with a final save that takes a while: both are servers, each in its own PID namespace.
#[tokio::test(flavor = "multi_thread")]
async fn with_the_knob_the_new_server_serves_while_the_old_one_saves() {
    let home = tempfile::tempdir().unwrap();
    let world = world_of(
        &home,
        Knobs {
            overlap_stopping: true,
            ..Knobs::default()
        },
    )
    .await;
    let mut unlocked = definition(&world);
    let container = &mut unlocked["containerDefinitions"][0];
    // A quarter of a second for each of the ten keys below.
    let slow = ["--rdb-key-save-delay", "250000"];
    let words = ["valkey-server", "--dir", "/data", "--save", "3600 1"]
        .into_iter()
        .chain(slow);
    (container["entryPoint"], container["command"]) = (json!([]), json!(words.collect::<Vec<_>>()));
    world.register(unlocked);
    world.call("CreateService", world.service_input());
    let first = serving(&world, 1).await;
    for key in 0..10 {
        assert_eq!(ask(first, &format!("SET key:{key} value")).as_deref(), Some("+OK"));
    }
    world.update(json!({ "forceNewDeployment": true }));
    let second = serving(&world, 2).await;
    assert_eq!(world.statuses()[0], ("STOPPING".to_owned(), "STOPPED".to_owned()));
    assert_eq!(
        ask(second, "DBSIZE").as_deref(),
        Some(":0"),
        "it loaded what was there before the save"
    );
    // Two final saves at once would take turns with one temporary file, and one of the servers would not exit.
    for task in world.tasks() {
        world.aws.kill_task(task["taskArn"].as_str().unwrap());
    }
    world.aws.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_task_is_replaced_while_it_goes_on_and_ends_when_it_is_found() {
    let home = tempfile::tempdir().unwrap();
    let world = world(&home).await;
    world.register(definition(&world));
    world.call("CreateService", world.service_input());
    let first = serving(&world, 1).await;
    let arn = world.newest()["taskArn"].as_str().unwrap().to_owned();
    assert!(world.aws.lose_task(&arn));
    world
        .until("the next one runs", |world| {
            world.tasks().len() == 2 && world.newest()["lastStatus"] == "RUNNING"
        })
        .await;
    let lost = &world.tasks()[0];
    assert_eq!(
        (&lost["lastStatus"], &lost["stopCode"]),
        (&json!("STOPPED"), &json!("TerminationNotice"))
    );
    assert!(!world.aws.lose_task(&arn), "once");
    assert_eq!(ask(first, "SET key value").as_deref(), Some("+OK"), "nobody told it");
    assert_eq!(
        (ask(address(&world.newest()), "PING"), world.aws.lost_left()),
        (None, 1)
    );
    world.aws.end_lost();
    let second = serving(&world, 2).await;
    assert_eq!(
        (ask(second, "GET key").as_deref(), world.aws.lost_left()),
        (Some("value"), 0)
    );
    world.aws.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_write_gets_a_read_only_directory() {
    let home = tempfile::tempdir().unwrap();
    let world = world(&home).await;
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Resource": "*", "Action": "elasticfilesystem:ClientMount" }] });
    let put = json!({ "RoleName": crate::world::TASK_ROLE, "PolicyName": "efs", "PolicyDocument": policy.to_string() });
    world.other(Service::Iam, "PutRolePolicy", put);
    let mut definition = world.definition();
    definition["containerDefinitions"][0]["command"] = json!(["sh", "-c", "touch /data/x || exit 9"]);
    world.register(definition);
    world.call("CreateService", world.service_input());
    world
        .until("it exits", |world| {
            world.tasks()[0]["containers"][0].get("exitCode").is_some()
        })
        .await;
    if crate::tasks::is_sandboxed() {
        assert_eq!(world.tasks()[0]["containers"][0]["exitCode"], 9);
    }
    world.aws.shutdown().await;
}
