//! Clocks that jump, and windows that end in the middle.

use super::*;
use jiff::SignedDuration;
use valkeep_core::ports::Clock;
use valkeep_tests::resp::{Answer, Client};

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Two hours of each night.
const WINDOW: (&str, &str) = (
    "    # maintenanceWindow: {cron: \"0 2 * * SUN\", durationMinutes: 120, timezone: Europe/London}",
    "    maintenanceWindow: {cron: '0 2 * * *', durationMinutes: 120, timezone: UTC}",
);

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_is_told_and_neither_restarts_nor_holds_anything() -> Result<()> {
    let ground = Ground::start(&[]).await?;
    ground.write("before")?;
    for (jump, said) in [(DAY, "1440 min ahead of"), (DAY * -2, "1440 min behind")] {
        ground.clock.jump(jump);
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
    ground.save_slowly()?;
    ground.put(&[LARGER]);
    ground.until_it_saves().await?;
    ground.write("meanwhile")?;
    ground.clock.jump(DAY * 2);
    ground.stays()?;
    let second = ground.replaced().await?;
    has_all(&second, &["before", "meanwhile"])?;
    ensure!(ground.real.count("UpdateService") == 1, "{:?}", ground.real.changes());
    ground.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_ends_before_the_server_is_stopped_leaves_it_for_the_next() -> Result<()> {
    let ground = Ground::start(&[WINDOW]).await?;
    ground.write("before")?;
    ground.clock.jump_to("2030-06-01T12:00:00Z")?;
    ground.save_slowly()?;
    ground.put(&[LARGER]);
    let next = "which opens at 2030-06-02T02:00:00Z";
    ground.until_said("Reconciling", "OutsideWindow", &[next]).await?;

    ground.clock.jump_to("2030-06-02T03:59:00Z")?;
    ground.until_it_saves().await?;
    ground.clock.jump_to("2030-06-02T04:00:01Z")?;
    ground.write("meanwhile")?;
    let next = "which opens at 2030-06-03T02:00:00Z";
    ground.until_said("Reconciling", "OutsideWindow", &[next]).await?;
    until("the end of the snapshot", &ground.real, || {
        Ok((info(&ground.first, "rdb_bgsave_in_progress")? == "0").then_some(()))
    })
    .await?;
    ground.everything_else_goes_on().await?;
    ground.stays()?;

    ground.clock.jump_to("2030-06-03T02:00:01Z")?;
    let second = ground.replaced().await?;
    has_all(&second, &["before", "meanwhile"])?;
    ground.end().await
}

/// Clients are kept out already: waiting for another night would be an outage.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_ends_while_writes_are_kept_out_does_not_stop_the_replacement() -> Result<()> {
    let timeout = ("stopTimeoutSeconds: 120", "stopTimeoutSeconds: 5");
    let ground = Ground::start(&[WINDOW, timeout]).await?;
    ground.write("before")?;
    ground.clock.jump_to("2030-06-01T12:00:00Z")?;
    // A save takes more than 2 s, for which 7 s would be needed, and there are 5.
    set(&ground.first, DELAY, "12000")?;
    ground.put(&[LARGER]);
    ground.until_said("Reconciling", "OutsideWindow", &[]).await?;
    ground.clock.jump_to("2030-06-02T03:59:00Z")?;

    let acknowledged = write_until_kept_out(&ground.first)?;
    ground.clock.jump_to("2030-06-02T04:00:01Z")?;
    let second = ground.replaced().await?;
    ensure!(
        ground.clock.now() < "2030-06-02T05:00:00Z".parse()?,
        "no other window has come"
    );
    has_all(&second, &["before"])?;
    let mut client = Client::connect(second.address.parse()?, PATIENCE)?;
    for n in 0..acknowledged {
        let answer = client.ask(&["GET", &format!("meanwhile:{n}")])?;
        ensure!(
            answer == Answer::Text("written".to_owned()),
            "{n} of {acknowledged}: {answer:?}"
        );
    }
    ground.end().await
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
