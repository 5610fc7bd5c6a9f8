//! Every fault on every call that a document causes, from nothing to Ready, through the real SDK and under a paused
//! clock: it is said, nothing is done twice, it heals by itself.
//!
//! The table finds the calls by itself: those of a run without faults.

use localaws::{Delays, Fault, FaultKind, Service};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::sleep;
use valkeep_tests::scene::{Inventory, Running, Scene, example, example_for};

const NAME: &str = "trigpointing-valkey";
/// How long a lasting fault lasts.
const TROUBLE: Duration = Duration::from_mins(10);
/// By then everything must be well again: the longest back-off (5 min), a resync (10 min and a tenth), and the way itself.
const HEALED: Duration = Duration::from_mins(30);

#[tokio::test(start_paused = true)]
async fn denied_calls_are_named_and_heal_when_the_permission_comes() {
    lasting(&FaultKind::AccessDenied).await;
}

#[tokio::test(start_paused = true)]
async fn throttled_calls_are_waited_for() {
    lasting(&FaultKind::Throttle).await;
}

#[tokio::test(start_paused = true)]
async fn broken_calls_are_waited_for() {
    lasting(&FaultKind::ServerError).await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_never_answer_are_given_up_and_tried_again() {
    lasting(&FaultKind::Timeout).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_never_makes_anything_twice() {
    passing(&FaultKind::LostReply, 1).await;
}

#[tokio::test(start_paused = true)]
async fn replies_lost_again_and_again_never_make_anything_twice() {
    // More than the SDK's own attempts, so that a pass sees the failure.
    passing(&FaultKind::LostReply, 4).await;
}

#[tokio::test(start_paused = true)]
async fn a_single_timeout_never_makes_anything_twice() {
    passing(&FaultKind::Timeout, 1).await;
}

#[tokio::test(start_paused = true)]
async fn the_trouble_of_one_document_is_not_that_of_another() {
    let scene = fresh();
    let other = |service: &str, from: &str, to: &str| {
        let text = example_for(service);
        assert!(text.contains(from), "{from}");
        scene.put(&format!("{service}.yaml"), &text.replace(from, to));
    };
    other("no-role", "trigpointing-ecs-task-role", "nobody");
    other("no-subnet", "subnet-0bbbbbbbbbbbbbbb2", "subnet-0eeeeeeeeeeeeeee5");
    other("no-cluster", "cluster: trigpointing-cluster", "cluster: nowhere");
    other("typo", "fileSystem:", "fileSytem:");
    scene.put("garbage.yaml", "\u{0}");
    let running = Running::start(&scene);
    healed(&scene, "the one without trouble").await;
    sleep(Duration::from_mins(5)).await;
    for (name, words) in [
        ("no-role", "the task role nobody is not there"),
        ("no-subnet", "subnet-0eeeeeeeeeeeeeee5"),
        ("no-cluster", "nowhere"),
        ("typo", "fileSystem"),
        ("garbage", "byte 0x00"),
    ] {
        let status = scene.status(name).unwrap_or_else(|| panic!("{name} has a status"));
        let stalled = scene.is_true(name, "Stalled");
        assert!(stalled && status.to_string().contains(words), "{name}: {status:#}");
    }
    assert!(scene.is_ready(NAME));
    running.stop().await;
}

/// The fault is there from the start and for ten minutes, on one operation after the other.
async fn lasting(kind: &FaultKind) {
    let (operations, expected) = reference().await;
    for (service, operation) in operations {
        let scene = fresh();
        scene.aws.inject(fault(service, &operation, kind));
        let running = Running::start(&scene);
        sleep(TROUBLE).await;
        let said = running.everything_said();
        assert!(
            scene.is_ready(NAME) || said.contains(&operation) || is_said_by_the_store(&operation, &said),
            "{kind:?} on {operation} is not told to anybody: {said}"
        );
        scene.aws.clear_faults();
        healed(&scene, &format!("{kind:?} on {operation}")).await;
        assert_eq!(scene.inventory(), expected, "{kind:?} on {operation}");
        running.stop().await;
    }
}

/// The fault strikes the first calls of one operation only.
async fn passing(kind: &FaultKind, times: u64) {
    let (operations, expected) = reference().await;
    for (service, operation) in operations {
        let scene = fresh();
        scene.aws.inject(fault(service, &operation, kind).times(times));
        let running = Running::start(&scene);
        healed(&scene, &format!("{times} x {kind:?} on {operation}")).await;
        assert_eq!(scene.inventory(), expected, "{times} x {kind:?} on {operation}");
        running.stop().await;
    }
}

/// Every operation that a document causes on its way to Ready, and what is there then.
async fn reference() -> (BTreeSet<(Service, String)>, Inventory) {
    let scene = fresh();
    let running = Running::start(&scene);
    healed(&scene, "no fault").await;
    let operations: BTreeSet<_> = scene
        .aws
        .calls()
        .into_iter()
        .map(|call| (call.service, call.operation))
        .collect();
    assert!(operations.len() > 20, "{operations:?}");
    let inventory = scene.inventory();
    running.stop().await;
    (operations, inventory)
}

fn fresh() -> Scene {
    // The SDK's jitter, tokens and ids come from this generator: the same faults, the same run.
    fastrand::seed(7);
    let scene = Scene::new(Delays::default());
    scene.put("cache.yaml", &example("trigpointing-valkey.yaml"));
    scene
}

fn fault(service: Service, operation: &str, kind: &FaultKind) -> Fault {
    let mut fault = Fault::on(operation, kind.clone());
    fault.matches.service = Some(service);
    fault
}

async fn healed(scene: &Scene, what: &str) {
    scene.until_ready(NAME, HEALED, what).await;
}

/// What goes wrong with the store itself is told by the store's words; a listing that fails names the call, a status that
/// cannot be written says so.
fn is_said_by_the_store(operation: &str, said: &str) -> bool {
    if operation == "PutObject" {
        return said.contains("unwritten: Some(");
    }
    // HTTP's names of S3's calls differ from IAM's.
    let call = match operation {
        "ListObjectsV2" => "ListBucket",
        "ListObjectVersions" => "ListBucketVersions",
        other => other,
    };
    said.contains(call)
}
