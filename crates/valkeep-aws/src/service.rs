//! The ECS service: AWS's description to ours, and our settings to request blocks.

use crate::convert::{count, id, int, some, tags, timestamp};
use aws_sdk_ecs::types::{
    AssignPublicIp, AvailabilityZoneRebalancing, AwsVpcConfiguration, DeploymentCircuitBreaker,
    DeploymentConfiguration, DeploymentRolloutState, NetworkConfiguration, Service as SdkService,
};
use valkeep_core::failure::Failure;
use valkeep_core::ids::{SecurityGroupId, SubnetId};
use valkeep_core::observed::{Deployment, Rollout, Service, ServiceEvent, ServiceKind, ServiceSettings, ServiceStatus};

/// Events that are kept.
const EVENTS_MAX: usize = 10;

/// Reads a described service; none where it is INACTIVE, which is gone but for its name.
pub(crate) fn parse(call: &str, found: &SdkService) -> Result<Option<Service>, Failure> {
    let status = match found.status() {
        Some("ACTIVE") => ServiceStatus::Active,
        Some("DRAINING") => ServiceStatus::Draining,
        _ => return Ok(None),
    };
    let mut deployments: Vec<Deployment> = found.deployments().iter().map(parse_deployment).collect();
    // A stable sort: older deployments keep AWS's order.
    deployments.sort_by_key(|deployment| !deployment.primary);
    Ok(Some(Service {
        arn: some(call, "service ARN", found.service_arn())?.to_owned(),
        status,
        task_definition: some(call, "task definition", found.task_definition())?.to_owned(),
        desired: count(found.desired_count()),
        running: count(found.running_count()),
        pending: count(found.pending_count()),
        tags: tags(found.tags().iter().map(|tag| (tag.key(), tag.value()))),
        settings: parse_settings(call, found)?,
        kind: parse_kind(found),
        deployments,
        events: found
            .events()
            .iter()
            .take(EVENTS_MAX)
            .map(|event| ServiceEvent {
                at: event.created_at().and_then(timestamp),
                message: event.message().unwrap_or_default().to_owned(),
            })
            .collect(),
    }))
}

fn parse_deployment(found: &aws_sdk_ecs::types::Deployment) -> Deployment {
    let rollout = match found.rollout_state() {
        Some(DeploymentRolloutState::Completed) => Rollout::Completed,
        Some(DeploymentRolloutState::Failed) => Rollout::Failed,
        // Deployments from before rollout states: done when everything runs.
        None if found.running_count() == found.desired_count() && found.pending_count() == 0 => Rollout::Completed,
        Some(_) | None => Rollout::InProgress,
    };
    Deployment {
        id: found.id().unwrap_or_default().to_owned(),
        primary: found.status() == Some("PRIMARY"),
        task_definition: found.task_definition().unwrap_or_default().to_owned(),
        rollout,
        reason: found.rollout_state_reason().map(ToOwned::to_owned),
        failed_tasks: count(found.failed_tasks()),
        running: count(found.running_count()),
        updated_at: found.updated_at().and_then(timestamp),
        created_at: found.created_at().and_then(timestamp),
    }
}

fn parse_settings(call: &str, found: &SdkService) -> Result<ServiceSettings, Failure> {
    let network = found
        .network_configuration()
        .and_then(|network| network.awsvpc_configuration());
    let mut subnets = Vec::new();
    let mut groups = Vec::new();
    for subnet in network.map_or(&[][..], |network| network.subnets()) {
        subnets.push(id(call, SubnetId::parse(subnet))?);
    }
    for group in network.map_or(&[][..], |network| network.security_groups()) {
        groups.push(id(call, SecurityGroupId::parse(group))?);
    }
    subnets.sort();
    groups.sort();
    let deployment = found.deployment_configuration();
    let breaker = deployment.and_then(|deployment| deployment.deployment_circuit_breaker());
    let percent = |value: Option<i32>| value.map(count);
    Ok(ServiceSettings {
        subnets,
        groups,
        assign_public_ip: network.and_then(|network| network.assign_public_ip()) == Some(&AssignPublicIp::Enabled),
        minimum_healthy_percent: percent(deployment.and_then(DeploymentConfiguration::minimum_healthy_percent)),
        maximum_percent: percent(deployment.and_then(DeploymentConfiguration::maximum_percent)),
        circuit_breaker: breaker.is_some_and(DeploymentCircuitBreaker::enable),
        rollback: breaker.is_some_and(DeploymentCircuitBreaker::rollback),
        zone_rebalancing: found
            .availability_zone_rebalancing()
            .map(|rebalancing| *rebalancing == AvailabilityZoneRebalancing::Enabled),
        enable_execute_command: found.enable_execute_command(),
        registry_arn: found
            .service_registries()
            .first()
            .and_then(|registry| registry.registry_arn())
            .map(ToOwned::to_owned),
    })
}

/// What AWS does not say is what it takes for it.
fn parse_kind(found: &SdkService) -> ServiceKind {
    let default = ServiceKind::default();
    let strategy = found
        .deployment_configuration()
        .and_then(DeploymentConfiguration::strategy);
    ServiceKind {
        scheduling: found
            .scheduling_strategy()
            .map_or(default.scheduling, |strategy| strategy.as_str().to_owned()),
        controller: found
            .deployment_controller()
            .map_or(default.controller, |controller| controller.r#type().as_str().to_owned()),
        strategy: strategy.map_or(default.strategy, |strategy| strategy.as_str().to_owned()),
    }
}

/// The whole network block; a part left out would be filled in by AWS, not kept.
pub(crate) fn network(settings: &ServiceSettings) -> Result<NetworkConfiguration, aws_sdk_ecs::error::BuildError> {
    let public = if settings.assign_public_ip {
        AssignPublicIp::Enabled
    } else {
        AssignPublicIp::Disabled
    };
    let block = AwsVpcConfiguration::builder()
        .set_subnets(Some(settings.subnets.iter().map(ToString::to_string).collect()))
        .set_security_groups(Some(settings.groups.iter().map(ToString::to_string).collect()))
        .assign_public_ip(public)
        .build()?;
    Ok(NetworkConfiguration::builder().awsvpc_configuration(block).build())
}

/// The whole deployment block: parts of it that are left out keep old values, and `rollback` would become false.
pub(crate) fn deployment(settings: &ServiceSettings) -> DeploymentConfiguration {
    DeploymentConfiguration::builder()
        .set_minimum_healthy_percent(settings.minimum_healthy_percent.map(int))
        .set_maximum_percent(settings.maximum_percent.map(int))
        .deployment_circuit_breaker(
            DeploymentCircuitBreaker::builder()
                .enable(settings.circuit_breaker)
                .rollback(settings.rollback)
                .build(),
        )
        .build()
}

/// Availability-zone rebalancing; it stands in the same call as `maximumPercent`, because ECS refuses 100 percent on a
/// service that rebalances.
pub(crate) fn rebalancing(settings: &ServiceSettings) -> AvailabilityZoneRebalancing {
    match settings.zone_rebalancing {
        Some(true) => AvailabilityZoneRebalancing::Enabled,
        Some(false) | None => AvailabilityZoneRebalancing::Disabled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> ServiceSettings {
        ServiceSettings {
            subnets: vec![SubnetId::parse("subnet-0aaaaaaaaaaaaaaa1").expect("an id")],
            groups: vec![SecurityGroupId::parse("sg-0cccccccccccccccc").expect("an id")],
            assign_public_ip: true,
            minimum_healthy_percent: Some(0),
            maximum_percent: Some(100),
            circuit_breaker: true,
            rollback: false,
            zone_rebalancing: Some(false),
            enable_execute_command: true,
            registry_arn: None,
        }
    }

    #[test]
    fn settings_read_back_as_they_were_sent() {
        let sent = settings();
        let described = SdkService::builder()
            .service_arn("arn:aws:ecs:eu-west-1:123456789012:service/c/s")
            .status("ACTIVE")
            .task_definition("arn:aws:ecs:eu-west-1:123456789012:task-definition/f:1")
            .network_configuration(network(&sent).expect("complete"))
            .deployment_configuration(deployment(&sent))
            .availability_zone_rebalancing(rebalancing(&sent))
            .enable_execute_command(true)
            .build();
        let service = parse("ecs:DescribeServices", &described)
            .expect("reads")
            .expect("is there");
        assert_eq!(service.settings, sent);
    }

    #[test]
    fn an_inactive_service_counts_as_absent() {
        let described = SdkService::builder().status("INACTIVE").build();
        assert_eq!(parse("ecs:DescribeServices", &described), Ok(None));
    }
}
