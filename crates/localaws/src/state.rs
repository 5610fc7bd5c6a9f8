//! All that the local AWS remembers, one part a service, behind one lock.

use crate::clock::later;
use crate::config::Config;
use crate::{discovery, ec2, ecs, efs, iam, ids, logs, s3, scaling, secrets, ssm};
use jiff::Timestamp;
use std::sync::Arc;

/// All that the local AWS remembers.
pub(crate) struct State {
    /// The time of the request being answered.
    pub(crate) now: Timestamp,
    pub(crate) config: Arc<Config>,
    pub(crate) rng: fastrand::Rng,
    /// The account's, while the state is held: [`crate::places::Held`].
    pub(crate) iam: iam::Iam,
    pub(crate) ec2: ec2::Ec2,
    pub(crate) efs: efs::Efs,
    pub(crate) ecs: ecs::EcsState,
    pub(crate) logs: logs::Logs,
    pub(crate) s3: s3::S3,
    pub(crate) ssm: ssm::Ssm,
    pub(crate) secrets: secrets::Secrets,
    pub(crate) discovery: discovery::Discovery,
    pub(crate) scaling: scaling::Scaling,
}

impl State {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self {
            now: config.epoch,
            rng: fastrand::Rng::with_seed(config.seed),
            config,
            iam: iam::Iam::default(),
            ec2: ec2::Ec2::default(),
            efs: efs::Efs::default(),
            ecs: ecs::EcsState::default(),
            logs: logs::Logs::default(),
            s3: s3::S3::default(),
            ssm: ssm::Ssm::default(),
            secrets: secrets::Secrets::default(),
            discovery: discovery::Discovery::default(),
            scaling: scaling::Scaling::default(),
        }
    }

    /// Lets everything happen whose time has come. ECS has its own, [`ecs::tick`], because it starts processes.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        efs::tick(self);
    }

    /// `fs-` and the like with 17 fresh hexadecimal digits.
    pub(crate) fn fresh_id(&mut self, prefix: &str) -> String {
        ids::hex17(&mut self.rng, prefix)
    }

    /// ARN of a resource in this region and account.
    pub(crate) fn arn(&self, service: &str, resource: &str) -> String {
        format!(
            "arn:aws:{service}:{}:{}:{resource}",
            self.config.region, self.config.account
        )
    }

    /// `seconds` from now.
    pub(crate) fn in_seconds(&self, seconds: f64) -> Timestamp {
        later(self.now, seconds)
    }
}
