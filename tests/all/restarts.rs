//! valkeep is killed: at every call it makes, and for real by SIGKILL. The next one finishes, and nothing is there twice.

use anyhow::Result;
use localaws::{Delays, FaultKind};
use std::time::Duration;
use tokio::process::Child;
use tokio::time::sleep;
use valkeep_engine::{CancellationToken, Settings};
use valkeep_tests::program;
use valkeep_tests::scene::{self, Scene, example};

const NAME: &str = "trigpointing-valkey";

#[tokio::test(start_paused = true)]
async fn killed_before_any_call_is_carried_out_the_next_one_finishes() {
    at_every_call(&FaultKind::Timeout).await;
}

#[tokio::test(start_paused = true)]
async fn killed_after_any_call_was_carried_out_the_next_one_finishes() {
    at_every_call(&FaultKind::LostReply).await;
}

/// The shipped binary over TCP, and SIGKILL: nothing of it survives, the next one finishes.
#[tokio::test]
async fn a_real_process_killed_again_and_again_leaves_one_of_everything() -> Result<()> {
    let delays = Delays {
        mount_target: 1.0,
        file_system: 1.0,
        dns: 1.0,
        ..Delays::default()
    };
    let scene = Scene::new(delays);
    scene.put("cache.yaml", &example("trigpointing-valkey.yaml"));
    let server = scene::serve(&scene.aws).await?;
    // By calls made, so that each kill strikes further on, however fast this machine is.
    for calls in (4..40).step_by(6) {
        scene.aws.clear_calls();
        let mut process = valkeep_run(&server.endpoint)?;
        let deadline = std::time::Instant::now() + Duration::from_mins(1);
        while scene.aws.call_count() < calls {
            assert!(std::time::Instant::now() < deadline, "call {calls} never came");
            sleep(Duration::from_millis(1)).await;
        }
        process.kill().await?;
    }
    let mut process = valkeep_run(&server.endpoint)?;
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    while scene.inventory().running_tasks == 0 {
        assert!(
            std::time::Instant::now() < deadline,
            "no task: {:#?}",
            scene.status(NAME)
        );
        sleep(Duration::from_millis(50)).await;
    }
    process.kill().await?;
    let reference = fresh();
    let mut expected = reference.inventory();
    (expected.file_systems, expected.mount_targets, expected.access_points) = (1, 2, 1);
    (expected.log_groups, expected.role_policies, expected.task_definitions) = (1, 1, 1);
    (expected.services, expected.running_tasks, expected.security_groups) = (1, 1, expected.security_groups + 1);
    assert_eq!(scene.inventory(), expected);
    Ok(())
}

/// Alone: it would wait for the lease of the one that was killed; `leadership` shows that.
fn valkeep_run(endpoint: &str) -> Result<Child> {
    program::valkeep_run(endpoint, "tests", &["--single-replica"])
}

async fn at_every_call(kind: &FaultKind) {
    let reference = fresh();
    run_until_ready(&reference, "no kill").await;
    let expected = reference.inventory();
    let calls = reference.aws.call_count();
    assert!(calls > 40, "{calls}");

    for nth in 1..=calls {
        let scene = fresh();
        scene.kill_engine_at(nth, kind, Duration::from_mins(10)).await;
        run_until_ready(&scene, &format!("killed at call {nth} of {calls}")).await;
        assert_eq!(scene.inventory(), expected, "killed at call {nth} of {calls}");
    }
}

async fn run_until_ready(scene: &Scene, what: &str) {
    let stop = CancellationToken::new();
    let engine = tokio::spawn(scene.engine(Settings::default()).run(stop.clone()));
    scene.until_ready(NAME, Duration::from_mins(30), what).await;
    stop.cancel();
    engine.await.expect("the engine does not panic");
}

fn fresh() -> Scene {
    fastrand::seed(11);
    let scene = Scene::new(Delays::default());
    scene.put("cache.yaml", &example("trigpointing-valkey.yaml"));
    scene
}
