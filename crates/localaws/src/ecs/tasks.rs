//! Tasks as they are remembered.

use super::definitions::Definition;
use super::fates::TaskFate;
use crate::ec2::Interface;
use crate::tasks::{Child, Health};
use crate::wire::{boolean, list, strings, text};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A task.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) arn: String,
    pub(super) id: String,
    /// Name of the cluster.
    pub(super) cluster: String,
    /// ARN of the task definition.
    pub(super) definition: String,
    pub(super) family: String,
    pub(super) cpu: Option<String>,
    pub(super) memory: Option<String>,
    pub(super) group: String,
    /// ARN of its service.
    pub(super) service: Option<String>,
    /// Its deployment, or what `RunTask` said.
    pub(super) started_by: Option<String>,
    pub(super) launch_type: String,
    pub(super) exec: bool,
    pub(super) subnet: Option<String>,
    pub(super) groups: Vec<String>,
    pub(super) phase: Phase,
    /// When its phase goes on by itself.
    pub(super) due: Option<Timestamp>,
    /// Desired status RUNNING.
    pub(super) wanted: bool,
    pub(super) created_at: Timestamp,
    pub(super) started_at: Option<Timestamp>,
    pub(super) stopping_at: Option<Timestamp>,
    pub(super) stopped_at: Option<Timestamp>,
    /// Why it stops or stopped.
    pub(super) cause: Option<Cause>,
    /// A mount that cannot succeed and has not given up yet.
    pub(super) trouble: Option<String>,
    pub(super) interface: Option<Interface>,
    pub(super) attachment: String,
    pub(super) containers: Vec<TaskContainer>,
    pub(super) health: Health,
    /// Since when it counts as healthy.
    pub(super) healthy_at: Option<Timestamp>,
    /// ARN of the Cloud Map service that it registers with.
    pub(super) registry: Option<String>,
    /// Its end has been seen by its service.
    pub(super) counted: bool,
    pub(super) fate: Option<TaskFate>,
    pub(super) overrides: Value,
    pub(super) tags: BTreeMap<String, String>,
    /// Grows with every change.
    pub(super) version: u64,
}

/// A task's container.
#[derive(Debug)]
pub(super) struct TaskContainer {
    pub(super) name: String,
    pub(super) arn: String,
    /// Its part of the task definition, with the overrides.
    pub(super) definition: Value,
    pub(super) essential: bool,
    pub(super) child: Option<Child>,
    pub(super) exit_code: Option<i32>,
}

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Gets its network interface.
    Provisioning,
    /// Pulls and mounts.
    Pending,
    /// Is registered.
    Activating,
    /// Runs.
    Running,
    /// Is deregistered.
    Deactivating,
    /// Its containers end.
    Stopping,
    /// Loses its network interface.
    Deprovisioning,
    /// Is over.
    Stopped,
}

impl Phase {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Activating => "ACTIVATING",
            Self::Running => "RUNNING",
            Self::Deactivating => "DEACTIVATING",
            Self::Stopping => "STOPPING",
            Self::Deprovisioning => "DEPROVISIONING",
            Self::Stopped => "STOPPED",
        }
    }
}

/// Why a task stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) code: StopCode,
    pub(super) reason: String,
}

/// The stop codes used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopCode {
    /// It never ran.
    TaskFailedToStart,
    /// A container that it cannot do without ended.
    EssentialContainerExited,
    /// `StopTask`.
    UserInitiated,
    /// Its service.
    ServiceSchedulerInitiated,
    /// Its host went away.
    TerminationNotice,
}

impl StopCode {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::TaskFailedToStart => "TaskFailedToStart",
            Self::EssentialContainerExited => "EssentialContainerExited",
            Self::UserInitiated => "UserInitiated",
            Self::ServiceSchedulerInitiated => "ServiceSchedulerInitiated",
            Self::TerminationNotice => "TerminationNotice",
        }
    }
}

impl Task {
    pub(super) fn is_of(&self, deployment: &str) -> bool {
        self.started_by.as_deref() == Some(deployment)
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted
    }

    pub(super) fn is_running(&self) -> bool {
        self.wanted && self.phase == Phase::Running
    }

    pub(super) fn is_pending(&self) -> bool {
        self.wanted && self.phase < Phase::Running
    }

    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Stopped
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.is_running() && self.healthy_at.is_some()
    }

    /// Goes on to a phase.
    pub(super) fn enter(&mut self, phase: Phase, due: Option<Timestamp>) {
        (self.phase, self.due) = (phase, due);
        self.version += 1;
    }

    /// Whether any container has a health check.
    pub(super) fn has_check(&self) -> bool {
        self.containers.iter().any(|container| container.check().is_some())
    }
}

impl TaskContainer {
    /// Its health check, if it has one that is not `NONE`.
    pub(super) fn check(&self) -> Option<&Value> {
        let check = self.definition.get("healthCheck")?;
        strings(check, "command")
            .first()
            .is_some_and(|first| first != "NONE")
            .then_some(check)
    }

    pub(super) fn is_over(&self) -> bool {
        self.exit_code.is_some()
    }
}

/// The containers of a definition with the overrides of `RunTask`, not started.
pub(super) fn containers(
    definition: &Definition,
    overrides: &Value,
    mut arn: impl FnMut() -> String,
) -> Vec<TaskContainer> {
    let containers = definition.containers().iter();
    containers
        .map(|container| {
            let name = text(container, "name").unwrap_or_default();
            let over = list(overrides, "containerOverrides")
                .iter()
                .find(|over| text(over, "name") == Some(name));
            TaskContainer {
                name: name.to_owned(),
                arn: arn(),
                essential: boolean(container, "essential").unwrap_or(true),
                definition: overridden(container, over),
                child: None,
                exit_code: None,
            }
        })
        .collect()
}

fn overridden(container: &Value, over: Option<&Value>) -> Value {
    let (Some(over), mut container) = (over, container.clone()) else {
        return container.clone();
    };
    if let Some(command) = over.get("command").filter(|command| command.is_array()) {
        container["command"] = command.clone();
    }
    let mut environment = list(&container, "environment").to_vec();
    for variable in list(over, "environment") {
        environment.retain(|old| text(old, "name") != text(variable, "name"));
        environment.push(variable.clone());
    }
    container["environment"] = json!(environment);
    container
}
