//! A service that `valkeep run` keeps, and that clients find by its name.

use super::{name, quick};
use crate::real::{Controller, Real, Task};
use crate::scene::example;
use crate::writers::Resolve;
use anyhow::{Context, Result};
use localaws::Knobs;
use std::time::Duration;

pub(super) const NAME: &str = "trigpointing-valkey";
const FILE: &str = "cache.yaml";
/// Beyond everything here on a loaded machine.
pub(super) const BOUND: Duration = Duration::from_mins(1);

/// See the module.
pub(super) struct Kept {
    pub(super) real: Real,
    pub(super) resolve: Resolve,
    registry: String,
    valkeep: Option<Controller>,
    /// More lines of `spec.service.create`.
    pub(super) create: String,
}

impl Kept {
    /// Makes it by a document that ends with `spec`, lines of two spaces at least.
    pub(super) async fn start(spec: &str) -> Result<Self> {
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
            valkeep: None,
            create: String::new(),
        };
        kept.start_valkeep()?;
        kept.settle(spec).await?;
        Ok(kept)
    }

    /// Changes the document.
    pub(super) async fn apply(&self, spec: &str) -> Result<()> {
        self.write(spec)?;
        self.real.quiet(0, &["apply", FILE]).await.map(drop)
    }

    /// Changes the document, and waits until everything is so; who serves then.
    pub(super) async fn settle(&self, spec: &str) -> Result<Task> {
        self.write(spec)?;
        let apply = ["apply", FILE, "--wait", "--timeout", "60s", "--poll", "100ms"];
        self.real.quiet(0, &apply).await?;
        self.real.until_steady(NAME, BOUND).await?;
        self.serving().await
    }

    /// The only task, once it answers.
    pub(super) async fn serving(&self) -> Result<Task> {
        self.real.task(NAME, BOUND, |_| true).await
    }

    /// SIGKILL.
    pub(super) async fn kill_valkeep(&mut self) -> Result<()> {
        self.valkeep.take().context("it runs")?.kill().await
    }

    /// `valkeep run`, alone: nobody waits for the lease of one that was killed.
    pub(super) fn start_valkeep(&mut self) -> Result<()> {
        self.valkeep = Some(self.real.controller_with(&["--single-replica"])?);
        Ok(())
    }

    pub(super) async fn stop(mut self) -> Result<()> {
        if let Some(valkeep) = self.valkeep.take() {
            valkeep.stop().await?;
        }
        self.real.stop().await;
        Ok(())
    }

    fn write(&self, spec: &str) -> Result<()> {
        let Self { registry, create, .. } = self;
        let create = format!("    create:\n      serviceRegistryArn: {registry}\n{create}");
        let document = example("minimal.yaml").replacen("    create:\n", &create, 1) + spec;
        self.real.write(FILE, &document)
    }
}
