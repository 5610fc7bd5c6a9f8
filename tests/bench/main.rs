//! `make bench`: prints figures with what they were measured on. It judges nothing.
#![expect(clippy::print_stdout, reason = "printing is what a bench is for")]

mod controller;
mod idle;

use anyhow::{Context, Result, anyhow, ensure};
use controller::Controller;
use localaws::{Delays, LocalAws, Service, world};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use valkeep_engine::{CancellationToken, Settings};
use valkeep_tests::scene::{self, Scene, example, example_for};

const FLEET: usize = 1_000;
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const LATENCY: Duration = Duration::from_millis(50);
/// The longest chain of calls that need each other's answers, from the listing to the service's start. EFS answers
/// `creating` to whoever makes something, so a look at it is part of the chain.
const CHAIN: [&str; 11] = [
    "ListObjectsV2",
    "GetObject",
    "DescribeFileSystems",
    "CreateFileSystem",
    "DescribeFileSystems",
    "CreateAccessPoint",
    "DescribeAccessPoints",
    "RegisterTaskDefinition",
    "CreateService",
    "ListTasks",
    "UpdateService",
];

fn main() -> Result<()> {
    println!(
        "valkeep {}, {} build\n",
        env!("CARGO_PKG_VERSION"),
        if cfg!(debug_assertions) { "debug" } else { "release" }
    );
    // `bench idle` runs that part only.
    let only = std::env::args().nth(1);
    let wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    if wanted("second-pass") {
        paused(second_pass())?;
    }
    if wanted("chain") {
        paused(chain())?;
    }
    if wanted("idle") {
        paused(idle::idle())?;
    }
    if !wanted("fleet") {
        return Ok(());
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(fleet())
}

/// In one process on a paused clock: only calls and their order count.
fn paused(work: impl Future<Output = Result<()>>) -> Result<()> {
    fastrand::seed(1);
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()?
        .block_on(work)
}

async fn second_pass() -> Result<()> {
    let scene = Scene::new(Delays::default());
    scene.put("cache.yaml", &example("trigpointing-valkey.yaml"));
    let stop = CancellationToken::new();
    let settings = Settings {
        poll: Duration::from_hours(24),
        ..Settings::default()
    };
    let resync = settings.resync;
    let engine = tokio::spawn(scene.engine(settings).run(stop.clone()));
    ready(&scene).await?;
    // One resync and its jitter later exactly one more pass has run.
    scene.aws.clear_calls();
    sleep(resync + resync / 8).await;
    let calls = scene.aws.calls();
    stop.cancel();
    engine.await?;
    let mut by_operation: BTreeMap<String, usize> = BTreeMap::new();
    for call in &calls {
        *by_operation
            .entry(format!("{:?}:{}", call.service, call.operation))
            .or_default() += 1;
    }
    let changes = calls.iter().filter(|call| call.mutating).count();
    println!(
        "Second pass over the converged example: {} calls, {changes} of them mutating (bounds: 14 and 0)",
        calls.len()
    );
    for (operation, times) in by_operation {
        println!("  {times} x {operation}");
    }
    println!();
    Ok(())
}

async fn chain() -> Result<()> {
    let mut scene = Scene::new(Delays::zero());
    scene.dns_grace_s = 0;
    scene.aws.set_latency(Some(LATENCY));
    scene.put("cache.yaml", &example("trigpointing-valkey.yaml"));
    let stop = CancellationToken::new();
    let began = Instant::now();
    let engine = tokio::spawn(scene.engine(Settings::default()).run(stop.clone()));
    while scene
        .aws
        .calls()
        .iter()
        .all(|call| call.operation != "UpdateService" || call.status != 200)
    {
        ensure!(
            began.elapsed() < Duration::from_mins(5),
            "the service was never started"
        );
        sleep(Duration::from_millis(1)).await;
    }
    let took = began.elapsed();
    let calls = scene.aws.calls().len();
    ready(&scene).await?;
    let ready_after = began.elapsed();
    stop.cancel();
    engine.await?;
    let length = u32::try_from(CHAIN.len())?;
    let shortest = LATENCY * length;
    println!(
        "Fresh convergence, no waits, {} ms a call: service started after {} ms and {calls} calls; the longest chain of\n\
         dependent calls is {length}, {} ms: {:.2} times (bound 1.5). Ready after {} ms.\n  {}\n",
        LATENCY.as_millis(),
        took.as_millis(),
        shortest.as_millis(),
        took.as_secs_f64() / shortest.as_secs_f64(),
        ready_after.as_millis(),
        CHAIN.join(" > "),
    );
    Ok(())
}

/// The shipped binary over TCP, its CPU and memory read from the system.
async fn fleet() -> Result<()> {
    let aws = LocalAws::new(scene::instant_config());
    world::trigpointing(&aws);
    for n in 0..FLEET {
        let name = format!("cache-{n:04}");
        // A role each: IAM's 10,240 characters of inline policies hold about 20.
        let role = json!({ "RoleName": format!("{name}-role"), "AssumeRolePolicyDocument": TRUST });
        aws.call(Service::Iam, "CreateRole", &role)
            .map_err(|error| anyhow!("{error:?}"))?;
        let document = example_for(&name).replace("trigpointing-ecs-task-role", &format!("{name}-role"));
        aws.put_object(world::BUCKET, &format!("docs/{name}.yaml"), document);
    }
    let server = scene::serve(&aws).await?;
    let resync = Duration::from_mins(1);
    let mut controller = Controller::start(&server.endpoint, scene::DOCUMENTS, resync)?;
    let began = Instant::now();
    let services = || {
        aws.calls()
            .iter()
            .filter(|call| call.operation == "UpdateService" && call.status == 200)
            .count()
    };
    while services() < FLEET {
        ensure!(
            began.elapsed() < Duration::from_mins(30),
            "{} of {FLEET} services started",
            services()
        );
        controller.alive()?;
        sleep(Duration::from_secs(1)).await;
    }
    println!(
        "Fleet of {FLEET} documents: every service started after {} s",
        began.elapsed().as_secs()
    );
    // Whatever is left of the first passes ends within a resync.
    sleep(resync).await;
    aws.clear_calls();
    let cpu = controller.cpu()?;
    let from = Instant::now();
    sleep(resync * 2).await;
    let cpu = controller.cpu()?.saturating_sub(cpu);
    let window = from.elapsed();
    let calls = aws.calls();
    let passes = calls
        .iter()
        .filter(|call| call.operation == "DescribeFileSystems")
        .count();
    let passes = u32::try_from(passes)?;
    let of_calls = f64::from(u32::try_from(calls.len())?);
    let changes = calls
        .iter()
        .filter(|call| call.mutating)
        .map(|call| call.operation.as_str())
        .collect::<Vec<_>>();
    ensure!(passes > 0, "no pass in {window:?}");
    println!(
        "At rest, {} s with a resync of {} s: {passes} passes, {:.1} calls a pass, {} mutating calls outside status\n\
         CPU of valkeep: {:.2} ms a document and pass, probes and polling included (bound 5 ms)\n\
         Resident: {} MB at the most (bound 200 MB)",
        window.as_secs(),
        resync.as_secs(),
        of_calls / f64::from(passes),
        changes.iter().filter(|operation| **operation != "PutObject").count(),
        cpu.as_secs_f64() * 1000.0 / f64::from(passes),
        controller.resident_mb()?,
    );
    controller.stop()?;
    aws.shutdown().await;
    Ok(())
}

async fn ready(scene: &Scene) -> Result<()> {
    let deadline = Instant::now() + Duration::from_mins(30);
    while !scene.is_ready("trigpointing-valkey") {
        ensure!(
            Instant::now() < deadline,
            "not Ready: {:#?}",
            scene.status("trigpointing-valkey")
        );
        sleep(Duration::from_millis(50)).await;
    }
    scene.status("trigpointing-valkey").context("a status")?;
    Ok(())
}
