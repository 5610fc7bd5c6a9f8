//! A service that valkeep keeps, at work: its document, `valkeep run` beside it, and clients that find it by name.

use super::{ground, name, quick};
use crate::real::{Controller, Real, Task};
use crate::resp::Client;
use crate::scene::example;
use crate::writers::{Load, Resolve, Writers};
use anyhow::{Context, Result};
use localaws::Knobs;
use std::path::PathBuf;
use std::time::Duration;

const NAME: &str = "trigpointing-valkey";
const FILE: &str = "cache.yaml";
/// The container's log group.
pub(super) const LOGS: &str = "/ecs/trigpointing-valkey";
/// Beyond every replacement here, snapshots and a restart of valkeep included.
pub(super) const BOUND: Duration = Duration::from_mins(1);
/// What is there before the writers come: 4 MB.
pub(super) const BASE: usize = 2_000;
pub(super) const BASE_BYTES: usize = 2_000;
/// Microseconds for each key of a save, which with what a timer takes makes some 60: a save takes so long that the next
/// task starts beside it, and no longer than some seconds when the writers are done.
pub(super) const SAVE_DELAY_US: u32 = 1;

/// What the document says beside what it must.
#[derive(Debug, Clone, Default)]
pub(super) struct Wish {
    /// Of `valkeep.dev/restart`.
    pub(super) restart: Option<String>,
    /// Lines of `spec.service.create`.
    pub(super) create: String,
    /// Lines of `spec`.
    pub(super) spec: String,
}

/// See the module.
pub(super) struct Kept {
    pub(super) real: Real,
    resolve: Resolve,
    registry: String,
    controller: Option<Controller>,
    save_delay_us: u32,
}

impl Kept {
    /// Starts it, with the keys of [`ground::fill`] in it and saved.
    pub(super) async fn start(wish: &Wish, save_delay_us: u32, seed: u64) -> Result<(Self, Task)> {
        let knobs = Knobs {
            overlap_stopping: true,
            ..Knobs::default()
        };
        let real = Real::with(quick(), knobs).await?;
        let (registry, resolve) = name::make(&real.scene.aws).await?;
        let mut kept = Self {
            real,
            resolve,
            registry,
            controller: None,
            save_delay_us,
        };
        kept.controller()?;
        let task = kept.settled(wish).await?;
        ground::fill(&task, "base", BASE, seed, |_| BASE_BYTES)?;
        Ok((kept, task))
    }

    /// Applies the document.
    pub(super) async fn ask(&self, wish: &Wish) -> Result<()> {
        self.real.write(FILE, &self.document(wish))?;
        self.real.quiet(0, &["apply", FILE]).await?;
        Ok(())
    }

    /// Applies the document and waits until everything is so; who serves then.
    pub(super) async fn settled(&self, wish: &Wish) -> Result<Task> {
        self.real.write(FILE, &self.document(wish))?;
        let apply = ["apply", FILE, "--wait", "--timeout", "60s", "--poll", "100ms"];
        self.real.quiet(0, &apply).await?;
        self.next(None).await
    }

    fn document(&self, wish: &Wish) -> String {
        let Self {
            registry,
            save_delay_us,
            ..
        } = self;
        let Wish { restart, create, spec } = wish;
        let create = format!(
            "    create:\n      serviceRegistryArn: {registry}\n      extraFlags: [--rdb-key-save-delay, \"{save_delay_us}\"]\n{create}"
        );
        let document = example("minimal.yaml").replacen("    create:\n", &create, 1);
        let annotation = restart
            .as_ref()
            .map(|value| format!("metadata:\n  annotations:\n    valkeep.dev/restart: \"{value}\"\n"));
        let document = match annotation {
            Some(annotation) => document.replacen("metadata:\n", &annotation, 1),
            None => document,
        };
        format!("{document}{spec}")
    }

    /// The only task, when it serves and the service is steady; another one than this.
    pub(super) async fn next(&self, than: Option<&Task>) -> Result<Task> {
        let is_next = |task: &Task| than.is_none_or(|old| old.arn != task.arn);
        let task = self.real.task(NAME, BOUND, is_next).await;
        let task = task.with_context(|| format!("no next server; valkeep said\n{}", self.real.log()))?;
        self.real.until_steady(NAME, BOUND).await?;
        Ok(task)
    }

    /// The directory of the server.
    pub(super) fn directory(&self) -> Result<PathBuf> {
        self.real.directory("/valkey-data")
    }

    /// Writers on it.
    pub(super) fn writers(&self, seed: u64) -> Writers {
        Writers::start(load(seed), &self.resolve)
    }

    /// `valkeep run` is killed by SIGKILL, if it runs.
    pub(super) async fn kill_valkeep(&mut self) -> Result<()> {
        match self.controller.take() {
            Some(controller) => controller.kill().await,
            None => Ok(()),
        }
    }

    /// `valkeep run` is started, if it does not run.
    pub(super) fn controller(&mut self) -> Result<()> {
        if self.controller.is_none() {
            self.controller = Some(self.real.lone_controller()?);
        }
        Ok(())
    }

    /// Ends all of it.
    pub(super) async fn end(mut self) -> Result<()> {
        if let Some(controller) = self.controller.take() {
            controller.stop().await?;
        }
        self.real.stop().await;
        Ok(())
    }
}

/// What the writers of every row do.
pub(super) fn load(seed: u64) -> Load {
    Load {
        writers: 4,
        rest: Duration::from_millis(5),
        seed,
    }
}

/// A connection to a task's server.
pub(super) fn client(task: &Task) -> Result<Client> {
    Client::connect(task.address.parse()?, ground::SOON)
}
