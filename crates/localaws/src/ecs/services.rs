//! Services as they are remembered and shown.

use super::deployments::{Deployment, event_id};
use super::tasks::Task;
use super::{clusters, set_some, tag_view};
use crate::clock::epoch_seconds;
use crate::state::State;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// Events kept.
const EVENTS_MAX: usize = 100;

/// A service.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) arn: String,
    pub(super) name: String,
    /// Name of the cluster.
    pub(super) cluster: String,
    pub(super) status: ServiceStatus,
    pub(super) created_at: Timestamp,
    pub(super) desired: usize,
    pub(super) launch_type: String,
    pub(super) configuration: Value,
    pub(super) rebalancing: String,
    pub(super) exec: bool,
    pub(super) propagate_tags: String,
    pub(super) managed_tags: bool,
    pub(super) grace_s: i64,
    pub(super) tags: BTreeMap<String, String>,
    /// The token and the input it came with.
    pub(super) token: Option<String>,
    pub(super) input: Value,
    /// PRIMARY first.
    pub(super) deployments: Vec<Deployment>,
    /// Newest first.
    pub(super) events: VecDeque<Event>,
    /// When it was said that it is steady; none while it is not.
    pub(super) steady_said_at: Option<Timestamp>,
    /// What the last completed deployment deployed.
    pub(super) last_completed: Option<super::deployments::Target>,
}

/// A service event.
#[derive(Debug, Clone)]
pub(super) struct Event {
    id: String,
    at: Timestamp,
    message: String,
}

/// Where a service is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServiceStatus {
    /// In use.
    Active,
    /// Deleted; its tasks stop. INACTIVE not before then.
    Draining(Timestamp),
    /// Gone, and shown for a while.
    Inactive(Timestamp),
}

impl ServiceStatus {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Draining(_) => "DRAINING",
            Self::Inactive(_) => "INACTIVE",
        }
    }
}

impl Service {
    pub(super) fn primary(&self) -> &Deployment {
        self.deployments
            .first()
            .expect("a service has a PRIMARY deployment from its creation on")
    }

    pub(super) fn primary_mut(&mut self) -> &mut Deployment {
        self.deployments
            .first_mut()
            .expect("a service has a PRIMARY deployment from its creation on")
    }

    /// Adds an event, `(service NAME)` put before it.
    pub(super) fn say(&mut self, state: &mut State, message: &str) {
        let event = Event {
            id: event_id(state),
            at: state.now,
            message: format!("(service {}) {message}", self.name),
        };
        self.events.push_front(event);
        self.events.truncate(EVENTS_MAX);
    }

    /// Starts a new deployment; the one before keeps the tasks that it has until the scheduler takes them away.
    pub(super) fn deploy(&mut self, state: &mut State, target: super::deployments::Target) {
        let fresh = Deployment::new(state, target);
        let id = self.primary().id.clone();
        let live = self
            .tasks(state)
            .filter(|task| task.is_of(&id) && task.is_wanted())
            .count();
        let old = self.primary_mut();
        (old.primary, old.wanted) = (false, live);
        self.deployments.insert(0, fresh);
        self.steady_said_at = None;
    }

    pub(super) fn tasks<'a>(&'a self, state: &'a State) -> impl Iterator<Item = &'a Task> {
        let arns = state.ecs.of_service.get(&self.arn);
        arns.into_iter().flatten().filter_map(|arn| state.ecs.tasks.get(arn))
    }

    pub(super) fn view(&self, state: &State, with_tags: bool) -> Value {
        let primary = self.primary();
        let (mut pending, mut running) = (0, 0);
        let deployments: Vec<Value> = if self.status == ServiceStatus::Active || self.tasks(state).any(|t| !t.is_over())
        {
            self.deployments
                .iter()
                .map(|deployment| {
                    let of_it = || self.tasks(state).filter(|task| task.is_of(&deployment.id));
                    let its_pending = of_it().filter(|task| task.is_pending()).count();
                    let its_running = of_it().filter(|task| task.is_running()).count();
                    (pending, running) = (pending + its_pending, running + its_running);
                    let desired = if deployment.primary {
                        self.desired
                    } else {
                        deployment.wanted
                    };
                    deployment.view(&self.launch_type, desired, its_pending, its_running)
                })
                .collect()
        } else {
            Vec::new()
        };
        let events: Vec<Value> = self
            .events
            .iter()
            .map(|Event { id, at, message }| json!({ "id": id, "createdAt": epoch_seconds(*at), "message": message }))
            .collect();
        let slr = "role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS";
        let account = &state.config.account;
        let mut view = json!({
            "serviceArn": self.arn, "serviceName": self.name, "clusterArn": clusters::arn(state, &self.cluster),
            "loadBalancers": [], "serviceRegistries": primary.target.registries,
            "status": self.status.as_str(), "desiredCount": self.desired, "runningCount": running,
            "pendingCount": pending, "launchType": self.launch_type, "taskDefinition": primary.target.definition,
            "deploymentConfiguration": self.configuration, "deployments": deployments, "events": events,
            "roleArn": format!("arn:aws:iam::{account}:{slr}"),
            "createdAt": epoch_seconds(self.created_at), "createdBy": format!("arn:aws:iam::{account}:root"),
            "placementConstraints": [], "placementStrategy": [],
            "healthCheckGracePeriodSeconds": self.grace_s, "schedulingStrategy": "REPLICA",
            "deploymentController": { "type": "ECS" }, "enableECSManagedTags": self.managed_tags,
            "propagateTags": self.propagate_tags, "enableExecuteCommand": self.exec,
            "availabilityZoneRebalancing": self.rebalancing,
        });
        if self.launch_type == "FARGATE" {
            set_some(
                &mut view,
                "platformVersion",
                Some(primary.target.platform_version.as_deref().unwrap_or("LATEST")),
            );
            set_some(&mut view, "platformFamily", Some("Linux"));
        }
        set_some(&mut view, "networkConfiguration", primary.target.network.clone());
        set_some(&mut view, "tags", with_tags.then(|| tag_view(&self.tags)));
        view
    }
}
