//! Several valkeeps on one lease, through the real SDK: never two at once, faults of the lease are told and heal, and two
//! real processes of which one is killed.

use anyhow::{Context, Result, ensure};
use localaws::{Call, Delays, Fault, FaultKind, LocalAws, Service};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::process::Child;
use tokio::time::{Instant, sleep};
use valkeep_core::FailureKind;
use valkeep_engine::{CancellationToken, Settings, Snapshot};
use valkeep_tests::in_process::Cable;
use valkeep_tests::pass::pass;
use valkeep_tests::program;
use valkeep_tests::scene::{self, Scene, example, example_for};

const NAME: &str = "trigpointing-valkey";
/// After a leader is killed, another one goes on within this.
const SOON: Duration = Duration::from_secs(20);
/// By then everything must be well again: the longest back-off (5 min), a resync (10 min and a tenth), and the way itself.
const HEALED: Duration = Duration::from_mins(30);

/// One of several engines.
struct Replica {
    cable: Cable,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<valkeep_engine::Report>,
    snapshots: tokio::sync::watch::Receiver<Snapshot>,
}

impl Replica {
    fn start(scene: &Scene, name: &str) -> Self {
        let cable = Cable::default();
        let settings = Settings {
            resync: Duration::from_mins(1),
            ..Settings::default()
        };
        let engine = scene.replica(name, &cable, settings);
        let stop = CancellationToken::new();
        Self {
            snapshots: engine.snapshots(),
            task: tokio::spawn(engine.run(stop.clone())),
            cable,
            stop,
        }
    }

    fn leads(&self) -> bool {
        self.snapshots.borrow().leads()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("the engine does not panic");
    }
}

/// The lease is cut off from its holder again and again, while somebody gives it something to do all the time.
#[tokio::test(start_paused = true)]
async fn two_engines_in_one_world_never_act_at_the_same_time() {
    let mut acted = BTreeSet::new();
    let mut terms = 0;
    for seed in 0..12 {
        let mut random = fastrand::Rng::with_seed(seed);
        let scene = fresh();
        scene.aws.set_latency(Some(Duration::from_millis(80)));
        let replicas = [Replica::start(&scene, "ONE"), Replica::start(&scene, "TWO")];
        for n in 0..12 {
            sleep(Duration::from_millis(random.u64(0..25_000))).await;
            // Somebody changes something by hand, and now and then there is a new document.
            let _ = scene.aws.call(
                Service::Logs,
                "PutRetentionPolicy",
                &json!({ "logGroupName": format!("/ecs/{NAME}"), "retentionInDays": 1 }),
            );
            if n % 4 == 0 {
                let name = format!("cache-{n}");
                scene.put(&format!("{name}.yaml"), &example_for(&name));
            }
            for replica in &replicas {
                let cut = random.u32(0..3) == 0 || (replica.leads() && random.bool());
                replica.cable.cut(cut);
            }
        }
        for replica in &replicas {
            replica.cable.cut(false);
        }
        for name in [NAME, "cache-0", "cache-4", "cache-8"] {
            scene.until_ready(name, HEALED, &format!("seed {seed}")).await;
        }
        terms += one_at_a_time(&scene.aws.calls(), &mut acted).unwrap_or_else(|two| panic!("seed {seed}: {two}"));
        let inventory = scene.inventory();
        assert_eq!((inventory.file_systems, inventory.services), (4, 4), "seed {seed}");
        for replica in replicas {
            replica.stop().await;
        }
    }
    assert_eq!(acted.len(), 2, "both worked: {acted:?}");
    assert!(terms > 30, "the lease moved only {terms} times");
}

/// Every call that changes anything was made by whom the lease, as AWS wrote it, named at that moment. How often it went
/// to another one.
fn one_at_a_time(calls: &[Call], acted: &mut BTreeSet<String>) -> Result<u32, String> {
    let lease = format!("{}/{}", scene::lease().bucket, scene::lease().key);
    let (mut holder, mut terms): (Option<&str>, u32) = (None, 0);
    for call in calls.iter().filter(|call| call.mutating) {
        if call.object.as_deref() == Some(lease.as_str()) {
            if call.status == 200 && holder != Some(&call.access_key) {
                holder = Some(&call.access_key);
                terms += 1;
            }
        } else if holder == Some(&call.access_key) {
            acted.insert(call.access_key.clone());
        } else {
            return Err(format!("{holder:?} held the lease at {call:?}"));
        }
    }
    Ok(terms)
}

#[tokio::test(start_paused = true)]
async fn faults_of_the_lease_are_told_and_heal_and_nothing_is_done_meanwhile() {
    for operation in ["GetObject", "PutObject"] {
        for (kind, word) in [
            (FaultKind::AccessDenied, "hint: allow s3:GetObject"),
            (FaultKind::Throttle, "SlowDown"),
            (FaultKind::ServerError, "InternalError"),
            (FaultKind::Timeout, "no answer in time"),
        ] {
            let what = format!("{kind:?} on {operation}");
            let scene = fresh();
            scene.aws.inject(Fault::on(operation, kind));
            let replica = Replica::start(&scene, "ONE");
            sleep(Duration::from_mins(10)).await;
            let trouble = replica.snapshots.borrow().lease.clone().and_then(|lease| lease.trouble);
            let message = trouble.map(|trouble| trouble.message).unwrap_or_default();
            assert!(
                message.contains(word) && message.contains(operation),
                "{what}: {message}"
            );
            let acts = scene.aws.calls();
            let acts = acts.iter().filter(|call| call.mutating && call.service != Service::S3);
            assert_eq!(acts.count(), 0, "{what}");
            scene.aws.clear_faults();
            scene.until_ready(NAME, HEALED, &what).await;
            assert_eq!(scene.inventory(), expected(), "{what}");
            replica.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_of_the_lease_and_the_status_make_nothing_twice() {
    for nth in 1..=12 {
        let scene = fresh();
        let mut fault = Fault::on("PutObject", FaultKind::LostReply).nth(nth);
        fault.matches.times = Some(2);
        scene.aws.inject(fault);
        let replica = Replica::start(&scene, "ONE");
        scene.until_ready(NAME, HEALED, &format!("lost from {nth}")).await;
        assert_eq!(scene.inventory(), expected(), "lost from {nth}");
        replica.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_meets_another_one_in_flight_is_tried_again() {
    let scene = fresh();
    let conflict = FaultKind::Error {
        status: 409,
        code: "ConditionalRequestConflict".to_owned(),
        message: "The conditional request cannot succeed due to a conflicting operation".to_owned(),
    };
    scene.aws.inject(Fault::on("PutObject", conflict).times(3));
    let replica = Replica::start(&scene, "ONE");
    scene.until_ready(NAME, HEALED, "409").await;
    replica.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_without_conditional_writes_is_told_as_one() {
    let scene = fresh();
    let refused = FaultKind::Error {
        status: 501,
        code: "NotImplemented".to_owned(),
        message: "A header you provided implies functionality that is not implemented".to_owned(),
    };
    scene.aws.inject(Fault::on("PutObject", refused));
    let replica = Replica::start(&scene, "ONE");
    sleep(Duration::from_mins(1)).await;
    let lease = replica.snapshots.borrow().lease.clone().context("there is one");
    let message = lease.expect("shared").trouble.expect("it is told").message;
    assert!(
        message.contains("does not take conditional writes") && message.contains("--single-replica"),
        "{message}"
    );
    replica.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_not_there_is_told_and_waited_for() {
    let scene = Scene::new(Delays::default());
    let cable = Cable::default();
    let aws = scene.client_of("ONE", &cable);
    let lease = aws.lease("s3://nowhere-at-all/lease".parse().expect("good"));
    let failed = lease.read().await.expect_err("there is no bucket");
    assert_eq!(
        failed.to_string(),
        "the bucket of s3://nowhere-at-all/lease does not exist"
    );
    assert!(failed.hint().is_some_and(|hint| hint.contains("--lease")));
}

/// The SDK must not repeat a call that changes something: the lease may be somebody else's by then.
#[tokio::test(start_paused = true)]
async fn no_call_that_changes_anything_is_repeated_by_the_sdk() {
    let changes: BTreeSet<(Service, String)> = {
        let scene = fresh();
        at_rest(&scene).await;
        let calls = scene.aws.calls().into_iter();
        calls
            .filter(|call| call.mutating)
            .map(|call| (call.service, call.operation))
            .collect()
    };
    assert!(changes.len() > 10, "{changes:?}");
    for (service, operation) in changes {
        let scene = fresh();
        let mut fault = Fault::on(&operation, FaultKind::ServerError).times(1);
        fault.matches.service = Some(service);
        scene.aws.inject(fault);
        let failures = at_rest(&scene).await;
        assert_eq!(
            failures,
            [FailureKind::ServerError],
            "{operation} was repeated, or failed otherwise"
        );
    }
}

/// Passes until nothing is left to do; what failed meanwhile.
async fn at_rest(scene: &Scene) -> Vec<FailureKind> {
    let world = scene.client();
    let text = example("trigpointing-valkey.yaml");
    let document = valkeep_document::read("a.yaml", text.as_bytes()).expect("the example is valid");
    let desired = document.desired(&scene.scope(), 1).expect("the example is whole");
    let (mut failures, mut quiet) = (Vec::new(), 0);
    while quiet < 40 {
        let pass = pass(&world, Some(&scene.valkey), desired.clone(), || scene.aws.now())
            .await
            .expect("no objection");
        quiet = if pass.done.is_empty() && pass.failures.is_empty() {
            quiet + 1
        } else {
            0
        };
        failures.extend(pass.failures.into_iter().map(|failed| failed.failure.kind));
        sleep(Duration::from_secs(10)).await;
    }
    failures
}

/// The shipped binary over TCP, twice. SIGKILL to the one that leads; the other one goes on.
#[tokio::test]
async fn a_real_leader_is_killed_and_the_other_process_goes_on_within_twenty_seconds() -> Result<()> {
    let (scene, _server, mut one, mut two) = two_processes().await?;
    until(&scene.aws, "ONE works", SOON, |calls| acts_of(calls, "ONE") > 5).await?;
    assert_eq!(acts_of(&scene.aws.calls(), "TWO"), 0);

    // In the middle of its work, and with something that only the other one can have seen.
    one.kill().await?;
    let killed = Instant::now();
    scene.put("later.yaml", &example_for("later"));
    until(&scene.aws, "TWO acts", SOON, |calls| acts_of(calls, "TWO") > 0).await?;
    let took = killed.elapsed();
    assert_eq!(holder(&scene).as_deref(), Some("TWO"));
    until(&scene.aws, "TWO finishes", Duration::from_mins(1), |_| {
        scene.inventory().running_tasks == 2
    })
    .await?;
    one_at_a_time(&scene.aws.calls(), &mut BTreeSet::new()).map_err(anyhow::Error::msg)?;
    tell(&format!(
        "kill -9 of the leader: the other process acted after {:.1} s",
        took.as_secs_f64()
    ));
    two.kill().await?;
    Ok(())
}

/// SIGTERM: the lease is given up, and the other one need not wait for its end.
#[tokio::test]
async fn a_real_leader_is_stopped_and_the_other_process_goes_on_at_once() -> Result<()> {
    let (scene, _server, mut one, mut two) = two_processes().await?;
    let id = i32::try_from(one.id().context("it runs")?)?;
    kill(Pid::from_raw(id), Signal::SIGTERM)?;
    let ended = one.wait().await?;
    ensure!(ended.success(), "{ended}");
    let stopped = Instant::now();
    let bound = Duration::from_secs(8);
    until(&scene.aws, "TWO leads", bound, |_| {
        holder(&scene) == Some("TWO".to_owned())
    })
    .await?;
    tell(&format!(
        "SIGTERM to the leader: the other process leads {:.1} s after its end",
        stopped.elapsed().as_secs_f64()
    ));
    two.kill().await?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a figure that a person wants to see")]
fn tell(figure: &str) {
    println!("{figure}");
}

/// Whose write of the lease AWS took last; none while it is given up or nobody's.
fn holder(scene: &Scene) -> Option<String> {
    let lease = scene::lease();
    let body = scene.aws.object(&lease.bucket, &lease.key)?;
    let record: Value = serde_json::from_slice(&body).expect("a lease is JSON");
    if record["released"] == true {
        return None;
    }
    let object = format!("{}/{}", lease.bucket, lease.key);
    let calls = scene.aws.calls().into_iter().rev();
    calls
        .filter(|call| call.mutating && call.status == 200)
        .find(|call| call.object.as_deref() == Some(object.as_str()))
        .map(|call| call.access_key)
}

/// Calls that changed anything outside S3.
fn acts_of(calls: &[Call], access_key: &str) -> usize {
    calls
        .iter()
        .filter(|call| call.access_key == access_key && call.mutating && call.service != Service::S3)
        .count()
}

async fn until(aws: &LocalAws, what: &str, bound: Duration, reached: impl Fn(&[Call]) -> bool) -> Result<()> {
    let deadline = Instant::now() + bound;
    while !reached(&aws.calls()) {
        ensure!(Instant::now() < deadline, "not within {bound:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// A world over TCP, and two processes of which the first one leads.
async fn two_processes() -> Result<(Scene, scene::Server, Child, Child)> {
    let (scene, server) = real().await?;
    let one = program::valkeep_run(&server.endpoint, "ONE", &[])?;
    until(&scene.aws, "ONE leads", SOON, |_| {
        holder(&scene) == Some("ONE".to_owned())
    })
    .await?;
    let two = program::valkeep_run(&server.endpoint, "TWO", &[])?;
    until(&scene.aws, "TWO looks at the lease", SOON, |calls| {
        calls
            .iter()
            .any(|call| call.access_key == "TWO" && call.service == Service::S3)
    })
    .await?;
    Ok((scene, server, one, two))
}

/// A world that takes a while, over TCP.
async fn real() -> Result<(Scene, scene::Server)> {
    let delays = Delays {
        mount_target: 3.0,
        file_system: 2.0,
        dns: 1.0,
        ..Delays::default()
    };
    let scene = Scene::new(delays);
    scene.put("cache.yaml", &example("trigpointing-valkey.yaml"));
    let server = scene::serve(&scene.aws).await?;
    Ok((scene, server))
}

/// Of the example document at rest.
fn expected() -> scene::Inventory {
    let mut expected = fresh().inventory();
    (expected.file_systems, expected.mount_targets, expected.access_points) = (1, 2, 1);
    (expected.log_groups, expected.role_policies, expected.task_definitions) = (1, 1, 1);
    (expected.services, expected.running_tasks, expected.security_groups) = (1, 1, expected.security_groups + 1);
    expected
}

fn fresh() -> Scene {
    fastrand::seed(13);
    let scene = Scene::new(Delays::default());
    scene.put("cache.yaml", &example("trigpointing-valkey.yaml"));
    scene
}
