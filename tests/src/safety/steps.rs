//! valkeep killed by SIGKILL at each step of a replacement under writers: the next one finishes what it began.

use super::kept::{BASE, Kept, SAVE_DELAY_US, Wish};
use super::moment::Moment;
use super::{Row, ground};
use anyhow::{Context, Result};
use std::time::Duration;
use tokio::time::sleep;

/// Every step of a replacement, in order.
pub const EVERY: [Moment; 6] = [
    Moment::Before("RegisterTaskDefinition"),
    Moment::After("RegisterTaskDefinition"),
    Moment::Saving,
    Moment::Saved,
    Moment::Before("UpdateService"),
    Moment::After("UpdateService"),
];
/// Between two replacements; writers write.
const REST: Duration = Duration::from_millis(500);

/// Asks for a replacement for each of these moments and kills valkeep then.
pub async fn steps(moments: &[Moment], seed: u64) -> Result<Row> {
    let (mut kept, mut task) = Kept::start(&Wish::default(), SAVE_DELAY_US, seed).await?;
    let mut broken = Vec::new();
    let writers = kept.writers(seed);
    // The one without a kill tells which steps there are.
    for (nth, moment) in [None].into_iter().chain(moments.iter().map(Some)).enumerate() {
        sleep(REST).await;
        let what = moment.map_or("no kill".to_owned(), Moment::to_string);
        let definitions = kept.real.scene.inventory().task_definitions;
        kept.real.clear_calls();
        if let Some(moment) = moment {
            moment.arm(&kept);
        }
        kept.ask(&Wish {
            restart: Some(nth.to_string()),
            ..Wish::default()
        })
        .await?;
        if let Some(moment) = moment {
            moment.reached(&kept, &task).await?;
            kept.kill_valkeep().await?;
            kept.real.scene.aws.clear_faults();
            kept.controller()?;
        }
        task = kept.next(Some(&task)).await.with_context(|| what.clone())?;
        let registered = kept.real.scene.inventory().task_definitions - definitions;
        if registered != 1 {
            broken.push(format!(
                "valkeep killed {what}: {registered} definitions for one replacement"
            ));
        }
        if moment.is_none() {
            broken.extend(steps_left_out(&kept.real.changes()));
        }
    }
    let written = writers.stop()?;
    let lost = written.lost(task.address.parse()?)?.len() + ground::missing(&task, "base", BASE)?;
    if lost > 0 {
        broken.push(format!("valkeep killed: {lost} writes lost"));
    }
    kept.end().await?;
    let all: Vec<String> = moments.iter().map(Moment::to_string).collect();
    Ok(Row {
        what: format!(
            "valkeep killed at each step of a replacement under 4 writers ({})",
            all.join(", ")
        ),
        with: format!(
            "{lost} of {} writes lost, {} of {} replacements finished when it was restarted",
            written.count() + BASE,
            moments.len(),
            moments.len()
        ),
        without: "-".to_owned(),
        lost_without: None,
        broken,
    })
}

/// Changes on AWS that are in no moment of [`EVERY`].
fn steps_left_out(changes: &[String]) -> Vec<String> {
    let is_in = |change: &&String| {
        EVERY
            .iter()
            .any(|moment| matches!(moment, Moment::Before(call) | Moment::After(call) if *call == change.as_str()))
    };
    let left_out = changes.iter().filter(|change| !is_in(change));
    left_out
        .map(|change| format!("valkeep was not killed at {change}, a step of a replacement"))
        .collect()
}
