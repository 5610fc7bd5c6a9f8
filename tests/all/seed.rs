//! The case that valkeep began with, end to end, with the shipped program and real Valkeys: Terraform has made a cache that
//! forgets everything at each restart. It is imported, planned, observed, taken over, and given back both ways.
//!
//! `cargo test --workspace -- --nocapture seed` shows the walk; `docs/adopting.md` tells it.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use valkeep_core::RawDefinition;
use valkeep_tests::keys;
use valkeep_tests::real::{Real, Task};
use valkeep_tests::terraform::definition;

const NAME: &str = "trigpointing-valkey";
const FILE: &str = "trigpointing-valkey.yaml";
const KEYS: usize = 200;
/// How long one task may take to follow another: seconds on a quiet machine.
const SOON: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn the_seeds_service_is_taken_over_and_given_back_both_ways() -> Result<()> {
    let real = Real::start().await?;
    let base = terraformed(&real).await;
    let settings = real.scene.service(NAME)["deploymentConfiguration"].clone();
    let first = real.task(NAME, SOON, |_| true).await?;
    keys::write(&first.address, "before", KEYS)?;

    let document = imported(&real).await?;
    plan_shows_what_persistence_adds(&real).await?;

    let observed = document.clone() + "  mode: Observe\n";
    real.write(FILE, &observed)?;
    real.valkeep(0, &["apply", FILE]).await?;
    let mut controller = real.controller()?;
    real.valkeep(0, &["wait", NAME, "--for", "DriftDetected", "--timeout", "60s", "--poll", "500ms"]).await?;
    real.valkeep(0, &["status", NAME]).await?;
    assert_eq!(real.changes(), Vec::<String>::new());

    real.write(FILE, &document)?;
    real.valkeep(0, &["apply", FILE]).await?;
    real.valkeep(0, &["wait", NAME, "--for", "Stalled", "--timeout", "60s", "--poll", "500ms", "--through-stalls"]).await?;
    real.valkeep(0, &["status", NAME]).await?;
    assert_eq!(real.task(NAME, SOON, |_| true).await?, first);
    println!("{:?}", real.changes());

    let accepted = document.replace("firstTransition: Wait", "firstTransition: AcceptLoss");
    apply_and_wait(&real, &accepted).await?;
    real.valkeep(0, &["status", NAME]).await?;
    let second = real.task(NAME, SOON, |task| *task != first).await?;
    println!("{:?} {}", real.changes(), keys::count(&second.address)?);
    keys::write(&second.address, "key", KEYS)?;
    real.stop_task(&second);
    let third = real.task(NAME, SOON, |task| task.arn != second.arn).await?;
    println!("{}", keys::count_written(&third.address, "key", KEYS)?);
    real.force_new_deployment(NAME);
    let fourth = real.task(NAME, SOON, |task| task.arn != third.arn).await?;
    println!("{}", keys::count_written(&fourth.address, "key", KEYS)?);

    let off = accepted.clone() + "  persistence: {snapshots: {preset: \"Off\"}}\n";
    apply_and_wait(&real, &off).await?;
    real.valkeep(0, &["status", NAME]).await?;
    let fifth = real.task(NAME, SOON, |task| task.arn != fourth.arn).await?;
    println!("{} {:?}", keys::count_written(&fifth.address, "key", KEYS)?, keys::setting(&fifth.address, "save")?);
    
    let none = accepted.clone() + "  persistence: {enabled: false}\n";
    apply_and_wait(&real, &none).await?;
    real.valkeep(0, &["status", NAME]).await?;
    let sixth = real.task(NAME, SOON, |task| task.arn != fifth.arn).await?;
    println!("{} {:?}", keys::count(&sixth.address)?, keys::setting(&sixth.address, "save")?);
    println!("{base} {settings} {:#}", real.scene.service(NAME));
    real.valkeep(0, &["plan", NAME]).await?;
    println!("{:?}", real.changes());
    controller.kill().await?;
    real.stop().await;
    Ok(())
}

/// As Terraform makes it; the ARN of its definition.
async fn terraformed(real: &Real) -> String {
    let text = definition("seed").registered.registration().to_string().replace("/ecs/cache", "/ecs/trigpointing-valkey");
    let registered = RawDefinition::new(serde_json::from_str(&text).expect("it was JSON")).expect("an object");
    real.scene.terraformed(NAME, &registered).await
}

async fn imported(real: &Real) -> Result<String> {
    let document = real.valkeep(0, &["import", "--cluster", "trigpointing-cluster", "--service", NAME]).await?;
    real.write(FILE, &document)?;
    Ok(document)
}

async fn plan_shows_what_persistence_adds(real: &Real) -> Result<()> {
    real.valkeep(2, &["plan", FILE]).await?;
    real.valkeep(2, &["plan", FILE, "--output", "json"]).await?;
    Ok(())
}

async fn apply_and_wait(real: &Real, document: &str) -> Result<()> {
    real.write(FILE, document)?;
    real.valkeep(0, &["apply", FILE, "--wait", "--timeout", "90s", "--poll", "500ms"]).await?;
    Ok(())
}
