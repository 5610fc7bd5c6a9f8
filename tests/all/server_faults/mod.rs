//! What befalls a server that valkeep looks after, with the shipped program and real Valkeys: each is told with its reason and
//! the next step, the server that holds what is not saved stays, and nothing that was acknowledged is lost. The cure is all
//! that is needed: valkeep goes on by itself.

mod access;
mod saving;
mod stopping;
mod time;

use anyhow::{Context, Result, ensure};
use localaws::Service;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use valkeep_tests::keys;
use valkeep_tests::real::{self, Controller, Real, Task};
use valkeep_tests::scene::example;

const NAME: &str = "trigpointing-valkey";
const KEYS: usize = 200;
/// Reached only by a failure.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK: Duration = Duration::from_millis(100);

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

/// A service at rest.
struct Ground {
    real: Real,
    first: Task,
    /// Changes of the example that every version of the document has.
    changes: Vec<(&'static str, &'static str)>,
}

impl Ground {
    /// Made by the shipped program, which goes on looking after it.
    async fn start(changes: &[(&'static str, &'static str)]) -> Result<(Self, Controller)> {
        let real = Real::start().await?;
        let controller = real.quiet_controller()?;
        Ok((Self::made(real, changes).await?, controller))
    }

    /// Made by whatever valkeep is at work on it.
    async fn made(real: Real, changes: &[(&'static str, &'static str)]) -> Result<Self> {
        real.scene.put("cache.yaml", &document(changes));
        until_ready(&real).await?;
        let first = running(&real)?.context("a task runs")?;
        let changes = changes.to_vec();
        Ok(Self { real, first, changes })
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

    /// Waits until another task serves, and the document is at rest.
    async fn replaced(&self) -> Result<Task> {
        let next = until("another task", &self.real, || {
            Ok(running(&self.real)?.filter(|task| *task != self.first))
        });
        let next = next.await?;
        until_ready(&self.real).await?;
        Ok(next)
    }

    /// Every key of these stems is there.
    fn has_all(&self, task: &Task, stems: &[&str]) -> Result<()> {
        for stem in stems {
            let found = keys::count_written(&task.address, stem, KEYS)?;
            ensure!(found == KEYS, "{found} of {KEYS} keys of `{stem}`");
        }
        Ok(())
    }

    /// The directory of the access point, as this machine has it.
    fn directory(&self) -> Result<PathBuf> {
        self.real.directory("/valkey-data")
    }

    async fn end(self, controller: Controller) -> Result<()> {
        controller.stop().await?;
        self.real.stop().await;
        Ok(())
    }
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
            "{what} did not come: {:#?}\n{}",
            real.scene.status(NAME),
            real.log()
        );
        sleep(LOOK).await;
    }
}

/// The server's own process, or the one that saves for it; by the title that Valkey gives each of them.
fn process(task: &Task, title: &str) -> Option<Pid> {
    let entries = std::fs::read_dir("/proc").ok()?;
    entries.flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line);
        (line.contains(title) && line.contains(&task.address)).then(|| Pid::from_raw(pid))
    })
}

const SERVER: &str = "valkey-server";
const SAVER: &str = "valkey-rdb-bgsave";

fn signal(task: &Task, title: &str, signal: Signal) -> Result<()> {
    let pid = process(task, title).with_context(|| format!("no {title}"))?;
    Ok(kill(pid, signal)?)
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

/// How long a file of the server may become, the unsaved ones of its children, too; none is without limit. What a full file
/// system does to a save, without filling one of this machine.
fn limit_files(task: &Task, bytes: Option<u32>) -> Result<()> {
    let pid = process(task, SERVER).context("no server")?;
    let soft = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let status = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &format!("--fsize={soft}:")])
        .status()
        .context("prlimit (util-linux) does not start")?;
    ensure!(status.success(), "prlimit: {status}");
    Ok(())
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
