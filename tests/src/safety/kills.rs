//! SIGKILL of the task while it is written to: what is gone, beside what the server itself said was not saved.

use super::Row;
use super::ground::{Ground, SOON, Setup};
use crate::resp::Client;
use crate::writers::{Load, Writers};
use anyhow::{Context, Result};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The save point: after 2 s with 1 change.
const SAVE: &str = "2 1";
/// How long before the kill a lost write may have been acknowledged: the save point, one second of Valkey's clock at
/// each end, and the save itself.
const AGE_MAX: Duration = Duration::from_secs(5);

/// Kills so many times.
pub async fn kills(count: usize, seed: u64) -> Result<Row> {
    let setup = Setup {
        lock: true,
        percents: Some((0, 100)),
        save: SAVE,
        save_delay_us: 0,
    };
    let (ground, resolve) = Ground::start(setup).await?;
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut lost_most, mut oldest) = (0, Duration::ZERO);
    let mut broken = Vec::new();
    let mut task = ground.next(&[]).await.context("no server")?;
    for nth in 0..count {
        let load = Load {
            writers: 4,
            rest: Duration::from_millis(5),
            seed: seed + nth as u64 + 1,
        };
        let writers = Writers::start(load, &resolve);
        sleep(Duration::from_millis(rng.u64(3000..6000))).await;
        let asked = Instant::now();
        let unsaved =
            Client::connect(task.address.parse()?, SOON)?.info("persistence", "rdb_changes_since_last_save")?;
        let killed = Instant::now();
        ground.aws.kill_task(&task.arn);
        let written = writers.stop()?;
        task = ground.next(&[&task]).await.context("no server after SIGKILL")?;
        let lost = written.lost(task.address.parse()?)?;
        let allowed = usize::try_from(unsaved)? + written.count_since(asked);
        if lost.len() > allowed {
            broken.push(format!("SIGKILL: {} writes lost, {allowed} were not saved", lost.len()));
        }
        let age = lost
            .iter()
            .map(|write| killed.saturating_duration_since(write.at))
            .max()
            .unwrap_or_default();
        if age > AGE_MAX {
            broken.push(format!(
                "SIGKILL: a write of {age:.1?} before was lost, with a save point of `{SAVE}`"
            ));
        }
        (lost_most, oldest) = (lost_most.max(lost.len()), oldest.max(age));
    }
    ground.end().await?;
    Ok(Row {
        what: format!("{count} times SIGKILL of the task under 4 writers, save point `{SAVE}`"),
        with: format!(
            "never more than Valkey said was not saved: at most {lost_most} writes, the oldest {:.1} s old",
            oldest.as_secs_f64()
        ),
        without: "-".to_owned(),
        lost_without: None,
        broken,
    })
}
