//! Deletion beside a service that somebody else makes: the service stays, and nothing goes that it may still be using.
//!
//! Only two definitions are read, the running one and its base, so a task on any other counts as a user.

use super::{Remembered, is_taken_over};
use crate::draft::{Draft, Input, list};
use crate::overlay;
use crate::tasks;
use serde_json::Value;
use valkeep_core::identity::{TAG_ADOPTED, TAG_SETTINGS, TAG_STARTING};
use valkeep_core::observed::{AccessPoint, ObservedDefinition, Service, Task};
use valkeep_core::{Doubt, Fact, HoldReason, RawDefinition, Resource, Step, Tags};

/// What ends the use of the directory.
const DISABLE_FIRST: &str = "set spec.persistence.enabled: false, wait until the service runs its base again, and ask for \
                             the deletion then";

/// Whether the service is proved to use nothing of ours; otherwise the draft says what to do or to wait for.
pub(crate) fn is_unused(input: Input, found: &Service, draft: &mut Draft) -> bool {
    let name = &input.desired.identity.service;
    let running = match &input.observed.running_definition {
        Fact::Present(running) => running,
        Fact::Absent => {
            draft.waiting(
                Resource::TaskDefinition,
                HoldReason::Dependency,
                format!("the definition of {name} is looked at again"),
            );
            return false;
        }
        Fact::Unknown(doubt) => {
            let what = format!("the task definition that {name} runs");
            draft.doubt(Resource::TaskDefinition, &what, doubt);
            return false;
        }
    };
    let places = match places(input) {
        Ok(places) => places,
        Err((resource, doubt)) => {
            draft.doubt(resource, &format!("what {name} may mount"), doubt);
            return false;
        }
    };
    let Some(raw) = running.raw.as_deref() else {
        draft.stalled(
            Resource::TaskDefinition,
            HoldReason::CommandNotUnderstood,
            format!(
                "{} could not be read and may mount the directory, so nothing is deleted",
                running.arn
            ),
            DISABLE_FIRST,
        );
        return false;
    };
    if uses(input, raw, &places) {
        draft.stalled(
            Resource::Service,
            HoldReason::InUse,
            format!("the service {name} runs on the directory, so nothing is deleted"),
            DISABLE_FIRST,
        );
        return false;
    }
    if found.tags.contains_key(TAG_STARTING) || !has_its_settings(found) {
        draft.stalled(
            Resource::Service,
            HoldReason::InUse,
            format!("the service {name} is not yet as it was before valkeep, so nothing is deleted"),
            DISABLE_FIRST,
        );
        return false;
    }
    nothing_else_starts(input, found, running, &places, draft) && tasks_use_nothing(input, found, &places, draft)
}

/// Whether deployment settings that were changed are back.
fn has_its_settings(found: &Service) -> bool {
    let remembered = found.tags.get(TAG_SETTINGS).and_then(|text| Remembered::read(text));
    remembered.is_none_or(|remembered| remembered.put_on(found.settings.clone()) == found.settings)
}

/// Ids of what would go, and of the document's directory if that is somebody else's.
fn places(input: Input<'_>) -> Result<Vec<String>, (Resource, &Doubt)> {
    let mut places = Vec::new();
    match &input.observed.file_system {
        Fact::Present(found) if input.owns(&found.tags) => places.push(found.id.to_string()),
        Fact::Present(_) => {}
        // Everything on it is gone with it.
        Fact::Absent => return Ok(places),
        Fact::Unknown(doubt) => return Err((Resource::FileSystem, doubt)),
    }
    match &input.observed.access_point {
        Fact::Present(found) => places.push(found.id.to_string()),
        Fact::Absent => {}
        Fact::Unknown(doubt) => return Err((Resource::AccessPoint, doubt)),
    }
    let ours = |point: &&AccessPoint| input.owns(&point.tags);
    match &input.observed.other_access_points {
        Fact::Present(points) => places.extend(points.iter().filter(ours).map(|point| point.id.to_string())),
        Fact::Absent => {}
        Fact::Unknown(doubt) => return Err((Resource::AccessPoint, doubt)),
    }
    Ok(places)
}

/// Whether a definition is laid over by valkeep, or mounts one of these places in whatever container.
fn uses(input: Input, definition: &RawDefinition, places: &[String]) -> bool {
    overlay::is_locked(definition, &input.desired.server.container)
        || definition.volumes().iter().any(|volume| names(volume, places))
}

/// Whether a text anywhere in it holds one of the ids: volumes name what they mount by id or by ARN.
fn names(value: &Value, places: &[String]) -> bool {
    match value {
        Value::String(text) => places.iter().any(|place| text.contains(place.as_str())),
        Value::Array(items) => items.iter().any(|item| names(item, places)),
        Value::Object(members) => members.values().any(|member| names(member, places)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether a definition of this ARN was read and uses nothing.
fn is_harmless(input: Input, arn: &str, places: &[String]) -> bool {
    let observed = input.observed;
    let read = observed
        .running_definition
        .present()
        .into_iter()
        .chain(observed.base.present());
    read.filter(|found| found.arn == arn)
        .any(|found| found.raw.as_deref().is_some_and(|raw| !uses(input, raw, places)))
}

/// A deployment that is not over may start tasks of its own definition.
fn nothing_else_starts(
    input: Input,
    found: &Service,
    running: &ObservedDefinition,
    places: &[String],
    draft: &mut Draft,
) -> bool {
    let name = &input.desired.identity.service;
    let others: Vec<&str> = found
        .deployments
        .iter()
        .map(|deployment| deployment.task_definition.as_str())
        .filter(|arn| !is_harmless(input, arn, places))
        .collect();
    if running.arn == found.task_definition && others.is_empty() {
        return true;
    }
    draft.waiting(
        Resource::Service,
        HoldReason::RollingOut,
        format!(
            "the deletion waits until {name} is deployed and nothing is left of {}",
            list(others)
        ),
    );
    false
}

fn tasks_use_nothing(input: Input, found: &Service, places: &[String], draft: &mut Draft) -> bool {
    let name = &input.desired.identity.service;
    let Some(tasks) = tasks::listed(input, draft) else {
        return false;
    };
    let left: Vec<&Task> = tasks.iter().filter(|task| !task.is_stopped()).collect();
    let users: Vec<String> = left
        .iter()
        .filter(|task| !is_harmless(input, &task.task_definition, places))
        .map(|task| format!("{} of {}", task.arn, task.task_definition))
        .collect();
    // The service's own count and the list of tasks are read apart.
    if users.is_empty() && found.counted() <= left.len() {
        return true;
    }
    let what = if users.is_empty() {
        format!("every task of {name} is seen")
    } else {
        format!("{} has stopped: it may use the directory", list(users))
    };
    draft.waiting(
        Resource::Task,
        HoldReason::TasksStopping,
        format!("the deletion waits until {what}"),
    );
    false
}

/// Takes valkeep's tags off the service: the last step.
pub(crate) fn unmark(input: Input, found: &Service) -> Option<Step> {
    if !is_taken_over(input, &found.tags) {
        return None;
    }
    let remove = [TAG_ADOPTED, TAG_SETTINGS]
        .into_iter()
        .filter(|key| found.tags.contains_key(*key))
        .map(ToOwned::to_owned)
        .collect();
    Some(Step::Tag {
        resource: Resource::Service,
        id: found.arn.clone(),
        set: Tags::new(),
        remove,
    })
}
