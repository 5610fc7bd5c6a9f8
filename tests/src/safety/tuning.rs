//! Changes of settings that Valkey takes while it runs, one after the other under writers: how many servers that costs.

use super::Row;
use super::ground::{Ground, Setup};
use super::kept::{Kept, SAVE_DELAY_US, Wish, client};
use crate::keys;
use crate::real::Task;
use anyhow::{Context, Result};

/// A setting as the document says it, and as the server tells it.
struct Tuning {
    spec: &'static str,
    name: &'static str,
    value: &'static str,
}

const fn tuning(spec: &'static str, name: &'static str, value: &'static str) -> Tuning {
    Tuning { spec, name, value }
}

/// Every kind of live setting, there and back.
const TUNINGS: [Tuning; 10] = [
    tuning("  valkey: {maxmemory: 64MB}\n", "maxmemory", "67108864"),
    tuning("  valkey: {maxmemory: 96MB}\n", "maxmemory", "100663296"),
    tuning(
        "  valkey: {maxmemory: 96MB, maxmemoryPolicy: allkeys-lfu}\n",
        "maxmemory-policy",
        "allkeys-lfu",
    ),
    tuning(
        "  valkey: {maxmemory: 96MB, maxmemoryPolicy: noeviction}\n",
        "maxmemory-policy",
        "noeviction",
    ),
    tuning(
        "  persistence: {snapshots: {preset: Frequent}}\n",
        "save",
        "300 1 60 10 10 10000",
    ),
    tuning(
        "  persistence: {snapshots: {preset: Infrequent}}\n",
        "save",
        "3600 1 900 10 300 10000",
    ),
    tuning(
        "  persistence: {snapshots: {compression: false}}\n",
        "rdbcompression",
        "no",
    ),
    tuning(
        "  persistence: {snapshots: {compression: true}}\n",
        "rdbcompression",
        "yes",
    ),
    tuning(
        "  persistence: {snapshots: {stopWritesOnError: true}}\n",
        "stop-writes-on-bgsave-error",
        "yes",
    ),
    tuning(
        "  persistence: {snapshots: {stopWritesOnError: false}}\n",
        "stop-writes-on-bgsave-error",
        "no",
    ),
];

/// Makes the first so many changes with valkeep, and by new definitions.
pub async fn tunings(count: usize, seed: u64) -> Result<Row> {
    let tunings = &TUNINGS[..count.min(TUNINGS.len())];
    let mut broken = Vec::new();

    let (kept, first) = Kept::start(&Wish::default(), SAVE_DELAY_US, seed).await?;
    let writers = kept.writers(seed);
    let started = uptime(&first)?;
    for Tuning { spec, name, value } in tunings {
        let wish = Wish {
            spec: (*spec).to_owned(),
            ..Wish::default()
        };
        let task = kept.settled(&wish).await?;
        if task.arn != first.arn {
            broken.push(format!("tuning: {name} {value} replaced the task"));
        }
        let is = keys::setting(&task.address, name)?;
        if is != *value {
            broken.push(format!("tuning: {name} is `{is}`, not `{value}`"));
        }
    }
    let restarts = usize::from(uptime(&first)? < started);
    let written = writers.stop()?;
    let lost = written.lost(first.address.parse()?)?.len();
    kept.end().await?;
    if lost > 0 || restarts > 0 {
        broken.push(format!("tuning: {restarts} restarts, {lost} writes lost"));
    }
    Ok(Row {
        what: format!("{} tuning changes under 4 writers", tunings.len()),
        with: format!("{restarts} restarts, {lost} of {} writes lost", written.count()),
        without: format!("{} restarts", by_definition(tunings).await?),
        lost_without: None,
        broken,
    })
}

/// Seconds; less than before after a restart in place.
fn uptime(task: &Task) -> Result<u64> {
    client(task)?.info("server", "uptime_in_seconds")
}

/// The same by a revision and a deployment each: how many tasks there were after the first.
async fn by_definition(tunings: &[Tuning]) -> Result<usize> {
    let setup = Setup {
        lock: false,
        percents: Some((0, 100)),
        save: "3600 1",
        save_delay_us: 0,
    };
    let (ground, _) = Ground::start(setup).await?;
    let mut tasks = vec![ground.next(&[]).await.context("no server")?];
    for Tuning { name, value, .. } in tunings {
        ground.deploy(&[&format!("--{name}"), value])?;
        let before: Vec<&Task> = tasks.iter().collect();
        let next = ground.next(&before).await.context("no next server")?;
        tasks.push(next);
    }
    ground.end().await?;
    Ok(tasks.len() - 1)
}
