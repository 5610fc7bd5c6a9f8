//! A service that rests because its document says so, and comes back with what it held, with the shipped program and a real
//! Valkey.

use anyhow::{Result, ensure};
use std::time::Duration;
use valkeep_tests::keys;
use valkeep_tests::real::Real;
use valkeep_tests::scene::example;

const NAME: &str = "trigpointing-valkey";
const FILE: &str = "minimal.yaml";
const KEYS: usize = 300;
/// How long one state may take to follow another: seconds on a quiet machine.
const SOON: Duration = Duration::from_mins(1);

/// The document without a desired count, or with one.
fn document(count: Option<u32>) -> String {
    let count = count.map_or_else(String::new, |count| format!("    desiredCount: {count}\n"));
    example(FILE).replacen("    create:\n", &format!("{count}    create:\n"), 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_sleeps_and_wakes_with_everything() -> Result<()> {
    let real = Real::start().await?;
    let controller = real.quiet_controller()?;
    let apply = ["apply", FILE, "--wait", "--timeout", "60s", "--poll", "200ms"];
    real.write(FILE, &document(None))?;
    real.valkeep(0, &apply).await?;
    let first = real.task(NAME, SOON, |_| true).await?;
    keys::write(&first.address, "key", KEYS)?;

    real.clear_calls();
    real.write(FILE, &document(Some(0)))?;
    real.valkeep(0, &apply).await?;
    let status = &real.status(NAME).await?["status"];
    ensure!(
        status["phase"]
            .as_str()
            .is_some_and(|phase| phase.starts_with("Hibernated: ")),
        "{status:#}"
    );
    let service = real.scene.service(NAME);
    assert_eq!(
        (&service["desiredCount"], &service["runningCount"]),
        (&0.into(), &0.into())
    );
    assert_eq!(real.changes(), ["TagResource", "UpdateService"], "a mark, and one call");
    ensure!(real.log().contains("BGSAVE"), "a snapshot comes before: {}", real.log());
    let text = real.valkeep(0, &["plan", NAME]).await?;
    ensure!(text.contains("Nothing to do"), "{text}");

    // Another definition, and another controller, while it sleeps.
    drop(controller);
    real.write(
        FILE,
        &document(Some(0)).replace("valkey:8.0\n", "valkey:8.0\n      memoryMiB: 1024\n"),
    )?;
    real.clear_calls();
    let controller = real.quiet_controller()?;
    real.valkeep(0, &apply).await?;
    assert_eq!(real.changes(), ["RegisterTaskDefinition", "UpdateService"]);
    assert_eq!(real.scene.service(NAME)["desiredCount"], 0);

    real.write(
        FILE,
        &document(None).replace("valkey:8.0\n", "valkey:8.0\n      memoryMiB: 1024\n"),
    )?;
    real.valkeep(0, &apply).await?;
    let second = real.task(NAME, SOON, |task| task.arn != first.arn).await?;
    assert_eq!(keys::count_written(&second.address, "key", KEYS)?, KEYS);
    ensure!(real.scene.is_true(NAME, "WarmStart"), "{:#?}", real.scene.status(NAME));
    drop(controller);
    Ok(())
}
