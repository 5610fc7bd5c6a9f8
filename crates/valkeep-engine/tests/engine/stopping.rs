//! Ends: once, a stop, and `kill -9` at any moment.

use crate::bench::{MINUTE, SECOND, World, document, document_with, pass};
use crate::cloud::Fault;
use std::collections::BTreeMap;
use valkeep_engine::Standing;

#[tokio::test(start_paused = true)]
async fn once_ends_when_everything_is_ready() {
    let world = World::new();
    for name in ["a", "b"] {
        world.store().write(&format!("{name}.yaml"), &document(name, name));
    }
    let finished = world.once(None).await;
    assert!(!finished.cut_short);
    let standings: Vec<_> = finished
        .documents
        .iter()
        .map(|document| (document.name.as_str(), document.standing))
        .collect();
    assert_eq!(standings, [("a", Standing::Ready), ("b", Standing::Ready)]);
}

#[tokio::test(start_paused = true)]
async fn once_ends_when_what_is_not_ready_is_stalled() {
    let world = World::new();
    world.store().write("a.yaml", &document("a", "a"));
    world
        .store()
        .write("b.yaml", &document_with("b", "b", "  nonsense: 1\n"));
    let finished = world.once(None).await;
    let standings: Vec<_> = finished.documents.iter().map(|document| document.standing).collect();
    assert_eq!(standings, [Standing::Ready, Standing::Stalled]);
}

#[tokio::test(start_paused = true)]
async fn once_on_an_empty_store_ends_at_once() {
    let finished = World::new().once(None).await;
    assert!(finished.documents.is_empty() && !finished.cut_short);
}

#[tokio::test(start_paused = true)]
async fn once_ends_at_its_timeout_and_says_so() {
    let world = World::new();
    world.store().write("a.yaml", &document("a", "a"));
    world.cloud.state().look_faults.insert("a".to_owned(), Fault::Panic);
    let finished = world.once(Some(5 * MINUTE)).await;
    assert!(finished.cut_short);
    assert_eq!(finished.documents[0].standing, Standing::Working);
}

#[tokio::test(start_paused = true)]
async fn once_does_not_end_while_a_store_cannot_be_listed() {
    let world = World::new();
    world.store().state().list_fails = true;
    let finished = world.once(Some(5 * MINUTE)).await;
    assert!(finished.cut_short && finished.stores[0].trouble.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_the_calls_in_flight_end_and_starts_no_further_round() {
    let world = World::new();
    world.store().write("a.yaml", &document("a", "a"));
    world.cloud.state().call_time = 2 * SECOND;
    let running = world.start();
    // One look takes two seconds, then the first round of calls is in flight.
    pass(3 * SECOND).await;
    let acts = world.cloud.acts();
    assert!(acts > 0);
    let report = running.stop().await;
    assert_eq!((report.drained.finished, report.drained.aborted), (1, 0));
    assert!(report.drained.took < 5 * SECOND, "{report:?}");
    assert_eq!(world.cloud.acts(), acts);
    assert!(world.store().status("a").is_some(), "and its status is written");
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_ever() {
    let world = World::new();
    world.store().write("a.yaml", &document("a", "a"));
    world
        .cloud
        .fail("a", "elasticfilesystem:CreateFileSystem", [Fault::Hang]);
    let running = world.start();
    pass(3 * SECOND).await;
    let report = running.stop().await;
    assert_eq!(report.drained.aborted, 1);
    assert_eq!(report.drained.took, world.settings.drain_timeout);
}

/// Killed at every half second of a convergence that takes about a minute, and started again: the end is the same, and
/// nothing that must exist once was made twice.
#[tokio::test(start_paused = true)]
async fn killed_at_any_moment_it_goes_on_where_it_was_and_does_nothing_twice() {
    for kill_at in 0..140 {
        let world = World::new();
        world.store().write("a.yaml", &document("a", "a"));
        world.cloud.state().call_time = SECOND / 4;
        let running = world.start();
        pass(SECOND / 2 * kill_at).await;
        running.kill().await;
        let running = world.converged().await;
        pass(15 * MINUTE).await;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for (_, action) in &world.cloud.state().applied {
            *counts.entry(action.clone()).or_default() += 1;
        }
        let expected = [
            ("ec2:CreateSecurityGroup", 1),
            ("elasticfilesystem:CreateFileSystem", 1),
            ("elasticfilesystem:CreateMountTarget", 2),
            ("elasticfilesystem:CreateAccessPoint", 1),
            ("iam:PutRolePolicy", 1),
            ("logs:CreateLogGroup", 1),
            ("ecs:RegisterTaskDefinition", 1),
            ("ecs:CreateService", 1),
            ("ecs:UpdateService", 1),
        ];
        for (action, count) in expected {
            assert_eq!(
                counts.get(action),
                Some(&count),
                "{action}, killed at {kill_at}: {counts:?}"
            );
        }
        assert!(running.document("a").standing == Standing::Ready);
        let acts = world.cloud.acts();
        pass(30 * MINUTE).await;
        assert_eq!(world.cloud.acts(), acts, "killed at {kill_at}: at rest");
        running.kill().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_documents_converge_within_bounds() {
    let world = World::new();
    for number in 0..1000 {
        let name = format!("cache-{number}");
        world.store().write(&format!("{name}.yaml"), &document(&name, &name));
    }
    let running = world.converged().await;
    assert_eq!(running.snapshots.borrow().documents.len(), 1000);
    let report = running.stop().await;
    assert_eq!(
        (report.queue.panics, report.queue.timeouts, report.queue.failed),
        (0, 0, 0)
    );
}
