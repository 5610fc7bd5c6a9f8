//! The service, what it runs, and what it could run.

use super::tasks::{every_task, tasks};
use crate::clients::Inner;
use crate::convert::{count, doubt, fact, some, tags, unexpected};
use crate::definition;
use crate::error::Named;
use crate::raw::KeptBody;
use crate::service;
use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace};
use aws_sdk_ecs::types::{ServiceField, SortOrder, TaskDefinitionField, TaskDefinitionStatus};
use futures_util::future::join_all;
use valkeep_core::desired::Origin;
use valkeep_core::failure::Failure;
use valkeep_core::identity::{LABEL_BASE, TAG_BASE, TAG_HASH};
use valkeep_core::observed::{ObservedDefinition, ScalingTarget, Service, Task};
use valkeep_core::{Desired, Fact, Identity, TaskDefinition};

/// Revisions of our family that are looked at.
const FAMILY_MAX: usize = 10;
/// The same where there is no service yet: what an interrupted creation may have left.
const FAMILY_FRESH_MAX: usize = 3;
/// Revisions of ours that are looked at where all of them are to go; when these are gone, the next look finds more.
const FAMILY_GOING_MAX: usize = 100;
/// Pages of 100 revisions each of one family: ten years of a rollout every four days.
const FAMILY_PAGES_MAX: usize = 10;
const DESCRIBE_DEFINITION: &str = "ecs:DescribeTaskDefinition";
const DESCRIBE_TARGETS: &str = "application-autoscaling:DescribeScalableTargets";

/// What was seen of ECS.
pub(super) struct Ecs {
    pub(super) cluster: Fact<()>,
    pub(super) service: Fact<Service>,
    pub(super) running: Fact<ObservedDefinition>,
    pub(super) family: Fact<Vec<ObservedDefinition>>,
    pub(super) base: Fact<ObservedDefinition>,
    pub(super) scaling: Fact<ScalingTarget>,
    pub(super) tasks: Fact<Vec<Task>>,
}

impl Ecs {
    /// Whether a service that somebody else made is gone while everything of valkeep's is to go: what it has left is then
    /// known only to its cluster.
    pub(super) fn service_was_deleted_by_its_owner(&self, desired: &Desired) -> bool {
        desired.deletion.is_some()
            && desired.adopted().is_some()
            && self.service.is_absent()
            && !self.cluster.is_absent()
    }
}

/// How a definition is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// As far as valkeep renders definitions.
    Ours,
    /// Whole, because somebody else maintains it.
    Whole,
}

impl Look {
    fn of(desired: &Desired) -> Self {
        match desired.origin {
            Origin::Created(_) => Look::Ours,
            Origin::Adopted(_) => Look::Whole,
        }
    }
}

pub(super) async fn service(aws: &Inner, desired: &Desired) -> Ecs {
    let (cluster, service) = match find_service(aws, desired).await {
        Ok(found) => found,
        Err(failure) => {
            let doubt = doubt(failure);
            return Ecs {
                cluster: Fact::Unknown(doubt.clone()),
                service: Fact::Unknown(doubt),
                running: Fact::not_looked("ecs:DescribeTaskDefinition"),
                family: Fact::not_looked("ecs:ListTaskDefinitions"),
                base: Fact::not_looked(DESCRIBE_DEFINITION),
                scaling: Fact::not_looked(DESCRIBE_TARGETS),
                tasks: Fact::not_looked("ecs:ListTasks"),
            };
        }
    };
    let Some(found) = service.present() else {
        let family = match desired.origin {
            _ if desired.deletion.is_some() => fact(whole_family(aws, desired, &desired.names.family).await.map(Some)),
            Origin::Created(_) => fact(
                family(aws, &desired.names.family, FAMILY_FRESH_MAX, Look::Ours)
                    .await
                    .map(Some),
            ),
            // Without the service there is no definition to take over.
            Origin::Adopted(_) => Fact::not_looked("ecs:ListTaskDefinitions"),
        };
        return Ecs {
            running: Fact::Absent,
            family,
            // ECS lets a service be gone while its last task still stops, and a task may have been run by hand.
            tasks: if desired.adopted().is_some() {
                Fact::not_looked("ecs:ListTasks")
            } else if desired.deletion.is_some() && !cluster.is_absent() {
                fact(every_task(aws, desired, None).await.map(Some))
            } else {
                Fact::Absent
            },
            cluster,
            service,
            base: Fact::Absent,
            scaling: Fact::Absent,
        };
    };
    let ((definitions, tasks), scaling) = tokio::join!(
        async {
            let definitions = match Look::of(desired) {
                Look::Ours => definitions(aws, desired, found).await,
                Look::Whole => adopted_definitions(aws, desired, found).await,
            };
            // A server without the lock may give way to one that has it while another is still stopping.
            let replaced = Look::of(desired) == Look::Whole
                && !definitions
                    .running
                    .present()
                    .is_some_and(|running| settled_overlay(desired, running));
            (definitions, tasks(aws, desired, found, replaced).await)
        },
        async {
            match Look::of(desired) {
                Look::Ours => Fact::not_looked(DESCRIBE_TARGETS),
                Look::Whole => {
                    let Identity { cluster, service, .. } = &desired.identity;
                    fact(scaling(aws, cluster, service).await)
                }
            }
        },
    );
    let Definitions { running, family, base } = definitions;
    Ecs {
        tasks: fact(tasks.map(Some)),
        cluster,
        service,
        running,
        family,
        base,
        scaling,
    }
}

/// The cluster and the service; a missing cluster proves that the service is absent.
async fn find_service(aws: &Inner, desired: &Desired) -> Result<(Fact<()>, Fact<Service>), Failure> {
    let identity = &desired.identity;
    let found = describe_service(aws, &identity.cluster, &identity.service).await;
    match found {
        Err(failure) if failure.code == "ClusterNotFoundException" => Ok((Fact::Absent, Fact::Absent)),
        found => Ok((Fact::Present(()), fact(Ok(found?)))),
    }
}

/// One service with its tags; none where ECS does not know it or it is INACTIVE.
pub(crate) async fn describe_service(aws: &Inner, cluster: &str, name: &str) -> Result<Option<Service>, Failure> {
    const CALL: &str = "ecs:DescribeServices";
    let answer = aws
        .ecs
        .describe_services()
        .cluster(cluster)
        .services(name)
        .include(ServiceField::Tags)
        .send()
        .await
        .named(CALL)?;
    if let Some(found) = answer.services().first() {
        return service::parse(CALL, found);
    }
    match answer.failures().first() {
        Some(failure) if failure.reason() == Some("MISSING") => Ok(None),
        Some(failure) => Err(unexpected(CALL, failure.reason().unwrap_or("no reason given"))),
        None => Err(unexpected(CALL, "neither a service nor a failure")),
    }
}

/// What the service runs and could run.
struct Definitions {
    running: Fact<ObservedDefinition>,
    family: Fact<Vec<ObservedDefinition>>,
    base: Fact<ObservedDefinition>,
}

/// What an adopted service runs, the revision that it was laid over, and the others of its family where the running one may
/// not be what the document means.
async fn adopted_definitions(aws: &Inner, desired: &Desired, service: &Service) -> Definitions {
    let running = fact(describe_definition(aws, &service.task_definition, Look::Whole).await);
    let family_name = running
        .present()
        .filter(|running| desired.deletion.is_some() || !settled_overlay(desired, running))
        .and_then(|running| running.raw.as_ref()?.text("family").map(ToOwned::to_owned));
    let family = match family_name {
        Some(name) if desired.deletion.is_some() => fact(whole_family(aws, desired, &name).await.map(Some)),
        Some(name) => fact(family(aws, &name, FAMILY_MAX, Look::Whole).await.map(Some)),
        None => Fact::not_looked("ecs:ListTaskDefinitions"),
    };
    let base = match running.present().and_then(base_arn) {
        Some(arn) => fact(describe_definition(aws, &arn, Look::Whole).await),
        None => Fact::Absent,
    };
    Definitions { running, family, base }
}

/// Whether an overlay is plausibly what the document means, or the base where it means none. Laying over is the
/// planner's, so this compares only what both sides spell alike; where it is wrong, registering finds the revision
/// that exists already.
fn settled_overlay(desired: &Desired, running: &ObservedDefinition) -> bool {
    let container = running
        .raw
        .as_ref()
        .and_then(|raw| raw.container(&desired.server.container));
    let Some(container) = container else {
        return true; // There is nothing that could be laid over.
    };
    let laid_over = container["dockerLabels"][LABEL_BASE].is_string();
    let Some(snapshots) = desired.snapshots() else {
        return !laid_over;
    };
    let has = |word: &str| {
        container["command"]
            .as_array()
            .is_some_and(|words| words.iter().any(|found| found == word))
    };
    let variables = container["environment"].as_array().into_iter().flatten();
    laid_over
        && running.active
        && has_restart(desired, variables.filter_map(|variable| variable["value"].as_str()))
        && has(&snapshots.mount_path)
        && has(&snapshots.filename)
        && has(&snapshots.save.directive())
}

/// Whether the restart that was asked for last is among a container's variables.
fn has_restart<'a>(desired: &Desired, mut values: impl Iterator<Item = &'a str>) -> bool {
    let Some(asked) = &desired.restart else {
        return true;
    };
    values.any(|value| value == asked)
}

/// The ARN of the revision that a definition's tag names as its base.
fn base_arn(running: &ObservedDefinition) -> Option<String> {
    let revision: u32 = running.tags.get(TAG_BASE)?.parse().ok()?;
    let (family, _) = running.arn.rsplit_once(':')?;
    Some(format!("{family}:{revision}"))
}

/// What Application Auto Scaling may do to the service's desired count.
pub(crate) async fn scaling(aws: &Inner, cluster: &str, service: &str) -> Result<Option<ScalingTarget>, Failure> {
    let answer = aws
        .autoscaling
        .describe_scalable_targets()
        .service_namespace(ServiceNamespace::Ecs)
        .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
        .resource_ids(format!("service/{cluster}/{service}"))
        .send()
        .await
        .named(DESCRIBE_TARGETS)?;
    Ok(answer.scalable_targets().first().map(|target| ScalingTarget {
        min: count(target.min_capacity()),
        max: count(target.max_capacity()),
    }))
}

/// What the service runs, and our other revisions where the running one may not be what the document means.
async fn definitions(aws: &Inner, desired: &Desired, service: &Service) -> Definitions {
    let running = fact(describe_definition(aws, &service.task_definition, Look::Ours).await);
    let look = match &running {
        Fact::Present(running) => !settled(desired, running),
        Fact::Absent => true,
        Fact::Unknown(_) => false,
    };
    let family = if desired.deletion.is_some() {
        fact(whole_family(aws, desired, &desired.names.family).await.map(Some))
    } else if look {
        fact(
            family(aws, &desired.names.family, FAMILY_MAX, Look::Ours)
                .await
                .map(Some),
        )
    } else {
        Fact::not_looked("ecs:ListTaskDefinitions")
    };
    Definitions {
        running,
        family,
        base: Fact::not_looked(DESCRIBE_DEFINITION),
    }
}

/// Whether the running definition is ours as registered and plausibly what the document means. Rendering is the
/// planner's, so this compares only what both sides spell alike; where it is wrong, registering finds the revision
/// that exists already.
fn settled(desired: &Desired, running: &ObservedDefinition) -> bool {
    let Some(found) = &running.definition else {
        return false;
    };
    running.active
        && desired.identity.owns(&running.tags)
        && running.tags.get(TAG_HASH) == Some(&found.hash())
        && plausible(desired, found)
}

fn plausible(desired: &Desired, found: &TaskDefinition) -> bool {
    let Some(created) = desired.created() else {
        return false;
    };
    let task = &created.task;
    let server = &desired.server;
    let container = &found.container;
    let command = [container.entry_point.join(" "), container.command.join(" ")].join(" ");
    let snapshots = desired.snapshots();
    found.cpu == task.cpu
        && found.memory_mib == task.memory_mib
        && found.launch_type == task.launch_type
        && found.execution_role_arn == task.execution_role_arn
        && container.name == server.container
        && container.image == task.image
        && container.port == server.port
        && container.stop_timeout_s == server.stop_timeout_s
        && container.log_group == created.log_group.name
        && container.login() == server.access.login
        && has_restart(desired, container.environment.values().map(String::as_str))
        && found.volume.is_some() == snapshots.is_some()
        && container.mount_path.as_ref() == snapshots.map(|snapshots| &snapshots.mount_path)
        && task.extra_flags.iter().all(|flag| command.contains(flag.as_str()))
        && snapshots.is_none_or(|snapshots| {
            command.contains(&snapshots.filename)
                && snapshots
                    .save
                    .0
                    .iter()
                    .all(|rule| command.contains(&format!("{} {}", rule.seconds, rule.changes)))
        })
}

/// One revision with its tags, kept for good once read: revisions never change but for their status, and a service
/// goes on running a deregistered one.
pub(crate) async fn describe_definition(
    aws: &Inner,
    arn: &str,
    look: Look,
) -> Result<Option<ObservedDefinition>, Failure> {
    const CALL: &str = DESCRIBE_DEFINITION;
    let kept = aws.cache.definitions.get(&arn.to_owned());
    if let Some(kept) = kept.filter(|kept| look == Look::Ours || kept.raw.is_some()) {
        return Ok(Some(kept));
    }
    let body = KeptBody::default();
    let answer = aws
        .ecs
        .describe_task_definition()
        .task_definition(arn)
        .include(TaskDefinitionField::Tags)
        .customize()
        .interceptor(body.clone())
        .send()
        .await
        .named(CALL)?;
    let found = some(CALL, "task definition", answer.task_definition())?;
    let raw = match look {
        Look::Ours => None,
        Look::Whole => Some(Box::new(some(CALL, "readable definition", body.definition())?)),
    };
    let observed = ObservedDefinition {
        arn: found.task_definition_arn().unwrap_or(arn).to_owned(),
        active: found.status() == Some(&TaskDefinitionStatus::Active),
        tags: tags(answer.tags().iter().map(|tag| (tag.key(), tag.value()))),
        definition: definition::parse(found),
        raw,
    };
    aws.cache.definitions.put(arn.to_owned(), observed.clone());
    Ok(Some(observed))
}

/// ACTIVE revisions of `family`, newest first, at most `most`.
pub(crate) async fn family(
    aws: &Inner,
    family: &str,
    most: usize,
    look: Look,
) -> Result<Vec<ObservedDefinition>, Failure> {
    const CALL: &str = "ecs:ListTaskDefinitions";
    let answer = aws
        .ecs
        .list_task_definitions()
        .family_prefix(family)
        .status(TaskDefinitionStatus::Active)
        .sort(SortOrder::Desc)
        .max_results(10)
        .send()
        .await
        .named(CALL)?;
    let mut revisions: Vec<(u32, &String)> = answer
        .task_definition_arns()
        .iter()
        .filter_map(|arn| Some((revision(arn, family)?, arn)))
        .collect();
    revisions.sort_by(|one, two| two.cmp(one));
    let described = join_all(
        revisions
            .iter()
            .take(most)
            .map(|(_, arn)| describe_definition(aws, arn, look)),
    );
    let mut found = Vec::new();
    for definition in described.await {
        // The listing has just said that it is ACTIVE, which a kept description may not know.
        found.extend(definition?.map(|definition| ObservedDefinition {
            active: true,
            ..definition
        }));
    }
    Ok(found)
}

/// ACTIVE revisions of a family that are ours, newest first. Those that somebody else registered there are passed over.
async fn whole_family(aws: &Inner, desired: &Desired, family: &str) -> Result<Vec<ObservedDefinition>, Failure> {
    const CALL: &str = "ecs:ListTaskDefinitions";
    let mut ours = Vec::new();
    let mut page: Option<String> = None;
    for _ in 0..FAMILY_PAGES_MAX {
        let answer = aws
            .ecs
            .list_task_definitions()
            .family_prefix(family)
            .status(TaskDefinitionStatus::Active)
            .sort(SortOrder::Desc)
            .max_results(100)
            .set_next_token(page)
            .send()
            .await
            .named(CALL)?;
        let arns = answer.task_definition_arns().iter();
        for arn in arns.filter(|arn| revision(arn, family).is_some()) {
            // One after the other: each is read once in the life of this process.
            let found = describe_definition(aws, arn, Look::Ours).await?;
            ours.extend(
                found
                    .filter(|found| desired.identity.owns(&found.tags))
                    .map(|found| ObservedDefinition { active: true, ..found }),
            );
            if ours.len() >= FAMILY_GOING_MAX {
                return Ok(ours);
            }
        }
        page = answer
            .next_token()
            .filter(|token| !token.is_empty())
            .map(ToOwned::to_owned);
        if page.is_none() {
            return Ok(ours);
        }
    }
    Err(unexpected(CALL, "more than 1000 revisions of one family"))
}

/// The revision in `arn:...:task-definition/FAMILY:REVISION`, if it is of this family.
fn revision(arn: &str, family: &str) -> Option<u32> {
    let (_, name) = arn.rsplit_once('/')?;
    let (of, revision) = name.rsplit_once(':')?;
    if of == family { revision.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_of_another_family_are_left_out() {
        let arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/valkeep-a:12";
        assert_eq!(revision(arn, "valkeep-a"), Some(12));
        assert_eq!(revision(arn, "valkeep"), None);
    }
}
