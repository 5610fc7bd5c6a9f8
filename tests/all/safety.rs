//! A small part of what `make safety` shows, on every run of the tests.

use anyhow::{Result, ensure};
use valkeep_tests::safety::{Moment, Row, append_only, kills, overlaps, replacements, steps, tuning};

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
async fn a_replacement_whose_valkeep_is_killed_loses_nothing_and_is_finished() -> Result<()> {
    let moments = [Moment::Saving, Moment::After("UpdateService")];
    kept(&steps::steps(&moments, SEED).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn forced_overlaps_corrupt_nothing_under_the_lock() -> Result<()> {
    kept(&overlaps::overlaps(3, SEED).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_takes_no_more_than_what_was_not_saved() -> Result<()> {
    kept(&kills::kills(1, SEED).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_append_only_file_comes_and_goes_without_a_loss() -> Result<()> {
    kept(&append_only::append_only(1, SEED).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn tuning_restarts_nothing() -> Result<()> {
    kept(&tuning::tunings(3, SEED).await?)
}
