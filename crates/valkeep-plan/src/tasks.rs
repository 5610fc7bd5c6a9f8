//! The tasks of a service: which there are, and what they are doing, unless one runs and nothing is left of those before. Plans
//! nothing.

use crate::assess::stopped_task;
use crate::draft::{Draft, Input, hold, whole_seconds};
use crate::service::primary;
use valkeep_core::observed::{Rollout, Service, Task};
use valkeep_core::{DoubtKind, Fact, HoldKind, HoldReason, Resource};

/// Says it of a service that should run.
pub(crate) fn say(input: Input, found: &Service, draft: &mut Draft) {
    let name = &input.desired.identity.service;
    if found.desired == 0 {
        return;
    }
    // The counts of the service may still say that all is well; which server to ask is not known without the tasks.
    if let Some(doubt) = input
        .observed
        .tasks
        .doubt()
        .filter(|doubt| doubt.kind != DoubtKind::NotLooked)
    {
        draft.doubt(Resource::Task, &format!("the tasks of {name}"), doubt);
    }
    let Some(primary) = primary(found) else {
        return draft.waiting(
            Resource::Service,
            HoldReason::RollingOut,
            format!("{name} has no deployment yet"),
        );
    };
    if primary.rollout == Rollout::Failed {
        return; // That it is tried again is said with when.
    }
    let runs = input.observed.serving_task().is_some();
    let counted = primary.rollout == Rollout::Completed && found.running == 1 && found.deployments.len() == 1;
    // Counts and tasks are read apart: one that is counted may have ended.
    let tasks = input.observed.tasks.present().map_or(&[][..], Vec::as_slice);
    let listed = tasks.iter().filter(|task| task.is_running()).count();
    if counted && (runs || input.observed.tasks.present().is_none()) {
        return;
    }
    draft.under_way_since(primary.updated_at.or(primary.created_at));
    // One that failed before this deployment began is not its.
    let began = primary.created_at;
    let of_now = |task: &&Task| began.zip(task.stopped_at).is_none_or(|(began, at)| at >= began);
    if let Some(task) = newest_failure(input).filter(of_now).filter(|_| !runs) {
        let explained = stopped_task::explain(task);
        let mut held = hold(
            Resource::Task,
            HoldKind::Waiting,
            HoldReason::TaskFailing,
            format!("the last task of {name} failed: {}", explained.message),
        );
        held.hint = Some(explained.next_step);
        return draft.hold(held);
    }
    let message = match primary.rollout {
        Rollout::InProgress => format!("{name} is being rolled out"),
        _ if found.deployments.len() > 1 => format!("an older deployment of {name} is ending"),
        _ if counted => format!("ECS counts one task of {name} and lists {listed}"),
        _ => format!("{name} runs {} of 1 task", found.running),
    };
    let mut held = hold(Resource::Service, HoldKind::Waiting, HoldReason::RollingOut, message);
    if let Some((words, hint)) = ending(input) {
        held.message = format!("{}; {words}", held.message);
        held.hint = Some(hint.to_owned());
    }
    draft.hold(held);
}

/// The service's tasks. Where they are not known the draft says so.
pub(crate) fn listed<'a>(input: Input<'a>, draft: &mut Draft) -> Option<&'a [Task]> {
    match &input.observed.tasks {
        Fact::Present(tasks) => Some(tasks),
        Fact::Absent => Some(&[]),
        Fact::Unknown(doubt) => {
            let what = format!("the tasks of {}", input.desired.identity.service);
            draft.doubt(Resource::Task, &what, doubt);
            None
        }
    }
}

/// How many of them have not stopped. The service's own count and the list of tasks are read apart; the higher one is believed.
pub(crate) fn left(input: Input, counted: usize, draft: &mut Draft) -> Option<usize> {
    let tasks = listed(input, draft)?;
    Some(tasks.iter().filter(|task| !task.is_stopped()).count().max(counted))
}

/// The newest stopped task, if it failed.
pub(crate) fn newest_failure<'a>(input: Input<'a>) -> Option<&'a Task> {
    let tasks: &'a [Task] = input.observed.tasks.present()?;
    tasks
        .iter()
        .filter(|task| task.is_stopped())
        .max_by_key(|task| task.stopped_at)
        .filter(|task| stopped_task::is_failure(task))
}

/// What is waited for while a task ends that does not do so at once, with what can be done about it.
fn ending(input: Input) -> Option<(String, &'static str)> {
    let tasks = input.observed.tasks.present()?;
    let (task, since) = tasks
        .iter()
        .filter(|task| task.is_ending())
        .find_map(|task| Some((task, task.stopping_at?)))?;
    let since = whole_seconds(since);
    Some((
        format!("its task {} was told at {since} to end", short(task)),
        "nothing: it saves, and ends; should it not, ECS kills it after the stop timeout that it was started with (at most 120 s \
         on Fargate), and what changed since its last snapshot is lost",
    ))
}

/// The id that ends an ARN.
fn short(task: &Task) -> &str {
    task.arn.rsplit('/').next().unwrap_or(&task.arn)
}
