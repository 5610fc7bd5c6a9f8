//! A small part of what `make safety` shows, on every run of the tests.

use anyhow::{Result, ensure};
use valkeep_tests::safety::{Row, killed, kills, overlaps, replacements};

const SEED: u64 = 7;

fn kept(row: &Row) -> Result<()> {
    ensure!(row.broken.is_empty(), "{row}\n{:#?}", row.broken);
    ensure!(
        row.lost_without != Some(0),
        "without valkeep nothing was lost, so nothing was shown: {row}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn planned_replacements_lose_no_acknowledged_write() -> Result<()> {
    kept(&replacements::replacements(2, SEED).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn valkeep_killed_in_a_replacement_finishes_and_loses_nothing() -> Result<()> {
    kept(&killed::killed(2, SEED).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn forced_overlaps_corrupt_nothing_under_the_lock() -> Result<()> {
    kept(&overlaps::overlaps(3, SEED).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_takes_no_more_than_what_was_not_saved() -> Result<()> {
    kept(&kills::kills(1, SEED).await?)
}
