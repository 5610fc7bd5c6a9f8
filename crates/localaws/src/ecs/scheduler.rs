//! Brings tasks and services to the present, in steps from one due time to the next.

use super::deployments::{Deployment, Rollout};
use super::launch::{self, Launch};
use super::lifecycle;
use super::services::{Service, ServiceStatus};
use super::tasks::{Cause, Phase, StopCode};
use super::{definitions, settings, ticker};
use crate::LocalAws;
use crate::clock::{later, seconds_between};
use crate::state::State;
use crate::tasks::{Health, TaskRunner};
use crate::wire::{boolean, number, text};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Steps of one tick. A service in a tight crash loop takes about ten a second, so this is half an hour of it; what
/// lies beyond is skipped.
const STEPS_MAX: usize = 20_000;
/// Changes without time going on: a handful for each task and service. More would be a loop.
const SETTLE_MAX: usize = 1_000;
/// A task's successor starts no sooner than this after it failed or exited, whatever the delays say.
const RESTART_MIN_S: f64 = 0.1;
/// Starts in a row that fail before the service says so.
const FAILED_STARTS_SAID: u32 = 3;
/// The steady state is said again after this.
const STEADY_SAID_EVERY_S: f64 = 6.0 * 3600.0;

/// Lets everything happen whose time has come.
pub(crate) fn tick(aws: &LocalAws) {
    ticker::ensure(aws);
    let state = &mut *aws.state();
    if !state.ecs.is_closed {
        advance(state);
    }
}

fn advance(state: &mut State) {
    let end = state.now;
    if state.ecs.quiet_until.is_some_and(|until| end < until) {
        state.ecs.seen_until = Some(end);
        return;
    }
    let mut at = state.ecs.seen_until.unwrap_or(end).min(end);
    for _ in 0..STEPS_MAX {
        state.now = at;
        settle(state);
        match next_due(state).filter(|due| *due <= end) {
            Some(due) => at = due,
            None => break,
        }
    }
    state.now = end;
    settle(state);
    state.ecs.seen_until = Some(end);
    // Processes end when they like.
    let simulated = state.config.tasks == TaskRunner::Simulated;
    state.ecs.quiet_until = simulated.then(|| next_due(state).unwrap_or(Timestamp::MAX));
}

/// Everything that happens at this very time.
fn settle(state: &mut State) {
    let now = state.now;
    let due: Vec<String> = {
        let services = state.ecs.services.values();
        services
            .filter(|service| dues(state, service).any(|due| due == now))
            .map(|service| service.arn.clone())
            .collect()
    };
    state.ecs.touched.extend(due);
    for _ in 0..SETTLE_MAX {
        let tasks: Vec<String> = {
            let tasks = state.ecs.tasks.values();
            tasks
                .filter(|task| lifecycle::wants_a_look(state, task))
                .map(|task| task.arn.clone())
                .collect()
        };
        let mut changed = false;
        for arn in tasks {
            changed |= step_task(state, arn);
        }
        let touched = std::mem::take(&mut state.ecs.touched);
        if touched.is_empty() && !changed {
            return;
        }
        for arn in touched {
            step_service(state, arn);
        }
    }
}

/// True when the task changed.
fn step_task(state: &mut State, arn: String) -> bool {
    let Some(mut task) = state.ecs.tasks.remove(&arn) else {
        return false;
    };
    let changed = lifecycle::step(state, &mut task);
    if changed {
        state.ecs.touched.extend(task.service.clone());
    }
    let forgotten_at = lifecycle::forgotten_at(state, &task);
    if forgotten_at.is_none_or(|at| at > state.now) {
        state.ecs.tasks.insert(arn, task);
    } else if let Some(tasks) = task.service.and_then(|service| state.ecs.of_service.get_mut(&service)) {
        tasks.remove(&arn);
    }
    changed
}

fn step_service(state: &mut State, arn: String) {
    let Some(mut service) = state.ecs.services.remove(&arn) else {
        return;
    };
    if step(state, &mut service) {
        state.ecs.touched.insert(arn.clone());
    }
    if matches!(service.status, ServiceStatus::Inactive(until) if until <= state.now) {
        state.ecs.of_service.remove(&arn);
    } else {
        state.ecs.services.insert(arn, service);
    }
}

/// The next time, after the present, at which something happens by itself.
fn next_due(state: &State) -> Option<Timestamp> {
    let tasks = state
        .ecs
        .tasks
        .values()
        .flat_map(|task| [task.due, lifecycle::forgotten_at(state, task)]);
    let services = state.ecs.services.values().flat_map(|service| dues(state, service));
    tasks.flatten().chain(services).filter(|due| *due > state.now).min()
}

/// When a service has to be looked at for time's sake.
fn dues(state: &State, service: &Service) -> impl Iterator<Item = Timestamp> {
    let own = match service.status {
        ServiceStatus::Active => None,
        ServiceStatus::Draining(until) | ServiceStatus::Inactive(until) => Some(until),
    };
    let steady = service.steady_said_at.map(|at| later(at, STEADY_SAID_EVERY_S));
    let completion = state.config.delays.rollout_completion;
    let deployments = service.deployments.iter().flat_map(move |deployment| {
        [
            Some(deployment.next_start_at),
            deployment.steady_since.map(|since| later(since, completion)),
        ]
    });
    deployments.chain([own, steady]).flatten()
}

/// One look at a service. True when anything changed.
fn step(state: &mut State, service: &mut Service) -> bool {
    if matches!(service.status, ServiceStatus::Inactive(_)) {
        return false;
    }
    let counted = count_ends(state, service);
    let unhealthy = stop_unhealthy(state, service);
    note_running(state, service);
    let scaled = scale(state, service);
    let drained = drop_drained(state, service);
    let completed = complete(state, service);
    counted | unhealthy | scaled | drained | completed | end_draining(state, service)
}

/// Takes notice of tasks that have ended.
fn count_ends(state: &mut State, service: &mut Service) -> bool {
    let mut ended = Vec::new();
    let arns: Vec<String> = service.tasks(state).map(|task| task.arn.clone()).collect();
    for arn in arns {
        if let Some(task) = state
            .ecs
            .tasks
            .get_mut(&arn)
            .filter(|task| task.phase >= Phase::Deprovisioning && !task.counted)
        {
            task.counted = true;
            ended.push((task.started_by.clone(), task.cause.as_ref().map(|cause| cause.code)));
        }
    }
    for (deployment, code) in &ended {
        let index = service
            .deployments
            .iter()
            .position(|found| deployment.as_ref() == Some(&found.id));
        let Some(index) = index else { continue };
        match code {
            Some(StopCode::TaskFailedToStart) => failed_to_start(state, service, index),
            Some(StopCode::EssentialContainerExited) => {
                let deployment = &mut service.deployments[index];
                deployment.next_start_at = deployment.next_start_at.max(later(state.now, RESTART_MIN_S));
            }
            _ => {}
        }
    }
    !ended.is_empty()
}

/// A start that failed: the next one waits longer, and the circuit breaker may trip.
fn failed_to_start(state: &mut State, service: &mut Service, index: usize) {
    let (first, most) = (state.config.delays.restart_first, state.config.delays.restart_max);
    let deployment = &mut service.deployments[index];
    deployment.failed_starts += 1;
    let doublings = i32::try_from(deployment.failed_starts - 1).unwrap_or(i32::MAX).min(30);
    let wait = (first * 2f64.powi(doublings)).min(most).max(RESTART_MIN_S);
    deployment.next_start_at = later(state.now, wait);
    if deployment.failed_starts == FAILED_STARTS_SAID {
        service.say(state, "is unable to consistently start tasks successfully.");
    }
    count_failure(state, service, index);
}

fn count_failure(state: &mut State, service: &mut Service, index: usize) {
    let breaker = service
        .configuration
        .get("deploymentCircuitBreaker")
        .cloned()
        .unwrap_or(Value::Null);
    let limit = failure_limit(&breaker, service.desired);
    let deployment = &mut service.deployments[index];
    deployment.failed += 1;
    deployment.updated_at = state.now;
    let armed = boolean(&breaker, "enable") == Some(true) && deployment.primary;
    if armed && deployment.rollout == Rollout::InProgress && deployment.failed >= limit {
        trip(state, service, index, boolean(&breaker, "rollback") == Some(true));
    }
}

/// Failures that trip the circuit breaker: half of the desired count, at least 3 and at most 200, or as configured.
fn failure_limit(breaker: &Value, desired: usize) -> u32 {
    let threshold = breaker.get("thresholdConfiguration").unwrap_or(&Value::Null);
    let value = number(threshold, "value")
        .and_then(|value| u32::try_from(value).ok())
        .unwrap_or(50);
    let share = u32::try_from(desired)
        .unwrap_or(u32::MAX)
        .saturating_mul(value)
        .div_ceil(100);
    match text(threshold, "type") {
        Some("COUNT") => value.max(1),
        Some("UNBOUNDED_PERCENT") => share.max(1),
        _ => share.clamp(3, 200),
    }
}

fn trip(state: &mut State, service: &mut Service, index: usize, rollback: bool) {
    let now = state.now;
    let deployment = &mut service.deployments[index];
    let id = deployment.id.clone();
    (deployment.rollout, deployment.updated_at) = (Rollout::Failed, now);
    "ECS deployment circuit breaker: tasks failed to start.".clone_into(&mut deployment.reason);
    let back_to = service
        .last_completed
        .clone()
        .filter(|target| rollback && *target != deployment.target);
    service.say(state, "failed circuit breaker: tasks failed to start.");
    service.say(
        state,
        &format!("(deployment {id}) deployment failed: tasks failed to start."),
    );
    if let Some(target) = back_to {
        service.deploy(state, target);
        let fresh = service.primary().id.clone();
        let reason = format!("ECS deployment circuit breaker: rolling back to deploymentId {fresh}.");
        service.say(state, &format!("rolling back to deployment {fresh}."));
        if let Some(failed) = service.deployments.iter_mut().find(|deployment| deployment.id == id) {
            (failed.reason, failed.wanted) = (reason, 0);
        }
    }
}

/// Stops tasks whose health check failed.
fn stop_unhealthy(state: &mut State, service: &mut Service) -> bool {
    let ill: Vec<(String, String, Option<String>)> = service
        .tasks(state)
        .filter(|task| task.is_running() && task.health == Health::Unhealthy)
        .map(|task| (task.arn.clone(), task.id.clone(), task.started_by.clone()))
        .collect();
    for (arn, id, deployment) in &ill {
        service.say(state, &format!("(task {id}) failed container health checks."));
        stop_task(state, arn, "Task failed container health checks".to_owned());
        if let Some(index) = service
            .deployments
            .iter()
            .position(|found| deployment.as_ref() == Some(&found.id))
        {
            count_failure(state, service, index);
        }
    }
    !ill.is_empty()
}

/// A task that runs ends the waiting, one that is healthy the counting.
fn note_running(state: &State, service: &mut Service) {
    let breaker = service
        .configuration
        .get("deploymentCircuitBreaker")
        .cloned()
        .unwrap_or(json!({}));
    let resets = boolean(&breaker, "resetOnHealthyTask").unwrap_or(true);
    for index in 0..service.deployments.len() {
        let id = service.deployments[index].id.clone();
        let running = service.tasks(state).any(|task| task.is_of(&id) && task.is_running());
        let healthy = service.tasks(state).any(|task| task.is_of(&id) && task.is_healthy());
        let deployment = &mut service.deployments[index];
        if running {
            deployment.failed_starts = 0;
        }
        if healthy && resets && deployment.rollout != Rollout::Failed {
            deployment.failed = 0;
        }
    }
}

/// Stops what is too much and starts what is missing, within the service's percentages.
fn scale(state: &mut State, service: &mut Service) -> bool {
    let desired = service.desired;
    let (most, least) = settings::percents(&service.configuration);
    let percent = |percent: i64| usize::try_from(percent).unwrap_or(0);
    let room_for = desired * percent(most) / 100;
    let healthy_least = (desired * percent(least)).div_ceil(100);
    let mut healthy = service.tasks(state).filter(|task| task.is_healthy()).count();
    let mut stopped = Vec::new();
    for index in 0..service.deployments.len() {
        let Deployment { id, primary, .. } = service.deployments[index].clone();
        let mut live: Vec<(Timestamp, String, bool)> = service
            .tasks(state)
            .filter(|task| task.is_of(&id) && task.is_wanted())
            .map(|task| (task.created_at, task.arn.clone(), task.is_healthy()))
            .collect();
        live.sort();
        let keep = if primary { desired } else { 0 };
        let given_up = service.primary().rollout == Rollout::Failed;
        while live.len() > keep {
            let (_, arn, well) = live.pop().expect("it is longer than what is kept");
            // Tasks of an older deployment serve on as long as they are needed, and when the new one has failed.
            let needed = !primary && desired > 0 && (given_up || (well && healthy <= healthy_least));
            if needed {
                break;
            }
            if !primary {
                service.deployments[index].wanted = live.len();
            }
            healthy -= usize::from(well);
            stopped.push(super::last_part(&arn).to_owned());
            stop_task(state, &arn, format!("Scaling activity initiated by (deployment {id})"));
        }
    }
    if !stopped.is_empty() {
        let tasks: Vec<String> = stopped.iter().map(|id| format!("(task {id})")).collect();
        service.say(
            state,
            &format!("has stopped {} running tasks: {}.", stopped.len(), tasks.join(" ")),
        );
    }
    let started = start_missing(state, service, room_for);
    started || !stopped.is_empty() || say_stuck(state, service, room_for)
}

fn occupied(state: &State, service: &Service) -> usize {
    let overlap = state.config.knobs.overlap_stopping;
    service
        .tasks(state)
        .filter(|task| task.is_wanted() || (!overlap && !task.is_over()))
        .count()
}

fn start_missing(state: &mut State, service: &mut Service, room_for: usize) -> bool {
    let mut changed = false;
    for index in (0..service.deployments.len()).rev() {
        loop {
            let deployment = &service.deployments[index];
            let wanted = if deployment.primary {
                service.desired
            } else {
                deployment.wanted
            };
            let live = service
                .tasks(state)
                .filter(|task| task.is_of(&deployment.id) && task.is_wanted())
                .count();
            let waits = deployment.next_start_at > state.now || deployment.rollout == Rollout::Failed;
            if live >= wanted || waits || occupied(state, service) >= room_for {
                break;
            }
            changed = true;
            start(state, service, index);
        }
    }
    changed
}

/// Starts a task of a deployment, or says why not.
fn start(state: &mut State, service: &mut Service, index: usize) {
    let Deployment { id, target, .. } = service.deployments[index].clone();
    let Some(definition) = definitions::find(state, &target.definition).cloned() else {
        return failed_to_start(state, service, index);
    };
    if let Some(role) = definition.roles().find(|role| !launch::is_assumable(state, role)) {
        service.say(
            state,
            &format!("failed to launch a task with (error {}).", launch::cannot_assume(role)),
        );
        return failed_to_start(state, service, index);
    }
    let tags = match service.propagate_tags.as_str() {
        "SERVICE" => service.tags.clone(),
        "TASK_DEFINITION" => definition.tags.clone(),
        _ => std::collections::BTreeMap::new(),
    };
    let registry = target
        .registries
        .get(0)
        .and_then(|registry| text(registry, "registryArn"));
    let launched = Launch {
        cluster: &service.cluster,
        definition: &target.definition,
        network: target.network.as_ref(),
        service: Some(&service.arn),
        started_by: Some(id),
        group: format!("service:{}", service.name),
        on: service.launch_type.clone(),
        exec: service.exec,
        registry: registry.map(str::to_owned),
        overrides: Value::Null,
        tags,
    };
    let arn = launch::launch(state, launched);
    service.say(
        state,
        &format!("has started 1 tasks: (task {}).", super::last_part(&arn)),
    );
}

fn stop_task(state: &mut State, arn: &str, reason: String) {
    if let Some(mut task) = state.ecs.tasks.remove(arn) {
        lifecycle::stop(
            state,
            &mut task,
            Cause {
                code: StopCode::ServiceSchedulerInitiated,
                reason,
            },
        );
        state.ecs.tasks.insert(arn.to_owned(), task);
    }
}

/// Percentages that allow neither a stop nor a start: said once.
fn say_stuck(state: &mut State, service: &mut Service, room_for: usize) -> bool {
    let primary = service.primary();
    let has_old = service.deployments.len() > 1;
    let waits = primary.rollout != Rollout::InProgress || primary.next_start_at > state.now || primary.said_stuck;
    let at_rest = service.tasks(state).all(|task| task.is_over() || task.is_healthy());
    if !has_old || waits || !at_rest || service.desired == 0 || occupied(state, service) < room_for {
        return false;
    }
    service.primary_mut().said_stuck = true;
    service.say(state, "was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.");
    true
}

/// Forgets older deployments that have no tasks and want none.
fn drop_drained(state: &State, service: &mut Service) -> bool {
    let before = service.deployments.len();
    let busy: Vec<String> = service
        .tasks(state)
        .filter(|task| !task.is_over())
        .filter_map(|task| task.started_by.clone())
        .collect();
    let desired = service.desired;
    service.deployments.retain(|deployment| {
        deployment.primary || (deployment.wanted > 0 && desired > 0) || busy.contains(&deployment.id)
    });
    service.deployments.len() != before
}

/// A deployment is complete a little after its counts are what they should be.
fn complete(state: &mut State, service: &mut Service) -> bool {
    let primary = service.primary();
    let (id, rollout) = (primary.id.clone(), primary.rollout);
    let alone = service.deployments.len() == 1;
    let live = service.tasks(state).filter(|task| task.is_wanted()).count();
    let healthy = service
        .tasks(state)
        .filter(|task| task.is_of(&id) && task.is_healthy())
        .count();
    let now = state.now;
    if !(alone && live == service.desired && healthy == service.desired) || rollout == Rollout::Failed {
        service.primary_mut().steady_since = None;
        service.steady_said_at = None;
        return false;
    }
    let since = *service.primary_mut().steady_since.get_or_insert(now);
    if rollout == Rollout::InProgress {
        if later(since, state.config.delays.rollout_completion) > now {
            return false;
        }
        service.primary_mut().become_completed(now);
        service.last_completed = Some(service.primary().target.clone());
        service.say(state, &format!("(deployment {id}) deployment completed."));
    }
    let said = service
        .steady_said_at
        .is_some_and(|at| seconds_between(at, now) < STEADY_SAID_EVERY_S);
    if !said {
        service.steady_said_at = Some(now);
        service.say(state, "has reached a steady state.");
    }
    !said
}

fn end_draining(state: &State, service: &mut Service) -> bool {
    let ServiceStatus::Draining(until) = service.status else {
        return false;
    };
    if until > state.now || service.tasks(state).any(|task| !task.is_over()) {
        return false;
    }
    service.status = ServiceStatus::Inactive(later(state.now, state.config.delays.service_inactive_kept));
    true
}
