//! Task definition and service.

use crate::clients::Inner;
use crate::convert::{gone_or_done, int, not_now, not_ours, some, unexpected};
use crate::definition;
use crate::error::Named;
use crate::observe::{Look, describe_service, family, tasks_left};
use crate::raw::{KeptBody, send_instead};
use crate::service;
use aws_sdk_ecs::error::BuildError;
use aws_sdk_ecs::types::{LaunchType as SdkLaunchType, ServiceRegistry, Tag};
use aws_sdk_servicediscovery::types::RecordType;
use serde_json::json;
use sha2::{Digest, Sha256};
use valkeep_core::failure::FailureKind;
use valkeep_core::identity::{TAG_BASE, TAG_HASH, TAG_OWNER, TAG_STARTING};
use valkeep_core::task_definition::LaunchType;
use valkeep_core::{Desired, Done, Failure, RawDefinition, Step, Tags, TaskDefinition};

/// Revisions that are looked through before another is registered.
const FAMILY_MAX: usize = 10;

fn incomplete(call: &str, error: &BuildError) -> Failure {
    Failure {
        kind: FailureKind::Rejected,
        ..unexpected(call, &error.to_string())
    }
}

fn pairs(tags: &Tags) -> Vec<Tag> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect()
}

/// Registers a definition, unless an ACTIVE revision of ours is equal to it: ECS makes a new revision at every call,
/// so without this look a pass that was cut off between registering and using a revision would leave one more. The call
/// takes no token, so the SDK must not repeat it: after a lost reply the next pass finds the revision by this look.
pub(super) async fn register(
    aws: &Inner,
    desired: &Desired,
    definition: &TaskDefinition,
    tags: &Tags,
) -> Result<Done, Failure> {
    const CALL: &str = "ecs:RegisterTaskDefinition";
    let hash = definition.hash();
    let there = family(aws, &definition.family, FAMILY_MAX, Look::Ours)
        .await?
        .into_iter()
        .find(|found| {
            desired.identity.owns(&found.tags)
                && found.tags.get(TAG_HASH) == Some(&hash)
                && found.definition.as_ref() == Some(definition)
        });
    if let Some(there) = there {
        return Ok(Done::TaskDefinition(there.arn));
    }
    let answer = definition::registration(definition)
        .map_err(|error| incomplete(CALL, &error))?
        .set_tags(Some(pairs(tags)))
        .send_with(&aws.once.ecs)
        .await
        .named(CALL)?;
    let arn = answer.task_definition().and_then(|made| made.task_definition_arn());
    Ok(Done::TaskDefinition(some(CALL, "task definition ARN", arn)?.to_owned()))
}

/// Registers a definition that somebody else maintains, whole: the request is the definition's own JSON, so a key that no
/// type knows goes out again. Where ECS drops one all the same, the revision is left unused and the keys are named. An
/// equal revision that an interrupted pass left is taken instead.
pub(super) async fn register_revision(aws: &Inner, definition: &RawDefinition, tags: &Tags) -> Result<Done, Failure> {
    const CALL: &str = "ecs:RegisterTaskDefinition";
    let name = some(CALL, "family", definition.text("family"))?;
    let mut tags = tags.clone();
    // Only a hint where to look: what ECS fills in later would change it.
    let hash = hash(definition);
    tags.insert(TAG_HASH.to_owned(), hash.clone());
    for there in family(aws, name, FAMILY_MAX, Look::Whole).await? {
        let Some(raw) = &there.raw else { continue };
        let base = there.tags.get(TAG_BASE) == tags.get(TAG_BASE) && there.tags.get(TAG_OWNER) == tags.get(TAG_OWNER);
        if base && raw.same(definition) {
            return kept(CALL, definition, raw).map(|()| Done::TaskDefinition(there.arn.clone()));
        }
        if base && there.tags.get(TAG_HASH) == Some(&hash) {
            // Registering it once more would lose the same.
            kept(CALL, definition, raw)?;
        }
    }
    let mut request = definition.registration();
    request["tags"] = tags
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": value }))
        .collect();
    let body = KeptBody::default();
    let answer = aws
        .once
        .ecs
        .register_task_definition()
        .family(name)
        .customize()
        .mutate_request(send_instead(request.to_string()))
        .interceptor(body.clone())
        .send()
        .await
        .named(CALL)?;
    let arn = answer.task_definition().and_then(|made| made.task_definition_arn());
    let arn = some(CALL, "task definition ARN", arn)?.to_owned();
    kept(CALL, definition, &some(CALL, "readable definition", body.definition())?)?;
    Ok(Done::TaskDefinition(arn))
}

/// Whether everything of a definition came back.
fn kept(call: &str, definition: &RawDefinition, answer: &RawDefinition) -> Result<(), Failure> {
    let lost = definition.lost_in(answer);
    if lost.is_empty() {
        return Ok(());
    }
    Err(Failure {
        kind: FailureKind::SettingsLost,
        code: "SettingsLost".to_owned(),
        ..unexpected(call, &format!("ECS did not keep {}", lost.join(", ")))
    })
}

fn hash(definition: &RawDefinition) -> String {
    let text = definition.normal().to_string();
    Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What ECS needs to keep a Cloud Map service. An SRV record needs the port; an A record must not have one.
async fn registry(aws: &Inner, arn: &str, container: &str, port: u16) -> Result<ServiceRegistry, Failure> {
    const CALL: &str = "servicediscovery:GetService";
    let id = arn.rsplit_once('/').map_or(arn, |(_, id)| id);
    let answer = aws.registry.get_service().id(id).send().await.named(CALL)?;
    let has_srv = answer
        .service()
        .and_then(|service| service.dns_config())
        .is_some_and(|dns| {
            dns.dns_records()
                .iter()
                .any(|record| *record.r#type() == RecordType::Srv)
        });
    let entry = ServiceRegistry::builder().registry_arn(arn);
    Ok(if has_srv {
        entry.container_name(container).container_port(i32::from(port)).build()
    } else {
        entry.build()
    })
}

/// Makes the service at desired count 0.
pub(super) async fn create_service(aws: &Inner, desired: &Desired, step: &Step) -> Result<Done, Failure> {
    const CALL: &str = "ecs:CreateService";
    let Step::CreateService {
        cluster,
        name,
        token,
        task_definition,
        launch_type,
        container,
        port,
        settings,
        tags,
    } = step
    else {
        unreachable!("called for this step only")
    };
    let registries = match &settings.registry_arn {
        Some(arn) => Some(vec![registry(aws, arn, container, *port).await?]),
        None => None,
    };
    let launch_type = match launch_type {
        LaunchType::Fargate => SdkLaunchType::Fargate,
        LaunchType::Ec2 => SdkLaunchType::Ec2,
    };
    let made = aws
        .once
        .ecs
        .create_service()
        .cluster(cluster)
        .service_name(name)
        .client_token(token)
        .task_definition(task_definition)
        .launch_type(launch_type)
        .desired_count(0)
        .network_configuration(service::network(settings).map_err(|error| incomplete(CALL, &error))?)
        .deployment_configuration(service::deployment(settings))
        .availability_zone_rebalancing(service::rebalancing(settings))
        .enable_execute_command(settings.enable_execute_command)
        .set_service_registries(registries)
        .set_tags(Some(pairs(tags)))
        .send()
        .await
        .named(CALL);
    let made = match made {
        Err(failure) if failure.message.contains("not idempotent") => {
            return match describe_service(aws, cluster, name).await? {
                Some(found) if desired.identity.owns(&found.tags) => Ok(Done::Service(Box::new(found))),
                Some(found) => Err(not_ours(CALL, &format!("service {}", found.arn))),
                None => Err(not_now(
                    CALL,
                    format!("service {name} exists, and ECS does not show it yet"),
                )),
            };
        }
        made => made?,
    };
    let described = some(CALL, "service", made.service())?;
    let mut made = some(CALL, "active service", service::parse(CALL, described)?)?;
    // They were part of the request, whether the answer repeats them or not.
    made.tags.extend(tags.clone());
    Ok(Done::Service(Box::new(made)))
}

/// One call with full blocks. Blocks that start a deployment are sent only where they differ, or where a deployment is
/// wanted anyway: a change of a percentage must not restart the server.
pub(super) async fn update_service(aws: &Inner, step: &Step) -> Result<Done, Failure> {
    const CALL: &str = "ecs:UpdateService";
    let Step::UpdateService {
        cluster,
        name,
        from,
        to,
        from_definition,
        to_definition,
        force,
        container,
        port,
    } = step
    else {
        unreachable!("called for this step only")
    };
    let deploys = *force || from_definition != to_definition;
    let network_differs =
        from.subnets != to.subnets || from.groups != to.groups || from.assign_public_ip != to.assign_public_ip;
    let mut request = aws
        .once
        .ecs
        .update_service()
        .cluster(cluster)
        .service(name)
        .deployment_configuration(service::deployment(to))
        .availability_zone_rebalancing(service::rebalancing(to))
        .enable_execute_command(to.enable_execute_command);
    if network_differs {
        let network = service::network(to).map_err(|error| incomplete(CALL, &error))?;
        request = request.network_configuration(network);
    }
    if deploys {
        request = request.task_definition(to_definition).force_new_deployment(*force);
    }
    if from.registry_arn != to.registry_arn {
        let registries = match &to.registry_arn {
            Some(arn) => vec![registry(aws, arn, container, *port).await?],
            // Explicitly empty: a list that is left out stays as it is.
            None => Vec::new(),
        };
        request = request.set_service_registries(Some(registries));
    }
    request.send().await.named(CALL)?;
    Ok(Done::Changed)
}

/// Raises desired count 0 to 1, after a last look that nothing of the service is left that might still write.
pub(super) async fn start_service(
    aws: &Inner,
    desired: &Desired,
    cluster: &str,
    name: &str,
    arn: &str,
) -> Result<Done, Failure> {
    let left = tasks_left(aws, desired, cluster, name).await?;
    if let Some(task) = left.first() {
        return Err(not_now(
            "ecs:UpdateService",
            format!("task {} is still {}", task.arn, task.last_status),
        ));
    }
    set_desired(aws, cluster, name, 1).await?;
    clear_starting(aws, arn).await
}

pub(super) async fn set_desired(aws: &Inner, cluster: &str, name: &str, to: u32) -> Result<Done, Failure> {
    aws.once
        .ecs
        .update_service()
        .cluster(cluster)
        .service(name)
        .desired_count(int(to))
        .send()
        .await
        .named("ecs:UpdateService")?;
    Ok(Done::Changed)
}

pub(super) async fn clear_starting(aws: &Inner, arn: &str) -> Result<Done, Failure> {
    tag(aws, arn, &Tags::new(), &[TAG_STARTING.to_owned()]).await?;
    Ok(Done::Changed)
}

/// Marks the 0 as ours, then scales to it.
pub(super) async fn stop_service(aws: &Inner, cluster: &str, name: &str, arn: &str) -> Result<Done, Failure> {
    let mark = Tags::from([(TAG_STARTING.to_owned(), "true".to_owned())]);
    tag(aws, arn, &mark, &[]).await?;
    set_desired(aws, cluster, name, 0).await
}

/// Deletes a service at desired count 0. One that is draining or gone already is as good.
pub(super) async fn delete_service(aws: &Inner, cluster: &str, name: &str) -> Result<Done, Failure> {
    let gone = aws
        .once
        .ecs
        .delete_service()
        .cluster(cluster)
        .service(name)
        .send()
        .await
        .named("ecs:DeleteService");
    match gone {
        Err(failure) if failure.code == "ServiceNotActiveException" => Ok(Done::Changed),
        // Scaled up since it was looked at: the next pass sees it.
        Err(failure) if failure.message.contains("scaled above 0") => Err(Failure {
            kind: FailureKind::NotNow,
            ..failure
        }),
        gone => gone_or_done(gone),
    }
}

/// Deregisters one revision. ECS refuses one that is INACTIVE already with the same code as a wrong name.
pub(super) async fn deregister(aws: &Inner, arn: &str) -> Result<Done, Failure> {
    let gone = aws
        .once
        .ecs
        .deregister_task_definition()
        .task_definition(arn)
        .send()
        .await
        .named("ecs:DeregisterTaskDefinition");
    // A kept description would still call it usable.
    aws.cache.definitions.forget(&arn.to_owned());
    match gone {
        Err(failure)
            if ["inactive", "does not exist"]
                .iter()
                .any(|word| failure.message.contains(word)) =>
        {
            Ok(Done::Changed)
        }
        gone => gone_or_done(gone),
    }
}

pub(super) async fn tag(aws: &Inner, arn: &str, set: &Tags, remove: &[String]) -> Result<(), Failure> {
    if !set.is_empty() {
        aws.once
            .ecs
            .tag_resource()
            .resource_arn(arn)
            .set_tags(Some(pairs(set)))
            .send()
            .await
            .named("ecs:TagResource")?;
    }
    if !remove.is_empty() {
        aws.once
            .ecs
            .untag_resource()
            .resource_arn(arn)
            .set_tag_keys(Some(remove.to_vec()))
            .send()
            .await
            .named("ecs:UntagResource")?;
    }
    // A kept description would still show the old tags.
    aws.cache.definitions.forget(&arn.to_owned());
    Ok(())
}
