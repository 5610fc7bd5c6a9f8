//! What must hold before a service is made, changed, started or stopped: one writer, its data in reach, and nothing that only a
//! server holds is lost.

use super::definition::{self, examine_definition};
use super::{Court, Rule, adoption, content, made, running, server};
use valkeep_core::desired::Persistence;
use valkeep_core::identity::{TAG_ADOPTED, TAG_STARTING};
use valkeep_core::observed::{LifeCycle, Service, ServiceSettings};
use valkeep_core::{Fact, Step};

fn one_task(court: &mut Court, settings: &ServiceSettings) {
    let one = settings.minimum_healthy_percent == Some(0)
        && settings.maximum_percent == Some(100)
        && settings.zone_rebalancing != Some(true);
    court.require(one, Rule::OneWriter, "the service's settings allow two tasks at once");
}

/// Examines a step that makes, changes, starts or stops a service that goes on.
pub(super) fn examine_service(court: &mut Court, step: &Step) {
    let observed = court.observed;
    if let Step::CreateService {
        task_definition,
        settings,
        tags,
        ..
    } = step
    {
        made(court, "service", observed.service.is_absent(), tags);
        court.require(
            tags.contains_key(TAG_STARTING),
            Rule::Tagged,
            "a service is made whose desired count 0 would look like the user's wish",
        );
        one_task(court, settings);
        return rolled_out(court, task_definition);
    }
    let looked_after = |found: &&Service| match court.desired.adopted() {
        Some(_) => found.tags.get(TAG_ADOPTED) == Some(&court.desired.identity.owner()),
        None => court.ours(&found.tags),
    };
    let Some(found) = observed.service.present().filter(looked_after) else {
        return court.object(Rule::OnlyOurs, "a service that is not ours, or that nobody has seen");
    };
    match step {
        Step::UpdateService {
            from,
            to,
            from_definition,
            to_definition,
            ..
        } => {
            if court.desired.adopted().is_none() || court.desired.persistence != Persistence::Disabled {
                one_task(court, to);
            }
            if from_definition != to_definition {
                rolled_out(court, to_definition);
            }
            let network = |settings: &ServiceSettings| {
                let mut sets = (settings.subnets.clone(), settings.groups.clone());
                sets.0.sort();
                sets.1.sort();
                (sets, settings.assign_public_ip, settings.registry_arn.clone())
            };
            if from_definition != to_definition || network(from) != network(to) {
                server::examine_stop(court);
            }
        }
        Step::StartService { .. } => {
            court.require(
                found.desired == 0 && found.tags.contains_key(TAG_STARTING),
                Rule::OneWriter,
                "a service is started that valkeep did not leave at 0",
            );
            court.require(
                !court.desired.hibernates(),
                Rule::OneWriter,
                "a service is started that is to rest",
            );
            let stopped = match &observed.tasks {
                Fact::Present(tasks) => tasks.iter().all(valkeep_core::observed::Task::is_stopped),
                Fact::Absent => true,
                Fact::Unknown(_) => false,
            };
            court.require(
                stopped && found.running == 0 && found.pending == 0,
                Rule::OneWriter,
                "a service is started while a task of it may run",
            );
            if running(court).is_none_or(|seen| seen.file_system().is_some()) {
                mount_first(court);
            }
        }
        Step::StopService { from, .. } => {
            court.require(
                court.desired.hibernates() && found.desired == *from && *from > 0,
                Rule::OneWriter,
                "a service is stopped that is not to rest, or is not as it was seen",
            );
            let saves = running(court).is_some_and(|seen| seen.saves_snapshots());
            let may_hold = observed
                .valkey
                .present()
                .is_none_or(|info| info.keys > 0 || info.loading);
            let lives = observed
                .tasks
                .present()
                .is_none_or(|tasks| tasks.iter().any(|task| !task.is_stopped()));
            court.require(
                saves || !court.desired.saves() || !may_hold || !lives,
                Rule::SnapshotFirst,
                "a server is stopped that does not save what the document promises to keep",
            );
            server::examine_stop(court);
        }
        Step::SetDesired { from, to: 0, .. } => {
            adoption::taken_down(court, found, *from);
            server::examine_stop(court);
        }
        Step::SetDesired { from, to, .. } => court.require(
            *to == 1 && *from > 1 && found.desired == *from && court.desired.adopted().is_none(),
            Rule::OneWriter,
            "the desired count is set to something else than one of several",
        ),
        _ => {}
    }
}

fn mount_first(court: &mut Court) {
    if court.desired.persistence == Persistence::Disabled {
        return;
    }
    let everywhere = match (&court.observed.subnets, &court.observed.mount_targets) {
        (Fact::Present(subnets), Fact::Present(targets)) => {
            subnets.missing.is_empty()
                && subnets.found.iter().all(|subnet| {
                    targets
                        .iter()
                        .any(|target| target.zone_id == subnet.zone_id && target.state == LifeCycle::Available)
                })
        }
        _ => false,
    };
    court.require(
        everywhere,
        Rule::MountFirst,
        "a zone of the service has no available mount target",
    );
}

/// A definition that the service is to run.
fn rolled_out(court: &mut Court, arn: &str) {
    let Some(definition) = content(court, arn) else {
        return court.object(
            Rule::SameData,
            format!("{arn} is rolled out and nobody has seen what it holds"),
        );
    };
    let before = running(court);
    examine_definition(court, &definition, before.as_ref());
    definition::examine_change(court, &definition, before.as_ref());
    if court.desired.adopted().is_some() {
        adoption::rolled_out(court, &definition, before.as_ref());
    }
}
