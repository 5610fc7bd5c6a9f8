//! The case that valkeep began with, end to end, with the shipped program and real Valkeys: Terraform has made a cache that
//! forgets everything at each restart. It is imported, planned, observed, taken over, and given back both ways.
//!
//! `cargo test --workspace -- --nocapture seed` shows the walk; `docs/adopting.md` tells it.

use anyhow::{Context, Result, ensure};
use localaws::{Service, world};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use valkeep_core::RawDefinition;
use valkeep_tests::keys;
use valkeep_tests::real::Real;
use valkeep_tests::terraform::definition;

const NAME: &str = "trigpointing-valkey";
const FILE: &str = "trigpointing-valkey.yaml";
const KEYS: usize = 200;
const WAIT: &str = "firstTransition: Wait";
const ACCEPT: &str = "firstTransition: AcceptLoss";
/// How long one task may take to follow another, or a condition to come: seconds on a quiet machine.
const SOON: Duration = Duration::from_mins(1);

/// The document on the page is the one that is printed.
#[tokio::test(flavor = "multi_thread")]
async fn the_imported_document_of_the_page_is_golden() -> Result<()> {
    let real = Real::start().await?;
    terraformed(&real).await?;
    let imported = import(&real).await?;
    real.stop().await;
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/adopting.md");
    let text = std::fs::read_to_string(&page)?;
    let (before, rest) = text.split_once("```yaml\n").context("the page shows a document")?;
    let (shown, after) = rest.split_once("```").context("the document ends")?;
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&page, format!("{before}```yaml\n{imported}```{after}"))?;
        return Ok(());
    }
    ensure!(
        shown == imported,
        "docs/adopting.md is stale: run `make generate`\n{imported}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_of_the_seed_is_taken_over_and_given_back_both_ways() -> Result<()> {
    let real = Real::start().await?;
    let base = terraformed(&real).await?;
    let settings = real.scene.service(NAME)["deploymentConfiguration"].clone();
    let unpersisted = real.task(NAME, SOON, |_| true).await?;
    keys::write(&unpersisted.address, "before", KEYS)?;
    let document = import(&real).await?;
    plan_shows_only_what_persistence_adds(&real).await?;

    // Observe: everything is said and nothing is done.
    let before = real.scene.inventory();
    apply(&real, &(document.clone() + "  mode: Observe\n")).await?;
    let controller = real.controller()?;
    until(&real, "DriftDetected=True").await?;
    let status = real.status(NAME).await?;
    let drift = condition(&status, "DriftDetected")?;
    ensure!(drift.contains("valkeep would create security group"), "{drift}");
    ensure!(condition(&status, "Ready")?.starts_with("False Differs"), "{status:#}");
    assert_eq!(real.changes(), Vec::<String>::new());
    assert_eq!(real.scene.inventory(), before);

    // Enforce: storage and permissions come, the server stays, because its cache would be lost.
    apply(&real, &document).await?;
    until(&real, "Stalled=True").await?;
    let status = real.status(NAME).await?;
    let stalled = condition(&status, "Stalled")?;
    ensure!(stalled.starts_with("True FirstTransition"), "{stalled}");
    ensure!(stalled.contains("loses 200 keys"), "{stalled}");
    let definition = condition(&status, "TaskDefinitionReady")?;
    ensure!(definition.contains("still runs trigpointing-valkey:1"), "{definition}");
    assert_eq!(real.count("UpdateService"), 0);
    assert_eq!(real.task(NAME, SOON, |_| true).await?, unpersisted);
    assert_eq!(keys::count_written(&unpersisted.address, "before", KEYS)?, KEYS);
    assert_eq!(real.scene.service(NAME)["taskDefinition"], json!(base));
    assert_eq!(real.scene.service(NAME)["deploymentConfiguration"], settings);

    // The cache is given up once.
    let accepted = document.replace(WAIT, ACCEPT);
    apply_and_wait(&real, &accepted).await?;
    let first = real.task(NAME, SOON, |task| task.arn != unpersisted.arn).await?;
    assert_eq!(keys::count(&first.address)?, "0");
    assert_eq!(real.count("UpdateService"), 1);

    // From here on it comes back warm: from ECS's own stop, and from the runbook's own check.
    keys::write(&first.address, "key", KEYS)?;
    real.clear_calls();
    real.stop_task(&first);
    let second = real.task(NAME, SOON, |task| task.arn != first.arn).await?;
    assert_eq!(keys::count_written(&second.address, "key", KEYS)?, KEYS);
    real.force_new_deployment(NAME);
    let third = real.task(NAME, SOON, |task| task.arn != second.arn).await?;
    assert_eq!(keys::count_written(&third.address, "key", KEYS)?, KEYS);
    rests(&real, &accepted, "the check").await?;
    assert_eq!(real.count("RegisterTaskDefinition") + real.count("UpdateService"), 0);

    // Rollback, option 2: the volume stays, and no snapshots are taken.
    let off = accepted.replace("preset: Balanced", "preset: \"Off\"");
    apply_and_wait(&real, &off).await?;
    let quiet = real.task(NAME, SOON, |task| task.arn != third.arn).await?;
    assert_eq!(keys::setting(&quiet.address, "save")?, "");
    assert_eq!(keys::count_written(&quiet.address, "key", KEYS)?, KEYS);
    assert_eq!(volumes(&real, &quiet.definition), 1);
    keys::write(&quiet.address, "unsaved", KEYS)?;
    real.stop_task(&quiet);
    let again = real.task(NAME, SOON, |task| task.arn != quiet.arn).await?;
    assert_eq!(
        keys::count_written(&again.address, "key", KEYS)?,
        KEYS,
        "of the last snapshot"
    );
    assert_eq!(keys::count_written(&again.address, "unsaved", KEYS)?, 0);
    rests(&real, &off, "the restart").await?;

    // Rollback, option 1: Terraform's very revision and settings. The file system and what is on it stay.
    let disabled = accepted.replace("persistence:\n", "persistence:\n    enabled: false\n");
    apply_and_wait(&real, &disabled).await?;
    let last = real.task(NAME, SOON, |task| task.arn != again.arn).await?;
    assert_eq!(last.definition, base);
    assert_eq!(keys::count(&last.address)?, "0");
    let service = real.scene.service(NAME);
    assert_eq!(service["taskDefinition"], json!(base));
    assert_eq!(service["deploymentConfiguration"], settings);
    assert_eq!(service["desiredCount"], 1);
    let left = real.scene.inventory();
    assert_eq!((left.file_systems, left.access_points, left.mount_targets), (1, 1, 2));
    rests(&real, &disabled, "the way back").await?;

    controller.stop().await?;
    real.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_deploys_a_copy_a_mutated_and_a_bare_definition_and_the_cache_is_warm_after_each() -> Result<()> {
    let real = Real::start().await?;
    let base = terraformed(&real).await?;
    let document = import(&real).await?.replace(WAIT, ACCEPT);
    apply(&real, &document).await?;
    let controller = real.controller()?;
    until(&real, "Ready=True").await?;
    let first = real.task(NAME, SOON, |task| task.definition != base).await?;
    keys::write(&first.address, "key", KEYS)?;
    real.clear_calls();

    // describe, another image, register.
    let mut copy = real.scene.described(&first.definition).registration();
    copy["containerDefinitions"][0]["image"] = json!("valkey/valkey:8.1");
    let deployed = real.scene.deploy(NAME, &raw(copy)?);
    let second = real.task(NAME, SOON, |task| task.definition == deployed).await?;
    assert_eq!(keys::count_written(&second.address, "key", KEYS)?, KEYS);
    rests(&real, &document, "the copy").await?;

    // What the pipeline has in its repository, through `valkeep mutate`.
    let status = real.status(NAME).await?;
    let id = |of: &str| status["status"]["resources"][of].as_str().context("an id");
    let mut own = real.scene.described(&base).registration();
    own["containerDefinitions"][0]["image"] = json!("valkey/valkey:8.1.1");
    real.write("taskdef.json", &own.to_string())?;
    let file_system = id("fileSystemId")?;
    let access_point = id("accessPointId")?;
    let mutated = real
        .valkeep(
            0,
            &[
                "mutate",
                "taskdef.json",
                "--document",
                FILE,
                "--file-system",
                file_system,
                "--access-point",
                access_point,
            ],
        )
        .await?;
    let mutated = raw(serde_json::from_str(&mutated)?)?;
    let deployed = real.scene.deploy(NAME, &mutated);
    let third = real.task(NAME, SOON, |task| task.definition == deployed).await?;
    assert_eq!(keys::count_written(&third.address, "key", KEYS)?, KEYS);
    rests(&real, &document, "the mutated definition").await?;
    assert_eq!(real.task(NAME, SOON, |_| true).await?, third);
    assert_eq!(real.count("RegisterTaskDefinition") + real.count("UpdateService"), 0);

    // Bare, as many pipelines do: the server between knows nothing; after it the last snapshot is there again.
    let unpersisted = real.scene.deploy(NAME, &raw(own.clone())?);
    let fourth = real
        .task(NAME, SOON, |task| {
            task.arn != third.arn && task.definition != unpersisted
        })
        .await?;
    assert_eq!(keys::count_written(&fourth.address, "key", KEYS)?, KEYS);
    rests(&real, &document, "the bare definition").await?;
    assert_eq!(real.count("RegisterTaskDefinition"), 1);
    assert_eq!(real.count("UpdateService"), 1);

    // Given back, it is what the pipeline deploys, and no longer what Terraform made first.
    let disabled = document.replace("persistence:\n", "persistence:\n    enabled: false\n");
    apply_and_wait(&real, &disabled).await?;
    let last = real.task(NAME, SOON, |task| task.arn != fourth.arn).await?;
    assert_eq!(last.definition, unpersisted);
    rests(&real, &disabled, "the way back").await?;

    controller.stop().await?;
    real.stop().await;
    Ok(())
}

/// The service as Terraform makes it, at rest; the ARN of its definition.
async fn terraformed(real: &Real) -> Result<String> {
    let text = definition("seed").registered.registration().to_string();
    let registered: Value = serde_json::from_str(&text.replace("/ecs/cache", "/ecs/trigpointing-valkey"))?;
    let arn = real.scene.terraformed(NAME, &raw(registered)?).await;
    real.until_steady(NAME, SOON).await?;
    Ok(arn)
}

fn raw(definition: Value) -> Result<RawDefinition> {
    RawDefinition::new(definition).context("a definition is an object")
}

async fn import(real: &Real) -> Result<String> {
    let arguments = ["import", "--cluster", world::CLUSTER, "--service", NAME];
    let document = real.valkeep(0, &arguments).await?;
    real.write(FILE, &document)?;
    Ok(document)
}

async fn plan_shows_only_what_persistence_adds(real: &Real) -> Result<()> {
    let text = real.valkeep(2, &["plan", FILE]).await?;
    ensure!(
        text.contains("Plan: 7 to create, 3 to change, 0 to remove; 3 of 10 now"),
        "{text}"
    );
    let plan: Value = serde_json::from_str(&real.quiet(2, &["plan", FILE, "--output", "json"]).await?)?;
    let stages = plan["stages"].as_array().context("stages")?;
    let steps: Vec<&Value> = stages
        .iter()
        .filter_map(|stage| stage["steps"].as_array())
        .flatten()
        .collect();
    let mut actions: Vec<&str> = steps.iter().filter_map(|step| step["action"].as_str()).collect();
    actions.sort_unstable();
    assert_eq!(
        actions,
        [
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:CreateSecurityGroup",
            "ecs:RegisterTaskDefinition",
            "ecs:TagResource",
            "elasticfilesystem:CreateAccessPoint",
            "elasticfilesystem:CreateFileSystem",
            "elasticfilesystem:CreateMountTarget",
            "elasticfilesystem:CreateMountTarget",
            "elasticfilesystem:PutLifecycleConfiguration",
            "iam:PutRolePolicy",
        ]
    );
    let changed = |action: &str| -> BTreeSet<String> {
        let of = steps.iter().filter(|step| step["action"] == action);
        let fields = of.filter_map(|step| step["fields"].as_array()).flatten();
        fields
            .filter_map(|field| Some(field["path"].as_str()?.to_owned()))
            .collect()
    };
    assert_eq!(
        changed("ecs:TagResource"),
        ["tags.valkeep.dev/adopted-by", "tags.valkeep.dev/settings-before"]
            .map(str::to_owned)
            .into()
    );
    let server = "containerDefinitions.valkey";
    let volume = "volumes.valkeep-data.efsVolumeConfiguration";
    assert_eq!(
        changed("ecs:RegisterTaskDefinition"),
        [
            format!("{server}.command"),
            format!("{server}.dockerLabels.valkeep.dev/base"),
            format!("{server}.entryPoint"),
            format!("{server}.mountPoints"),
            format!("{server}.stopTimeout"),
            format!("{server}.user"),
            format!("{volume}.authorizationConfig.accessPointId"),
            format!("{volume}.authorizationConfig.iam"),
            format!("{volume}.fileSystemId"),
            format!("{volume}.transitEncryption"),
        ]
        .into()
    );
    ensure!(plan["left"].to_string().contains("FirstTransition"), "{plan:#}");
    Ok(())
}

async fn apply(real: &Real, document: &str) -> Result<()> {
    real.write(FILE, document)?;
    real.valkeep(0, &["apply", FILE]).await?;
    Ok(())
}

async fn apply_and_wait(real: &Real, document: &str) -> Result<()> {
    real.write(FILE, document)?;
    let arguments = ["apply", FILE, "--wait", "--timeout", "60s", "--poll", "500ms"];
    real.valkeep(0, &arguments).await?;
    Ok(())
}

async fn until(real: &Real, wanted: &str) -> Result<()> {
    let arguments = ["wait", NAME, "--for", wanted, "--timeout", "60s", "--poll", "500ms"];
    real.valkeep(0, &arguments).await?;
    Ok(())
}

/// Once the last deployment has ended and valkeep has looked again, planning gives no step.
async fn rests(real: &Real, document: &str, after: &str) -> Result<()> {
    real.until_steady(NAME, SOON).await?;
    apply_and_wait(real, &format!("{document}# Looked at again after {after}.\n")).await?;
    let text = real.valkeep(0, &["plan", NAME]).await?;
    ensure!(text.contains("Nothing to do"), "{text}");
    Ok(())
}

/// `STATUS REASON MESSAGE`
fn condition(status: &Value, type_: &str) -> Result<String> {
    let conditions = status["status"]["conditions"].as_array().context("conditions")?;
    let found = conditions
        .iter()
        .find(|one| one["type"] == type_)
        .context("the condition")?;
    let word = |name: &str| found[name].as_str().unwrap_or_default();
    Ok(format!("{} {} {}", word("status"), word("reason"), word("message")))
}

/// How many file systems a definition mounts.
fn volumes(real: &Real, definition: &str) -> usize {
    let input = json!({ "taskDefinition": definition });
    let found = real.scene.look(Service::Ecs, "DescribeTaskDefinition", &input);
    let volumes = found["taskDefinition"]["volumes"].as_array();
    volumes
        .into_iter()
        .flatten()
        .filter(|volume| volume["efsVolumeConfiguration"].is_object())
        .count()
}
