//! Clocks that jump, and windows that end in the middle. The engine runs in this process, by a clock of its own.

use super::*;
use jiff::{SignedDuration, Timestamp};
use localaws::LocalAws;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;
use valkeep_core::ports::Clock;
use valkeep_engine::{CancellationToken, Engine, Report, Settings};
use valkeep_tests::in_process::Cable;
use valkeep_tests::real::CONTROLLER;
use valkeep_tests::resp::{Answer, Client};
use valkeep_tests::scene;
use valkeep_valkey::Client as Servers;

/// The time of the local AWS, and so much beside.
#[derive(Debug, Clone)]
struct Jumping {
    aws: LocalAws,
    ahead: Arc<Mutex<SignedDuration>>,
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        self.aws.now() + *self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Jumping {
    fn jump(&self, by: SignedDuration) {
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    /// It is this time now.
    fn jump_to(&self, time: &str) -> Result<()> {
        let time: Timestamp = time.parse()?;
        self.jump(time.duration_since(self.now()));
        Ok(())
    }
}

/// A valkeep by a clock of its own.
struct Valkeep {
    clock: Jumping,
    stop: CancellationToken,
    ended: JoinHandle<Report>,
}

impl Valkeep {
    async fn start(changes: &[(&'static str, &'static str)]) -> Result<(Ground, Self)> {
        let real = Real::start().await?;
        let aws = &real.scene.aws;
        let clock = Jumping {
            aws: aws.clone(),
            ahead: Arc::default(),
        };
        let client = real.scene.client_of(CONTROLLER, &Cable::default());
        let settings = Settings {
            poll: Duration::from_millis(500),
            probe: Duration::from_secs(1),
            ..Settings::default()
        };
        let engine = Engine::new(
            settings,
            vec![scene::store(&client)],
            Arc::new(client),
            Arc::new(Servers::default()),
            Arc::new(clock.clone()),
            real.scene.scope(),
        );
        let stop = CancellationToken::new();
        let ended = tokio::spawn(engine.run(stop.clone()));
        let ground = Ground::made(real, changes).await?;
        Ok((ground, Self { clock, stop, ended }))
    }

    async fn end(self, ground: Ground) -> Result<()> {
        self.stop.cancel();
        self.ended.await?;
        ground.real.stop().await;
        Ok(())
    }
}

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Two hours of each night.
const WINDOW: (&str, &str) = (
    "    # maintenanceWindow: {cron: \"0 2 * * SUN\", durationMinutes: 120, timezone: Europe/London}",
    "    maintenanceWindow: {cron: '0 2 * * *', durationMinutes: 120, timezone: UTC}",
);

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_is_told_and_neither_restarts_nor_holds_anything() -> Result<()> {
    let (ground, valkeep) = Valkeep::start(&[]).await?;
    ground.write("before")?;
    ground.real.clear_calls();
    for (jump, said) in [(DAY, "1440 min ahead of"), (DAY * -2, "1440 min behind")] {
        valkeep.clock.jump(jump);
        let words = [
            "note: ",
            "valkeep's clock is ",
            said,
            "(hint: see to the time of where valkeep runs",
        ];
        ground.until_said("ServiceStable", "Stable", &words).await?;
        let (status, reason, message) = condition(&ground.real, "PersistenceHealthy").context("a condition")?;
        ensure!((&*status, &*reason) == ("True", "Saving"), "{reason}: {message}");
        ground.stays()?;
    }

    // In the middle of a replacement, too: what is saved is judged by the server's own clock.
    set(&ground.first, "rdb-key-save-delay", "10000")?;
    ground.put(&[LARGER]);
    until("the snapshot", &ground.real, || {
        Ok(process(&ground.first, SAVER).map(drop))
    })
    .await?;
    ground.write("meanwhile")?;
    valkeep.clock.jump(DAY * 2);
    ground.stays()?;
    let second = ground.replaced().await?;
    ground.has_all(&second, &["before", "meanwhile"])?;
    ensure!(ground.real.count("UpdateService") == 1, "{:?}", ground.real.changes());
    valkeep.end(ground).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_ends_before_the_server_is_stopped_leaves_it_for_the_next() -> Result<()> {
    let (ground, valkeep) = Valkeep::start(&[WINDOW]).await?;
    ground.write("before")?;
    valkeep.clock.jump_to("2030-06-01T12:00:00Z")?;
    set(&ground.first, "rdb-key-save-delay", "10000")?;
    ground.real.clear_calls();
    ground.put(&[LARGER]);
    let next = "which opens at 2030-06-02T02:00:00Z";
    ground.until_said("Reconciling", "OutsideWindow", &[next]).await?;

    valkeep.clock.jump_to("2030-06-02T03:59:00Z")?;
    until("the snapshot", &ground.real, || {
        Ok(process(&ground.first, SAVER).map(drop))
    })
    .await?;
    valkeep.clock.jump_to("2030-06-02T04:00:01Z")?;
    ground.write("meanwhile")?;
    let next = "which opens at 2030-06-03T02:00:00Z";
    ground.until_said("Reconciling", "OutsideWindow", &[next]).await?;
    until("the end of the snapshot", &ground.real, || {
        Ok((info(&ground.first, "rdb_bgsave_in_progress")? == "0").then_some(()))
    })
    .await?;
    ground.everything_else_goes_on().await?;
    ground.stays()?;

    valkeep.clock.jump_to("2030-06-03T02:00:01Z")?;
    let second = ground.replaced().await?;
    ground.has_all(&second, &["before", "meanwhile"])?;
    valkeep.end(ground).await
}

/// Clients are kept out already: waiting for another night would be an outage.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_ends_while_writes_are_kept_out_does_not_stop_the_replacement() -> Result<()> {
    let timeout = ("stopTimeoutSeconds: 120", "stopTimeoutSeconds: 5");
    let (ground, valkeep) = Valkeep::start(&[WINDOW, timeout]).await?;
    ground.write("before")?;
    valkeep.clock.jump_to("2030-06-01T12:00:00Z")?;
    // A save takes more than 2 s, for which 7 s would be needed, and there are 5.
    set(&ground.first, "rdb-key-save-delay", "12000")?;
    ground.put(&[LARGER]);
    ground.until_said("Reconciling", "OutsideWindow", &[]).await?;
    valkeep.clock.jump_to("2030-06-02T03:59:00Z")?;

    let acknowledged = write_until_kept_out(&ground.first)?;
    valkeep.clock.jump_to("2030-06-02T04:00:01Z")?;
    let second = ground.replaced().await?;
    ensure!(
        valkeep.clock.now() < "2030-06-02T05:00:00Z".parse()?,
        "no other window has come"
    );
    ground.has_all(&second, &["before"])?;
    let mut client = Client::connect(second.address.parse()?, PATIENCE)?;
    for n in 0..acknowledged {
        let answer = client.ask(&["GET", &format!("meanwhile:{n}")])?;
        ensure!(
            answer == Answer::Text("written".to_owned()),
            "{n} of {acknowledged}: {answer:?}"
        );
    }
    valkeep.end(ground).await
}

/// Writes one key after another until the server takes none; how many it took.
fn write_until_kept_out(task: &Task) -> Result<usize> {
    let deadline = Instant::now() + PATIENCE;
    let mut client = Client::connect(task.address.parse()?, PATIENCE)?;
    for n in 0.. {
        match client.ask(&["SET", &format!("meanwhile:{n}"), "written"])? {
            Answer::Text(text) if text == "OK" => {}
            Answer::Error(error) if error.starts_with("NOREPLICAS") => return Ok(n),
            other => anyhow::bail!("{other:?}"),
        }
        ensure!(Instant::now() < deadline, "{n} writes, and they are still taken");
        std::thread::sleep(Duration::from_millis(10));
    }
    unreachable!("the loop has no end of its own")
}
