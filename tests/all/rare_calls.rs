//! Calls that only some worlds bring about.

use anyhow::{Context, Result};
use localaws::{Delays, Service};
use serde_json::json;
use std::time::Duration;
use valkeep_core::Step;
use valkeep_engine::{CancellationToken, Settings};
use valkeep_tests::pass::pass;
use valkeep_tests::scene::{Scene, example};

const NAME: &str = "trigpointing-valkey";

/// EC2 may take a while to show an interface that EFS has made; EFS itself knows the groups of its mount target.
#[tokio::test(start_paused = true)]
async fn the_groups_of_a_mount_target_that_ec2_does_not_show_yet_are_asked_of_efs() -> Result<()> {
    let scene = Scene::new(Delays {
        interface_shown: 120.0,
        ..Delays::default()
    });
    let mut repaired = Vec::new();
    // Twelve looks ten seconds apart are the two minutes in which EC2 shows nothing.
    for _ in 0..12 {
        let document = valkeep_document::read(NAME, example("trigpointing-valkey.yaml").as_bytes())?;
        let pass = pass(&scene.client(), None, document.desired(&scene.scope(), 1)?, || {
            scene.aws.now()
        })
        .await?;
        repaired.extend(
            pass.done
                .into_iter()
                .filter(|step| matches!(step, Step::SetMountTargetGroups { .. })),
        );
        tokio::time::advance(Duration::from_secs(10)).await;
    }
    assert_eq!(repaired, [], "the groups were right all the time");
    let asked = |operation: &str| scene.aws.calls().iter().any(|call| call.operation == operation);
    assert!(asked("DescribeMountTargetSecurityGroups"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_service_is_registered_in_cloud_map_under_the_name_that_clients_use() -> Result<()> {
    let scene = Scene::new(Delays::default());
    scene.look(
        Service::Discovery,
        "CreatePrivateDnsNamespace",
        &json!({"Name": "trigpointing.local", "Vpc": localaws::world::VPC}),
    );
    tokio::time::advance(Duration::from_secs(5)).await;
    let namespaces = scene.look(Service::Discovery, "ListNamespaces", &json!({}));
    let registry = scene.look(
        Service::Discovery,
        "CreateService",
        &json!({
            "Name": "valkey",
            "DnsConfig": {
                "NamespaceId": namespaces["Namespaces"][0]["Id"],
                "DnsRecords": [{"Type": "A", "TTL": 10}],
            },
        }),
    );
    let arn = registry["Service"]["Arn"].as_str().context("an ARN")?;
    let text = example("trigpointing-valkey.yaml").replace(
        "      # serviceRegistryArn: arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-...",
        &format!("      serviceRegistryArn: {arn}"),
    );
    assert!(text.contains(arn), "the example names a registry in a comment");
    scene.put("cache.yaml", &text);
    let stop = CancellationToken::new();
    let running = tokio::spawn(scene.engine(Settings::default()).run(stop.clone()));
    scene.until_ready(NAME, Duration::from_mins(10), "registered").await;
    stop.cancel();
    running.await?;
    let found = scene.look(
        Service::Discovery,
        "DiscoverInstances",
        &json!({"NamespaceName": "trigpointing.local", "ServiceName": "valkey"}),
    );
    assert_eq!(found["Instances"].as_array().map(Vec::len), Some(1), "{found}");
    Ok(())
}
