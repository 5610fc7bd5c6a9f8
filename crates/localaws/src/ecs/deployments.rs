//! Deployments of a service: one PRIMARY, and older ones that still have tasks.

use super::set_some;
use crate::clock::epoch_seconds;
use crate::ids;
use crate::state::State;
use jiff::Timestamp;
use serde_json::{Value, json};

/// A deployment.
#[derive(Debug, Clone)]
pub(super) struct Deployment {
    /// `ecs-svc/` and digits.
    pub(super) id: String,
    pub(super) primary: bool,
    pub(super) target: Target,
    /// How many tasks an older deployment still wants. The PRIMARY one wants what the service wants.
    pub(super) wanted: usize,
    pub(super) rollout: Rollout,
    pub(super) reason: String,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    /// Failures since the last healthy task.
    pub(super) failed: u32,
    /// Starts in a row that did not get to RUNNING.
    pub(super) failed_starts: u32,
    /// No new task before this.
    pub(super) next_start_at: Timestamp,
    /// Since when its counts have been what they should.
    pub(super) steady_since: Option<Timestamp>,
    /// It has been said that it is stuck.
    pub(super) said_stuck: bool,
}

/// What a deployment deploys.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target {
    /// ARN of the task definition.
    pub(super) definition: String,
    pub(super) network: Option<Value>,
    pub(super) platform_version: Option<String>,
    pub(super) registries: Value,
}

/// Where a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rollout {
    /// Under way.
    InProgress,
    /// Done.
    Completed,
    /// Given up by the circuit breaker.
    Failed,
}

impl Rollout {
    fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
        }
    }
}

impl Deployment {
    /// A new PRIMARY one.
    pub(super) fn new(state: &mut State, target: Target) -> Self {
        let digits: String = (0..19)
            .map(|place| state.rng.digit(10).max(if place == 0 { '1' } else { '0' }))
            .collect();
        let id = format!("ecs-svc/{digits}");
        Self {
            reason: format!("ECS deployment {id} in progress."),
            id,
            primary: true,
            target,
            wanted: 0,
            rollout: Rollout::InProgress,
            created_at: state.now,
            updated_at: state.now,
            failed: 0,
            failed_starts: 0,
            next_start_at: state.now,
            steady_since: None,
            said_stuck: false,
        }
    }

    pub(super) fn become_completed(&mut self, now: Timestamp) {
        self.rollout = Rollout::Completed;
        self.reason = format!("ECS deployment {} completed.", self.id);
        (self.failed, self.updated_at) = (0, now);
    }

    pub(super) fn view(&self, launch_type: &str, desired: usize, pending: usize, running: usize) -> Value {
        let mut view = json!({
            "id": self.id, "status": if self.primary { "PRIMARY" } else { "ACTIVE" },
            "taskDefinition": self.target.definition,
            "desiredCount": desired, "pendingCount": pending, "runningCount": running, "failedTasks": self.failed,
            "createdAt": epoch_seconds(self.created_at), "updatedAt": epoch_seconds(self.updated_at),
            "launchType": launch_type,
            "rolloutState": self.rollout.as_str(), "rolloutStateReason": self.reason,
        });
        if launch_type == "FARGATE" {
            set_some(&mut view, "platformVersion", Some("1.4.0"));
            set_some(&mut view, "platformFamily", Some("Linux"));
        }
        set_some(&mut view, "networkConfiguration", self.target.network.clone());
        view
    }
}

/// A fresh id for an event.
pub(super) fn event_id(state: &mut State) -> String {
    ids::uuid(&mut state.rng)
}
