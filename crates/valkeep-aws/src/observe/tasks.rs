//! Tasks: those of the service, and all that may use the directory.

use super::ecs::{Look, describe_definition};
use crate::clients::Inner;
use crate::convert::{some, timestamp, unexpected};
use crate::error::Named;
use aws_sdk_ecs::types::{Attachment, Container, DesiredStatus, Task as SdkTask};
use std::net::IpAddr;
use valkeep_core::desired::Origin;
use valkeep_core::failure::Failure;
use valkeep_core::observed::{Rollout, Service, Task};
use valkeep_core::{Desired, Identity};

const LIST_TASKS: &str = "ecs:ListTasks";
const DESCRIBE_TASKS: &str = "ecs:DescribeTasks";
/// Tasks in one DescribeTasks call.
const TASKS_PER_CALL: usize = 100;
/// Pages of 100 tasks each. A service that fails at every start leaves about 100 stopped tasks in the hour that ECS
/// remembers them.
const TASK_PAGES_MAX: usize = 5;
/// The same for a whole cluster, which is listed only for a deletion whose service its owner has deleted: 2,000 tasks that
/// run and 2,000 that stop, in 80 calls.
const CLUSTER_PAGES_MAX: usize = 20;

/// Tasks of the service. Stopped and stopping ones are asked for only where something is not at rest, or where `all` are
/// wanted: then it is all of them, or a failure.
pub(super) async fn tasks(aws: &Inner, desired: &Desired, service: &Service, all: bool) -> Result<Vec<Task>, Failure> {
    let identity = &desired.identity;
    let (cluster, name) = (&identity.cluster, &identity.service);
    if desired.deletion.is_some() {
        return every_task(aws, desired, Some(service)).await;
    }
    let of = Of::Service(name);
    let (running, stopped) = tokio::join!(list_tasks(aws, cluster, of, DesiredStatus::Running), async {
        if at_rest(service) && !all {
            Ok(Listing::default())
        } else {
            list_tasks(aws, cluster, of, DesiredStatus::Stopped).await
        }
    });
    let mut arns = running?.complete()?;
    // Stopped ones that only explain do that by the newest pages as well as by all.
    let stopped = stopped?;
    arns.extend(if all { stopped.complete()? } else { stopped.arns });
    describe_tasks(aws, cluster, &desired.server.container, arns).await
}

/// Every task that may use the directory: those of the service, and those of our family, whoever started them. All of
/// them, or a failure.
pub(super) async fn every_task(
    aws: &Inner,
    desired: &Desired,
    service: Option<&Service>,
) -> Result<Vec<Task>, Failure> {
    let cluster = &desired.identity.cluster;
    let mut arns = Vec::new();
    let run = service.and_then(|service| family_of(&service.task_definition));
    let families = match desired.origin {
        Origin::Created(_) => vec![desired.names.family.as_str()],
        Origin::Adopted(_) => run.into_iter().chain([desired.names.family.as_str()]).collect(),
    };
    for of in families
        .into_iter()
        .map(Of::Family)
        .chain(service.map(|_| Of::Service(&desired.identity.service)))
    {
        let (running, stopped) = tokio::join!(
            list_tasks(aws, cluster, of, DesiredStatus::Running),
            list_tasks(aws, cluster, of, DesiredStatus::Stopped),
        );
        arns.extend(running?.complete()?);
        arns.extend(stopped?.complete()?);
    }
    describe_tasks(aws, cluster, &desired.server.container, arns).await
}

/// The tasks that may use the directory of a service which somebody else made and has deleted: those that it has left, and
/// those whose definition names one of these `places`, whoever started them. All of them, or a failure.
pub(super) async fn tasks_of_cluster(aws: &Inner, desired: &Desired, places: &[String]) -> Result<Vec<Task>, Failure> {
    let Identity { cluster, service, .. } = &desired.identity;
    let (running, stopped) = tokio::join!(
        list_tasks(aws, cluster, Of::Cluster, DesiredStatus::Running),
        list_tasks(aws, cluster, Of::Cluster, DesiredStatus::Stopped),
    );
    let mut arns = running?.complete()?;
    arns.extend(stopped?.complete()?);
    let left = format!("service:{service}");
    let mut users = Vec::new();
    for found in sdk_tasks(aws, cluster, arns).await? {
        let task = parse_task(DESCRIBE_TASKS, &desired.server.container, &found)?;
        if task.is_stopped() {
            continue;
        }
        if found.group() == Some(&left) || may_mount(aws, &task.task_definition, places).await? {
            users.push(task);
        }
    }
    Ok(users)
}

/// Whether a text anywhere in a definition's volumes holds one of the ids; read once in the life of this process.
async fn may_mount(aws: &Inner, definition: &str, places: &[String]) -> Result<bool, Failure> {
    let found = describe_definition(aws, definition, Look::Whole).await?;
    let raw = found.and_then(|found| found.raw);
    let raw =
        raw.ok_or_else(|| unexpected("ecs:DescribeTaskDefinition", "a task of a definition that is not there"))?;
    let volumes: Vec<String> = raw.volumes().iter().map(ToString::to_string).collect();
    Ok(volumes
        .iter()
        .any(|volume| places.iter().any(|place| volume.contains(place.as_str()))))
}

fn at_rest(service: &Service) -> bool {
    let [deployment] = &service.deployments[..] else {
        return false;
    };
    service.desired > 0
        && service.running == service.desired
        && service.pending == 0
        && deployment.rollout == Rollout::Completed
        && deployment.failed_tasks == 0
}

/// Task ARNs, perhaps not all of them.
#[derive(Default)]
struct Listing {
    arns: Vec<String>,
    more: bool,
}

impl Listing {
    /// All of them.
    fn complete(self) -> Result<Vec<String>, Failure> {
        if self.more {
            return Err(unexpected(LIST_TASKS, "more tasks than are looked at"));
        }
        Ok(self.arns)
    }
}

/// Whose tasks.
#[derive(Clone, Copy)]
enum Of<'a> {
    Service(&'a str),
    Family(&'a str),
    Cluster,
}

async fn list_tasks(aws: &Inner, cluster: &str, of: Of<'_>, status: DesiredStatus) -> Result<Listing, Failure> {
    let (service, family, pages) = match of {
        Of::Service(name) => (Some(name.to_owned()), None, TASK_PAGES_MAX),
        Of::Family(name) => (None, Some(name.to_owned()), TASK_PAGES_MAX),
        Of::Cluster => (None, None, CLUSTER_PAGES_MAX),
    };
    let mut arns = Vec::new();
    let mut page: Option<String> = None;
    for _ in 0..pages {
        let answer = aws
            .ecs
            .list_tasks()
            .cluster(cluster)
            .set_service_name(service.clone())
            .set_family(family.clone())
            .desired_status(status.clone())
            .max_results(100)
            .set_next_token(page)
            .send()
            .await
            .named(LIST_TASKS)?;
        arns.extend_from_slice(answer.task_arns());
        page = answer
            .next_token()
            .filter(|token| !token.is_empty())
            .map(ToOwned::to_owned);
        if page.is_none() {
            break;
        }
    }
    Ok(Listing {
        arns,
        more: page.is_some(),
    })
}

/// Tasks by ARN, newest stop first, those that run before all others.
async fn describe_tasks(aws: &Inner, cluster: &str, container: &str, arns: Vec<String>) -> Result<Vec<Task>, Failure> {
    let found = sdk_tasks(aws, cluster, arns).await?;
    let parsed = found.iter().map(|task| parse_task(DESCRIBE_TASKS, container, task));
    let mut tasks = parsed.collect::<Result<Vec<Task>, Failure>>()?;
    tasks.sort_by(|one, two| {
        let key = |task: &Task| (task.is_stopped(), std::cmp::Reverse(task.stopped_at), task.arn.clone());
        key(one).cmp(&key(two))
    });
    Ok(tasks)
}

/// Tasks by ARN; those that ECS no longer knows (`MISSING`) are gone.
async fn sdk_tasks(aws: &Inner, cluster: &str, mut arns: Vec<String>) -> Result<Vec<SdkTask>, Failure> {
    arns.sort();
    arns.dedup();
    let mut tasks = Vec::new();
    for some_arns in arns.chunks(TASKS_PER_CALL) {
        let answer = aws
            .ecs
            .describe_tasks()
            .cluster(cluster)
            .set_tasks(Some(some_arns.to_vec()))
            .send()
            .await
            .named(DESCRIBE_TASKS)?;
        if let Some(failure) = answer
            .failures()
            .iter()
            .find(|failure| failure.reason() != Some("MISSING"))
        {
            return Err(unexpected(
                DESCRIBE_TASKS,
                failure.reason().unwrap_or("no reason given"),
            ));
        }
        tasks.extend(answer.tasks.unwrap_or_default());
    }
    Ok(tasks)
}

fn parse_task(call: &str, container: &str, found: &SdkTask) -> Result<Task, Failure> {
    let ours = found.containers().iter().find(|one| one.name() == Some(container));
    let ours = ours.or_else(|| found.containers().first());
    let by_container = ours
        .and_then(|container| container.network_interfaces().first())
        .and_then(|interface| interface.private_ipv4_address());
    let by_attachment = found
        .attachments()
        .iter()
        .flat_map(Attachment::details)
        .find(|detail| detail.name() == Some("privateIPv4Address"))
        .and_then(|detail| detail.value());
    let ip: Option<IpAddr> = by_container.or(by_attachment).and_then(|ip| ip.parse().ok());
    Ok(Task {
        arn: some(call, "task ARN", found.task_arn())?.to_owned(),
        last_status: found.last_status().unwrap_or("UNKNOWN").to_owned(),
        desired_status: found.desired_status().unwrap_or("UNKNOWN").to_owned(),
        task_definition: found.task_definition_arn().unwrap_or_default().to_owned(),
        ip,
        health: found.health_status().map(|health| health.as_str().to_owned()),
        started_at: found.started_at().and_then(timestamp),
        stopping_at: found.stopping_at().and_then(timestamp),
        stopped_at: found.stopped_at().and_then(timestamp),
        stop_code: found.stop_code().map(|code| code.as_str().to_owned()),
        stopped_reason: found
            .stopped_reason()
            .filter(|reason| !reason.is_empty())
            .map(ToOwned::to_owned),
        exit_code: ours.and_then(Container::exit_code),
        container_reason: ours.and_then(|container| container.reason()).map(ToOwned::to_owned),
    })
}

/// Tasks of the service that have not stopped for good, whatever they are meant to do.
pub(crate) async fn tasks_left(
    aws: &Inner,
    desired: &Desired,
    cluster: &str,
    name: &str,
) -> Result<Vec<Task>, Failure> {
    let (running, stopped) = tokio::join!(
        list_tasks(aws, cluster, Of::Service(name), DesiredStatus::Running),
        list_tasks(aws, cluster, Of::Service(name), DesiredStatus::Stopped),
    );
    let mut arns = running?.complete()?;
    arns.extend(stopped?.complete()?);
    let tasks = describe_tasks(aws, cluster, &desired.server.container, arns).await?;
    Ok(tasks.into_iter().filter(|task| !task.is_stopped()).collect())
}

/// The family in `arn:...:task-definition/FAMILY:REVISION`.
fn family_of(arn: &str) -> Option<&str> {
    let (_, name) = arn.rsplit_once('/')?;
    Some(name.rsplit_once(':')?.0)
}
