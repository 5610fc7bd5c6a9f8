//! A stop timeout that is too short for the final save, with a real Valkey whose saves take seconds and writers that do not stop:
//! writes are kept out, everything is saved, and the server ends without another save.

use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use valkeep_tests::keys;
use valkeep_tests::real::{self, Real, Task};
use valkeep_tests::scene::example;
use valkeep_tests::writers::{Load, Writers};

const NAME: &str = "trigpointing-valkey";
const FILE: &str = "minimal.yaml";
/// With a millisecond for each, a save takes more than four seconds.
const KEYS: usize = 4_000;
const SAVE_DELAY_US: u32 = 1_000;
/// Less than that, and all the time that ECS gives a final save.
const STOP_TIMEOUT_S: u32 = 3;
/// Reached only by a failure.
const PATIENCE: Duration = Duration::from_mins(2);

fn document(memory_mib: u32) -> String {
    let create = format!(
        "    create:\n      memoryMiB: {memory_mib}\n      extraFlags: [--rdb-key-save-delay, \"{SAVE_DELAY_US}\"]\n"
    );
    let rollout = format!("  rollout: {{stopTimeoutSeconds: {STOP_TIMEOUT_S}}}\n");
    example(FILE).replacen("    create:\n", &create, 1) + &rollout
}

fn says(real: &Real, words: &str) -> bool {
    real.scene
        .status(NAME)
        .is_some_and(|status| status.to_string().contains(words))
}

async fn until(what: &str, real: &Real, mut is: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        ensure!(
            Instant::now() < deadline,
            "{what} did not come: {:#?}",
            real.scene.status(NAME)
        );
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// The running tasks; the service of the example has no name in DNS.
fn resolve(real: &Real) -> Arc<dyn Fn() -> Vec<SocketAddr> + Send + Sync> {
    let aws = real.scene.aws.clone();
    Arc::new(move || {
        let running = real::running(&aws, NAME).unwrap_or_default();
        running.iter().filter_map(|task| task.address.parse().ok()).collect()
    })
}

fn setting(task: &Task, name: &str) -> String {
    keys::setting(&task.address, name).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_save_that_would_be_cut_off_is_made_before_with_writes_kept_out() -> Result<()> {
    let real = Real::start().await?;
    let controller = real.quiet_controller()?;
    real.write(FILE, &document(512))?;
    real.quiet(0, &["apply", FILE, "--wait", "--timeout", "60s"]).await?;
    let old = real.task(NAME, PATIENCE, |_| true).await?;
    keys::write(&old.address, "key", KEYS)?;
    // Valkey tells how long a save took once there was one.
    keys::ask(&old.address, "BGSAVE\n")?;
    until("the warning", &real, || says(&real, "StopBudgetTooSmall")).await?;

    let load = Load {
        writers: 2,
        rest: Duration::from_millis(5),
        seed: 1,
    };
    let writers = Writers::start(load, &resolve(&real));
    real.write(FILE, &document(1024))?;
    real.quiet(0, &["apply", FILE]).await?;
    until("the fence", &real, || setting(&old, "min-replicas-to-write") != "0").await?;
    let refused = keys::ask(&old.address, "SET outside no\n")?;
    ensure!(refused.contains("NOREPLICAS"), "{refused}");
    until("the hold", &real, || {
        says(&real, "writes are refused, everything is saved")
    })
    .await?;
    // Ended by SIGTERM without a save of its own: it has no save points by then.
    until("the end of save points", &real, || {
        real::running(&real.scene.aws, NAME).is_ok_and(|running| !running.contains(&old))
            || setting(&old, "save").is_empty()
    })
    .await?;

    let new = real.task(NAME, PATIENCE, |task| task.arn != old.arn).await?;
    until("Ready", &real, || real.scene.is_ready(NAME)).await?;
    let written = writers.stop()?;
    let lost = written.lost(new.address.parse().context("an address")?)?;
    ensure!(
        lost.is_empty(),
        "{} of {} writes lost: {lost:?}",
        lost.len(),
        written.count()
    );
    assert_eq!(keys::count_written(&new.address, "key", KEYS)?, KEYS);
    // The next one takes writes, and saves.
    assert_eq!(setting(&new, "min-replicas-to-write"), "0");
    assert_eq!(setting(&new, "save"), "900 1 300 10 60 10000");
    keys::write(&new.address, "after", 1)?;
    controller.stop().await?;
    real.stop().await;
    Ok(())
}
