//! Deletions through the real SDK on a paused clock: killed at every call, with every fault on every call, and taken back.
//! What is asked for goes in the end, nothing else ever does.

use localaws::{Delays, Fault, FaultKind, Service};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::sleep;
use valkeep_tests::scene::{Inventory, Running, Scene, asking_for, example};

const NAME: &str = "trigpointing-valkey";
const KEY: &str = "cache.yaml";
/// How long a lasting fault lasts.
const TROUBLE: Duration = Duration::from_mins(10);
/// By then everything must have gone: the longest back-off, a resync, and the way itself.
const GONE: Duration = Duration::from_mins(40);

#[tokio::test(start_paused = true)]
async fn killed_before_any_call_is_carried_out_the_next_one_finishes_the_deletion() {
    at_every_call(&FaultKind::Timeout).await;
}

#[tokio::test(start_paused = true)]
async fn killed_after_any_call_was_carried_out_the_next_one_finishes_the_deletion() {
    at_every_call(&FaultKind::LostReply).await;
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_is_denied_a_call_says_so_and_goes_on_with_the_permission() {
    for (service, operation) in deleting_calls().await {
        let scene = converged().await;
        scene.put(KEY, &doomed());
        scene.aws.inject(fault(service, &operation, &FaultKind::AccessDenied));
        let running = Running::start(&scene);
        sleep(TROUBLE).await;
        let said = running.everything_said();
        // HTTP's names of S3's calls differ from IAM's.
        let call = match operation.as_str() {
            "ListObjectsV2" => "ListBucket",
            "PutObject" => "unwritten: Some(",
            other => other,
        };
        assert!(
            scene.is_true(NAME, "Deleted") || said.contains(call),
            "{operation} is told to nobody: {said}"
        );
        scene.aws.clear_faults();
        gone(&scene, &format!("denied {operation}")).await;
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn replies_lost_again_and_again_end_no_deletion() {
    for (service, operation) in deleting_calls().await {
        let scene = converged().await;
        scene.put(KEY, &doomed());
        // More than the SDK's own attempts, so that a pass sees the failure.
        scene
            .aws
            .inject(fault(service, &operation, &FaultKind::LostReply).times(4));
        let running = Running::start(&scene);
        gone(&scene, &format!("lost replies of {operation}")).await;
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_that_is_removed_in_the_middle_keeps_what_is_left() {
    let (scene, running) = interrupted("DeleteMountTarget").await;
    scene.aws.delete_object(localaws::world::BUCKET, &format!("docs/{KEY}"));
    sleep(Duration::from_mins(1)).await;
    scene.aws.clear_faults();
    stays(&scene, &running).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_listed_deletes_nothing_and_goes_on_when_it_can() {
    let (scene, running) = interrupted("DeleteMountTarget").await;
    scene
        .aws
        .inject(fault(Service::S3, "ListObjectsV2", &FaultKind::AccessDenied));
    sleep(Duration::from_mins(2)).await;
    scene.aws.clear_faults();
    scene
        .aws
        .inject(fault(Service::S3, "ListObjectsV2", &FaultKind::AccessDenied));
    stays(&scene, &running).await;
    assert!(running.everything_said().contains("nothing is deleted meanwhile"));
    scene.aws.clear_faults();
    gone(&scene, "the store is back").await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_not_valid_deletes_nothing() {
    let (scene, running) = interrupted("DeleteMountTarget").await;
    // Whoever took the annotation away made a mistake elsewhere.
    scene.put(
        KEY,
        &example("trigpointing-valkey.yaml").replace("fileSystem:", "fileSytem:"),
    );
    sleep(Duration::from_mins(1)).await;
    scene.aws.clear_faults();
    stays(&scene, &running).await;
    assert!(running.everything_said().contains("which only the current one can"));
    scene.put(KEY, &example("trigpointing-valkey.yaml"));
    scene.until_ready(NAME, GONE, "taken back").await;
    assert_eq!(scene.inventory().file_systems, 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_deletion_without_waiver_leaves_the_server_running() {
    let scene = converged().await;
    let before = scene.inventory();
    scene.put(
        KEY,
        &asking_for(&["delete"], &example("trigpointing-valkey.yaml"), NAME),
    );
    let running = Running::start(&scene);
    scene.until(NAME, "Stalled", GONE, "no waiver").await;
    sleep(Duration::from_mins(30)).await;
    assert_eq!(scene.inventory(), before);
    assert!(running.everything_said().contains("BackupRequired"));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_is_made_anew_when_the_annotation_goes() {
    let scene = converged().await;
    let before = scene.inventory();
    scene.put(KEY, &doomed());
    let running = Running::start(&scene);
    gone(&scene, "first").await;
    scene.put(KEY, &example("trigpointing-valkey.yaml"));
    scene.until_ready(NAME, GONE, "anew").await;
    assert_eq!(scene.inventory(), before);
    let status = scene.status(NAME).expect("a status").to_string();
    assert!(!status.contains("\"Deleted\""), "{status}");
    running.stop().await;
}

async fn at_every_call(kind: &FaultKind) {
    let calls = {
        let scene = converged().await;
        scene.put(KEY, &doomed());
        delete(&scene, "no kill").await;
        scene.aws.calls()
    };
    assert!(calls.len() > 40, "{}", calls.len());
    // Whether a read was carried out or not, AWS is the same after it.
    let changes = |operation: &str| {
        !["Describe", "List", "Get"]
            .iter()
            .any(|word| operation.starts_with(word))
    };
    let all = *kind == FaultKind::Timeout;
    let struck: Vec<usize> = (1..=calls.len())
        .filter(|nth| all || changes(&calls[nth - 1].operation))
        .collect();
    let calls = calls.len();
    for nth in struck {
        let scene = converged().await;
        scene.put(KEY, &doomed());
        scene.kill_engine_at(nth, kind, GONE).await;
        delete(&scene, &format!("killed at call {nth} of {calls}")).await;
    }
}

/// Every operation of a deletion from beginning to end.
async fn deleting_calls() -> BTreeSet<(Service, String)> {
    let scene = converged().await;
    scene.put(KEY, &doomed());
    delete(&scene, "no fault").await;
    let calls: BTreeSet<_> = scene
        .aws
        .calls()
        .into_iter()
        .map(|call| (call.service, call.operation))
        .collect();
    for expected in [
        "DeleteService",
        "DeleteFileSystemPolicy",
        "DeleteAccessPoint",
        "DeleteMountTarget",
        "DeleteFileSystem",
        "DeleteRolePolicy",
        "DeleteSecurityGroup",
        "DeregisterTaskDefinition",
    ] {
        assert!(
            calls.iter().any(|(_, call)| call == expected),
            "{expected} in {calls:?}"
        );
    }
    calls
}

/// A deletion under way that cannot go on: `operation` is denied, and everything before it is done.
async fn interrupted(operation: &str) -> (Scene, Running) {
    let scene = converged().await;
    scene.put(KEY, &doomed());
    scene
        .aws
        .inject(fault(Service::Efs, operation, &FaultKind::AccessDenied));
    let running = Running::start(&scene);
    scene.until(NAME, "Stalled", GONE, "denied").await;
    let left = scene.inventory();
    assert_eq!(
        (left.services, left.access_points, left.mount_targets),
        (0, 0, 2),
        "{left:?}"
    );
    (scene, running)
}

/// Nothing goes for an hour.
async fn stays(scene: &Scene, running: &Running) {
    sleep(Duration::from_hours(1)).await;
    let left = scene.inventory();
    assert_eq!(
        (left.file_systems, left.mount_targets),
        (1, 2),
        "{}",
        running.everything_said()
    );
}

/// The document made true, with a file-system policy, and the process that did it gone.
async fn converged() -> Scene {
    fastrand::seed(13);
    let scene = Scene::new(Delays::default());
    scene.put(KEY, &enforced());
    let running = Running::start(&scene);
    scene.until_ready(NAME, GONE, "at first").await;
    running.stop().await;
    scene.aws.clear_calls();
    scene
}

fn enforced() -> String {
    example("trigpointing-valkey.yaml").replace("enforceTlsAndIam: false", "enforceTlsAndIam: true")
}

fn doomed() -> String {
    asking_for(&["delete", "delete-without-backup"], &enforced(), NAME)
}

async fn delete(scene: &Scene, what: &str) {
    let running = Running::start(scene);
    gone(scene, what).await;
    running.stop().await;
}

/// Waits for the end, and counts what is left: what was there before valkeep, and the log group.
async fn gone(scene: &Scene, what: &str) {
    scene.until(NAME, "Deleted", GONE, what).await;
    let before = Scene::new(Delays::default()).inventory();
    let expected = Inventory {
        log_groups: before.log_groups + 1,
        ..before
    };
    assert_eq!(scene.inventory(), expected, "{what}");
}

fn fault(service: Service, operation: &str, kind: &FaultKind) -> Fault {
    let mut fault = Fault::on(operation, kind.clone());
    fault.matches.service = Some(service);
    fault
}
