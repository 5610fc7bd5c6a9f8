//! A task's way from PROVISIONING to STOPPED.

use super::definitions;
use super::fates::TaskFate;
use super::launch;
use super::mounts::{self, Obstacle};
use super::secret_values;
use super::tasks::{Cause, Phase, StopCode, Task};
use crate::clock::later;
use crate::state::State;
use crate::tasks::{Child, Health, Stop, TaskRunner};
use crate::wire::number;
use crate::{discovery, ec2, logs};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Whether [`step`] may have anything to do.
pub(super) fn wants_a_look(state: &State, task: &Task) -> bool {
    let due = [task.due, forgotten_at(state, task)]
        .into_iter()
        .flatten()
        .any(|due| due <= state.now);
    let mut containers = task.containers.iter();
    due || containers
        .any(|container| container.child.is_some() || (task.phase < Phase::Deprovisioning && container.is_over()))
}

/// From when on a stopped task is not described any more.
pub(super) fn forgotten_at(state: &State, task: &Task) -> Option<Timestamp> {
    task.stopped_at
        .map(|at| later(at, state.config.delays.stopped_task_kept))
}

/// Goes on with the task as far as the present allows. True when anything changed.
pub(super) fn step(state: &mut State, task: &mut Task) -> bool {
    collect(state, task);
    let is_due = task.due.is_some_and(|due| due <= state.now);
    match task.phase {
        Phase::Provisioning if is_due => provision(state, task),
        Phase::Pending if is_due => prepare(state, task),
        Phase::Activating if is_due => run(state, task),
        Phase::Running => return look(state, task),
        Phase::Deactivating if is_due => end_containers(state, task),
        Phase::Deactivating | Phase::Stopping if all_over(task) => deprovision(state, task),
        Phase::Stopping if is_due => kill(task),
        Phase::Deprovisioning if is_due => finish(state, task),
        _ => return false,
    }
    true
}

fn provision(state: &mut State, task: &mut Task) {
    if launch::attach(state, task) {
        let due = state.in_seconds(state.config.delays.task_pending);
        task.enter(Phase::Pending, Some(due));
    } else {
        fail(
            state,
            task,
            "Timeout waiting for network interface provisioning to complete.".to_owned(),
        );
    }
}

fn prepare(state: &mut State, task: &mut Task) {
    if let Some(reason) = task.trouble.take() {
        return fail(state, task, reason);
    }
    if let Some(TaskFate::FailsToStart(reason)) = task.fate.clone() {
        return fail(state, task, reason);
    }
    let unread = task
        .containers
        .iter()
        .find_map(|container| secret_values::of_container(state, &container.definition).err());
    if let Some(reason) = unread {
        return fail(state, task, reason);
    }
    match mounts::obstacle(state, task) {
        Some(Obstacle { reason, slow: true }) => {
            task.trouble = Some(reason);
            task.due = Some(state.in_seconds(state.config.delays.mount_failure));
        }
        Some(Obstacle { reason, slow: false }) => fail(state, task, reason),
        None => {
            register(state, task);
            let due = state.in_seconds(state.config.delays.task_activating);
            task.enter(Phase::Activating, Some(due));
        }
    }
}

fn run(state: &mut State, task: &mut Task) {
    launch::start_containers(state, task);
    if state.config.tasks == TaskRunner::Simulated
        && let Some(definition) = launch::definition_of(state, task)
    {
        // For the directories that the mounts make.
        mounts::mount(state, task, &definition);
    }
    task.started_at = Some(state.now);
    task.enter(Phase::Running, None);
    task.due = next_look(state, task);
}

/// A running task: has a container ended, and is it well?
fn look(state: &mut State, task: &mut Task) -> bool {
    let before = (task.health, task.healthy_at);
    if state.config.tasks == TaskRunner::Simulated {
        if let (Some(TaskFate::Exits(after, code)), Some(started)) = (&task.fate, task.started_at)
            && plus(started, after.as_secs_f64()) <= state.now
        {
            for container in &mut task.containers {
                container.exit_code = container.exit_code.or(Some(*code));
            }
        }
        judge_simulated(state, task);
    } else {
        judge_real(state, task);
    }
    if task
        .containers
        .iter()
        .any(|container| container.essential && container.is_over())
    {
        let reason = "Essential container in task exited".to_owned();
        stop_because(
            state,
            task,
            Cause {
                code: StopCode::EssentialContainerExited,
                reason,
            },
        );
        deregister(state, task);
        end_containers(state, task);
        return true;
    }
    task.due = next_look(state, task);
    before != (task.health, task.healthy_at)
}

fn judge_simulated(state: &State, task: &mut Task) {
    let Some(at) = verdict_at(state, task) else { return };
    if at > state.now || task.healthy_at.is_some() {
        return;
    }
    match (task.has_check(), &task.fate) {
        (true, Some(TaskFate::Unhealthy)) => task.health = Health::Unhealthy,
        (true, _) => (task.health, task.healthy_at) = (Health::Healthy, Some(at)),
        (false, _) => task.healthy_at = Some(at),
    }
}

fn judge_real(state: &State, task: &mut Task) {
    let asked = task.containers.iter().filter(|container| container.check().is_some());
    let answers: Vec<Health> = asked
        .filter_map(|container| container.child.as_ref())
        .map(Child::health)
        .collect();
    let has = |health| answers.contains(&health);
    task.health = if has(Health::Unhealthy) {
        Health::Unhealthy
    } else if has(Health::Unknown) || answers.is_empty() {
        Health::Unknown
    } else if has(Health::Healthy) {
        Health::Healthy
    } else {
        Health::Unavailable
    };
    let by_time = answers.is_empty() || task.health == Health::Unavailable;
    match task.health {
        Health::Unhealthy => task.healthy_at = None,
        Health::Healthy if task.healthy_at.is_none() => task.healthy_at = Some(state.now),
        _ if by_time && task.healthy_at.is_none() => {
            task.healthy_at = verdict_at(state, task).filter(|at| *at <= state.now);
        }
        _ => {}
    }
}

/// When a simulated task's health, or that of one without a check, is decided.
fn verdict_at(state: &State, task: &Task) -> Option<Timestamp> {
    let started = task.started_at?;
    let check = task.containers.iter().find_map(super::tasks::TaskContainer::check);
    let seconds = |member, usual: i32| {
        f64::from(
            check
                .and_then(|check| number(check, member))
                .map_or(usual, |n| i32::try_from(n).unwrap_or(usual)),
        )
    };
    let wait = match (check, &task.fate) {
        (Some(_), Some(TaskFate::Unhealthy)) => {
            seconds("startPeriod", 0) + seconds("interval", 30) * seconds("retries", 3)
        }
        (Some(_), _) => state.config.delays.no_health_check.min(seconds("interval", 30)),
        (None, _) => state.config.delays.no_health_check,
    };
    Some(plus(started, wait))
}

/// When a running task has to be looked at again for time's sake.
fn next_look(state: &State, task: &Task) -> Option<Timestamp> {
    let exit = match (&task.fate, task.started_at, state.config.tasks) {
        (Some(TaskFate::Exits(after, _)), Some(started), TaskRunner::Simulated) => {
            Some(plus(started, after.as_secs_f64()))
        }
        _ => None,
    };
    let verdict = verdict_at(state, task).filter(|_| task.healthy_at.is_none());
    [exit, verdict].into_iter().flatten().filter(|at| *at > state.now).min()
}

/// Stops the task. One that stops already keeps its cause.
pub(super) fn stop(state: &mut State, task: &mut Task, cause: Cause) {
    if !task.wanted {
        return;
    }
    stop_because(state, task, cause);
    if task.phase == Phase::Running {
        deregister(state, task);
        let due = state.in_seconds(state.config.delays.task_deactivating);
        task.enter(Phase::Deactivating, Some(due));
    } else {
        deregister(state, task);
        deprovision(state, task);
    }
}

/// Loses sight of the task: over for ECS, while its processes go on. False when it is over already.
pub(super) fn lose(state: &mut State, task: &mut Task) -> bool {
    if task.phase >= Phase::Deprovisioning {
        return false;
    }
    deregister(state, task);
    if task.wanted {
        let cause = Cause {
            code: StopCode::TerminationNotice,
            reason: "Host terminated.".to_owned(),
        };
        stop_because(state, task, cause);
    }
    for container in &mut task.containers {
        let running = container.child.take_if(|child| child.exit().is_none());
        state.ecs.lost.extend(running.map(|child| (task.id.clone(), child)));
    }
    deprovision(state, task);
    true
}

fn stop_because(state: &State, task: &mut Task, cause: Cause) {
    task.wanted = false;
    task.cause = Some(cause);
    task.stopping_at = Some(state.now);
}

fn fail(state: &mut State, task: &mut Task, reason: String) {
    stop(
        state,
        task,
        Cause {
            code: StopCode::TaskFailedToStart,
            reason,
        },
    );
}

/// Tells the containers to end, and gives them their stop timeout.
fn end_containers(state: &mut State, task: &mut Task) {
    let ignores = task.fate == Some(TaskFate::IgnoresSigterm);
    for container in &mut task.containers {
        match container.child.take() {
            Some(child) if state.ecs.partitioned && !container.is_over() => {
                state.ecs.lost.push((task.id.clone(), child));
            }
            Some(child) => {
                if !container.is_over() {
                    child.stop(Stop::Please);
                }
                container.child = Some(child);
                continue;
            }
            None => {}
        }
        if !ignores && container.exit_code.is_none() {
            // Valkey saves and leaves with 0 when it gets a SIGTERM.
            container.exit_code = Some(0);
        }
    }
    let due = state.in_seconds(launch::stop_timeout_s(task));
    task.enter(Phase::Stopping, Some(due));
}

fn kill(task: &mut Task) {
    for container in &mut task.containers {
        match &container.child {
            Some(child) => child.stop(Stop::Now),
            None => container.exit_code = container.exit_code.or(Some(137)),
        }
    }
    task.due = None;
}

fn deprovision(state: &State, task: &mut Task) {
    let due = state.in_seconds(state.config.delays.task_deprovisioning);
    task.enter(Phase::Deprovisioning, Some(due));
}

fn finish(state: &mut State, task: &mut Task) {
    if let Some(interface) = &task.interface {
        ec2::detach(state, &interface.id);
    }
    for container in &mut task.containers {
        container.child = None;
    }
    let files = state.config.data_dir.join("tasks").join(&task.id);
    let is_lost = state.ecs.lost.iter().any(|(id, _)| *id == task.id);
    if !is_lost
        && files.exists()
        && let Err(error) = std::fs::remove_dir_all(&files)
    {
        tracing::warn!(directory = %files.display(), %error, "cannot remove a task's files");
    }
    task.stopped_at = Some(state.now);
    task.enter(Phase::Stopped, None);
}

/// Takes over what the processes have written, and which of them have ended.
fn collect(state: &mut State, task: &mut Task) {
    let now = state.now;
    for container in &mut task.containers {
        let Some(child) = &container.child else { continue };
        let exit = child.exit();
        if let Some((group, stream)) = definitions::log_stream(&container.definition, &task.id) {
            for line in child.take_lines() {
                logs::append(state, &group, &stream, now, line);
            }
        }
        container.exit_code = container.exit_code.or(exit);
    }
}

fn register(state: &mut State, task: &Task) {
    let (Some(registry), Some(interface)) = (&task.registry, &task.interface) else {
        return;
    };
    let attributes = BTreeMap::from(
        [
            ("AWS_INSTANCE_IPV4", interface.address.to_string()),
            ("AVAILABILITY_ZONE", interface.zone.clone()),
            ("REGION", state.config.region.clone()),
            ("ECS_CLUSTER_NAME", task.cluster.clone()),
            (
                "ECS_SERVICE_NAME",
                super::last_part(task.service.as_deref().unwrap_or_default()).to_owned(),
            ),
            ("ECS_TASK_DEFINITION_FAMILY", task.family.clone()),
            ("AWS_INIT_HEALTH_STATUS", "HEALTHY".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    // A registry that has gone since is a task that clients do not find, not one that does not start.
    discovery::register(state, registry, &task.id, attributes);
}

fn deregister(state: &mut State, task: &Task) {
    if let Some(registry) = &task.registry {
        discovery::deregister(state, registry, &task.id);
    }
}

fn all_over(task: &Task) -> bool {
    task.containers.iter().all(super::tasks::TaskContainer::is_over)
}

fn plus(at: Timestamp, seconds: f64) -> Timestamp {
    at.saturating_add(SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::ZERO))
        .unwrap_or(Timestamp::MAX)
}
