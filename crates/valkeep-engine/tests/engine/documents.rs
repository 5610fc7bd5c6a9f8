//! Documents that come, change, break and go.

use crate::bench::{MINUTE, SECOND, World, all, check, document, document_with, pass};
use std::time::Duration;
use valkeep_core::ConditionStatus::{False, True, Unknown};
use valkeep_core::ConditionType::{DocumentValid, Ready, Reconciling, Stalled};
use valkeep_engine::Standing;

/// A change that a running server cannot take.
const RESTARTING: &str = "  rollout: {stopTimeoutSeconds: 60}\n";
/// A change that a running server takes.
const FREQUENT: &str = "  persistence: {snapshots: {preset: Frequent}}\n";

#[tokio::test(start_paused = true)]
async fn a_document_arrives_and_becomes_ready() {
    let world = World::new();
    let mut running = world.start();
    running.until(|snapshot| snapshot.stores[0].listed_at.is_some()).await;
    world.store().write("team/cache.yaml", &document("cache", "cache"));
    running
        .until_document("cache", |document| document.standing == Standing::Ready)
        .await;
    let status = world.status("cache");
    check(&status, Ready, True, "AsDesired");
    check(&status, DocumentValid, True, "Valid");
    check(&status, Stalled, False, "NotStalled");
    assert_eq!(
        (status.observed_generation, status.observed_revision.as_str()),
        (1, "v1")
    );
    assert_eq!(status.installation, "default");
    assert!(
        status
            .address
            .as_ref()
            .is_some_and(|address| address.ends_with(":6379")),
        "{status:#?}"
    );
    assert_eq!(status.resources.mount_targets.len(), 2);
    assert!(status.resources.file_system_id.is_some() && status.resources.task_arn.is_some());
    assert_eq!(
        status.valkey.as_ref().map(|valkey| valkey.version.as_str()),
        Some("valkey 8.0.1")
    );
    let begins: Vec<_> = status.history.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(begins.last(), Some(&"Ready"), "{:#?}", status.history);
}

#[tokio::test(start_paused = true)]
async fn where_nothing_takes_time_nothing_is_waited_for() {
    let mut world = World::new();
    world.dns_grace_s = 0;
    world.cloud.state().making = Duration::ZERO;
    world.cloud.state().call_time = Duration::from_millis(50);
    world.store().write("cache.yaml", &document("cache", "cache"));
    let running = world.start();
    // The longest chain here: a look, file system, a look, access point, a look, policy or definition, service, start, a
    // look: nine times 50 ms.
    pass(Duration::from_millis(700)).await;
    assert_eq!(
        running.document("cache").standing,
        Standing::Ready,
        "{:?}",
        world.cloud.state().applied
    );
    assert_eq!(running.queue.borrow().succeeded, 1, "in one pass");
}

#[tokio::test(start_paused = true)]
async fn a_second_pass_changes_nothing_and_writes_nothing() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let running = world.converged().await;
    // The marks that only a serving server's version makes possible are set in the pass after.
    pass(20 * MINUTE).await;
    let (acts, looks, writes, fetches) = {
        let writes = world.store().writes();
        (
            world.cloud.acts(),
            world.cloud.looks(),
            writes,
            world.store().state().fetches,
        )
    };
    pass(60 * MINUTE).await;
    assert_eq!(world.cloud.acts(), acts);
    assert!(
        (5..=7).contains(&(world.cloud.looks() - looks)),
        "{}",
        world.cloud.looks() - looks
    );
    assert_eq!(world.store().writes(), writes);
    assert_eq!(
        world.store().state().fetches,
        fetches,
        "bodies are read only when they changed"
    );
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_is_converged_as_a_new_generation() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let mut running = world.converged().await;
    world
        .store()
        .write("cache.yaml", &document_with("cache", "cache", FREQUENT));
    running
        .until_document("cache", |document| {
            document.generation == 2 && document.standing == Standing::Ready
        })
        .await;
    let status = world.status("cache");
    assert_eq!(status.observed_generation, 2);
    assert!(
        !status.is(valkeep_core::ConditionType::DriftDetected),
        "a change of the document is no drift"
    );
    assert_eq!(world.cloud.count("cache", "ecs:CreateService"), 1);
    assert_eq!(world.cloud.count("cache", "ecs:RegisterTaskDefinition"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_change_and_back_is_nobody_elses_change() {
    let world = World::new();
    world.store().state().has_etags = true;
    world.store().write("cache.yaml", &document("cache", "cache"));
    let mut running = world.converged().await;
    let making = std::mem::replace(&mut world.cloud.state().making, 30 * MINUTE);
    world
        .store()
        .write("cache.yaml", &document_with("cache", "cache", RESTARTING));
    pass(5 * MINUTE).await;
    assert!(!world.status("cache").is(Ready), "the change is on its way");
    world.cloud.state().making = making;
    world.store().write("cache.yaml", &document("cache", "cache"));
    running
        .until_document("cache", |document| {
            document.generation == 3 && document.standing == Standing::Ready
        })
        .await;
    let history = world.status("cache").history;
    assert!(!history.iter().any(|event| event.event == "Drift"), "{history:#?}");
}

#[tokio::test(start_paused = true)]
async fn an_invalid_change_leaves_the_last_good_version_in_force() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let mut running = world.converged().await;
    let acts = world.cloud.acts();
    world
        .store()
        .write("cache.yaml", &document_with("cache", "cache", "  persistance: {}\n"));
    running
        .until_document("cache", |document| document.standing == Standing::Stalled)
        .await;
    let status = world.status("cache");
    check(&status, DocumentValid, False, "InvalidDocument");
    check(&status, Ready, False, "InvalidDocument");
    check(&status, Stalled, True, "InvalidDocument");
    check(&status, Reconciling, False, "InvalidDocument");
    assert_eq!(status.last_good_revision.as_deref(), Some("v1"));
    assert_eq!(status.observed_revision, "v2");
    assert!(
        status.findings[0].to_string().contains("persistance"),
        "{:?}",
        status.findings
    );
    assert!(
        world.cloud.acts() - acts <= 1,
        "only marks: {:?}",
        world.cloud.state().acts
    );
    // In force means kept true.
    world.cloud.by_hand("cache", |observed| {
        observed.backups = valkeep_core::Fact::Present(false);
    });
    pass(15 * MINUTE).await;
    assert_eq!(world.cloud.observed("cache").backups.present(), Some(&true));
    // And healed by a good one.
    world.store().write("cache.yaml", &document("cache", "cache"));
    running
        .until_document("cache", |document| {
            document.generation == 3 && document.standing == Standing::Ready
        })
        .await;
    assert_eq!(world.status("cache").last_good_revision, None);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_the_last_good_version_comes_from_the_stores_history() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    world.converged().await.kill().await;
    world.store().write("cache.yaml", "kind: Nonsense\n");
    world
        .store()
        .write("cache.yaml", &document_with("cache", "cache", "  more: nonsense\n"));
    world.cloud.by_hand("cache", |observed| {
        observed.backups = valkeep_core::Fact::Present(false);
    });
    let mut running = world.start();
    running
        .until_document("cache", |document| document.standing == Standing::Stalled)
        .await;
    assert_eq!(
        world.cloud.observed("cache").backups.present(),
        Some(&true),
        "kept true"
    );
    assert_eq!(world.status("cache").last_good_revision.as_deref(), Some("v1"));
}

#[tokio::test(start_paused = true)]
async fn without_any_good_version_nothing_is_looked_at_and_the_status_says_so() {
    let world = World::new();
    world.store().write("team/cache.yaml", "kind: Nonsense\n");
    world.store().write("other.yaml", &document("other", "other"));
    let mut running = world.start();
    running
        .until(|snapshot| snapshot.documents.len() == 2 && snapshot.is_settled())
        .await;
    let status = world.status("cache");
    check(&status, DocumentValid, False, "InvalidDocument");
    check(&status, Stalled, True, "InvalidDocument");
    assert_eq!(status.name, "cache", "the stem, for want of a readable name");
    assert!(world.cloud.state().looks.iter().all(|(service, _)| service == "other"));
    check(&world.status("other"), Ready, True, "AsDesired");
}

#[tokio::test(start_paused = true)]
async fn the_status_of_an_invalid_document_rests_while_its_last_good_version_is_looked_after() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let mut running = world.converged().await;
    world
        .store()
        .write("cache.yaml", &document_with("cache", "cache", "  persistance: {}\n"));
    running
        .until_document("cache", |document| document.standing == Standing::Stalled)
        .await;
    pass(MINUTE).await;
    let since = |type_| {
        let status = world.status("cache");
        status.condition(type_).map(|condition| condition.last_transition_time)
    };
    let (ready, stalled, writes) = (since(Ready), since(Stalled), world.store().writes());
    pass(30 * MINUTE).await;
    assert_eq!((since(Ready), since(Stalled)), (ready, stalled));
    assert_eq!(world.store().writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn a_document_that_is_too_long_is_invalid_and_not_read_again_and_again() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let mut running = world.converged().await;
    world.store().write("cache.yaml", &"# long\n".repeat(200_000));
    running
        .until_document("cache", |document| document.standing == Standing::Stalled)
        .await;
    let status = world.status("cache");
    check(&status, DocumentValid, False, "InvalidDocument");
    assert!(
        status.findings[0].to_string().contains("1400000 bytes"),
        "{:?}",
        status.findings
    );
    assert_eq!(status.last_good_revision.as_deref(), Some("v1"));
    let fetches = world.store().state().fetches;
    pass(5 * MINUTE).await;
    assert_eq!(world.store().state().fetches, fetches);
}

#[tokio::test(start_paused = true)]
async fn a_removed_document_is_forgotten_and_everything_is_kept() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let mut running = world.converged().await;
    pass(15 * MINUTE).await;
    let (acts, looks) = (world.cloud.acts(), world.cloud.looks());
    world.store().remove("cache.yaml");
    running.until(|snapshot| snapshot.documents.is_empty()).await;
    pass(60 * MINUTE).await;
    assert_eq!(
        (world.cloud.acts(), world.cloud.looks()),
        (acts, looks),
        "neither touched nor looked at"
    );
    assert_eq!(running.queue.borrow().delayed, 0);
    world.store().write("cache.yaml", &document("cache", "cache"));
    running
        .until_document("cache", |document| document.standing == Standing::Ready)
        .await;
    assert_eq!(world.cloud.acts(), acts, "found again, and nothing made twice");
}

#[tokio::test(start_paused = true)]
async fn two_documents_with_one_target_are_both_stalled_and_neither_is_touched_until_one_goes() {
    let world = World::with_stores(&["s3://docs/one/", "ssm:/docs/"]);
    world.stores[0].write("a.yaml", &document("a", "cache"));
    world.stores[1].write("b", &document("b", "cache"));
    let mut running = world.start();
    running
        .until(|snapshot| snapshot.documents.len() == 2 && all(snapshot, Standing::Stalled))
        .await;
    assert_eq!(world.cloud.looks(), 0);
    for (store, name) in [(0, "a"), (1, "b")] {
        let status = world.stores[store].status(name).expect("both tell");
        check(&status, Stalled, True, "Conflict");
        check(&status, Ready, False, "Conflict");
        let message = status.condition(Stalled).expect("there").message.clone();
        assert!(
            message.contains("s3://docs/one/") && message.contains("ssm:/docs/"),
            "{message}"
        );
    }
    world.stores[1].remove("b");
    running
        .until_document("a", |document| document.standing == Standing::Ready)
        .await;
    assert_eq!(running.snapshots.borrow().documents.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_documents_with_one_name_are_both_stalled_and_their_statuses_do_not_fight() {
    let world = World::new();
    world.store().write("a.yaml", &document("cache", "one"));
    let mut running = world.converged().await;
    world.store().write("b.yaml", &document("cache", "two"));
    running
        .until(|snapshot| snapshot.documents.len() == 2 && all(snapshot, Standing::Stalled))
        .await;
    check(&world.status("cache"), Stalled, True, "Conflict");
    check(&world.status("b"), Stalled, True, "Conflict");
    assert!(world.cloud.state().looks.iter().all(|(service, _)| service == "one"));
    let writes = world.store().writes();
    pass(60 * MINUTE).await;
    assert_eq!(world.store().writes(), writes);
    world.store().write("b.yaml", &document("other", "two"));
    running.until(|snapshot| all(snapshot, Standing::Ready)).await;
    check(&world.status("cache"), Ready, True, "AsDesired");
    check(&world.status("other"), Ready, True, "AsDesired");
}

#[tokio::test(start_paused = true)]
async fn an_invalid_document_does_not_take_the_name_of_a_good_one() {
    let world = World::new();
    world.store().write("z.yaml", &document("cache", "one"));
    world
        .store()
        .write("a.yaml", &document_with("cache", "two", "  nonsense: 1\n"));
    let mut running = world.start();
    running
        .until(|snapshot| snapshot.documents.len() == 2 && snapshot.is_settled())
        .await;
    check(&world.status("cache"), Ready, True, "AsDesired");
    check(&world.status("a"), Stalled, True, "InvalidDocument");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_cannot_be_read_is_tried_again_and_disturbs_no_other() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    world.store().write("other.yaml", &document("other", "other"));
    world.store().state().denied.push("cache.yaml".to_owned());
    let mut running = world.start();
    running
        .until_document("other", |document| document.standing == Standing::Ready)
        .await;
    let status = world.status("cache");
    check(&status, DocumentValid, Unknown, "DocumentUnread");
    check(&status, Ready, Unknown, "DocumentUnread");
    check(&status, Reconciling, True, "DocumentUnread");
    assert!(status.condition(Ready).expect("there").message.contains("s3:GetObject"));
    world.store().state().denied.clear();
    running.until(|snapshot| all(snapshot, Standing::Ready)).await;
    // Changed, and not readable: what is in force stays so.
    world.store().state().denied.push("cache.yaml".to_owned());
    world
        .store()
        .write("cache.yaml", &document_with("cache", "cache", FREQUENT));
    running
        .until_document("cache", |document| {
            document.generation == 2 && !document.status.is(Ready)
        })
        .await;
    pass(SECOND).await;
    let status = world.status("cache");
    check(&status, DocumentValid, Unknown, "DocumentUnread");
    assert_eq!(status.last_good_revision.as_deref(), Some("v1"));
    world.store().state().denied.clear();
    running
        .until_document("cache", |document| {
            document.generation == 2 && document.standing == Standing::Ready
        })
        .await;
}
