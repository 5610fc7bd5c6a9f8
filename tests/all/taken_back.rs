//! A deletion that is taken back, with a real Valkey: as long as the directory is there, the data comes back.

use anyhow::{Context, Result};
use localaws::{Config, Delays, Fault, FaultKind, LocalAws, TaskRunner, world};
use std::process::Command;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use valkeep_engine::{CancellationToken, Settings};
use valkeep_tests::scene::{Scene, asking_for, example};
use valkeep_tests::valkey::ToldValkey;

const NAME: &str = "trigpointing-valkey";
const KEY: &str = "cache.yaml";
const BOUND: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_taken_back_while_the_directory_is_there_comes_back_warm() -> Result<()> {
    let home = tempfile::tempdir()?;
    let scene = real(&home);
    let document = example("trigpointing-valkey.yaml");
    scene.put(KEY, &document);
    let stop = CancellationToken::new();
    let engine = tokio::spawn(scene.engine(quick()).run(stop.clone()));

    scene.until_ready(NAME, BOUND, "at first").await;
    answers(&scene, "PONG", &["PING"]).await?;
    // Acknowledged and not saved: only the final save at SIGTERM writes it.
    answers(&scene, "OK", &["SET", "key", "value"]).await?;

    // Everything goes up to the mount targets: service, access point, server.
    scene
        .aws
        .inject(Fault::on("DeleteMountTarget", FaultKind::AccessDenied));
    scene.put(KEY, &asking_for(&["delete", "delete-without-backup"], &document, NAME));
    scene.until(NAME, "Stalled", BOUND, "denied").await;
    let left = scene.inventory();
    assert_eq!(
        (left.services, left.access_points, left.file_systems),
        (0, 0, 1),
        "{left:?}"
    );

    scene.put(KEY, &document);
    let deadline = Instant::now() + BOUND;
    while scene.inventory().running_tasks == 0 {
        assert!(Instant::now() < deadline, "no task: {:#?}", scene.status(NAME));
        sleep(Duration::from_millis(50)).await;
    }
    answers(&scene, "value", &["GET", "key"]).await?;
    // Only now: a pass that began before the document was put would have gone on deleting.
    scene.aws.clear_faults();

    // And for good.
    scene.put(KEY, &asking_for(&["delete", "delete-without-backup"], &document, NAME));
    scene.until(NAME, "Deleted", BOUND, "for good").await;
    assert_eq!(scene.inventory().file_systems, 0);
    stop.cancel();
    engine.await?;
    Ok(())
}

/// Tasks are real, and what AWS does takes no time.
fn real(home: &tempfile::TempDir) -> Scene {
    let [.., low] = std::process::id().to_be_bytes();
    let aws = LocalAws::new(Config {
        delays: Delays {
            no_health_check: 0.2,
            ..Delays::zero()
        },
        tasks: TaskRunner::Processes,
        data_dir: home.path().to_owned(),
        ip_block: [127, 100 + low % 100],
        ..Config::default()
    });
    world::trigpointing(&aws);
    let valkey = ToldValkey::healthy(aws.now());
    Scene {
        aws,
        valkey,
        dns_grace_s: 0,
        limits: valkeep_core::Limits::default(),
    }
}

fn quick() -> Settings {
    Settings {
        poll: Duration::from_millis(200),
        wait: Duration::from_millis(200),
        wait_max: Duration::from_millis(500),
        backoff_cap: Duration::from_secs(1),
        ..Settings::default()
    }
}

/// Asks the server of the one task until it answers so; one that starts does not answer at once.
async fn answers(scene: &Scene, expected: &str, words: &[&str]) -> Result<()> {
    let deadline = Instant::now() + BOUND;
    let mut last = String::new();
    while last != expected {
        assert!(Instant::now() < deadline, "{words:?}: {last}");
        let status = scene.status(NAME).context("a status")?;
        if let Some((host, port)) = status["status"]["address"].as_str().and_then(|at| at.split_once(':')) {
            let output = Command::new("valkey-cli")
                .args(["-t", "2", "-h", host, "-p", port])
                .args(words)
                .output()
                .context("valkey-cli")?;
            String::from_utf8_lossy(&output.stdout).trim().clone_into(&mut last);
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
