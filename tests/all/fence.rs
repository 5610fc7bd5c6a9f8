//! A final save that would be cut off, from end to end: writes are kept out, everything is saved, the server stops without
//! another save, and the next one has every acknowledged write. With the shipped program, a real Valkey that saves slowly, and
//! writers.

use anyhow::{Context, Result, ensure};
use localaws::{Delays, Knobs, Service, world};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use valkeep_tests::keys;
use valkeep_tests::real::{self, Real, Task};
use valkeep_tests::resp::{Answer, Client};
use valkeep_tests::scene::example;
use valkeep_tests::writers::{Load, Resolve, Writers};

const NAME: &str = "trigpointing-valkey";
const FILE: &str = "minimal.yaml";
/// At [`SAVE_DELAY_US`] each, a save takes some 3 s: more than [`STOP_TIMEOUT_S`], after which the server is killed.
const KEYS: usize = 1_500;
const SAVE_DELAY_US: u32 = 2_000;
const STOP_TIMEOUT_S: u32 = 2;
const APPLIED: [&str; 7] = ["apply", FILE, "--wait", "--timeout", "60s", "--poll", "200ms"];
/// How long one state may take to follow another: seconds on a quiet machine.
const SOON: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(20);
/// Writers go on for so long after the replacement.
const WRITTEN_TO: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn where_a_final_save_has_no_time_writes_are_kept_out_and_none_is_lost() -> Result<()> {
    let delays = Delays {
        mount_target: 0.5,
        file_system: 0.5,
        dns: 0.5,
        ..Delays::default()
    };
    let real = Real::with(delays, Knobs::default()).await?;
    let controller = real.quiet_controller()?;
    real.write(FILE, &document(0))?;
    real.quiet(0, &APPLIED).await?;
    let first = real.task(NAME, SOON, |_| true).await?;
    real.until_steady(NAME, SOON).await?;
    keys::write(&first.address, "key", KEYS)?;
    let points = keys::setting(&first.address, "save")?;
    ensure!(!points.is_empty(), "save points");
    let load = Load {
        writers: 4,
        rest: Duration::from_millis(50),
        seed: 1,
    };
    let writers = Writers::start(load, &resolve(&real));

    real.clear_calls();
    real.write(FILE, &document(1))?;
    real.quiet(0, &["apply", FILE]).await?;
    until_said(&real).await?;
    until_refused(&first).await?;
    let held = keys::count(&first.address)?;
    let second = real.task(NAME, SOON, |next| next.arn != first.arn).await?;
    assert_eq!(
        exit_code(&real, &first),
        0,
        "it stopped by itself, in less time than a save takes"
    );
    let loaded = client(&second)?.info("persistence", "rdb_last_load_keys_loaded")?;
    assert_eq!(
        loaded.to_string(),
        held,
        "nothing was written since writes were refused"
    );

    real.quiet(0, &APPLIED).await?;
    let ready = Instant::now();
    sleep(WRITTEN_TO).await;
    let written = writers.stop()?;
    ensure!(
        written.count_since(ready.into_std()) > 0,
        "the next server takes writes"
    );
    assert_eq!(written.lost(second.address.parse()?)?, []);
    assert_eq!(keys::count_written(&second.address, "key", KEYS)?, KEYS);
    assert_eq!(keys::setting(&second.address, "min-replicas-to-write")?, "0");
    assert_eq!(keys::setting(&second.address, "save")?, points);
    ensure!(real.scene.is_true(NAME, "WarmStart"), "{:#?}", real.scene.status(NAME));
    assert_eq!(real.count("UpdateService"), 1);
    controller.stop().await?;
    real.stop().await;
    Ok(())
}

/// Waits until the status says that writes are refused, which it says just before they are.
async fn until_said(real: &Real) -> Result<()> {
    let deadline = Instant::now() + SOON;
    loop {
        let status = real.scene.status(NAME).context("a status")?;
        let mut holds = status["status"]["holds"].as_array().into_iter().flatten();
        if holds.any(|hold| {
            let message = hold["message"].as_str().unwrap_or_default();
            hold["reason"] == "StopBudgetTooSmall" && message.contains("writes are refused")
        }) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "not fenced: {status:#}\n{}", real.log());
        sleep(LOOK).await;
    }
}

/// Waits until a write is refused; what is written before counts as any other.
async fn until_refused(task: &Task) -> Result<()> {
    let deadline = Instant::now() + SOON;
    loop {
        let answer = client(task)?.ask(&["SET", "until", "refused"])?;
        if matches!(&answer, Answer::Error(words) if words.starts_with("NOREPLICAS")) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{answer:?}");
        sleep(LOOK).await;
    }
}

fn client(task: &Task) -> Result<Client> {
    Client::connect(task.address.parse()?, SOON)
}

fn exit_code(real: &Real, task: &Task) -> Value {
    let input = json!({ "cluster": world::CLUSTER, "tasks": [task.arn] });
    let found = real.scene.look(Service::Ecs, "DescribeTasks", &input);
    found["tasks"][0]["containers"][0]["exitCode"].clone()
}

/// Where the server is, as a name would tell it.
fn resolve(real: &Real) -> Resolve {
    let aws = real.scene.aws.clone();
    Arc::new(move || {
        let running = real::running(&aws, NAME).unwrap_or_default();
        running.iter().filter_map(|task| task.address.parse().ok()).collect()
    })
}

/// The document, which asks for a restart by another number.
fn document(restart: u32) -> String {
    let create = format!("    create:\n      extraFlags: [--rdb-key-save-delay, \"{SAVE_DELAY_US}\"]\n");
    let name = format!("  name: {NAME}\n");
    let annotated = format!("{name}  annotations: {{ valkeep.dev/restart: \"{restart}\" }}\n");
    let document = example(FILE).replacen("    create:\n", &create, 1);
    let document = document.replacen(&name, &annotated, 1);
    format!("{document}  rollout:\n    stopTimeoutSeconds: {STOP_TIMEOUT_S}\n")
}
