//! valkeep is killed: at every call it makes, and for real by SIGKILL. The next one finishes, and nothing is there twice.

use anyhow::{Context, Result};
use localaws::{Delays, Fault, FaultKind};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};
use valkeep_engine::{CancellationToken, Settings};
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

fn valkeep_run(endpoint: &str) -> Result<Child> {
    // Beside deps/, where this test lies.
    let program = std::env::current_exe()?
        .parent()
        .and_then(Path::parent)
        .context("target folder")?
        .join("valkeep");
    Command::new(&program)
        .args([
            "run",
            // Each would wait for the lease of the one that was killed; `leadership` shows that.
            "--single-replica",
            "--store",
            scene::DOCUMENTS,
            "--poll",
            "1s",
            "--dns-grace",
            "2s",
            "--log",
            "error",
        ])
        .envs([
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "tests"),
            ("AWS_SECRET_ACCESS_KEY", "tests"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{} does not start; build the whole workspace", program.display()))
}

async fn at_every_call(kind: &FaultKind) {
    let reference = fresh();
    run_until_ready(&reference, "no kill").await;
    let expected = reference.inventory();
    let calls = reference.aws.call_count();
    assert!(calls > 40, "{calls}");

    for nth in 1..=calls {
        let scene = fresh();
        let mut fault = Fault {
            matches: localaws::Match::default(),
            kind: kind.clone(),
        }
        .nth(nth as u64);
        fault.matches.times = Some(1);
        scene.aws.inject(fault);
        let engine = tokio::spawn(scene.engine(Settings::default()).run(CancellationToken::new()));
        let deadline = Instant::now() + Duration::from_mins(10);
        while scene.aws.call_count() < nth {
            assert!(Instant::now() < deadline, "call {nth} never came");
            sleep(Duration::from_millis(1)).await;
        }
        // Dropping the future is what a kill looks like from here: nothing of it runs any more.
        engine.abort();
        assert!(
            engine.await.is_err_and(|error| error.is_cancelled()),
            "killed at call {nth}"
        );
        scene.aws.clear_faults();

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
