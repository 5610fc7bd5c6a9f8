//! The append-only file on and off under writers, with crashes of the server and of valkeep on the way. What an append-only
//! file with `fsync: always` promises is every acknowledged write; what snapshots promise is all but what the server itself said
//! was not saved.

use super::Row;
use super::ground::{Ground, Setup, fill, missing};
use super::kept::{BASE, BOUND, Kept, SAVE_DELAY_US, Wish, client};
use crate::keys;
use crate::real::Task;
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const ON: &str = "  persistence: {appendOnly: {enabled: true, fsync: always}}\n";
const OFF: &str = "";
const LOOK: Duration = Duration::from_millis(5);
/// What writers write before the document changes.
const LEAD: Duration = Duration::from_millis(300);

/// When something crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crash {
    /// The next definition is there: server and valkeep.
    Registered,
    /// The running server writes the other kind of file: server and valkeep.
    Switched,
    /// The service is told to run the next definition: valkeep.
    Replacing,
    /// The next server serves: server and valkeep.
    Served,
}

const CRASHES: [Crash; 4] = [Crash::Registered, Crash::Switched, Crash::Replacing, Crash::Served];

/// What one change over cost.
#[derive(Debug, Default)]
struct Seen {
    acknowledged: usize,
    lost: usize,
    /// Lost, and promised by nothing.
    unsaved: usize,
}

/// Changes over and back, without a crash and with each of the first so many.
pub async fn append_only(crashes: usize, seed: u64) -> Result<Row> {
    // What is there before must be there after every crash.
    let (mut kept, mut task) = Kept::start(&Wish::default(), SAVE_DELAY_US, seed).await?;
    keys::ask(&task.address, "SAVE\n")?;
    let mut all = Seen::default();
    let mut broken = Vec::new();
    let ways = std::iter::once(None).chain(CRASHES.into_iter().take(crashes).map(Some));
    let turns = ways.flat_map(|crash| [(true, crash), (false, crash)]);
    for (nth, (on, crash)) in turns.enumerate() {
        let turn = Turn {
            on,
            crash,
            wish: Wish {
                // A definition that was never there, so that each turn has all of its steps.
                restart: Some(nth.to_string()),
                spec: if on { ON } else { OFF }.to_owned(),
                ..Wish::default()
            },
            seed: seed + nth as u64 + 1,
        };
        let cost;
        (task, cost) = turn
            .take(&mut kept, &task)
            .await
            .with_context(|| format!("on: {on}, crash: {crash:?}"))?;
        if cost.lost > 0 {
            broken.push(format!(
                "append-only {}, crash {crash:?}: {} promised writes lost",
                if on { "on" } else { "off" },
                cost.lost
            ));
        }
        all.acknowledged += cost.acknowledged;
        all.lost += cost.lost;
        all.unsaved = all.unsaved.max(cost.unsaved);
        let gone = missing(&task, "base", BASE)?;
        ensure!(
            gone == 0,
            "on: {on}, crash: {crash:?}: {gone} of {BASE} keys of before are gone"
        );
    }
    kept.end().await?;
    let by_restart = by_restart(seed).await?;
    Ok(Row {
        what: format!(
            "append-only on and off under 4 writers, without a crash and with {} of server and valkeep on each way",
            crashes.min(CRASHES.len())
        ),
        with: format!(
            "{} promised writes lost of {} acknowledged; where snapshots were the promise, a SIGKILL took at most {} that Valkey said were not saved",
            all.lost, all.acknowledged, all.unsaved
        ),
        without: format!("by restart: {by_restart} of {BASE} saved keys lost"),
        lost_without: Some(by_restart),
        broken,
    })
}

/// One change over.
struct Turn {
    /// To the append-only file, or back.
    on: bool,
    crash: Option<Crash>,
    wish: Wish,
    seed: u64,
}

impl Turn {
    /// From the document to the last look at what was acknowledged; who serves then.
    async fn take(&self, kept: &mut Kept, before: &Task) -> Result<(Task, Seen)> {
        let writers = kept.writers(self.seed);
        sleep(LEAD).await;
        kept.real.clear_calls();
        let saves = info(before, "rdb_saves")?;
        kept.ask(&self.wish).await?;
        // What only snapshots promised at the crash: said by the server before, and acknowledged since.
        let mut unsaved = None;
        if let Some(crash) = self.crash {
            let task = self.reached(kept, crash, before, saves).await?;
            let asked = std::time::Instant::now();
            if crash != Crash::Replacing {
                let by_snapshots = self.on == (task.arn == before.arn);
                if by_snapshots {
                    unsaved = Some((info(&task, "rdb_changes_since_last_save")?, asked));
                }
                kept.real.scene.aws.kill_task(&task.arn);
            }
            kept.kill_valkeep().await?;
            kept.controller()?;
        }
        let task = kept.settled(&self.wish).await?;
        let appends = keys::setting(&task.address, "appendonly")?;
        ensure!(appends == if self.on { "yes" } else { "no" }, "appendonly is {appends}");
        let written = writers.stop()?;
        let lost = written.lost(task.address.parse()?)?.len();
        let allowed = match unsaved {
            Some((said, asked)) => usize::try_from(said)? + written.count_since(asked),
            None => 0,
        };
        let seen = Seen {
            acknowledged: written.count(),
            lost: lost.saturating_sub(allowed),
            unsaved: lost.min(allowed),
        };
        Ok((task, seen))
    }

    /// Waits until it is time for the crash; whose it is.
    async fn reached(&self, kept: &Kept, crash: Crash, before: &Task, saves: u64) -> Result<Task> {
        let deadline = Instant::now() + BOUND;
        loop {
            let come = match crash {
                Crash::Registered => kept.real.count("RegisterTaskDefinition") > 0,
                Crash::Switched if self.on => info(before, "aof_enabled").is_ok_and(|enabled| enabled == 1),
                Crash::Switched => info(before, "rdb_saves").is_ok_and(|now| now > saves),
                Crash::Replacing => kept.real.count("UpdateService") > 0,
                Crash::Served => return kept.next(Some(before)).await,
            };
            if come {
                return Ok(before.clone());
            }
            ensure!(Instant::now() < deadline, "{crash:?} did not come: {}", kept.real.log());
            sleep(LOOK).await;
        }
    }
}

fn info(task: &Task, field: &str) -> Result<u64> {
    client(task)?.info("persistence", field)
}

/// Keys in a good dump that are gone when the next definition says `--appendonly yes`.
async fn by_restart(seed: u64) -> Result<usize> {
    let setup = Setup {
        lock: false,
        percents: Some((0, 100)),
        save: "3600 1",
        save_delay_us: 0,
    };
    let (ground, _) = Ground::start(setup).await?;
    let task = ground.next(&[]).await.context("no server")?;
    fill(&task, "base", BASE, seed, |_| 100)?;
    keys::ask(&task.address, "SAVE\n")?;
    ground.deploy(&["--appendonly", "yes"])?;
    let next = ground.next(&[&task]).await.context("no next server")?;
    let lost = missing(&next, "base", BASE)?;
    ground.end().await?;
    Ok(lost)
}
