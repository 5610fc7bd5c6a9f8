//! What readers of a status can rely on.

use crate::bench::{MINUTE, World, condition, document, pass};
use valkeep_core::ConditionType::Ready;
use valkeep_document::status::HISTORY_MAX;

#[tokio::test(start_paused = true)]
async fn a_transition_time_moves_only_on_a_transition_and_survives_a_restart() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let running = world.converged().await;
    let since = condition(&world.status("cache"), Ready).last_transition_time;
    pass(30 * MINUTE).await;
    running.kill().await;
    let running = world.converged().await;
    world.cloud.info("cache", |info| info.keys += 1);
    pass(30 * MINUTE).await;
    assert_eq!(condition(&world.status("cache"), Ready).last_transition_time, since);
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_lost_status_costs_history_and_nothing_else() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let running = world.converged().await;
    pass(15 * MINUTE).await;
    running.kill().await;
    world.store().state().statuses.clear();
    let acts = world.cloud.acts();
    let running = world.converged().await;
    assert!(world.status("cache").is(Ready));
    assert_eq!(world.cloud.acts(), acts);
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn garbage_in_the_place_of_a_status_is_written_over() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    world
        .store()
        .state()
        .statuses
        .insert("cache".to_owned(), (7, b"\0not json".to_vec()));
    let running = world.converged().await;
    assert!(world.status("cache").is(Ready));
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn history_is_bounded() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let running = world.converged().await;
    for _ in 0..40 {
        world.cloud.silence("cache", true);
        pass(MINUTE).await;
        world.cloud.silence("cache", false);
        pass(MINUTE).await;
    }
    let history = world.status("cache").history;
    assert_eq!(history.len(), HISTORY_MAX);
    assert!(history.is_sorted_by_key(|event| event.at));
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn figures_that_change_do_not_fill_the_history() {
    let world = World::new();
    world.store().write("cache.yaml", &document("cache", "cache"));
    let running = world.converged().await;
    pass(15 * MINUTE).await;
    let history = world.status("cache").history;
    for _ in 0..10 {
        world.cloud.info("cache", |info| info.keys += 100);
        pass(MINUTE).await;
    }
    assert_eq!(world.status("cache").history, history);
    assert_eq!(world.status("cache").valkey.map(|valkey| valkey.keys), Some(1000));
    drop(running);
}
