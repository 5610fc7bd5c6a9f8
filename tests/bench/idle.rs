//! A large fleet at rest, in several regions of one account: how often AWS is asked, and how often it documents that it may
//! be.

use anyhow::{Result, anyhow, ensure};
use localaws::{Call, Delays, Service, world};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use valkeep_engine::{CancellationToken, Settings, Standing};
use valkeep_tests::scene::{Scene, example_for};

const FLEET: usize = 1_000;
const REGIONS: [&str; 3] = ["eu-west-1", "us-east-1", "ap-southeast-2"];
/// Longer than a look at every document takes: 3 s each.
const CYCLE: Duration = Duration::from_hours(1);

/// With the shipped settings for everything that asks AWS, on a paused clock: only calls and their times count.
pub(crate) async fn idle() -> Result<()> {
    let scene = Scene::new(Delays::default());
    let account = scene.aws.config().account.clone();
    for region in REGIONS {
        if region != scene.aws.config().region {
            world::trigpointing(&scene.aws.at(&account, region));
        }
    }
    for n in 0..FLEET {
        let name = format!("cache-{n:04}");
        let region = REGIONS[n % REGIONS.len()];
        let role = json!({ "RoleName": format!("{name}-role"), "AssumeRolePolicyDocument": crate::TRUST });
        scene
            .aws
            .call(Service::Iam, "CreateRole", &role)
            .map_err(|error| anyhow!("{error:?}"))?;
        let document = example_for(&name)
            .replace("trigpointing-ecs-task-role", &format!("{name}-role"))
            .replace("region: eu-west-1", &format!("region: {region}"));
        scene.put(&format!("{name}.yaml"), &document);
    }
    let stop = CancellationToken::new();
    let settings = Settings {
        // Neither asks what is measured here, and both take time of their own.
        poll: Duration::from_mins(10),
        probe: Duration::from_mins(30),
        ..Settings::default()
    };
    let engine = scene.engine(settings);
    let mut snapshots = engine.snapshots();
    let engine = tokio::spawn(engine.run(stop.clone()));
    let began = Instant::now();
    let mut ready = || {
        let snapshot = snapshots.borrow_and_update();
        let documents = snapshot.documents.values();
        documents
            .filter(|document| document.standing == Standing::Ready)
            .count()
    };
    while ready() < FLEET {
        ensure!(
            began.elapsed() < Duration::from_hours(12),
            "{} of {FLEET} ready",
            ready()
        );
        sleep(Duration::from_secs(10)).await;
    }
    println!(
        "Idle fleet of {FLEET} documents in {} regions of one account; all Ready {} min after they were put there",
        REGIONS.len(),
        began.elapsed().as_secs() / 60
    );
    // The first looks at rest follow the last changes; from the second on they are spread.
    sleep(CYCLE + CYCLE / 4).await;
    scene.aws.clear_calls();
    let from = Instant::now();
    sleep(CYCLE + CYCLE * 3 / 4).await;
    let window = from.elapsed();
    let calls = scene.aws.calls();
    ensure!(ready() == FLEET, "{} of {FLEET} still ready", ready());
    stop.cancel();
    engine.await?;
    report(&calls, window)
}

fn report(calls: &[Call], window: Duration) -> Result<()> {
    let passes = calls
        .iter()
        .filter(|call| call.operation == "DescribeFileSystems")
        .count();
    ensure!(passes > 0, "no pass in {window:?}");
    let on_aws: Vec<&Call> = calls.iter().filter(|call| call.service != Service::S3).collect();
    let changes = on_aws.iter().filter(|call| call.mutating).count();
    let refused = on_aws.iter().filter(|call| call.status != 200).count();
    println!(
        "  {passes} passes in {} min: every document each {:.0} min; {:.2} reads a pass (bound 14), {changes} changes, {refused} \
         answers that are not 200",
        window.as_secs() / 60,
        window.as_secs_f64() / 60.0 * number(FLEET) / number(passes),
        number(on_aws.len()) / number(passes),
    );
    let mut efs = BTreeMap::<&str, Vec<i64>>::new();
    let mut buckets = BTreeMap::<(&str, &str), (f64, Vec<i64>)>::new();
    for call in on_aws {
        let at = call.at.as_millisecond();
        if call.service == Service::Efs {
            efs.entry(&call.account).or_default().push(at);
        }
        if let Some((name, per_second)) = documented(call) {
            let bucket = buckets.entry((name, &call.region)).or_default();
            bucket.0 = per_second;
            bucket.1.push(at);
        }
    }
    for (account, times) in efs {
        println!(
            "  EFS, account {account}: {:.2} calls a second, {:.2} in the busiest minute, {:.2} in the busiest 10 s (bound 2)",
            number(times.len()) / window.as_secs_f64(),
            busiest(&times, 60),
            busiest(&times, 10),
        );
    }
    for ((name, region), (per_second, times)) in buckets {
        println!(
            "  {name}, {region}: {:.2} a second, {:.2} in the busiest 10 s (a tenth of what AWS documents: {:.1})",
            number(times.len()) / window.as_secs_f64(),
            busiest(&times, 10),
            per_second / 10.0,
        );
    }
    println!();
    Ok(())
}

/// What shares a bucket of AWS's, and its calls a second, as documented. EFS and IAM document none.
fn documented(call: &Call) -> Option<(&'static str, f64)> {
    Some(match (call.service, call.operation.as_str()) {
        (Service::Ecs, "DescribeServices") => ("ECS service read", 20.0),
        (Service::Ecs, "ListTasks" | "DescribeTasks") => ("ECS cluster resource read", 20.0),
        (Service::Ecs, "DescribeTaskDefinition" | "ListTaskDefinitions") => ("ECS task definition read", 20.0),
        (Service::Ec2, "DescribeSecurityGroups") => ("EC2 DescribeSecurityGroups", 20.0),
        (Service::Ec2, "DescribeNetworkInterfaces") => ("EC2 DescribeNetworkInterfaces", 20.0),
        (Service::Ec2, "DescribeSubnets") => ("EC2 DescribeSubnets", 20.0),
        (Service::Logs, _) => ("Logs DescribeLogGroups", 10.0),
        _ => return None,
    })
}

/// Calls a second in the busiest stretch of so many seconds. `times` are in order.
fn busiest(times: &[i64], seconds: u32) -> f64 {
    let length = i64::from(seconds) * 1_000;
    let mut first = 0;
    let mut most = 0;
    for (last, at) in times.iter().enumerate() {
        while at - times[first] >= length {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    number(most) / f64::from(seconds)
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
