//! `Observe` reports and changes nothing; `Paused` does not even look.

use crate::bench::{MINUTE, World, all, check, document, document_with, pass};
use valkeep_core::ConditionStatus::{False, True, Unknown};
use valkeep_core::ConditionType::{DriftDetected, Ready, Reconciling, Stalled};
use valkeep_core::Fact;
use valkeep_engine::Standing;

const OBSERVE: &str = "  mode: Observe\n";
const PAUSED: &str = "  mode: Paused\n";

fn in_mode(mode: &str) -> String {
    document_with("cache", "cache", mode)
}

#[tokio::test(start_paused = true)]
async fn observing_reports_what_differs_and_changes_nothing() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let mut running = world.converged().await;
    pass(20 * MINUTE).await;
    world.store().write("cache.yaml", &in_mode(OBSERVE));
    running
        .until_document("cache", |document| {
            document.generation == 2 && document.standing == Standing::Ready
        })
        .await;
    let acts = world.cloud.acts();
    let status = world.status("cache");
    check(&status, Ready, True, "AsDesired");
    check(&status, Reconciling, False, "Observing");
    check(&status, DriftDetected, False, "NoDrift");
    assert!(status.phase.starts_with("Observing: Ready"), "{}", status.phase);

    world.cloud.by_hand("cache", |observed| {
        observed.lifecycle = Fact::Present(None);
        observed.backups = Fact::Present(false);
    });
    running
        .until_document("cache", |document| document.standing == Standing::Idle)
        .await;
    let status = world.status("cache");
    check(&status, Ready, False, "Differs");
    check(&status, Reconciling, False, "Observing");
    check(&status, Stalled, False, "NotStalled");
    check(&status, DriftDetected, True, "Observed");
    let message = &status.condition(DriftDetected).expect("there").message;
    assert!(
        message.contains("file system fs-") && message.contains("transition to IA: Never -> AFTER_30_DAYS"),
        "{message}"
    );
    let (looks, writes) = (world.cloud.looks(), world.store().writes());
    pass(60 * MINUTE).await;
    assert_eq!(world.cloud.acts(), acts, "nothing is ever changed");
    assert!((5..=7).contains(&(world.cloud.looks() - looks)), "as often as at rest");
    assert_eq!(world.store().writes(), writes, "and said once");

    world.store().write("cache.yaml", &document("cache", "cache"));
    running
        .until_document("cache", |document| {
            document.generation == 3 && document.standing == Standing::Ready
        })
        .await;
    assert!(world.cloud.acts() > acts, "switched back, it is put right");
    assert_eq!(
        world.cloud.observed("cache").lifecycle,
        Fact::Present(Some("AFTER_30_DAYS".to_owned()))
    );
}

#[tokio::test(start_paused = true)]
async fn observing_from_the_start_makes_nothing_and_is_at_rest() {
    let world = World::new();
    world.store().write("cache.yaml", &in_mode(OBSERVE));
    let finished = world.once(Some(MINUTE)).await;
    assert!(!finished.cut_short, "nothing is waited for");
    assert_eq!(finished.documents[0].standing, Standing::Idle);
    assert_eq!(world.cloud.acts(), 0);
    let status = world.status("cache");
    check(&status, DriftDetected, True, "Observed");
    assert!(
        status.phase.starts_with("Observing: would create security group"),
        "{}",
        status.phase
    );
}

#[tokio::test(start_paused = true)]
async fn a_paused_document_is_not_even_looked_at() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let mut running = world.converged().await;
    pass(20 * MINUTE).await;
    world.store().write("cache.yaml", &in_mode(PAUSED));
    running
        .until_document("cache", |document| document.standing == Standing::Idle)
        .await;
    let (acts, looks, infos, writes) = (
        world.cloud.acts(),
        world.cloud.looks(),
        world.cloud.state().infos,
        world.store().writes(),
    );
    let status = world.status("cache");
    let since = status.paused_since.expect("it says since when");
    check(&status, Ready, Unknown, "Paused");
    check(&status, Reconciling, False, "Paused");
    check(&status, Stalled, False, "Paused");
    assert_eq!(status.phase, format!("Paused since {since}"));
    assert!(status.resources.file_system_id.is_some(), "what was known stays");
    world
        .cloud
        .by_hand("cache", |observed| observed.lifecycle = Fact::Present(None));
    pass(120 * MINUTE).await;
    assert_eq!((world.cloud.acts(), world.cloud.looks()), (acts, looks));
    assert_eq!(world.cloud.state().infos, infos, "nor is Valkey asked");
    assert_eq!(world.store().writes(), writes, "one status is enough");

    // Another version, and a restart of valkeep, are still the same pause.
    let other = format!("{PAUSED}  tags: {{a: b}}\n");
    world
        .store()
        .write("cache.yaml", &document_with("cache", "cache", &other));
    running
        .until_document("cache", |document| document.generation == 3)
        .await;
    running.kill().await;
    pass(MINUTE).await;
    let mut running = world.start();
    running
        .until(|snapshot| !snapshot.documents.is_empty() && all(snapshot, Standing::Idle))
        .await;
    assert_eq!(world.status("cache").paused_since, Some(since));
    assert_eq!(world.cloud.looks(), looks);

    world.store().write("cache.yaml", &document("cache", "cache"));
    running
        .until_document("cache", |document| {
            document.generation == 4 && document.standing == Standing::Ready
        })
        .await;
    let status = world.status("cache");
    assert_eq!(status.paused_since, None);
    assert!(world.cloud.acts() > acts);
}

#[tokio::test(start_paused = true)]
async fn two_documents_on_one_taken_directory_are_both_held() {
    let world = World::new();
    let taken = "  fileSystem: {accessPoint: {id: fsap-0123456789abcdef0}}\n";
    world.store().write("one.yaml", &document_with("one", "one", taken));
    world.store().write("two.yaml", &document_with("two", "two", taken));
    let finished = world.once(Some(MINUTE)).await;
    assert_eq!(finished.documents.len(), 2);
    for document in finished.documents {
        check(&document.status, Stalled, True, "Conflict");
    }
    assert_eq!(world.cloud.acts() + world.cloud.looks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_was_asked_for_is_echoed() {
    let world = World::new();
    let asking = |value: &str| {
        let annotations = format!("name: cache\n  annotations: {{valkeep.dev/look-now: \"{value}\"}}");
        document("cache", "cache").replace("name: cache\nspec", &format!("{annotations}\nspec"))
    };
    world.store().write("cache.yaml", &asking("one"));
    let mut running = world.converged().await;
    assert_eq!(world.status("cache").look_now.as_deref(), Some("one"));
    pass(20 * MINUTE).await;
    let looks = world.cloud.looks();
    world.store().write("cache.yaml", &asking("two"));
    running
        .until_document("cache", |document| document.status.look_now.as_deref() == Some("two"))
        .await;
    assert!(world.cloud.looks() > looks);
}
