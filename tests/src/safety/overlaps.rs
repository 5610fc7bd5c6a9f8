//! Two tasks on one directory, again and again: the old one stopping or lost, the new one beside it, both told to end.

use super::Row;
use super::ground::{Ground, SOON, Setup, fill, missing};
use crate::real::Task;
use crate::resp::{Answer, Client};
use anyhow::{Context, Result};
use std::time::Duration;
use tokio::time::sleep;

/// What makes a save long enough to meet another one: 2 MB in values from 16 bytes to 32 KiB, and about half a second.
/// The sizes differ so that two saves of one size in time are not of one size in bytes, and can overtake each other.
const BASE: usize = 500;
const BASE_BITS: std::ops::RangeInclusive<u32> = 4..=15;
const SAVE_DELAY_US: u32 = 1_000;
/// Acknowledged in each round before the overlap, and by whoever else answers during it.
const MARKS: usize = 50;
const MARK_BYTES: usize = 20;

/// What came of the overlaps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    /// Two servers at once had the directory and took writes.
    two_served: usize,
    /// Dumps that no server could load.
    corrupt: usize,
    acknowledged: usize,
    lost: usize,
    /// Unfinished snapshots left at the end.
    unfinished: usize,
}

/// Forces so many overlaps with the lock, and as many without.
pub async fn overlaps(count: usize, seed: u64) -> Result<Row> {
    let with = force(true, count, seed).await.context("with the lock")?;
    let without = force(false, count, seed).await.context("without the lock")?;
    let mut broken = Vec::new();
    for (what, found) in [
        ("directories with two servers", with.two_served),
        ("corrupt dumps", with.corrupt),
        ("lost writes", with.lost),
        ("unfinished snapshots", with.unfinished),
    ] {
        if found > 0 {
            broken.push(format!("overlaps under the lock: {found} {what}"));
        }
    }
    Ok(Row {
        what: format!("{count} forced overlaps of two tasks"),
        with: said(with),
        without: said(without),
        lost_without: Some(without.lost),
        broken,
    })
}

fn said(seen: Seen) -> String {
    let Seen {
        two_served,
        corrupt,
        acknowledged,
        lost,
        unfinished,
    } = seen;
    format!(
        "{corrupt} corrupt dumps, {lost} of {acknowledged} writes lost, {two_served} times two servers, \
         {unfinished} unfinished snapshots left"
    )
}

async fn force(lock: bool, count: usize, seed: u64) -> Result<Seen> {
    let setup = Setup {
        lock,
        percents: Some((0, 100)),
        save: "3600 1",
        save_delay_us: SAVE_DELAY_US,
    };
    let (ground, _) = Ground::start(setup).await?;
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut all = Seen::default();
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..=count {
        let first = ground
            .next(&[])
            .await
            .context("no server although its dump is good or gone")?;
        for stem in acknowledged.drain(..) {
            all.lost += missing(&first, &stem, MARKS)?;
        }
        // One more start than overlaps: it only looks.
        if round == count {
            break;
        }
        if missing(&first, "base", BASE)? > 0 {
            fill(&first, "base", BASE, seed, |rng| 1 << rng.u32(BASE_BITS))?;
        }
        acknowledged.push(mark(&first, &format!("first:{round}"))?);
        let is_lost = rng.bool();
        if is_lost {
            ground.aws.lose_task(&first.arn);
        } else {
            ground.roll();
        }
        let second = ground.runs(&[&first]).await?;
        sleep(Duration::from_millis(rng.u64(200..600))).await;
        if answers(&second) {
            all.two_served += usize::from(ground.aws.lost_left() > 0);
            acknowledged.push(mark(&second, &format!("second:{round}"))?);
        }
        // ECS takes a moment to tell its own: which of the two begins to save first, and by how much, is a matter of chance.
        ground.scale(0);
        sleep(Duration::from_millis(rng.u64(0..300))).await;
        ground.aws.end_lost();
        ground.until_left(0).await?;
        all.acknowledged += acknowledged.len() * MARKS;
        if ground.dump.is_corrupt()? {
            all.corrupt += 1;
            ground.dump.remove()?;
        }
        ground.scale(1);
    }
    all.unfinished = ground.dump.unfinished()?;
    ground.end().await?;
    Ok(all)
}

fn mark(task: &Task, stem: &str) -> Result<String> {
    fill(task, stem, MARKS, 0, |_| MARK_BYTES)?;
    Ok(stem.to_owned())
}

fn answers(task: &Task) -> bool {
    let pong = Answer::Text("PONG".to_owned());
    let asked = task
        .address
        .parse()
        .ok()
        .and_then(|address| Client::connect(address, SOON).ok());
    asked.is_some_and(|mut client| client.ask(&["PING"]).is_ok_and(|answer| answer == pong))
}
