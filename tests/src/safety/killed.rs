//! valkeep killed by SIGKILL right before and right after each call by which it changes something on the way of a
//! replacement, under writers, and started again. Which calls those are is seen from a replacement without a kill.
//!
//! Before: the call has come and is never carried out; `BGSAVE` is refused, because Valkey cannot be made to wait with it.
//! After: it is carried out, and valkeep never has its answer; that to `BGSAVE` it may have.

use super::dump::Dump;
use super::ground::{self, fill};
use super::{Row, name, quick};
use crate::real::{Controller, Real, Task};
use crate::resp::{Answer, Client};
use crate::scene::example;
use crate::writers::{Load, Resolve, Writers};
use anyhow::{Context, Result, bail, ensure};
use localaws::{Fault, FaultKind, Knobs, Service, world};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const NAME: &str = "trigpointing-valkey";
const FILE: &str = "cache.yaml";
const BASE: usize = 2_000;
const BASE_BYTES: usize = 2_000;
/// Microseconds for each key of a save, which with what a timer takes makes some 100: there is a while in which to kill.
const SAVE_DELAY_US: u32 = 50;
const APPLIED: [&str; 7] = ["apply", FILE, "--wait", "--timeout", "60s", "--poll", "200ms"];
const BOUND: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(2);

/// Where in a replacement valkeep is killed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Moment {
    step: Step,
    done: bool,
}

/// A call by which valkeep changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// `BGSAVE`, to Valkey.
    Snapshot,
    /// The nth call of this operation, to AWS.
    Call { operation: String, nth: u64 },
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = if self.done { "after" } else { "before" };
        match &self.step {
            Step::Snapshot => write!(f, "{when} BGSAVE"),
            Step::Call { operation, nth: 1 } => write!(f, "{when} {operation}"),
            Step::Call { operation, nth } => write!(f, "{when} {operation} number {nth}"),
        }
    }
}

/// A service that is replaced again and again.
#[derive(Debug)]
struct Patient {
    real: Real,
    registry: String,
    dump: Dump,
    task: Task,
    replacements: usize,
    corrupt: usize,
}

/// Kills so many times, at one moment after the other.
pub async fn killed(kills: usize, seed: u64) -> Result<Row> {
    let (real, resolve, registry) = start().await?;
    let mut controller = real.lone_controller()?;
    let mut patient = Patient::made(real, registry, seed).await?;
    let load = Load {
        writers: 4,
        rest: Duration::from_millis(20),
        seed,
    };
    let writers = Writers::start(load, &resolve);
    // The last one first, so that few of them are those at which a server is stopped.
    let mut moments = moments(&patient.replaced().await?)?;
    moments.reverse();
    for moment in moments.iter().cycle().take(kills) {
        controller = patient
            .killed_at(moment, controller)
            .await
            .with_context(|| format!("killed {moment}\n{}", patient.real.log()))?;
    }
    let written = writers.stop()?;
    let lost = written.lost(patient.task.address.parse()?)?.len() + ground::missing(&patient.task, "base", BASE)?;
    controller.stop().await?;
    let extra = patient.extra()?;
    let Patient { real, corrupt, .. } = patient;
    real.stop().await;
    let all: Vec<String> = moments.iter().take(kills).map(Moment::to_string).collect();
    let counted = format!(
        "{lost} of {} writes lost, {corrupt} corrupt dumps",
        written.count() + BASE
    );
    let is_kept = lost + corrupt == 0 && extra.is_none();
    let broken = format!("valkeep killed: {counted} {}", extra.as_deref().unwrap_or_default());
    Ok(Row {
        what: format!(
            "{kills} times SIGKILL of valkeep in a replacement under 4 writers: {}",
            all.join(", ")
        ),
        with: format!(
            "{counted}, finishes each time when started again, {}",
            extra.unwrap_or_else(|| "with one new revision and one new task".to_owned())
        ),
        without: "-".to_owned(),
        lost_without: None,
        broken: if is_kept { Vec::new() } else { vec![broken] },
    })
}

async fn start() -> Result<(Real, Resolve, String)> {
    let knobs = Knobs {
        overlap_stopping: true,
        ..Knobs::default()
    };
    let real = Real::with(quick(), knobs).await?;
    let (registry, resolve) = name::make(&real.scene.aws).await?;
    Ok((real, resolve, registry))
}

/// Before and after each call of a replacement.
fn moments(changes: &[String]) -> Result<Vec<Moment>> {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let calls = changes.iter().map(|operation| {
        let nth = seen.entry(operation).or_default();
        *nth += 1;
        Step::Call {
            operation: operation.clone(),
            nth: *nth,
        }
    });
    let steps: Vec<Step> = [Step::Snapshot].into_iter().chain(calls).collect();
    ensure!(
        ["RegisterTaskDefinition", "UpdateService"]
            .iter()
            .all(|operation| seen.contains_key(operation)),
        "a replacement of {changes:?}"
    );
    let both = |step: Step| {
        [false, true].map(|done| Moment {
            step: step.clone(),
            done,
        })
    };
    Ok(steps.into_iter().flat_map(both).collect())
}

impl Patient {
    async fn made(real: Real, registry: String, seed: u64) -> Result<Self> {
        real.write(FILE, &document(&registry, 0))?;
        real.quiet(0, &APPLIED).await?;
        let task = real.task(NAME, BOUND, |_| true).await?;
        real.until_steady(NAME, BOUND).await?;
        fill(&task, "base", BASE, seed, |_| BASE_BYTES)?;
        let dump = Dump(real.directory("/valkey-data")?.join("dump.rdb"));
        Ok(Self {
            real,
            registry,
            dump,
            task,
            replacements: 0,
            corrupt: 0,
        })
    }

    /// Asks for a replacement.
    async fn ask(&mut self) -> Result<()> {
        self.replacements += 1;
        self.real.clear_calls();
        self.real.write(FILE, &document(&self.registry, self.replacements))?;
        self.real.quiet(0, &["apply", FILE]).await?;
        Ok(())
    }

    /// Waits until the replacement is over.
    async fn finished(&mut self) -> Result<()> {
        self.real.quiet(0, &APPLIED).await?;
        let old = &self.task;
        self.task = self.real.task(NAME, BOUND, |next| next.arn != old.arn).await?;
        self.real.until_steady(NAME, BOUND).await?;
        self.corrupt += usize::from(self.dump.is_corrupt()?);
        Ok(())
    }

    /// One without a kill; what it changed.
    async fn replaced(&mut self) -> Result<Vec<String>> {
        self.ask().await?;
        self.finished().await?;
        Ok(self.real.changes())
    }

    /// One with; the valkeep that finished it.
    async fn killed_at(&mut self, moment: &Moment, controller: Controller) -> Result<Controller> {
        self.arm(moment)?;
        self.ask().await?;
        let deadline = Instant::now() + BOUND;
        while !self.is_at(moment)? {
            ensure!(Instant::now() < deadline, "it does not come to that");
            sleep(LOOK).await;
        }
        controller.kill().await?;
        self.disarm(moment)?;
        let controller = self.real.lone_controller()?;
        self.finished().await?;
        Ok(controller)
    }

    /// Lets valkeep come to this moment, and no further.
    fn arm(&self, Moment { step, done }: &Moment) -> Result<()> {
        match step {
            Step::Snapshot if *done => Ok(()),
            Step::Snapshot => self.permit_snapshots("-bgsave"),
            Step::Call { operation, nth } => {
                let inject = |kind, nth, times| {
                    let fault = Fault::on(operation, kind).nth(nth).times(times);
                    self.real.scene.aws.inject(fault);
                };
                if *done {
                    inject(FaultKind::LostReply, *nth, 1);
                    // What is tried again would be a call more.
                    inject(FaultKind::Timeout, *nth + 1, u64::MAX);
                } else {
                    inject(FaultKind::Timeout, *nth, u64::MAX);
                }
                Ok(())
            }
        }
    }

    fn disarm(&self, moment: &Moment) -> Result<()> {
        self.real.scene.aws.clear_faults();
        match moment.step {
            Step::Snapshot => self.permit_snapshots("+bgsave"),
            Step::Call { .. } => Ok(()),
        }
    }

    /// Valkey refuses what its user may not do, and counts it.
    fn permit_snapshots(&self, rule: &str) -> Result<()> {
        let answer = self.client()?.ask(&["ACL", "SETUSER", "default", rule])?;
        ensure!(answer == Answer::Text("OK".to_owned()), "{rule}: {answer:?}");
        Ok(())
    }

    fn is_at(&self, Moment { step, done }: &Moment) -> Result<bool> {
        match step {
            Step::Snapshot if *done => Ok(self.client()?.info("persistence", "rdb_saves")? > 0),
            Step::Snapshot => {
                let Answer::Text(text) = self.client()?.ask(&["INFO", "commandstats"])? else {
                    bail!("no INFO");
                };
                Ok(text.contains("cmdstat_bgsave:"))
            }
            Step::Call { operation, nth } => Ok(self.real.count(operation) as u64 >= *nth),
        }
    }

    fn client(&self) -> Result<Client> {
        Client::connect(self.task.address.parse()?, BOUND)
    }

    /// Revisions and tasks beside the first and one for each replacement.
    fn extra(&self) -> Result<Option<String>> {
        let expected = self.replacements + 1;
        let scene = &self.real.scene;
        let mut tasks = 0;
        for status in ["RUNNING", "STOPPED"] {
            let input = json!({ "cluster": world::CLUSTER, "serviceName": NAME, "desiredStatus": status });
            let listed = scene.look(Service::Ecs, "ListTasks", &input);
            tasks += listed["taskArns"].as_array().context("tasks")?.len();
        }
        let revisions = scene.inventory().task_definitions;
        let is_one_each = (tasks, revisions) == (expected, expected);
        Ok((!is_one_each).then(|| format!("{tasks} tasks and {revisions} revisions where {expected} were asked for")))
    }
}

fn document(registry: &str, restart: usize) -> String {
    let create = format!(
        "    create:
      serviceRegistryArn: {registry}
      extraFlags: [--rdb-key-save-delay, \"{SAVE_DELAY_US}\"]
"
    );
    let name = format!("  name: {NAME}\n");
    let annotated = format!("{name}  annotations: {{ valkeep.dev/restart: \"{restart}\" }}\n");
    let document = example("minimal.yaml").replacen("    create:\n", &create, 1);
    document.replacen(&name, &annotated, 1)
}
