//! Passwords: read where they lie, kept for a while, followed when they change, and never shown.

use crate::bench::{MINUTE, SECOND, World, check, document_with, pass};
use valkeep_core::ConditionStatus::{True, Unknown};
use valkeep_core::ConditionType::{PersistenceHealthy, Ready};
use valkeep_core::ServerChange;

const REFERENCE: &str = "/cache/password";

fn document() -> String {
    document_with(
        "cache",
        "cache",
        "  valkey: {credentialsFrom: {ssmParameter: /cache/password}}\n",
    )
}

fn world(password: &str) -> World {
    let world = World::new();
    world
        .cloud
        .state()
        .secrets
        .insert(REFERENCE.to_owned(), password.to_owned());
    world.store().write("cache.yaml", &document());
    world
}

fn message(world: &World) -> String {
    let status = world.status("cache");
    status.condition(PersistenceHealthy).expect("there").message.clone()
}

#[tokio::test(start_paused = true)]
async fn a_password_is_read_once_in_a_while_and_stands_in_no_status() {
    let world = world("hunter2");
    let running = world.converged().await;
    let before = world.cloud.state().secrets_read;
    assert_eq!(before, 1, "one look for all rounds and passes until it is ready");
    pass(60 * MINUTE).await;
    let read = world.cloud.state().secrets_read - before;
    assert!(
        (9..=13).contains(&read),
        "about every five minutes, not at each probe: {read}"
    );
    let status = format!("{:?} {:?}", world.status("cache"), running.document("cache"));
    assert!(!status.contains("hunter2") && status.contains("Ready"), "{status}");
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_follows_the_secret_first_is_followed_at_once() {
    let world = world("old");
    let running = world.converged().await;
    pass(MINUTE).await;
    world
        .cloud
        .state()
        .secrets
        .insert(REFERENCE.to_owned(), "new".to_owned());
    world.cloud.state().demand("cache", "new");
    pass(31 * SECOND).await;
    check(&world.status("cache"), Ready, True, "AsDesired");
    assert!(world.cloud.state().told.is_empty(), "nothing had to be told");
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_server_of_our_own_takes_over_what_the_secret_is_now() {
    let world = world("old");
    let running = world.converged().await;
    world
        .cloud
        .state()
        .secrets
        .insert(REFERENCE.to_owned(), "new".to_owned());
    pass(6 * MINUTE).await;
    let told: Vec<ServerChange> = world
        .cloud
        .state()
        .told
        .iter()
        .map(|(_, change)| change.clone())
        .collect();
    assert_eq!(told, [ServerChange::Password]);
    check(&world.status("cache"), Ready, True, "AsDesired");
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_password_that_does_not_fit_is_said_and_heals() {
    let world = world("hunter2");
    let running = world.converged().await;
    world.cloud.state().demand("cache", "another");
    pass(35 * SECOND).await;
    check(&world.status("cache"), PersistenceHealthy, Unknown, "LoginRefused");
    assert!(message(&world).contains("credentialsFrom"), "{}", message(&world));
    pass(20 * MINUTE).await;
    let before = world.cloud.state().secrets_read;
    pass(10 * MINUTE).await;
    let read = world.cloud.state().secrets_read - before;
    assert!(read <= 22, "one look at each probe at the most: {read}");
    world.cloud.state().demand("cache", "hunter2");
    pass(31 * SECOND).await;
    check(&world.status("cache"), Ready, True, "AsDesired");
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_cannot_be_read_is_a_doubt_on_valkey_and_on_nothing_else() {
    let world = world("hunter2");
    world.cloud.state().secrets.clear();
    let mut running = world.start();
    running
        .until_document("cache", |document| {
            let condition = document.status.condition(PersistenceHealthy);
            condition.is_some_and(|condition| condition.reason == "SecretUnreadable")
        })
        .await;
    let said = message(&world);
    for words in [REFERENCE, "ssm:GetParameter", "valkeep.dev/given-to: default"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(
        world
            .cloud
            .state()
            .acts
            .iter()
            .any(|(_, call)| call == "ecs:CreateService")
    );
    world
        .cloud
        .state()
        .secrets
        .insert(REFERENCE.to_owned(), "hunter2".to_owned());
    pass(2 * MINUTE).await;
    check(&world.status("cache"), Ready, True, "AsDesired");
}
