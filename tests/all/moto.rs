//! The control plane of the example document converges on moto, the AWS that nobody here wrote, over real sockets, and
//! a second pass changes nothing.
//!
//! moto starts no tasks of services, so converged means here that only waits for the task remain. What it lacks
//! (UpdateFileSystem, PutBackupPolicy, deployment settings at creation) the document does not need, or costs one more
//! UpdateService.

use anyhow::{Context, Result, bail};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use std::collections::BTreeMap;
use tokio::process::Command;
use valkeep_aws::{Aws, Options};
use valkeep_core::ports::World;
use valkeep_core::{FailureKind, HoldKind, Limits, Resource, Step, Timestamp};
use valkeep_store::{Expect, LeaseRecord, StoreUrl, Written};
use valkeep_tests::moto::{Moto, python_program};
use valkeep_tests::pass::{Pass, pass};
use valkeep_tests::scene::example;
use valkeep_tests::status;
use valkeep_tests::terraform::{adopting, corpus};

#[tokio::test]
async fn the_example_converges_on_moto_and_a_second_pass_changes_nothing() -> Result<()> {
    let moto = Moto::start().await?;
    let world = seed(&moto).await?;
    let aws = Aws::new(&config(&moto), Options::default());
    let scope = aws.scope("default", 0, Limits::default()).await?;

    // The document goes through moto's S3, and comes back the same.
    let url: StoreUrl = "s3://valkeep-demo/docs/".parse()?;
    let store = aws.store(url.clone(), url.default_status()?);
    let text = world
        .iter()
        .fold(example("trigpointing-valkey.yaml"), |text, (from, to)| {
            text.replace(from, to)
        });
    store.put("trigpointing-valkey", text.as_bytes(), None).await?;
    let entry = store.list().await?.pop().context("one document")?;
    let body = store.fetch(&entry).await?;
    assert_eq!(body, text.as_bytes());
    let document = valkeep_document::read(&entry.key, &body).map_err(|findings| anyhow::anyhow!("{findings}"))?;
    let desired = document
        .desired(&scope, entry.generation)
        .map_err(|findings| anyhow::anyhow!("{findings}"))?;

    // Each pass that acts is followed by one that looks again; four are more than the chain of dependent looks.
    let mut at_rest = None;
    for _ in 0..4 {
        let pass = pass(&aws, None, desired.clone(), Timestamp::now).await?;
        assert_eq!(pass.failures, Vec::new());
        if pass.done.is_empty() {
            at_rest = Some(pass);
            break;
        }
    }
    let Pass { observed, plan, .. } = at_rest.context("the fourth pass still changes something")?;
    let service = observed.service.present().context("a service")?;
    let running = observed.running_definition.present().context("a definition")?;
    assert_eq!(running.arn, service.task_definition);
    assert_eq!(running.definition, valkeep_plan::wanted_definition(&desired, &observed));
    assert_eq!(observed.mount_targets.present().map(Vec::len), Some(2));
    for hold in &plan.holds {
        let only_the_task = matches!(hold.resource, Resource::Service | Resource::Task | Resource::Valkey);
        assert!(hold.kind == HoldKind::Notice || only_the_task, "{hold:#?}");
    }
    Ok(())
}

#[tokio::test]
async fn status_is_written_by_compare_and_swap_on_moto_too() -> Result<()> {
    let moto = Moto::start().await?;
    seed(&moto).await?;
    let aws = Aws::new(&config(&moto), Options::default());
    status::is_written_by_compare_and_swap(&aws).await
}

#[tokio::test]
async fn the_lease_is_taken_renewed_and_refused_by_compare_and_swap_on_moto_too() -> Result<()> {
    let moto = Moto::start().await?;
    seed(&moto).await?;
    let aws = Aws::new(&config(&moto), Options::default());
    let lease = aws.lease("s3://valkeep-demo/docs-status/.lease".parse()?);
    let record = |holder: &str, writes| LeaseRecord {
        holder: holder.to_owned(),
        host: "here".to_owned(),
        since: Timestamp::UNIX_EPOCH,
        writes,
        duration_ms: 15_000,
        released: false,
    };
    assert_eq!(lease.read().await?, None);
    let Written::Yes(first) = lease.write(&record("one", 1), &Expect::Absent).await? else {
        bail!("nobody else takes it");
    };
    let late = lease.write(&record("two", 1), &Expect::Absent).await?;
    assert_eq!(late, Written::Conflict);
    let found = lease.read().await?.context("a lease")?;
    assert_eq!(
        (found.tag.as_str(), found.record),
        (first.as_str(), Some(record("one", 1)))
    );
    let Written::Yes(second) = lease.write(&record("one", 2), &Expect::Tag(first.clone())).await? else {
        bail!("nobody else writes it");
    };
    assert_ne!(first, second);
    let stale = lease.write(&record("two", 1), &Expect::Tag(first)).await?;
    assert_eq!(stale, Written::Conflict);
    let gone = aws.lease("s3://valkeep-demo/docs-status/.never".parse()?);
    let nothing = gone.write(&record("two", 1), &Expect::Tag(second)).await?;
    assert_eq!(nothing, Written::Conflict);
    let store = aws.store(
        "s3://valkeep-demo/docs/".parse()?,
        "s3://valkeep-demo/docs-status/".parse()?,
    );
    assert!(store.list().await?.is_empty(), "a lease is no document");
    Ok(())
}

/// Makes what the example document expects, by boto3, and tells moto's ids for the example's.
async fn seed(moto: &Moto) -> Result<BTreeMap<String, String>> {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/seed.py");
    let output = Command::new(python_program("python")?)
        .arg(script)
        .arg(&moto.endpoint)
        .kill_on_drop(true)
        .output()
        .await?;
    anyhow::ensure!(
        output.status.success(),
        "seed.py: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn config(moto: &Moto) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(&moto.endpoint)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "AKIDTEST", "secret", None, None, "tests",
        )))
        .build()
}

/// Definitions that somebody else maintains go through moto by valkeep's own call. What comes back means what was sent, or
/// valkeep names what was dropped and leaves the revision unused.
#[tokio::test]
async fn definitions_of_others_come_back_whole_from_moto_or_what_is_lost_is_named() -> Result<()> {
    let moto = Moto::start().await?;
    seed(&moto).await?;
    let aws = Aws::new(&config(&moto), Options::default());
    let scope = aws.scope("default", 0, Limits::default()).await?;
    let document = valkeep_document::read("adopted.yaml", adopting("cache", "Wait").as_bytes())
        .map_err(|findings| anyhow::anyhow!("{findings}"))?;
    let desired = document
        .desired(&scope, 1)
        .map_err(|findings| anyhow::anyhow!("{findings}"))?;
    let mut lost = Vec::new();
    for one in corpus() {
        let step = Step::RegisterRevision {
            from: "of nothing".to_owned(),
            definition: Box::new(one.registered.clone()),
            tags: desired.tags.clone(),
        };
        match aws.act(&desired, &step).await {
            Ok(done) => {
                // Asked again, the same revision is found: nothing is registered twice.
                assert_eq!(aws.act(&desired, &step).await?, done, "{}", one.name);
            }
            Err(failure) if failure.kind == FailureKind::SettingsLost => {
                let again = aws.act(&desired, &step).await;
                assert_eq!(again.map_err(|failure| failure.kind), Err(FailureKind::SettingsLost));
                lost.push(format!("{}: {}", one.name, failure.message));
            }
            Err(failure) => bail!("{}: {failure}", one.name),
        }
    }
    assert_eq!(lost, LOST_BY_MOTO);
    Ok(())
}

/// What moto 5.2.5 drops of a registration: the keys that no released ECS has, either.
const LOST_BY_MOTO: &[&str] = &[
    "keys-to-come: ECS did not keep containerDefinitions[valkey].observability, \
     containerDefinitions[valkey].portMappings[0].laneCount, enclave",
];
