//! What a local AWS is started with.

use crate::tasks::TaskRunner;
use jiff::Timestamp;
use std::path::PathBuf;

/// Everything that a local AWS is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The region of home. There are others: [`crate::LocalAws::at`].
    pub region: String,
    /// The account of home, and of every caller that did not assume a role of another one.
    pub account: String,
    /// Seed of every id and of everything shuffled.
    pub seed: u64,
    /// The time at the start. Afterwards it moves with tokio's clock.
    pub epoch: Timestamp,
    /// How long things take.
    pub delays: Delays,
    /// Behaviour on which AWS is not consistent, or which tests want worse than usual.
    pub knobs: Knobs,
    /// How tasks are run.
    pub tasks: TaskRunner,
    /// Where file systems and the files of tasks lie.
    pub data_dir: PathBuf,
    /// First two octets of the addresses in the seeded VPC, and of every task whose subnet lies elsewhere.
    /// Loopback (127.x), so that a task's address can really be reached. [`crate::AddressBlock`] finds one that no
    /// other local AWS uses; with simulated tasks it does not matter.
    pub ip_block: [u8; 2],
    /// Images other than Valkey's that can be pulled.
    pub programs: Vec<Program>,
}

/// An image that holds one program of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The image's name, without tag or digest.
    pub image: String,
    /// The program, with which its containers begin unless they have an entry point of their own.
    pub file: PathBuf,
    /// Where the image has it, as `/program`.
    pub path: String,
    /// What ECS would give the task: region, credentials, and where AWS is.
    pub environment: Vec<(String, String)>,
}

impl Config {
    /// The program of an image that is named with tag or digest.
    pub(crate) fn program(&self, image: &str) -> Option<&Program> {
        self.programs.iter().find(|program| {
            image
                .strip_prefix(&program.image)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '@']))
        })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            region: "eu-west-1".to_owned(),
            account: "123456789012".to_owned(),
            seed: 0,
            epoch: Timestamp::from_second(1_795_392_000).expect("2026-11-23 is a valid time"),
            delays: Delays::default(),
            knobs: Knobs::default(),
            tasks: TaskRunner::default(),
            data_dir: std::env::temp_dir().join("localaws"),
            ip_block: [127, 77],
            programs: Vec::new(),
        }
    }
}

/// How long things take, in seconds. The default is short but keeps every state visible.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delays {
    /// A file system from `creating` to `available`.
    pub file_system: f64,
    /// A file system from `updating` to `available`.
    pub file_system_update: f64,
    /// A file system from `deleting` to gone.
    pub file_system_delete: f64,
    /// Two changes of one file system's sub-resources (lifecycle, backup, policy) collide when closer than this.
    pub file_system_collision: f64,
    /// A mount target from `creating` to `available`.
    pub mount_target: f64,
    /// A mount target from `deleting` to gone; its interface goes with it.
    pub mount_target_delete: f64,
    /// An access point from `creating` to `available`.
    pub access_point: f64,
    /// Age of a mount target's interface at which its DNS name resolves.
    pub dns: f64,
    /// Backup policy from `ENABLING` to `ENABLED`.
    pub backup_policy: f64,
    /// A new security group until other calls find it. None by default.
    pub group_shown: f64,
    /// A new network interface until EC2 shows it. None by default.
    pub interface_shown: f64,
    /// Roles and policies until they count.
    pub iam_propagation: f64,
    /// A Cloud Map namespace until its operation succeeds.
    pub namespace: f64,
    /// A task in `PROVISIONING`: its network interface.
    pub task_provisioning: f64,
    /// A task in `PENDING`: image pull and mounts.
    pub task_pending: f64,
    /// A task in `ACTIVATING`: registration.
    pub task_activating: f64,
    /// A task in `DEACTIVATING`: deregistration.
    pub task_deactivating: f64,
    /// A task in `DEPROVISIONING`.
    pub task_deprovisioning: f64,
    /// A mount that cannot succeed, until its task is given up.
    pub mount_failure: f64,
    /// A stopped task stays describable.
    pub stopped_task_kept: f64,
    /// Running without a container health check until it counts as healthy.
    pub no_health_check: f64,
    /// Steady until the deployment is COMPLETED.
    pub rollout_completion: f64,
    /// First wait after a task that failed before RUNNING; doubles up to [`Delays::restart_max`].
    pub restart_first: f64,
    /// Longest wait between tasks that fail before RUNNING.
    pub restart_max: f64,
    /// A deleted service without tasks from `DRAINING` to `INACTIVE`.
    pub service_draining: f64,
    /// An INACTIVE service stays describable.
    pub service_inactive_kept: f64,
    /// Between two looks of the scheduler, when tasks are real.
    pub scheduler: f64,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            file_system: 2.0,
            file_system_update: 1.0,
            file_system_delete: 1.0,
            file_system_collision: 0.0,
            mount_target: 5.0,
            mount_target_delete: 2.0,
            access_point: 1.0,
            dns: 8.0,
            backup_policy: 1.0,
            group_shown: 0.0,
            interface_shown: 0.0,
            iam_propagation: 1.0,
            namespace: 1.0,
            task_provisioning: 1.0,
            task_pending: 1.0,
            task_activating: 0.5,
            task_deactivating: 0.5,
            task_deprovisioning: 0.5,
            mount_failure: 3.0,
            stopped_task_kept: 3600.0,
            no_health_check: 2.0,
            rollout_completion: 1.0,
            restart_first: 2.0,
            restart_max: 20.0,
            service_draining: 2.0,
            service_inactive_kept: 60.0,
            scheduler: 0.25,
        }
    }
}

impl Delays {
    /// Nothing takes any time, except that stopped tasks and inactive services are remembered as AWS does.
    pub fn zero() -> Self {
        Self {
            file_system: 0.0,
            file_system_update: 0.0,
            file_system_delete: 0.0,
            file_system_collision: 0.0,
            mount_target: 0.0,
            mount_target_delete: 0.0,
            access_point: 0.0,
            dns: 0.0,
            backup_policy: 0.0,
            group_shown: 0.0,
            interface_shown: 0.0,
            iam_propagation: 0.0,
            namespace: 0.0,
            task_provisioning: 0.0,
            task_pending: 0.0,
            task_activating: 0.0,
            task_deactivating: 0.0,
            task_deprovisioning: 0.0,
            mount_failure: 0.0,
            stopped_task_kept: 3600.0,
            no_health_check: 0.0,
            rollout_completion: 0.0,
            restart_first: 0.0,
            restart_max: 0.0,
            service_draining: 0.0,
            service_inactive_kept: 60.0,
            scheduler: 0.05,
        }
    }

    /// As field reports and AWS's own advice have it: minutes for mount targets, 90 s for their names.
    pub fn aws() -> Self {
        Self {
            file_system: 10.0,
            file_system_update: 10.0,
            file_system_delete: 15.0,
            file_system_collision: 1.0,
            mount_target: 90.0,
            mount_target_delete: 60.0,
            access_point: 3.0,
            dns: 90.0,
            backup_policy: 5.0,
            group_shown: 1.0,
            interface_shown: 0.0,
            iam_propagation: 15.0,
            namespace: 30.0,
            task_provisioning: 15.0,
            task_pending: 15.0,
            task_activating: 5.0,
            task_deactivating: 5.0,
            task_deprovisioning: 10.0,
            mount_failure: 48.0,
            stopped_task_kept: 3600.0,
            no_health_check: 40.0,
            rollout_completion: 4.0,
            restart_first: 30.0,
            restart_max: 900.0,
            service_draining: 60.0,
            service_inactive_kept: 3600.0,
            scheduler: 0.5,
        }
    }
}

/// Behaviour on which AWS is not consistent, or which tests want worse than usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Knobs {
    /// A repeated `CreateAccessPoint` with the same token answers with the first access point instead of a conflict.
    pub replay_access_point: bool,
    /// `GetParametersByPath` answers with half-empty pages that still have a next token.
    pub short_pages: bool,
    /// A replacement task starts while the old one is still inside its stop timeout: a STOPPING task does not count.
    /// ECS does so now and then, whatever the percentages say (aws/containers-roadmap#959).
    pub overlap_stopping: bool,
}
