//! The drill, with the shipped program and real Valkeys: warm, without a controller, with a server that is killed in the middle
//! of it, and broken off.

use anyhow::{Context, Result, ensure};
use localaws::world;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::time::Duration;
use tokio::process::Child;
use tokio::time::{Instant, sleep};
use valkeep_tests::keys;
use valkeep_tests::real::{Controller, Real, Task};
use valkeep_tests::scene::example;

const NAME: &str = "trigpointing-valkey";
const FILE: &str = "trigpointing-valkey.yaml";
const KEYS: usize = 200;
/// As many as a drill writes by itself.
const CANARIES: usize = 100;
/// How long one task may take to follow another, or a condition to come: seconds on a quiet machine.
const SOON: Duration = Duration::from_mins(1);
const DRILL: [&str; 4] = ["verify", NAME, "--yes", "--poll"];

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_finds_everything_again_and_leaves_nothing_behind() -> Result<()> {
    let (real, controller, first) = serving().await?;
    keys::write(&first.address, "key", KEYS)?;
    real.clear_calls();

    // Nobody answers here, and that is a no.
    let unasked = ["verify", NAME];
    let (_, said) = real.ended(1, &unasked, real.begin(&unasked)?).await?;
    ensure!(
        said.contains("200 keys at ") && said.ends_with("Go on? [y/N] nothing was done\n"),
        "{said}"
    );
    assert_eq!(keys::count(&first.address)?, KEYS.to_string());

    let printed = real.valkeep(0, &["verify", NAME, "--yes", "--output", "json"]).await?;
    let report: Value = serde_json::from_str(&printed)?;
    let number = |of: &str, field: &str| report[of][field].as_u64().context("a number");
    assert_eq!(number("before", "keys")?, KEYS as u64);
    assert_eq!(number("after", "keys")?, KEYS as u64);
    assert_eq!(
        number("before", "keysAtStop")?,
        (KEYS + CANARIES + 1) as u64,
        "{report:#}"
    );
    assert_eq!(
        number("after", "keysLoaded")?,
        number("before", "keysAtStop")?,
        "{report:#}"
    );
    assert_eq!(number("canaries", "written")?, CANARIES as u64);
    assert_eq!(number("canaries", "lost")?, 0);
    assert_eq!(number("writes", "lost")?, 0);
    ensure!(number("writes", "acknowledged")? > 10, "{report:#}");
    ensure!(number("writes", "longestGapMs")? > 0, "{report:#}");
    ensure!(report["before"]["runId"] != report["after"]["runId"], "{report:#}");

    let second = real.task(NAME, SOON, |task| task.arn != first.arn).await?;
    assert_eq!(
        keys::count(&second.address)?,
        KEYS.to_string(),
        "its own keys are deleted"
    );
    assert_eq!(keys::count_written(&second.address, "key", KEYS)?, KEYS);
    assert_eq!(real.count("UpdateService"), 1);
    ensure!(
        document(&real)?.contains("    valkeep.dev/restart: \"verify "),
        "{}",
        document(&real)?
    );
    let text = real.valkeep(0, &["plan", NAME]).await?;
    ensure!(text.contains("Nothing to do"), "{text}");

    // A pipeline puts the document back, and nothing is restarted by that.
    real.valkeep(0, &["apply", FILE, "--wait", "--timeout", "60s"]).await?;
    assert_eq!(real.task(NAME, SOON, |_| true).await?, second);
    let text = real.valkeep(0, &["verify", NAME, "--yes", "--keys", "7"]).await?;
    ensure!(text.contains("everything that was written came back"), "{text}");
    ensure!(text.contains("Longest time without a successful write: "), "{text}");
    assert_eq!(real.count("UpdateService"), 2);

    // On a day that does not come this year nothing would be restarted.
    let window = "rollout:\n    maintenanceWindow: {cron: '0 0 29 2 *', durationMinutes: 1}\n";
    let document = example(FILE).replace("rollout:\n", window);
    ensure!(document.contains(window), "{document}");
    real.write(FILE, &document)?;
    real.valkeep(0, &["apply", FILE, "--wait", "--timeout", "60s"]).await?;
    let (_, said) = real.ended(1, &unasked, real.begin(&unasked)?).await?;
    ensure!(
        said.contains("the maintenance window of `trigpointing-valkey` is closed until"),
        "{said}"
    );
    controller.stop().await?;
    real.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_controller_nothing_is_restarted_and_that_is_said() -> Result<()> {
    let (real, controller, first) = serving().await?;
    controller.stop().await?;
    let arguments = [&DRILL[..], &["200ms", "--timeout", "3s"]].concat();
    let (printed, said) = real.ended(3, &arguments, real.begin(&arguments)?).await?;
    assert_eq!(printed, "");
    ensure!(said.contains("does `valkeep run` run on this store?"), "{said}");
    ensure!(said.contains("remove the annotation valkeep.dev/restart"), "{said}");
    assert_eq!(real.task(NAME, SOON, |_| true).await?, first);
    assert_eq!(keys::count(&first.address)?, "0", "its own keys are deleted");

    // What it asked for is still asked for, so another one is not begun.
    let (_, said) = real.ended(1, &arguments, real.begin(&arguments)?).await?;
    ensure!(
        said.contains("is not Ready: this version has not been looked at yet"),
        "{said}"
    );
    real.stop().await;
    Ok(())
}

/// Nobody saves at a SIGKILL, so what the drill wrote since the last snapshot is gone.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_kill_loses_is_found_to_be_lost() -> Result<()> {
    let (real, controller, first) = serving().await?;
    controller.stop().await?;
    let arguments = [&DRILL[..], &["200ms"]].concat();
    let drill = real.begin(&arguments)?;
    asked_for(&real, &first).await?;
    ensure!(real.scene.aws.kill_task(&first.arn), "it runs");
    let second = real.task(NAME, SOON, |task| task.arn != first.arn).await?;
    let controller = real.controller()?;
    let (printed, _) = real.ended(1, &arguments, drill).await?;
    ensure!(printed.contains("what was written is not all there"), "{printed}");
    ensure!(printed.contains("0 back, 100 lost"), "{printed}");
    let third = real.task(NAME, SOON, |task| task.arn != second.arn).await?;
    assert_eq!(keys::count(&third.address)?, "0", "its own keys are deleted");
    controller.stop().await?;
    real.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_is_broken_off_deletes_its_keys() -> Result<()> {
    let (real, controller, first) = serving().await?;
    controller.stop().await?;
    let arguments = [&DRILL[..], &["200ms"]].concat();
    let drill = real.begin(&arguments)?;
    asked_for(&real, &first).await?;
    interrupt(&drill)?;
    let (printed, said) = real.ended(1, &arguments, drill).await?;
    assert_eq!(printed, "");
    ensure!(said.contains("interrupted"), "{said}");
    ensure!(said.contains("remove the annotation valkeep.dev/restart"), "{said}");
    assert_eq!(keys::count(&first.address)?, "0");
    real.stop().await;
    Ok(())
}

/// The example's service, made and at rest.
async fn serving() -> Result<(Real, Controller, Task)> {
    let real = Real::start().await?;
    real.write(FILE, &example(FILE))?;
    let controller = real.controller()?;
    real.valkeep(0, &["apply", FILE, "--wait", "--timeout", "60s"]).await?;
    real.until_steady(NAME, SOON).await?;
    let task = real.task(NAME, SOON, |_| true).await?;
    Ok((real, controller, task))
}

/// Waits until the drill has written its keys and asked for the restart.
async fn asked_for(real: &Real, task: &Task) -> Result<()> {
    let deadline = Instant::now() + SOON;
    while !document(real)?.contains("valkeep.dev/restart") {
        ensure!(Instant::now() < deadline, "not asked for within {SOON:?}");
        sleep(Duration::from_millis(20)).await;
    }
    let count: usize = keys::count(&task.address)?.parse()?;
    ensure!(count >= CANARIES, "{count} keys");
    Ok(())
}

fn document(real: &Real) -> Result<String> {
    let body = real.scene.aws.object(world::BUCKET, &format!("docs/{NAME}.yaml"));
    Ok(String::from_utf8(body.context("the document is there")?.to_vec())?)
}

fn interrupt(process: &Child) -> Result<()> {
    let id = process.id().context("it runs")?;
    Ok(kill(Pid::from_raw(i32::try_from(id)?), Signal::SIGINT)?)
}
