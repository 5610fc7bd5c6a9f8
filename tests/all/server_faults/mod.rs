//! What befalls a server that valkeep looks after, with real Valkeys: each is told with its reason and the next step, the
//! server that holds what is not saved stays, and nothing that was acknowledged is lost. The cure is all that is needed:
//! valkeep goes on by itself.

mod access;
mod clock;
mod processes;
mod saving;
mod stopping;
mod time;

use anyhow::{Context, Result, ensure};
use clock::Jumping;
use localaws::{Delays, Knobs, Service};
use processes::{SAVER, SERVER, limit_files, process, signal};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use valkeep_engine::{CancellationToken, Engine, Report, Settings};
use valkeep_tests::in_process::Cable;
use valkeep_tests::keys;
use valkeep_tests::real::{self, CONTROLLER, Real, Task};
use valkeep_tests::scene::{self, example};

const NAME: &str = "trigpointing-valkey";
const KEYS: usize = 200;
/// Reached only by a failure.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK: Duration = Duration::from_millis(100);
/// Nothing takes time but what Valkey does.
fn delays() -> Delays {
    Delays {
        restart_first: 1.0,
        restart_max: 2.0,
        scheduler: 0.25,
        ..Delays::zero()
    }
}

/// Microseconds that a save takes for each key.
const DELAY: &str = "rdb-key-save-delay";

/// Looks as often as a test has patience for.
fn settings() -> Settings {
    Settings {
        poll: Duration::from_millis(500),
        probe: Duration::from_secs(1),
        wait: Duration::from_secs(1),
        wait_max: Duration::from_secs(2),
        ..Settings::default()
    }
}

/// The example document with other values, which must stand in it.
fn document(changes: &[(&str, &str)]) -> String {
    changes
        .iter()
        .fold(example("trigpointing-valkey.yaml"), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        })
}

/// What replaces the task.
const LARGER: (&str, &str) = ("memoryMiB: 512", "memoryMiB: 1024");

/// A service at rest, and a valkeep in this process that looks after it, by a clock of its own.
struct Ground {
    real: Real,
    clock: Jumping,
    first: Task,
    /// Changes of the example that every version of the document has.
    changes: Vec<(&'static str, &'static str)>,
    stop: CancellationToken,
    engine: JoinHandle<Report>,
}

impl Ground {
    async fn start(changes: &[(&'static str, &'static str)]) -> Result<Self> {
        Self::prepared(changes, |_| {}).await
    }

    /// The same with something that must be there before.
    async fn prepared(changes: &[(&'static str, &'static str)], prepare: impl FnOnce(&Real)) -> Result<Self> {
        let mut real = Real::with(delays(), Knobs::default()).await?;
        real.scene.dns_grace_s = 1;
        prepare(&real);
        real.scene.put("cache.yaml", &document(changes));
        let clock = Jumping::of(&real.scene.aws);
        let client = real.scene.client_of(CONTROLLER, &Cable::default());
        let engine = Engine::new(
            settings(),
            vec![scene::store(&client)],
            Arc::new(client),
            Arc::new(valkeep_valkey::Client::default()),
            Arc::new(clock.clone()),
            real.scene.scope(),
        );
        let stop = CancellationToken::new();
        let engine = tokio::spawn(engine.run(stop.clone()));
        until_ready(&real).await?;
        let first = running(&real)?.context("a task runs")?;
        real.clear_calls();
        Ok(Self {
            real,
            clock,
            first,
            changes: changes.to_vec(),
            stop,
            engine,
        })
    }

    /// Keys of a stem; every one is acknowledged.
    fn write(&self, stem: &str) -> Result<()> {
        keys::write(&self.first.address, stem, KEYS)
    }

    /// A version of the document with more changes.
    fn put(&self, more: &[(&str, &str)]) {
        let changes: Vec<(&str, &str)> = self.changes.iter().chain(more).copied().collect();
        self.real.scene.put("cache.yaml", &document(&changes));
    }

    /// Waits until a condition has this reason and all these words; its message.
    async fn until_said(&self, type_: &str, reason: &str, words: &[&str]) -> Result<String> {
        until(&format!("{type_} {reason} {words:?}"), &self.real, || {
            let said = condition(&self.real, type_).filter(|(_, is, _)| is == reason);
            Ok(said
                .map(|said| said.2)
                .filter(|text| words.iter().all(|word| text.contains(word))))
        })
        .await
    }

    /// A save takes 25 ms for each key from now on: 5 s in all, in which the one that saves is found.
    fn save_slowly(&self) -> Result<()> {
        set(&self.first, DELAY, "25000")
    }

    /// Waits until a slow save has begun. The next ones are quick again.
    async fn until_it_saves(&self) -> Result<()> {
        until("the snapshot", &self.real, || Ok(process(&self.first, SAVER).map(drop))).await?;
        set(&self.first, DELAY, "0")
    }

    /// Nobody has stopped the first task, and no other one has been started.
    fn stays(&self) -> Result<()> {
        ensure!(running(&self.real)?.as_ref() == Some(&self.first), "it was replaced");
        ensure!(self.real.count("UpdateService") == 0, "{:?}", self.real.changes());
        Ok(())
    }

    /// Drift on AWS is repaired, whatever becomes of the server.
    async fn everything_else_goes_on(&self) -> Result<()> {
        let before = self.real.count("PutRetentionPolicy");
        let log = json!({ "logGroupName": "/ecs/trigpointing-valkey", "retentionInDays": 3 });
        self.real.scene.look(Service::Logs, "PutRetentionPolicy", &log);
        // A version that means the same is looked at at once.
        self.put(&[LARGER, ("team: platform", "team: anyone")]);
        until("the repair", &self.real, || {
            Ok((self.real.count("PutRetentionPolicy") > before).then_some(()))
        })
        .await
    }

    /// Waits until another task serves, and the document is at rest with that.
    async fn replaced(&self) -> Result<Task> {
        until("another task", &self.real, || {
            let next = running(&self.real)?.filter(|task| *task != self.first);
            let status = self.real.scene.status(NAME).filter(|_| self.real.scene.is_ready(NAME));
            let told = status.map(|status| status["status"]["resources"]["taskArn"].clone());
            Ok(next.filter(|next| told == Some(json!(next.arn))))
        })
        .await
    }

    /// The directory of the access point, as this machine has it.
    fn directory(&self) -> Result<PathBuf> {
        self.real.directory("/valkey-data")
    }

    async fn end(self) -> Result<()> {
        self.stop.cancel();
        self.engine.await?;
        self.real.stop().await;
        Ok(())
    }
}

/// Every key of these stems is there.
fn has_all(task: &Task, stems: &[&str]) -> Result<()> {
    for stem in stems {
        let found = keys::count_written(&task.address, stem, KEYS)?;
        ensure!(found == KEYS, "{found} of {KEYS} keys of `{stem}`");
    }
    Ok(())
}

/// Status, reason and message of a condition.
fn condition(real: &Real, type_: &str) -> Option<(String, String, String)> {
    let status = real.scene.status(NAME)?;
    let mut conditions = status["status"]["conditions"].as_array()?.iter();
    let found = conditions.find(|condition| condition["type"] == type_)?;
    let text = |member: &str| Some(found[member].as_str()?.to_owned());
    Some((text("status")?, text("reason")?, text("message").unwrap_or_default()))
}

/// The only running task, if there is one.
fn running(real: &Real) -> Result<Option<Task>> {
    let tasks = real::running(&real.scene.aws, NAME)?;
    Ok(<[Task; 1]>::try_from(tasks).ok().map(|[task]| task))
}

async fn until_ready(real: &Real) -> Result<()> {
    until("Ready", real, || Ok(real.scene.is_ready(NAME).then_some(()))).await
}

/// Waits for a value.
async fn until<T>(what: &str, real: &Real, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(
            Instant::now() < deadline,
            "{what} did not come: {:#?}",
            real.scene.status(NAME)
        );
        sleep(LOOK).await;
    }
}

/// `CONFIG SET`, of what the debugging of Valkey offers, too.
fn set(task: &Task, name: &str, value: &str) -> Result<()> {
    let answer = keys::ask(&task.address, &format!("CONFIG SET {name} {value}\n"))?;
    ensure!(answer.trim() == "OK", "{answer}");
    Ok(())
}

/// A field of `INFO persistence`.
fn info(task: &Task, field: &str) -> Result<String> {
    let text = keys::ask(&task.address, "INFO persistence\n")?;
    let found = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    Ok(found.with_context(|| format!("no {field}"))?.trim().to_owned())
}

/// A save by hand, to its end.
async fn saved(real: &Real, task: &Task) -> Result<()> {
    keys::ask(&task.address, "BGSAVE\n")?;
    until("the snapshot", real, || {
        let done = info(task, "rdb_bgsave_in_progress")? == "0" && info(task, "rdb_changes_since_last_save")? == "0";
        Ok(done.then_some(()))
    })
    .await
}

/// The exit code of the task that stopped last.
fn last_exit(real: &Real) -> Option<i64> {
    let input = json!({ "cluster": localaws::world::CLUSTER, "serviceName": NAME, "desiredStatus": "STOPPED" });
    let arns = real.scene.look(Service::Ecs, "ListTasks", &input)["taskArns"].clone();
    let input = json!({ "cluster": localaws::world::CLUSTER, "tasks": arns });
    let tasks = real.scene.look(Service::Ecs, "DescribeTasks", &input);
    let tasks: Vec<Value> = tasks["tasks"].as_array().cloned().unwrap_or_default();
    let stopped = tasks.iter().filter(|task| task["lastStatus"] == "STOPPED");
    let last = stopped.max_by(|a, b| {
        a["stoppedAt"]
            .as_f64()
            .partial_cmp(&b["stoppedAt"].as_f64())
            .expect("times")
    })?;
    last["containers"][0]["exitCode"].as_i64()
}
