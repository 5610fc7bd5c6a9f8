//! The critic's view of a service that somebody else makes: what is his stays as it is, and his server is taken down in one
//! order only, unless it cannot write where ours would.

use super::definition::{Seen, examine_definition};
use super::{Court, Rule, running};
use serde_json::{Map, Value};
use valkeep_core::desired::{FirstTransition, Persistence};
use valkeep_core::identity::{LABEL_BASE, OVERLAY_VOLUME, TAG_ADOPTED, TAG_OWNER, TAG_STARTING};
use valkeep_core::observed::{LifeCycle, Service};
use valkeep_core::{Fact, RawDefinition, Tags};

/// Members of the server's container that are ours to set.
const OURS: [&str; 5] = ["entryPoint", "command", "user", "stopTimeout", "healthCheck"];

/// A revision made of the running one: everything that is not ours is in both.
pub(super) fn revision(court: &mut Court, from: &str, definition: &RawDefinition, tags: &Tags) {
    let observed = court.observed;
    let before = observed
        .running_definition
        .present()
        .filter(|found| found.arn == from)
        .and_then(|found| found.raw.as_deref());
    let Some(before) = before else {
        return court.object(
            Rule::LeftAlone,
            "a revision is made of another definition than the one that runs",
        );
    };
    let name = court.desired.server.container.clone();
    let (was, is) = (foreign_parts(before, &name), foreign_parts(definition, &name));
    for (member, value) in &was {
        if is.get(member) != Some(value) {
            court.object(
                Rule::LeftAlone,
                format!("{member} of the definition would change, and it is not valkeep's"),
            );
        }
    }
    if let Some(added) = is.keys().find(|member| !was.contains_key(*member)) {
        court.object(Rule::LeftAlone, format!("{added} would be added to the definition"));
    }
    let Some(seen) = Seen::raw(definition, &name) else {
        return court.object(Rule::LeftAlone, format!("the container {name} would be gone"));
    };
    let owned = tags.get(TAG_OWNER) == Some(&court.desired.identity.owner());
    if seen.is_locked() && !owned {
        court.object(Rule::Tagged, "a task definition without our tag");
    }
    if !seen.is_locked() && court.desired.persistence != Persistence::Disabled {
        court.object(
            Rule::Locked,
            "persistence is taken off although the document asks for it",
        );
    }
    let before = running(court);
    if seen.is_locked() {
        examine_definition(court, &seen, before.as_ref());
    }
}

/// A definition that the service is to run: with the lock, and onto a server without it only once that is gone or where it
/// cannot be a second writer; without it, only where the document disables persistence.
pub(super) fn rolled_out(court: &mut Court, definition: &Seen, before: Option<&Seen>) {
    let disabled = court.desired.persistence == Persistence::Disabled;
    if !definition.is_locked() && !disabled {
        court.object(Rule::Locked, "a server without the lock would be rolled out");
    }
    if definition.is_locked() && before.is_some_and(|before| !before.is_locked()) && !all_stopped(court) {
        let harmless = none_writes_unlocked(court);
        court.require(
            harmless,
            Rule::OneWriter,
            "a server without the lock is replaced before it is known to have stopped",
        );
        loses_nothing(court);
    }
}

/// Desired count 0 for a server without the lock.
pub(super) fn taken_down(court: &mut Court, found: &Service, from: u32) {
    let unlocked = running(court).is_some_and(|seen| !seen.is_locked());
    let good = court.desired.adopted().is_some()
        && from == 1
        && found.desired == 1
        && unlocked
        && found.tags.contains_key(TAG_STARTING);
    court.require(
        good,
        Rule::OneWriter,
        "a service is taken down that need not be, or without the mark that it goes up again",
    );
    loses_nothing(court);
}

/// The mark that desired count 0 is ours.
pub(super) fn marked_to_start(court: &mut Court) {
    let found = court.observed.service.present();
    if court.desired.task_count == Some(1) && found.is_some_and(|found| found.desired == 0) {
        return; // Nothing is stopped, and starting is examined when it comes.
    }
    let unlocked = running(court).is_some_and(|seen| !seen.is_locked());
    let good = court.desired.adopted().is_some()
        && court.desired.persistence != Persistence::Disabled
        && unlocked
        && court.observed.service.present().is_some_and(|found| found.desired == 1);
    court.require(good, Rule::OneWriter, "a service is marked to be started");
    loses_nothing(court);
}

/// Whether this document may put its tags on a service.
pub(super) fn may_mark(court: &Court, tags: &Tags) -> bool {
    let owner = court.desired.identity.owner();
    [TAG_OWNER, TAG_ADOPTED]
        .iter()
        .all(|key| tags.get(*key).is_none_or(|found| *found == owner))
}

fn loses_nothing(court: &mut Court) {
    let accepted = court
        .desired
        .adopted()
        .is_some_and(|adopted| adopted.first_transition == FirstTransition::AcceptLoss);
    let saves = running(court).is_some_and(|seen| seen.saves_snapshots());
    let empty = court
        .observed
        .valkey
        .present()
        .is_some_and(|info| info.keys == 0 && !info.loading);
    let dead = none_runs(court);
    court.require(
        accepted || saves || empty || dead,
        Rule::NoStaleLoad,
        "a cache that was never persisted would be lost, and the document does not accept it",
    );
}

/// Whether no task runs or may start.
fn all_stopped(court: &Court) -> bool {
    let down = court.observed.service.present().is_some_and(|found| found.desired == 0);
    down && none_runs(court)
}

/// Whether no task is known that has not stopped; one that ECS starts meanwhile begins empty.
fn none_runs(court: &Court) -> bool {
    let tasks = match &court.observed.tasks {
        Fact::Present(tasks) => tasks.iter().all(valkeep_core::observed::Task::is_stopped),
        Fact::Absent => true,
        Fact::Unknown(_) => false,
    };
    tasks
        && court
            .observed
            .service
            .present()
            .is_some_and(|found| found.running == 0 && found.pending == 0)
}

/// Whether an adopted service provably runs with nothing of ours: neither its definition nor that of any task names our
/// storage or carries the lock. A definition that nobody has read may.
pub(super) fn runs_without_us(court: &Court) -> bool {
    let observed = court.observed;
    let (Some(_), Some(service), Some(running)) = (
        court.desired.adopted(),
        observed.service.present(),
        observed.running_definition.present(),
    ) else {
        return false;
    };
    let Some(arns) = may_run(court) else {
        return false;
    };
    let known = [Some(running), observed.base.present()];
    let clean = |arn: &str| {
        let read = known.iter().flatten().find(|found| found.arn == arn);
        let raw = read.and_then(|found| found.raw.as_deref());
        raw.is_some_and(|raw| is_without_us(court, raw))
    };
    !service.tags.contains_key(TAG_STARTING) && arns.into_iter().all(clean)
}

/// The definitions of all tasks that run or may be started; none where a task was not seen.
fn may_run<'a>(court: &Court<'a>) -> Option<Vec<&'a str>> {
    let observed = court.observed;
    let service = observed.service.present()?;
    let tasks = observed.tasks.present()?.iter().filter(|task| !task.is_stopped());
    let left: Vec<&str> = tasks.map(|task| task.task_definition.as_str()).collect();
    let seen_all = left.len() >= service.running.saturating_add(service.pending) as usize;
    let deployed = service.deployments.iter().map(|one| one.task_definition.as_str());
    seen_all.then(|| deployed.chain([service.task_definition.as_str()]).chain(left).collect())
}

/// Whether every server that may run beside a new one was read, and holds the lock or has our file system nowhere.
fn none_writes_unlocked(court: &Court) -> bool {
    let observed = court.observed;
    let (Some(service), Some(storage), Some(arns)) = (
        observed.service.present(),
        observed.file_system.present(),
        may_run(court),
    ) else {
        return false;
    };
    let family = observed.family.present().map(Vec::as_slice).unwrap_or_default();
    let name = &court.desired.server.container;
    let harmless = |arn: &str| {
        let mut read = family.iter().chain(observed.running_definition.present());
        let raw = read
            .find(|found| found.arn == arn)
            .and_then(|found| found.raw.as_deref());
        raw.is_some_and(|raw| {
            Seen::raw(raw, name).is_some_and(|seen| seen.is_locked()) || has_nowhere(raw, storage.id.as_str())
        })
    };
    service.desired == 1 && !service.tags.contains_key(TAG_STARTING) && arns.into_iter().all(harmless)
}

/// Whether none of a definition's volumes can hold the file system, and none of its containers may mount by itself.
fn has_nowhere(definition: &RawDefinition, file_system: &str) -> bool {
    let elsewhere = |volume: &Value| {
        let members = volume.as_object().into_iter().flatten();
        let mut said = members.filter(|(_, value)| !value.is_null());
        said.all(|(member, value)| match member.as_str() {
            "name" => value.is_string(),
            "configuredAtLaunch" => value == false,
            // Without a path it is made for the task alone.
            "host" => value.as_object().is_some_and(|host| host.values().all(Value::is_null)),
            "efsVolumeConfiguration" => {
                let id = value["fileSystemId"].as_str().unwrap_or(file_system);
                id.starts_with("fs-") && id != file_system
            }
            _ => false,
        })
    };
    let confined = |container: &Value| {
        let added = container["linuxParameters"]["capabilities"]["add"].to_string();
        container["privileged"] != true && !added.contains("ALL") && !added.contains("SYS_ADMIN")
    };
    let listed = definition
        .get("volumes")
        .is_none_or(|all| all.is_array() || all.is_null());
    listed && definition.volumes().iter().all(elsewhere) && definition.containers().iter().all(confined)
}

fn is_without_us(court: &Court, definition: &RawDefinition) -> bool {
    let observed = court.observed;
    let volumes = Value::Array(definition.volumes().to_vec()).to_string();
    let file_system = match &observed.file_system {
        Fact::Present(found) => court.ours(&found.tags) && volumes.contains(found.id.as_str()),
        Fact::Absent => return !is_laid_over(court, definition),
        Fact::Unknown(_) => true,
    };
    let first = match &observed.access_point {
        Fact::Present(point) => volumes.contains(point.id.as_str()),
        Fact::Absent => false,
        Fact::Unknown(_) => true,
    };
    let others = match &observed.other_access_points {
        Fact::Present(points) => points
            .iter()
            .any(|point| court.ours(&point.tags) && volumes.contains(point.id.as_str())),
        Fact::Absent => false,
        Fact::Unknown(_) => true,
    };
    !file_system && !first && !others && !is_laid_over(court, definition)
}

fn is_laid_over(court: &Court, definition: &RawDefinition) -> bool {
    Seen::raw(definition, &court.desired.server.container).is_none_or(|seen| seen.is_locked())
}

/// Our tags leave an adopted service only when nothing of ours is left that they speak for.
pub(super) fn may_unmark(court: &mut Court) {
    let observed = court.observed;
    let storage = match &observed.file_system {
        Fact::Present(found) => {
            let going = matches!(found.state, LifeCycle::Deleting | LifeCycle::Deleted);
            court.ours(&found.tags) && !going
        }
        Fact::Absent => false,
        Fact::Unknown(_) => true,
    };
    let rest = observed.role_policy.is_absent()
        && !observed
            .security_group
            .present()
            .is_some_and(|group| court.ours(&group.tags));
    let good = !storage && rest && runs_without_us(court);
    court.require(good, Rule::NotInUse, "the service's tags go before what they speak for");
}

/// Everything of a definition that is not ours, by a name for people.
fn foreign_parts(definition: &RawDefinition, server: &str) -> Map<String, Value> {
    let mut parts = Map::new();
    let normal = definition.normal();
    for (member, value) in normal.as_object().into_iter().flatten() {
        match member.as_str() {
            "taskRoleArn" => {}
            "volumes" => {
                for volume in value.as_array().into_iter().flatten() {
                    let name = volume["name"].as_str().unwrap_or_default();
                    if name != OVERLAY_VOLUME {
                        parts.insert(format!("volume {name}"), volume.clone());
                    }
                }
            }
            "containerDefinitions" => {
                for container in value.as_array().into_iter().flatten() {
                    let name = container["name"].as_str().unwrap_or_default();
                    if name == server {
                        server_parts(container, &mut parts);
                    } else {
                        parts.insert(format!("container {name}"), container.clone());
                    }
                }
            }
            _ => {
                parts.insert(member.clone(), value.clone());
            }
        }
    }
    parts
}

fn server_parts(container: &Value, parts: &mut Map<String, Value>) {
    for (member, value) in container.as_object().into_iter().flatten() {
        match member.as_str() {
            // A mount on our path gives way to ours; whether that hides data is another rule's.
            "mountPoints" => {}
            "environment" => {
                for pair in value.as_array().into_iter().flatten() {
                    let name = pair["name"].as_str().unwrap_or_default();
                    if !name.starts_with("VALKEEP_") {
                        parts.insert(format!("variable {name}"), pair["value"].clone());
                    }
                }
            }
            "dockerLabels" => {
                for (name, label) in value.as_object().into_iter().flatten() {
                    if name != LABEL_BASE {
                        parts.insert(format!("label {name}"), label.clone());
                    }
                }
            }
            member if OURS.contains(&member) => {}
            member => {
                parts.insert(member.to_owned(), value.clone());
            }
        }
    }
}
