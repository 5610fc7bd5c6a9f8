//! Services that somebody else makes, through the real SDK: every definition of the corpus is taken over and given back,
//! a second look changes nothing, and deploys by others are followed.

use anyhow::{Result, bail};
use localaws::{Delays, world};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;
use valkeep_core::identity::{TAG_BASE, TAG_PREFIX};
use valkeep_core::{Desired, HoldKind, HoldReason, RawDefinition};
use valkeep_tests::pass::{Pass, pass};
use valkeep_tests::scene::{Scene, asking_for};
use valkeep_tests::terraform::{adopting, corpus, definition};

const ACCEPT: &str = "AcceptLoss";
/// Between two passes.
const PACE: Duration = Duration::from_secs(15);

fn desired(scene: &Scene, text: &str) -> Desired {
    let document =
        valkeep_document::read("adopted.yaml", text.as_bytes()).unwrap_or_else(|findings| panic!("{findings}"));
    document
        .desired(&scene.scope(), 1)
        .unwrap_or_else(|findings| panic!("{findings}"))
}

async fn one_pass(scene: &Scene, text: &str) -> Result<Pass> {
    let pass = pass(&scene.client(), Some(&scene.valkey), desired(scene, text), || {
        scene.aws.now()
    })
    .await?;
    assert_eq!(pass.failures, Vec::new());
    Ok(pass)
}

/// Passes until nothing is done and nothing is waited for; every step that was done.
async fn settle(scene: &Scene, text: &str) -> Result<Vec<&'static str>> {
    let mut done = Vec::new();
    let mut holds = Vec::new();
    for _ in 0..60 {
        let pass = one_pass(scene, text).await?;
        let waiting = pass
            .plan
            .holds
            .iter()
            .any(|hold| hold.kind == HoldKind::Waiting && hold.reason != HoldReason::Dependency);
        if pass.done.is_empty() && !waiting {
            return Ok(done);
        }
        done.extend(pass.done.iter().map(valkeep_core::Step::action));
        holds = pass.plan.holds;
        tokio::time::advance(PACE).await;
    }
    bail!("no rest after 60 passes: {done:?}, {holds:#?}")
}

fn scene() -> Scene {
    Scene::new(Delays::default())
}

/// The registrations and updates among steps, which make revisions and deployments.
fn count(steps: &[&str], action: &str) -> usize {
    steps.iter().filter(|step| **step == action).count()
}

#[tokio::test(start_paused = true)]
async fn every_definition_is_taken_over_and_given_back() -> Result<()> {
    for one in corpus() {
        let scene = scene();
        let base = scene.terraformed("cache", &one.registered).await;
        let registered = scene.described(&base);
        let settings = scene.service("cache")["deploymentConfiguration"].clone();
        let document = adopting("cache", ACCEPT);
        settle(&scene, &document).await?;

        let service = scene.service("cache");
        let arn = service["taskDefinition"].as_str().expect("an ARN");
        assert_ne!(arn, base, "{}", one.name);
        assert_eq!(
            (&service["desiredCount"], &service["runningCount"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(service["deploymentConfiguration"]["maximumPercent"], 100);
        let laid = scene.described(arn);
        let back = valkeep_plan::overlay::take_off(&laid).expect("has its label");
        assert_eq!(
            back.differences(&scene.described(&base)),
            Vec::<String>::new(),
            "{}",
            one.name
        );
        assert_eq!(registered.lost_in(&back), Vec::<String>::new(), "{}", one.name);

        let again = one_pass(&scene, &document).await?;
        assert_eq!(again.done, Vec::new(), "{}: planning again changes nothing", one.name);

        // Off again: the very revision that Terraform knows, and its settings.
        let off = format!("{document}  persistence: {{enabled: false}}\n").replace(ACCEPT, "Wait");
        settle(&scene, &off).await?;
        let service = scene.service("cache");
        assert_eq!(service["taskDefinition"], json!(base), "{}", one.name);
        assert_eq!(service["deploymentConfiguration"], settings, "{}", one.name);
        assert_eq!(service["desiredCount"], 1);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_taken_over_outlives_the_deletion_of_its_document() -> Result<()> {
    let scene = scene();
    let base = scene.terraformed("cache", &definition("seed").registered).await;
    let before = scene.service("cache");
    let document = adopting("cache", ACCEPT);
    settle(&scene, &document).await?;
    let overlay = scene.service("cache")["taskDefinition"].clone();

    let doomed = |document: &str| asking_for(&["delete", "delete-without-backup"], document, "cache");
    for asked in [
        doomed(&document),
        doomed(&format!("{document}  persistence: {{enabled: false}}\n")),
    ] {
        let held = one_pass(&scene, &asked).await?;
        assert_eq!(held.done, Vec::new());
        let stalled = held.plan.holds.iter().find(|hold| hold.kind == HoldKind::Stalled);
        assert_eq!(stalled.expect("it is said").reason, HoldReason::InUse);
    }
    assert_eq!(scene.service("cache")["taskDefinition"], overlay);

    let off = format!("{document}  persistence: {{enabled: false}}\n");
    settle(&scene, &off).await?;
    let deployment = scene.service("cache")["deployments"][0]["id"].clone();
    let done = settle(&scene, &doomed(&off)).await?;
    for expected in [
        "elasticfilesystem:DeleteAccessPoint",
        "elasticfilesystem:DeleteFileSystem",
        "iam:DeleteRolePolicy",
        "ec2:DeleteSecurityGroup",
    ] {
        assert_eq!(count(&done, expected), 1, "{expected}: {done:?}");
    }
    assert!(
        !done
            .iter()
            .any(|call| ["ecs:UpdateService", "ecs:DeleteService"].contains(call)),
        "{done:?}"
    );
    let after = scene.service("cache");
    for same in ["desiredCount", "deploymentConfiguration"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert_eq!(after["runningCount"], 1);
    assert_eq!(after["taskDefinition"], json!(base));
    assert_eq!(after["deployments"][0]["id"], deployment, "no deployment was started");
    assert!(!after["tags"].to_string().contains(TAG_PREFIX), "{}", after["tags"]);
    let arn = overlay.as_str().expect("an ARN");
    assert_eq!(scene.described(arn).text("status"), Some("INACTIVE"));
    assert_eq!(scene.described(&base).text("status"), Some("ACTIVE"));
    let rest = one_pass(&scene, &doomed(&off)).await?;
    assert!(rest.done.is_empty() && rest.plan.is_converged());
    Ok(())
}

/// The service is gone from ECS's answers while its last task still saves to the directory.
#[tokio::test(start_paused = true)]
async fn what_a_service_has_left_holds_the_deletion_although_its_owner_deleted_it() -> Result<()> {
    let scene = scene();
    scene.terraformed("cache", &definition("seed").registered).await;
    let document = adopting("cache", ACCEPT);
    settle(&scene, &document).await?;
    let overlay = scene.service("cache")["taskDefinition"].clone();
    let run = |group: &str, definition: &Value| {
        let input = json!({
            "cluster": world::CLUSTER, "taskDefinition": definition, "group": group, "launchType": "FARGATE",
            "networkConfiguration": {"awsvpcConfiguration": {
                "subnets": [world::SUBNETS[0].0], "securityGroups": [world::TASK_GROUP]}},
        });
        scene.look(localaws::Service::Ecs, "RunTask", &input)["tasks"][0]["taskArn"].clone()
    };
    let stop = |task: &Value| {
        let input = json!({"cluster": world::CLUSTER, "task": task});
        scene.look(localaws::Service::Ecs, "StopTask", &input);
    };
    let other = scene.register("other", &definition("seed").registered);
    let beside = run("family:other", &json!(other));
    let by_hand = run("family:by-hand", &overlay);
    let left_behind = run("service:cache", &json!(other));
    let gone = json!({"cluster": world::CLUSTER, "service": "cache", "force": true});
    scene.look(localaws::Service::Ecs, "DeleteService", &gone);

    let doomed = asking_for(&["delete", "delete-without-backup"], &document, "cache");
    let (mut waits, mut is_gone) = (0, false);
    for round in 0..60 {
        let pass = one_pass(&scene, &doomed).await?;
        if pass.observed.service.is_absent() {
            let left = pass.observed.tasks.present().expect("known");
            assert!(
                left.iter().all(|task| json!(task.arn) != beside),
                "it is not on the directory"
            );
            if left.is_empty() {
                assert!(round > 30, "a task was not seen");
                is_gone = true;
                break;
            }
            assert_eq!(pass.done, Vec::new());
            let held = &pass.plan.holds;
            assert!(held.iter().any(|hold| hold.reason == HoldReason::TasksStopping));
            waits += 1;
        }
        match round {
            20 => stop(&by_hand),
            30 => {
                assert_eq!(scene.inventory().file_systems, 1);
                stop(&left_behind);
            }
            _ => {}
        }
        tokio::time::advance(PACE).await;
    }
    assert!(is_gone && waits > 10, "{waits}");
    settle(&scene, &doomed).await?;
    assert_eq!(scene.inventory().file_systems, 0);
    Ok(())
}

#[tokio::test(start_paused = true)]
#[expect(clippy::print_stdout, reason = "the figures are for people")]
async fn a_hundred_services_rest_and_follow_a_foreign_deploy_with_one_registration_and_one_update_each() -> Result<()> {
    const SERVICES: usize = 100;
    let scene = scene();
    let definitions: Vec<_> = corpus().into_iter().cycle().take(SERVICES).collect();
    let name = |index: usize| format!("cache-{index}");
    // A role has room for about 20 of valkeep's policies.
    let role = |index: usize| format!("task-role-{index}");
    let document =
        |index: usize, transition: &str| adopting(&name(index), transition).replace(world::TASK_ROLE, &role(index));
    let mut first = Vec::new();
    for (index, one) in definitions.iter().enumerate() {
        let base = scene
            .terraformed(&name(index), &scene.with_role(&one.registered, &role(index)))
            .await;
        first.push(scene.described(&base));
        settle(&scene, &document(index, ACCEPT)).await?;
    }

    // One process looks twice: what never changes it reads once.
    let client = scene.client();
    for round in ["first", "second"] {
        scene.aws.clear_calls();
        for index in 0..SERVICES {
            let desired = desired(&scene, &document(index, ACCEPT));
            let pass = pass(&client, Some(&scene.valkey), desired, || scene.aws.now()).await?;
            assert_eq!(pass.done, Vec::new(), "{index}");
        }
        let calls = scene.aws.calls();
        let changes = calls.iter().filter(|call| !is_read(&call.operation)).count();
        println!(
            "{round} look at {SERVICES} adopted services: {} reads, {changes} changes",
            calls.len() - changes
        );
        assert_eq!(changes, 0);
        assert!(
            round == "first" || calls.len() <= 14 * SERVICES,
            "at most 14 reads each"
        );
    }

    // A pipeline that keeps what it finds: a new image on a copy of what runs.
    for (index, one) in definitions.iter().enumerate() {
        let service = scene.service(&name(index));
        let mut copy = scene
            .described(service["taskDefinition"].as_str().expect("an ARN"))
            .registration();
        new_image(&mut copy);
        scene.deploy(&name(index), &RawDefinition::new(copy).expect("an object"));
        let done = settle(&scene, &document(index, "Wait")).await?;
        assert_eq!(count(&done, "ecs:RegisterTaskDefinition"), 0, "{}: {done:?}", one.name);
        assert_eq!(count(&done, "ecs:UpdateService"), 0, "{}: {done:?}", one.name);
    }

    // A pipeline that deploys its own definition, which does not know the directory.
    for (index, one) in definitions.iter().enumerate() {
        let mut next = first[index].registration();
        new_image(&mut next);
        let base = scene.deploy(&name(index), &RawDefinition::new(next).expect("an object"));
        let done = settle(&scene, &document(index, ACCEPT)).await?;
        assert_eq!(count(&done, "ecs:RegisterTaskDefinition"), 1, "{}: {done:?}", one.name);
        assert_eq!(count(&done, "ecs:UpdateService"), 1, "{}: {done:?}", one.name);
        let pass = one_pass(&scene, &document(index, ACCEPT)).await?;
        let running = pass.observed.running_definition.present().expect("a definition");
        assert_eq!(
            running.tags.get(TAG_BASE).map(String::as_str),
            base.rsplit(':').next(),
            "{}",
            one.name
        );
    }
    Ok(())
}

fn new_image(definition: &mut Value) {
    for container in definition["containerDefinitions"].as_array_mut().expect("containers") {
        if container["name"] == "valkey" {
            let image = container["image"]
                .as_str()
                .expect("an image")
                .replace(":8.0", ":8.1")
                .replace(":7.0", ":7.2");
            container["image"] = json!(image);
        }
    }
}

fn is_read(operation: &str) -> bool {
    ["Describe", "List", "Get", "Head"]
        .iter()
        .any(|verb| operation.starts_with(verb))
}

#[tokio::test(start_paused = true)]
async fn a_cache_is_not_lost_unless_the_document_says_so() -> Result<()> {
    let scene = scene();
    let base = scene.terraformed("cache", &definition("seed").registered).await;
    settle(&scene, &adopting("cache", "Wait")).await?;
    let pass = one_pass(&scene, &adopting("cache", "Wait")).await?;
    let held = pass
        .plan
        .holds
        .iter()
        .find(|hold| hold.reason == HoldReason::FirstTransition);
    assert_eq!(held.expect("it waits").kind, HoldKind::Stalled);
    let service = scene.service("cache");
    assert_eq!(
        (&service["taskDefinition"], &service["desiredCount"]),
        (&json!(base), &json!(1))
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_bare_deploy_keeps_its_cache_until_the_document_gives_it_up() -> Result<()> {
    let scene = scene();
    let bare = definition("seed").registered;
    scene.terraformed("cache", &bare).await;
    settle(&scene, &adopting("cache", ACCEPT)).await?;
    let mut next = bare.registration();
    new_image(&mut next);
    let deployed = scene.deploy("cache", &RawDefinition::new(next).expect("an object"));
    settle(&scene, &adopting("cache", "Wait")).await?;

    // The revision for it is there, and nothing else is done, however often it is looked at.
    scene.aws.clear_calls();
    let before = scene.service("cache");
    let pass = one_pass(&scene, &adopting("cache", "Wait")).await?;
    let stalled = pass.plan.holds.iter().find(|hold| hold.kind == HoldKind::Stalled);
    assert_eq!(stalled.expect("it waits").reason, HoldReason::FirstTransition);
    assert!(scene.aws.calls().iter().all(|call| is_read(&call.operation)));
    assert_eq!(scene.service("cache"), before);
    assert_eq!(before["taskDefinition"], json!(deployed));

    let done = settle(&scene, &adopting("cache", ACCEPT)).await?;
    assert_eq!(done, ["ecs:UpdateService"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_server_that_may_write_to_the_directory_is_gone_before_another_starts() -> Result<()> {
    let scene = scene();
    let mut reaching = definition("placement").registered.registration();
    reaching["volumes"] = json!([{"name": "host", "host": {"sourcePath": "/mnt"}}]);
    let reaching = RawDefinition::new(reaching).expect("an object");
    scene.terraformed("cache", &reaching).await;
    let done = settle(&scene, &adopting("cache", ACCEPT)).await?;
    assert_eq!(
        count(&done, "ecs:UpdateService"),
        3,
        "down, the new definition, up: {done:?}"
    );
    assert_eq!(scene.service("cache")["runningCount"], 1);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_scaled_service_is_left_alone_until_it_is_not() -> Result<()> {
    let scene = scene();
    scene.terraformed("cache", &definition("seed").registered).await;
    let target = json!({
        "ServiceNamespace": "ecs", "ResourceId": format!("service/{}/cache", world::CLUSTER),
        "ScalableDimension": "ecs:service:DesiredCount", "MinCapacity": 1, "MaxCapacity": 3,
    });
    scene.look(localaws::Service::Scaling, "RegisterScalableTarget", &target);
    let pass = one_pass(&scene, &adopting("cache", ACCEPT)).await?;
    assert_eq!(pass.done, Vec::new());
    assert!(pass.plan.holds.iter().any(|hold| hold.reason == HoldReason::Autoscaled));
    scene.look(localaws::Service::Scaling, "DeregisterScalableTarget", &target);
    assert_ne!(settle(&scene, &adopting("cache", ACCEPT)).await?, Vec::<&str>::new());
    Ok(())
}

/// A definition of the corpus with some members changed, dropped or added.
fn any_definition() -> impl Strategy<Value = Value> {
    let all: Vec<Value> = corpus().iter().map(|one| one.registered.registration()).collect();
    let edits = prop::collection::vec((0usize..8, "[a-zA-Z]{1,8}"), 0..6);
    (prop::sample::select(all), edits).prop_map(|(mut definition, edits)| {
        for (kind, word) in edits {
            let server = &mut definition["containerDefinitions"][0];
            let push = |list: &mut Value, item: Value| match list.as_array_mut() {
                Some(items) => items.push(item),
                None => *list = json!([item]),
            };
            match kind {
                0 => push(&mut server["environment"], json!({"name": word, "value": word})),
                1 => push(
                    &mut server["secrets"],
                    json!({"name": word, "valueFrom": format!("arn:aws:ssm:eu-west-1:1:parameter/{word}")}),
                ),
                2 => server["dockerLabels"][&word] = json!(word),
                3 => server["essential"] = json!(true),
                4 => push(&mut server["dnsServers"], json!(word)),
                5 => server["cpu"] = json!(0),
                6 => definition["placementConstraints"] = json!([]),
                _ => push(&mut server["volumesFrom"], json!({"sourceContainer": "valkey"})),
            }
        }
        definition
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        cases: 200,
        ..ProptestConfig::default()
    })]

    /// What was registered and described again means what it meant, whatever AWS fills in and shuffles.
    #[test]
    fn a_registered_definition_reads_back_the_same(definition in any_definition()) {
        let scene = scene();
        let sent = RawDefinition::new(definition).expect("an object");
        let arn = scene.register("cache", &sent);
        let read = scene.described(&arn);
        prop_assert_eq!(sent.normal(), read.normal());
        prop_assert!(sent.same(&read));
        let normal = RawDefinition::new(read.normal()).expect("an object");
        prop_assert_eq!(normal.normal(), read.normal(), "idempotent");
    }
}
