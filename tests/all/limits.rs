//! Limits of power through engine and SDK: what a document may not touch is not even looked at in its name.

use localaws::{Delays, Service};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use valkeep_core::limits::{Allowed, Pattern};
use valkeep_engine::{CancellationToken, Settings};
use valkeep_tests::scene::{Scene, example, example_for};

/// Stalled within a pass or two.
const SOON: Duration = Duration::from_mins(2);

#[tokio::test(start_paused = true)]
async fn nothing_is_called_in_the_name_of_a_document_outside_of_the_limits() {
    let scene = outside();
    scene.put("cache.yaml", &example("trigpointing-valkey.yaml"));
    let stop = CancellationToken::new();
    let running = tokio::spawn(scene.engine(Settings::default()).run(stop.clone()));
    until_stalled(&scene, "trigpointing-valkey").await;
    sleep(Duration::from_hours(1)).await;
    let called: BTreeSet<Service> = scene.aws.calls().into_iter().map(|call| call.service).collect();
    assert_eq!(
        called,
        BTreeSet::from([Service::S3]),
        "documents and status, and nothing else"
    );
    stop.cancel();
    running.await.expect("the engine does not panic");
}

#[tokio::test(start_paused = true)]
async fn a_document_outside_of_the_limits_is_in_the_way_of_no_other() {
    let scene = outside();
    scene.put("one.yaml", &example("trigpointing-valkey.yaml"));
    let other = example_for("other").replace(
        "name: trigpointing-ecs-task-role",
        "name: trigpointing-ecs-execution-role",
    );
    scene.put("other.yaml", &other);
    let stop = CancellationToken::new();
    let running = tokio::spawn(scene.engine(Settings::default()).run(stop.clone()));
    scene.until_ready("other", Duration::from_mins(15), "permitted").await;
    assert!(scene.is_true("trigpointing-valkey", "Stalled"));
    stop.cancel();
    running.await.expect("the engine does not panic");
}

/// The task role of the example is not permitted, and its execution role is.
fn outside() -> Scene {
    let mut scene = Scene::new(Delays::default());
    let pattern = Pattern::parse("trigpointing-ecs-execution-*").expect("a pattern");
    scene.limits.roles = Allowed::only(vec![pattern]);
    scene
}

async fn until_stalled(scene: &Scene, name: &str) {
    let deadline = Instant::now() + SOON;
    while !scene.is_true(name, "Stalled") {
        assert!(Instant::now() < deadline, "{:#?}", scene.status(name));
        sleep(Duration::from_secs(1)).await;
    }
    let status = scene.status(name).expect("a status").to_string();
    assert!(
        status.contains("NotPermitted") && status.contains("spec.taskRole.name"),
        "{status}"
    );
}
