//! Follows a plan to its end: plans, imagines the answers, folds them and plans again, treating waits as passed.

use crate::{fold, imagine, plan};
use valkeep_core::observed::{LifeCycle, Rollout, ServiceStatus, Task};
use valkeep_core::valkey::{AppendOnly, SETTING_APPEND_ONLY};
use valkeep_core::{Desired, Fact, Hold, Observed, Plan, Timestamp};

/// The longest ways, a fresh document with every setting and a deletion with a hundred revisions, take about eight and
/// eighteen stages; much more is a planner that does not come to rest.
const STAGES_MOST: usize = 30;

/// The whole way, as far as it can be foreseen.
#[must_use = "a forecast is only worth what its reader sees"]
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// The plan as it is now, and after it those that follow, each with steps. Ids that AWS decides are
    /// `(known after …)`.
    pub stages: Vec<Plan>,
    /// What is still held at the end.
    pub left: Vec<Hold>,
}

impl Forecast {
    /// Whether there is anything to do.
    pub fn has_steps(&self) -> bool {
        self.stages.iter().any(|stage| !stage.steps.is_empty())
    }
}

/// Foresees every stage from here.
pub fn forecast(desired: &Desired, observed: &Observed, now: Timestamp) -> Forecast {
    let mut world = observed.clone();
    let mut stages = vec![plan(desired, &world, now)];
    for _ in 0..STAGES_MOST {
        let last = stages.last().expect("the first stage is always there");
        for step in last.steps.clone() {
            fold(&mut world, &step, &imagine(&step));
        }
        settle(&mut world);
        let next = plan(desired, &world, now);
        if next.steps.is_empty() {
            return Forecast {
                stages,
                left: next.holds,
            };
        }
        stages.push(next);
    }
    let left = stages.last().map(|stage| stage.holds.clone()).unwrap_or_default();
    Forecast { stages, left }
}

/// Lets everything that ends by itself have ended. What waits for a clock of AWS's (the throughput rule, the next
/// attempt of a broken deployment) stays: it is too far away to be called the same change.
fn settle(world: &mut Observed) {
    gone(world);
    if let Some(found) = world.file_system.present_mut() {
        ready(&mut found.state);
    }
    for target in world.mount_targets.present_mut().into_iter().flatten() {
        ready(&mut target.state);
        if target.state == LifeCycle::Available {
            target.attached_at = target.attached_at.map(|_| Timestamp::UNIX_EPOCH);
        }
    }
    if let Some(found) = world.access_point.present_mut() {
        ready(&mut found.state);
    }
    if world
        .service
        .present()
        .is_some_and(|service| service.status == ServiceStatus::Draining)
    {
        world.service = Fact::Absent;
        world.running_definition = Fact::Absent;
        world.tasks = Fact::Present(Vec::new());
    }
    settle_service(world);
    settle_server(world);
}

/// A save has ended well, and a server that a stage replaces is another one, set as its definition says.
fn settle_server(world: &mut Observed) {
    let runs = world.serving_task().is_some_and(|task| task.ip.is_some());
    if !runs {
        world.valkey = Fact::not_looked("valkey:INFO");
        world.server_settings = Fact::not_looked("valkey:CONFIG GET");
        return;
    }
    let settings = world.server_settings.present();
    let appends = settings
        .and_then(|settings| settings.get(SETTING_APPEND_ONLY))
        .map(|value| value == "yes");
    if let (Some(info), Some(appends)) = (world.valkey.present_mut(), appends) {
        info.append_only = appends.then_some(AppendOnly {
            rewriting: false,
            last_rewrite_ok: true,
            last_write_ok: true,
        });
    }
    if let Some(info) = world.valkey.present_mut().filter(|info| info.saving) {
        (info.saving, info.saving_for_s) = (false, None);
        info.saves_started += 1;
        info.last_save = info.time;
        info.last_save_ok = true;
        info.changes_since_save = 0;
        info.last_save_duration_s = info.last_save_duration_s.or(Some(0));
    }
}

/// What was being deleted is gone, and what belonged to it with it.
fn gone(world: &mut Observed) {
    let going = |state: LifeCycle| matches!(state, LifeCycle::Deleting | LifeCycle::Deleted);
    if let Some(targets) = world.mount_targets.present_mut() {
        targets.retain(|target| !going(target.state));
    }
    if let Some(points) = world.other_access_points.present_mut() {
        points.retain(|point| !going(point.state));
    }
    if world.access_point.present().is_some_and(|found| going(found.state)) {
        world.access_point = Fact::Absent;
    }
    if world.file_system.present().is_some_and(|found| going(found.state)) {
        world.file_system = Fact::Absent;
    }
}

fn settle_service(world: &mut Observed) {
    let Some(service) = world.service.present_mut() else {
        return;
    };
    let failed = service
        .deployments
        .iter()
        .any(|deployment| deployment.primary && deployment.rollout == Rollout::Failed);
    if (failed && service.desired > 0) || service.desired > 1 {
        return;
    }
    service.deployments.retain(|deployment| deployment.primary);
    for primary in &mut service.deployments {
        primary.rollout = Rollout::Completed;
    }
    service.running = service.desired;
    service.pending = 0;
    let definition = service.task_definition.clone();
    let runs = service.desired == 1;
    if let Some(tasks) = world.tasks.present_mut() {
        let serving = tasks
            .iter()
            .find(|task| task.is_running() && task.task_definition == definition)
            .cloned();
        tasks.retain(Task::is_stopped);
        if runs {
            tasks.push(serving.unwrap_or_else(|| running_task(&definition)));
        }
    }
}

fn ready(state: &mut LifeCycle) {
    if matches!(state, LifeCycle::Creating | LifeCycle::Updating) {
        *state = LifeCycle::Available;
    }
}

fn running_task(definition: &str) -> Task {
    Task {
        arn: "(known after the start)".to_owned(),
        last_status: "RUNNING".to_owned(),
        desired_status: "RUNNING".to_owned(),
        task_definition: definition.to_owned(),
        ip: None,
        health: None,
        started_at: None,
        stopping_at: None,
        stopped_at: None,
        stop_code: None,
        stopped_reason: None,
        exit_code: None,
        container_reason: None,
    }
}
