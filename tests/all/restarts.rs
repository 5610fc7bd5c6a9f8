//! valkeep is killed: at every call it makes, and for real by SIGKILL. The next one finishes, and nothing is there twice.

use localaws::{Delays, Fault, FaultKind};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use valkeep_engine::{CancellationToken, Settings};
use valkeep_tests::scene::{Scene, example};

const NAME: &str = "trigpointing-valkey";

#[tokio::test(start_paused = true)]
async fn killed_before_any_call_is_carried_out_the_next_one_finishes() {
    at_every_call(&FaultKind::Timeout).await;
}

#[tokio::test(start_paused = true)]
async fn killed_after_any_call_was_carried_out_the_next_one_finishes() {
    at_every_call(&FaultKind::LostReply).await;
}

async fn at_every_call(kind: &FaultKind) {
    let reference = fresh();
    run_until_ready(&reference, "no kill").await;
    let expected = reference.inventory();
    let calls = reference.aws.calls().len();
    assert!(calls > 40, "{calls}");

    for nth in 1..=calls {
        let scene = fresh();
        let mut fault = Fault {
            matches: localaws::Match::default(),
            kind: kind.clone(),
        }
        .nth(nth as u64);
        fault.matches.times = Some(1);
        scene.aws.inject(fault);
        let engine = tokio::spawn(scene.engine(Settings::default()).run(CancellationToken::new()));
        let deadline = Instant::now() + Duration::from_mins(10);
        while scene.aws.calls().len() < nth {
            assert!(Instant::now() < deadline, "call {nth} never came");
            sleep(Duration::from_millis(1)).await;
        }
        // Dropping the future is what a kill looks like from here: nothing of it runs any more.
        engine.abort();
        assert!(
            engine.await.is_err_and(|error| error.is_cancelled()),
            "killed at call {nth}"
        );
        scene.aws.clear_faults();

        run_until_ready(&scene, &format!("killed at call {nth} of {calls}")).await;
        assert_eq!(scene.inventory(), expected, "killed at call {nth} of {calls}");
    }
}

async fn run_until_ready(scene: &Scene, what: &str) {
    let stop = CancellationToken::new();
    let engine = tokio::spawn(scene.engine(Settings::default()).run(stop.clone()));
    let deadline = Instant::now() + Duration::from_mins(30);
    while !scene.is_ready(NAME) {
        assert!(
            Instant::now() < deadline,
            "{what}: not Ready: {:#?}",
            scene.status(NAME)
        );
        sleep(Duration::from_secs(1)).await;
    }
    stop.cancel();
    engine.await.expect("the engine does not panic");
}

fn fresh() -> Scene {
    fastrand::seed(11);
    let scene = Scene::new(Delays::default());
    scene.put("cache.yaml", &example("trigpointing-valkey.yaml"));
    scene
}
