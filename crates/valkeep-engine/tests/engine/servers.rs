//! Valkey between the passes: asked every half minute, without a call to AWS.

use crate::bench::{MINUTE, SECOND, World, check, document, pass};
use valkeep_core::ConditionStatus::{False, True, Unknown};
use valkeep_core::ConditionType::{PersistenceHealthy, Ready, WarmStart};
use valkeep_engine::Standing;

#[tokio::test(start_paused = true)]
async fn what_the_server_says_reaches_the_status_without_a_call_to_aws() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let running = world.converged().await;
    pass(15 * MINUTE).await;
    let (acts, looks) = (world.cloud.acts(), world.cloud.looks());
    world.cloud.info("cache", |info| {
        info.keys = 5;
        info.changes_since_save = 3;
    });
    pass(31 * SECOND).await;
    let valkey = world.status("cache").valkey.expect("it answered");
    assert_eq!((valkey.keys, valkey.keys_at_risk), (5, 3));
    world.cloud.info("cache", |info| info.last_save_ok = false);
    pass(31 * SECOND).await;
    check(&world.status("cache"), PersistenceHealthy, False, "SaveFailing");
    check(&world.status("cache"), Ready, False, "SaveFailing");
    assert_eq!((world.cloud.acts(), world.cloud.looks()), (acts, looks));
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_unknown_and_looked_after_at_once_and_heals() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let mut running = world.converged().await;
    pass(15 * MINUTE).await;
    let (acts, looks) = (world.cloud.acts(), world.cloud.looks());
    let keys = world.status("cache").valkey.expect("it answered");
    world.cloud.silence("cache", true);
    running
        .until_document("cache", |document| !document.status.is(Ready))
        .await;
    pass(3 * SECOND).await;
    assert!(world.cloud.looks() > looks, "a full pass came at once");
    let status = world.status("cache");
    check(&status, PersistenceHealthy, Unknown, "Unreachable");
    check(&status, Ready, Unknown, "Unreachable");
    assert_eq!(status.valkey, Some(keys), "the last known figures stay");
    let message = &status.condition(PersistenceHealthy).expect("there").message;
    assert!(
        message.contains("sg-0cccccccccccccccc"),
        "it names the rule that it would take: {message}"
    );
    assert_eq!(
        world.cloud.acts(),
        acts,
        "and nothing on AWS is blocked or changed by it"
    );
    // For good: passes get rare again, the probe goes on.
    pass(30 * MINUTE).await;
    let looks = world.cloud.looks();
    pass(60 * MINUTE).await;
    assert!(world.cloud.looks() - looks <= 7);
    world.cloud.silence("cache", false);
    pass(31 * SECOND).await;
    check(&world.status("cache"), Ready, True, "AsDesired");
}

#[tokio::test(start_paused = true)]
async fn another_process_is_noticed_and_compared_with_the_one_before() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let mut running = world.converged().await;
    world.cloud.info("cache", |info| info.keys = 1000);
    pass(15 * MINUTE).await;
    world.cloud.replace_task("cache", 1000);
    running
        .until_document("cache", |document| !document.status.is(Ready))
        .await;
    running
        .until_document("cache", |document| document.standing == Standing::Ready)
        .await;
    check(&world.status("cache"), WarmStart, True, "Warm");
    world.cloud.replace_task("cache", 0);
    running
        .until_document("cache", |document| {
            document
                .status
                .condition(WarmStart)
                .is_some_and(|condition| condition.reason == "Cold")
        })
        .await;
    let message = world
        .status("cache")
        .condition(WarmStart)
        .expect("there")
        .message
        .clone();
    assert!(message.contains("1000 keys"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_was_replaced_while_valkeep_was_away_is_compared_with_the_last_status() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let running = world.converged().await;
    world.cloud.info("cache", |info| info.keys = 1000);
    pass(5 * MINUTE).await;
    running.kill().await;
    world.cloud.replace_task("cache", 0);
    let running = world.converged().await;
    check(&world.status("cache"), WarmStart, False, "Cold");
    // Said once, it stays said of this process, whoever restarts.
    pass(5 * MINUTE).await;
    running.kill().await;
    let running = world.converged().await;
    pass(5 * MINUTE).await;
    check(&world.status("cache"), WarmStart, False, "Cold");
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn loading_is_waited_for_and_measured() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let mut running = world.converged().await;
    pass(15 * MINUTE).await;
    world.cloud.replace_task("cache", 10);
    world.cloud.info("cache", |info| {
        info.loading = true;
        info.loading_percent = Some(40);
    });
    running
        .until_document("cache", |document| {
            document
                .status
                .condition(PersistenceHealthy)
                .is_some_and(|condition| condition.reason == "Loading")
        })
        .await;
    pass(60 * SECOND).await;
    world.cloud.info("cache", |info| info.loading = false);
    running
        .until_document("cache", |document| document.standing == Standing::Ready)
        .await;
    let seconds = world
        .status("cache")
        .valkey
        .and_then(|valkey| valkey.load_seconds)
        .expect("it was seen");
    assert!((60..=130).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn ready_needs_no_second_pass_to_hear_from_the_server() {
    let mut world = World::new();
    world.settings.probe = 60 * MINUTE;
    world.store().write("cache.yaml", &document("cache", "cache"));
    let running = world.converged().await;
    assert!(world.cloud.clock_s() < 10 * 60, "by the passes alone");
    drop(running);
}
