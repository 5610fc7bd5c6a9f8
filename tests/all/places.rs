//! Documents in other regions and accounts than valkeep's own: everything is made there and nothing here, a role that
//! cannot be assumed is told and heals, and what is throttled in one account is slow there only.

use anyhow::{Context, Result};
use localaws::{Delays, Fault, FaultKind, Service, world};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use valkeep_engine::{CancellationToken, Report, Settings};
use valkeep_tests::program;
use valkeep_tests::scene::{self, Scene, example_for};

const ELSEWHERE: &str = "210987654321";
const REGION: &str = "us-east-1";
const ROLE: &str = "arn:aws:iam::210987654321:role/valkeep";
const SOON: Duration = Duration::from_mins(5);

#[tokio::test(start_paused = true)]
async fn two_regions_of_two_accounts_converge_beside_each_other() {
    let scene = Scene::new(Delays::default());
    let there = furnished(&scene, ELSEWHERE, REGION);
    let neighbour = furnished(&scene, &scene.aws.config().account.clone(), REGION);
    trust(&there, &json!({ "StringEquals": { "sts:ExternalId": "blue" } }));
    scene.put("here.yaml", &example_for("here"));
    scene.put("next-door.yaml", &example_for("next-door").replace("eu-west-1", REGION));
    scene.put("far.yaml", &far("far"));
    let running = Running::start(&scene);
    for name in ["here", "next-door", "far"] {
        scene.until_ready(name, SOON, "no fault").await;
    }
    for place in [&scene, &there, &neighbour] {
        let inventory = place.inventory();
        assert_eq!(
            (inventory.file_systems, inventory.services, inventory.running_tasks),
            (1, 1, 1),
            "each has its own"
        );
    }
    let status = |name: &str| scene.status(name).expect("a status")["status"].clone();
    let far = status("far");
    assert_eq!(
        (&far["region"], &far["account"], &far["assumedRoleArn"]),
        (&json!(REGION), &json!(ELSEWHERE), &json!(ROLE))
    );
    let arn = far["resources"]["fileSystemArn"].as_str().expect("an ARN").to_owned();
    assert!(
        arn.starts_with("arn:aws:elasticfilesystem:us-east-1:210987654321:"),
        "{arn}"
    );
    let next_door = status("next-door");
    assert_eq!(
        (&next_door["region"], &next_door["account"]),
        (&json!(REGION), &Value::Null)
    );
    assert_eq!(
        (&status("here")["region"], &status("here")["account"]),
        (&Value::Null, &Value::Null)
    );
    let sessions = count(&scene, "AssumeRole", |status| status == 200);
    assert_eq!(sessions, 1, "one session serves all clients of a place");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_is_renewed_before_it_expires() {
    let scene = Scene::new(Delays::default());
    let there = furnished(&scene, ELSEWHERE, REGION);
    trust(&there, &json!({}));
    scene.put("far.yaml", &far("far"));
    let running = Running::start(&scene);
    scene.until_ready("far", SOON, "no fault").await;
    sleep(Duration::from_hours(5)).await;
    assert!(scene.is_ready("far"));
    let sessions = count(&scene, "AssumeRole", |_| true);
    assert!((5..=7).contains(&sessions), "{sessions} sessions in five hours");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_role_that_cannot_be_assumed_is_told_with_what_to_do_and_heals() {
    let scene = Scene::new(Delays::default());
    let there = furnished(&scene, ELSEWHERE, REGION);
    trust(&there, &json!({ "StringEquals": { "sts:ExternalId": "red" } }));
    scene.put("far.yaml", &far("far"));
    scene.put("here.yaml", &example_for("here"));
    let running = Running::start(&scene);
    scene.until_ready("here", SOON, "another document is not held up").await;
    sleep(SOON).await;
    let status = scene.status("far").expect("a status");
    let holds = status["status"]["holds"].as_array().expect("holds");
    let told = holds
        .iter()
        .find(|hold| hold["reason"] == "AccessDenied")
        .expect("it is told");
    let (message, hint) = (told["message"].to_string(), told["hint"].to_string());
    assert!(message.contains("sts:AssumeRole: AccessDenied"), "{message}");
    assert!(
        hint.contains(ROLE) && hint.contains("trust policy") && hint.contains("external id `blue`"),
        "{hint}"
    );
    let calls: Vec<String> = scene
        .aws
        .calls()
        .into_iter()
        .filter(|call| call.account == ELSEWHERE)
        .map(|call| call.operation)
        .collect();
    assert!(calls.is_empty(), "nothing was asked there: {calls:?}");
    // A refusal counts for a whole pass, and passes back off.
    let asked = count(&scene, "AssumeRole", |_| true);
    assert!(asked < 60, "{asked} times");

    trust(&there, &json!({ "StringEquals": { "sts:ExternalId": "blue" } }));
    scene
        .until_ready("far", Duration::from_mins(10), "the trust is right now")
        .await;
    running.stop().await;
}

/// The shipped binary over TCP: signatures say where a call goes.
#[tokio::test]
async fn a_plan_for_another_region_and_account_looks_there() -> Result<()> {
    let scene = Scene::new(Delays::default());
    let there = furnished(&scene, ELSEWHERE, REGION);
    trust(&there, &json!({ "StringEquals": { "sts:ExternalId": "blue" } }));
    sleep(Duration::from_secs(2)).await;
    let server = scene::serve(&scene.aws).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("far.yaml");
    std::fs::write(&file, far("far"))?;
    let plan = plan(&server.endpoint, &file).await?;
    let (code, text, talk) = (
        plan.status.code(),
        String::from_utf8(plan.stdout)?,
        String::from_utf8(plan.stderr)?,
    );
    assert_eq!(code, Some(2), "{text}{talk}");
    assert!(
        text.starts_with("far: service trigpointing-cluster/far in us-east-1, account 210987654321"),
        "{text}"
    );
    let asked: BTreeSet<(String, String)> = scene
        .aws
        .calls()
        .into_iter()
        .filter(|call| call.service != Service::Sts)
        .map(|call| (call.account, call.region))
        .collect();
    assert_eq!(asked, BTreeSet::from([(ELSEWHERE.to_owned(), REGION.to_owned())]));

    trust(&there, &json!({ "StringEquals": { "sts:ExternalId": "red" } }));
    let denied = self::plan(&server.endpoint, &file).await?;
    let text = String::from_utf8(denied.stdout)?;
    assert_eq!(denied.status.code(), Some(1), "{text}");
    assert!(
        text.contains("sts:AssumeRole: AccessDenied") && text.contains("trust policy"),
        "{text}"
    );
    Ok(())
}

/// Forty documents whose account is throttled for half an hour, and one elsewhere.
#[tokio::test(start_paused = true)]
async fn a_throttled_account_does_not_slow_another() {
    let scene = Scene::new(Delays::default());
    let there = furnished(&scene, ELSEWHERE, REGION);
    trust(&there, &json!({}));
    scene.put("far.yaml", &far("far"));
    // How long it takes when nobody is in its way.
    let running = Running::start(&scene);
    let began = Instant::now();
    scene.until_ready("far", SOON, "alone").await;
    let alone = began.elapsed();
    running.stop().await;

    let scene = Scene::new(Delays::default());
    let there = furnished(&scene, ELSEWHERE, REGION);
    trust(&there, &json!({}));
    let home = scene.aws.config().account.clone();
    for service in [Service::Efs, Service::Ecs, Service::Ec2] {
        scene
            .aws
            .inject(Fault::on_service(service, FaultKind::Throttle).of_account(&home));
    }
    let names: Vec<String> = (0..40).map(|n| format!("a-{n:02}")).collect();
    for name in &names {
        scene.put(&format!("{name}.yaml"), &with_role(&scene, name));
    }
    let running = Running::start(&scene);
    sleep(Duration::from_mins(10)).await;
    let throttled = count(&scene, "DescribeFileSystems", |status| status != 200);
    scene.aws.clear_calls();
    let began = Instant::now();
    scene.put("far.yaml", &far("far"));
    scene
        .until_ready("far", SOON, "while the other account is throttled")
        .await;
    let beside = began.elapsed();
    // The store is polled every 15 s.
    assert!(
        beside <= alone + Duration::from_secs(20),
        "{beside:?} beside, {alone:?} alone"
    );
    assert!(
        throttled > 0 && throttled < 400,
        "{throttled} throttled looks at file systems in ten minutes"
    );
    sleep(Duration::from_mins(20)).await;
    assert!(scene.is_ready("far"));
    for name in &names {
        let said = scene.status(name).expect("a status").to_string();
        assert!(said.contains("Throttled"), "{said}");
    }

    scene.aws.clear_faults();
    let began = Instant::now();
    for name in &names {
        scene
            .until_ready(name, Duration::from_mins(30), "throttling has ended")
            .await;
    }
    let healed = began.elapsed();
    assert!(healed < Duration::from_mins(15), "{healed:?}");
    running.stop().await;
}

/// A fleet that starts at once stays below what half of AWS's buckets gives, and every document gets there.
#[tokio::test(start_paused = true)]
async fn a_fleet_that_starts_at_once_stays_within_its_rates() {
    let scene = Scene::new(Delays::default());
    let names: Vec<String> = (0..60).map(|n| format!("a-{n:02}")).collect();
    for name in &names {
        scene.put(&format!("{name}.yaml"), &with_role(&scene, name));
    }
    let running = Running::start(&scene);
    for name in &names {
        scene.until_ready(name, Duration::from_mins(30), "a fleet").await;
    }
    let calls = scene.aws.calls();
    let most_in_10_s = |service: Service, operations: &[&str]| {
        let times: Vec<i64> = calls
            .iter()
            .filter(|call| call.service == service)
            .filter(|call| operations.is_empty() || operations.contains(&call.operation.as_str()))
            .map(|call| call.at.as_millisecond())
            .collect();
        (0..times.len())
            .map(|from| {
                times[from..]
                    .iter()
                    .take_while(|at| **at - times[from] < 10_000)
                    .count()
            })
            .max()
            .unwrap_or(0)
    };
    // Half of the burst and ten seconds of half of the rate.
    for (service, operations, bound) in [
        (Service::Efs, &[][..], 25 + 50),
        (Service::Ecs, &["RegisterTaskDefinition"], 10 + 5),
        (Service::Ecs, &["CreateService", "UpdateService"], 25 + 25),
        (Service::Ecs, &["ListTasks", "DescribeTasks"], 50 + 100),
        (Service::Iam, &[], 25 + 75),
    ] {
        let most = most_in_10_s(service, operations);
        assert!(most <= bound + 1, "{most} of {service:?} {operations:?} in ten seconds");
    }
    let throttled = calls
        .iter()
        .filter(|call| call.status >= 400 && call.status != 404)
        .count();
    assert_eq!(throttled, 0);
    running.stop().await;
}

/// The world of the example document in another place.
fn furnished(scene: &Scene, account: &str, region: &str) -> Scene {
    let there = Scene {
        aws: scene.aws.at(account, region),
        ..scene.clone()
    };
    world::trigpointing(&there.aws);
    there
}

/// Lets home assume the role, under a condition.
fn trust(there: &Scene, condition: &Value) {
    let policy = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::123456789012:root" }, "Action": "sts:AssumeRole",
        "Condition": condition,
    }] })
    .to_string();
    let role = json!({ "RoleName": "valkeep", "AssumeRolePolicyDocument": policy });
    if there.aws.call(Service::Iam, "CreateRole", &role).is_err() {
        let update = json!({ "RoleName": "valkeep", "PolicyDocument": policy });
        there.look(Service::Iam, "UpdateAssumeRolePolicy", &update);
    }
}

/// A document in the other region and account.
fn far(name: &str) -> String {
    let role = format!("region: {REGION}\n  assumeRoleArn: {ROLE}\n  externalId: blue");
    example_for(name)
        .replace("region: eu-west-1", &role)
        .replace("arn:aws:iam::123456789012", "arn:aws:iam::210987654321")
}

/// A document with a task role of its own: IAM holds policies of about 20 documents on one.
fn with_role(scene: &Scene, name: &str) -> String {
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "Service": "ecs-tasks.amazonaws.com" }, "Action": "sts:AssumeRole",
    }] });
    let role = json!({ "RoleName": format!("{name}-role"), "AssumeRolePolicyDocument": trust.to_string() });
    scene.look(Service::Iam, "CreateRole", &role);
    example_for(name).replace("trigpointing-ecs-task-role", &format!("{name}-role"))
}

async fn plan(endpoint: &str, file: &Path) -> Result<Output> {
    program::valkeep(endpoint, "tests")?
        .arg("plan")
        .arg(file)
        .output()
        .await
        .context("valkeep does not start")
}

fn count(scene: &Scene, operation: &str, of: impl Fn(u16) -> bool) -> usize {
    scene
        .aws
        .calls()
        .iter()
        .filter(|call| call.operation == operation && of(call.status))
        .count()
}

struct Running {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<Report>,
}

impl Running {
    fn start(scene: &Scene) -> Self {
        fastrand::seed(11);
        let stop = CancellationToken::new();
        let task = tokio::spawn(scene.engine(Settings::default()).run(stop.clone()));
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("the engine does not panic");
    }
}
