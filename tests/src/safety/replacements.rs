//! Planned replacements in a row under writers: a document changed again and again under `valkeep run`, and the way of a
//! service that has a directory, no lock, and ECS's own deployment settings.

use super::dump::Dump;
use super::ground::{self, Ground, Setup, fill};
use super::kept::{BASE, BASE_BYTES, Kept, LOGS, SAVE_DELAY_US, Wish, load};
use super::{Row, own};
use crate::real::Task;
use crate::writers::{Writers, Written};
use anyhow::{Context, Result};
use localaws::LocalAws;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Between two replacements; writers write.
const REST: Duration = Duration::from_millis(500);
/// What a replacement may add to what Valkey itself takes. Printed, not judged: a busy machine takes its own time.
const ADDED_MAX: Duration = Duration::from_secs(2);

/// One replacement.
#[derive(Debug)]
struct Replacement {
    from: Instant,
    until: Instant,
    /// What Valkey itself took: its final save, its start and its loading.
    own: Option<Duration>,
}

/// What came of them.
#[derive(Debug)]
struct Seen {
    acknowledged: usize,
    lost: usize,
    corrupt: usize,
    gap: Duration,
    /// The most that a gap was beyond Valkey's own time.
    added: Duration,
}

/// Replaces so many times with valkeep, and as often without.
pub async fn replacements(count: usize, seed: u64) -> Result<Row> {
    let with = with_valkeep(count, seed).await.context("with valkeep")?;
    let without = without(count, seed).await.context("without valkeep")?;
    let mut broken = Vec::new();
    if with.lost + with.corrupt > 0 {
        let Seen { lost, corrupt, .. } = with;
        broken.push(format!("replacements: {lost} writes lost, {corrupt} dumps corrupt"));
    }
    Ok(Row {
        what: format!("{count} planned replacements in a row under 4 writers"),
        with: format!(
            "{}; longest write gap {:.1} s, at most {:.1} s beyond Valkey's own save, start and loading ({} s is the aim)",
            said(&with),
            with.gap.as_secs_f64(),
            with.added.as_secs_f64(),
            ADDED_MAX.as_secs()
        ),
        without: said(&without),
        lost_without: Some(without.lost),
        broken,
    })
}

fn said(seen: &Seen) -> String {
    let Seen {
        acknowledged,
        lost,
        corrupt,
        ..
    } = seen;
    format!("{lost} of {acknowledged} writes lost, {corrupt} corrupt dumps")
}

async fn with_valkeep(count: usize, seed: u64) -> Result<Seen> {
    let wish = |memory_mib: u32| Wish {
        create: format!("      memoryMiB: {memory_mib}\n"),
        ..Wish::default()
    };
    let (kept, mut task) = Kept::start(&wish(512), SAVE_DELAY_US, seed).await?;
    let dump = Dump(kept.directory()?.join("dump.rdb"));
    let (mut all, mut corrupt) = (Vec::new(), 0);
    let writers = kept.writers(seed);
    for memory_mib in [1024, 512].into_iter().cycle().take(count) {
        sleep(REST).await;
        let from = Instant::now();
        kept.ask(&wish(memory_mib)).await?;
        let next = kept.next(Some(&task)).await?;
        let own = own_of(&kept.real.scene.aws, LOGS, &task, &next)?;
        all.push(Replacement {
            from,
            until: Instant::now(),
            own: Some(own),
        });
        corrupt += usize::from(dump.is_corrupt()?);
        task = next;
    }
    let written = writers.stop()?;
    let lost = written.lost(task.address.parse()?)?.len() + ground::missing(&task, "base", BASE)?;
    kept.end().await?;
    Ok(seen(&written, lost, corrupt, &all))
}

fn own_of(aws: &LocalAws, logs: &str, old: &Task, new: &Task) -> Result<Duration> {
    Ok(own::save(aws, logs, &old.arn)? + own::start(aws, logs, &new.arn)?)
}

async fn without(count: usize, seed: u64) -> Result<Seen> {
    let setup = Setup {
        lock: false,
        percents: None,
        save: "3600 1",
        save_delay_us: SAVE_DELAY_US,
    };
    let (ground, resolve) = Ground::start(setup).await?;
    let mut task = ground.next(&[]).await.context("no server")?;
    fill(&task, "base", BASE, seed, |_| BASE_BYTES)?;
    let (mut all, mut corrupt) = (Vec::new(), 0);
    let writers = Writers::start(load(seed), &resolve);
    for _ in 0..count {
        sleep(REST).await;
        let from = Instant::now();
        task = replaced(&ground, &task, &mut corrupt).await?;
        all.push(Replacement {
            from,
            until: Instant::now(),
            own: None,
        });
    }
    let written = writers.stop()?;
    let lost = written.lost(task.address.parse()?)?.len() + ground::missing(&task, "base", BASE)?;
    ground.end().await?;
    Ok(seen(&written, lost, corrupt, &all))
}

/// The next server; a dump that it cannot load is taken away, as somebody would have to.
async fn replaced(ground: &Ground, old: &Task, corrupt: &mut usize) -> Result<Task> {
    ground.roll();
    let next = ground.next(&[old]).await;
    ground.until_left(1).await.ok();
    if ground.dump.is_corrupt()? {
        *corrupt += 1;
        ground.dump.remove()?;
    }
    match next {
        Some(next) => Ok(next),
        None => ground
            .next(&[old])
            .await
            .context("no server although its dump is good or gone"),
    }
}

fn seen(written: &Written, lost: usize, corrupt: usize, all: &[Replacement]) -> Seen {
    let gap = |one: &Replacement| written.longest_gap(one.from, one.until);
    let added = |one: &Replacement| one.own.map(|own| gap(one).saturating_sub(own));
    Seen {
        acknowledged: written.count() + BASE,
        lost,
        corrupt,
        gap: all.iter().map(gap).max().unwrap_or_default(),
        added: all.iter().filter_map(added).max().unwrap_or_default(),
    }
}
