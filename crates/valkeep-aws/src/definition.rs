//! Task definitions: ours to a registration, and a registered one back to ours.
//!
//! AWS fills in defaults and reorders lists, and new kinds of defaults appear overnight; so reading looks at what is
//! known to matter and lets the rest be. A definition that does something valkeep never renders is not in our form.

use crate::convert::int;
use aws_sdk_ecs::error::BuildError;
use aws_sdk_ecs::operation::register_task_definition::builders::RegisterTaskDefinitionInputBuilder;
use aws_sdk_ecs::types::{
    Compatibility, ContainerDefinition, CpuArchitecture, EfsAuthorizationConfig, EfsAuthorizationConfigIam,
    EfsTransitEncryption, EfsVolumeConfiguration, HealthCheck as SdkHealthCheck, KeyValuePair, LogConfiguration,
    LogDriver, MountPoint, NetworkMode, OsFamily, PortMapping, Secret, TaskDefinition as SdkDefinition,
    TransportProtocol, Volume,
};
use std::collections::BTreeMap;
use valkeep_core::ids::{AccessPointId, FileSystemId};
use valkeep_core::task_definition::{Container, EfsVolume, HealthCheck, LaunchType};
use valkeep_core::units::scaled;
use valkeep_core::{SecretReference, TaskDefinition};

/// What ECS takes for a health check that leaves a value out.
const HEALTH_INTERVAL_S: u32 = 30;
const HEALTH_TIMEOUT_S: u32 = 5;
const HEALTH_RETRIES: u32 = 3;

/// The registration of `definition`, without its tags.
pub(crate) fn registration(definition: &TaskDefinition) -> Result<RegisterTaskDefinitionInputBuilder, BuildError> {
    let TaskDefinition {
        family,
        task_role_arn,
        execution_role_arn,
        cpu,
        memory_mib,
        launch_type,
        container,
        volume,
    } = definition;
    let mut input = RegisterTaskDefinitionInputBuilder::default()
        .family(family)
        .task_role_arn(task_role_arn)
        .set_execution_role_arn(execution_role_arn.clone())
        .network_mode(NetworkMode::Awsvpc)
        .requires_compatibilities(compatibility(*launch_type))
        .cpu(cpu.to_string())
        .memory(memory_mib.to_string())
        .container_definitions(render_container(container, *memory_mib, volume.as_ref())?);
    if let Some(volume) = volume {
        input = input.volumes(render_volume(volume)?);
    }
    Ok(input)
}

fn compatibility(launch_type: LaunchType) -> Compatibility {
    match launch_type {
        LaunchType::Fargate => Compatibility::Fargate,
        LaunchType::Ec2 => Compatibility::Ec2,
    }
}

fn render_container(
    container: &Container,
    memory_mib: u32,
    volume: Option<&EfsVolume>,
) -> Result<ContainerDefinition, BuildError> {
    let Container {
        name,
        image,
        entry_point,
        command,
        user,
        port,
        environment,
        secrets,
        mount_path,
        log_group,
        log_region,
        stop_timeout_s,
        health_check,
    } = container;
    let log = LogConfiguration::builder()
        .log_driver(LogDriver::Awslogs)
        .options("awslogs-group", log_group)
        .options("awslogs-region", log_region)
        .options("awslogs-stream-prefix", name)
        .build()?;
    let health = SdkHealthCheck::builder()
        .set_command(Some(health_check.command.clone()))
        .interval(int(health_check.interval_s))
        .timeout(int(health_check.timeout_s))
        .retries(int(health_check.retries))
        .start_period(int(health_check.start_period_s))
        .build()?;
    let mut definition = ContainerDefinition::builder()
        .name(name)
        .image(image)
        .essential(true)
        // The only container may use all of the task's memory.
        .memory(int(memory_mib))
        .set_entry_point(list(entry_point))
        .set_command(list(command))
        .set_user(user.clone())
        .port_mappings(
            PortMapping::builder()
                .container_port(i32::from(*port))
                .host_port(i32::from(*port))
                .protocol(TransportProtocol::Tcp)
                .build(),
        )
        .log_configuration(log)
        .stop_timeout(int(*stop_timeout_s))
        .health_check(health);
    for (name, value) in environment {
        definition = definition.environment(KeyValuePair::builder().name(name).value(value).build());
    }
    for (name, reference) in secrets {
        definition = definition.secrets(Secret::builder().name(name).value_from(reference.as_str()).build()?);
    }
    if let (Some(path), Some(volume)) = (mount_path, volume) {
        let mount = MountPoint::builder()
            .source_volume(&volume.name)
            .container_path(path)
            .read_only(false)
            .build();
        definition = definition.mount_points(mount);
    }
    Ok(definition.build())
}

/// An access point forbids a root directory of its own; AWS answers `/` all the same.
fn render_volume(volume: &EfsVolume) -> Result<Volume, BuildError> {
    let authorization = EfsAuthorizationConfig::builder()
        .access_point_id(volume.access_point.as_str())
        .iam(EfsAuthorizationConfigIam::Enabled)
        .build();
    let efs = EfsVolumeConfiguration::builder()
        .file_system_id(volume.file_system.as_str())
        .transit_encryption(EfsTransitEncryption::Enabled)
        .authorization_config(authorization)
        .build()?;
    Ok(Volume::builder()
        .name(&volume.name)
        .efs_volume_configuration(efs)
        .build())
}

fn list(parts: &[String]) -> Option<Vec<String>> {
    (!parts.is_empty()).then(|| parts.to_vec())
}

/// Reads a registered definition; none where it is not in our form.
pub(crate) fn parse(found: &SdkDefinition) -> Option<TaskDefinition> {
    let [container] = found.container_definitions() else {
        return None;
    };
    let foreign = found.network_mode() != Some(&NetworkMode::Awsvpc)
        || found.pid_mode().is_some()
        || found.ipc_mode().is_some()
        || found.proxy_configuration().is_some()
        || found.ephemeral_storage().is_some()
        || !found.placement_constraints().is_empty()
        || found.enable_fault_injection() == Some(true)
        || found.runtime_platform().is_some_and(|platform| {
            platform
                .cpu_architecture()
                .is_some_and(|cpu| *cpu != CpuArchitecture::X8664)
                || platform
                    .operating_system_family()
                    .is_some_and(|os| *os != OsFamily::Linux)
        });
    if foreign {
        return None;
    }
    let volume = match found.volumes() {
        [] => None,
        [volume] => Some(parse_volume(volume)?),
        _ => return None,
    };
    let launch_type = match found.requires_compatibilities() {
        [Compatibility::Fargate] => LaunchType::Fargate,
        [Compatibility::Ec2] => LaunchType::Ec2,
        _ => return None,
    };
    let memory_mib = scaled(found.memory()?, "gb")?;
    Some(TaskDefinition {
        family: found.family()?.to_owned(),
        task_role_arn: found.task_role_arn()?.to_owned(),
        execution_role_arn: found.execution_role_arn().map(ToOwned::to_owned),
        cpu: scaled(found.cpu()?, "vcpu")?,
        memory_mib,
        launch_type,
        container: parse_container(container, memory_mib, volume.as_ref())?,
        volume,
    })
}

fn parse_volume(volume: &Volume) -> Option<EfsVolume> {
    if volume.host().is_some_and(|host| host.source_path().is_some())
        || volume.docker_volume_configuration().is_some()
        || volume.fsx_windows_file_server_volume_configuration().is_some()
        || volume.configured_at_launch() == Some(true)
    {
        return None;
    }
    let efs = volume.efs_volume_configuration()?;
    let authorization = efs.authorization_config()?;
    let ours = efs.root_directory().is_none_or(|path| path == "/")
        && efs.transit_encryption() == Some(&EfsTransitEncryption::Enabled)
        && efs.transit_encryption_port().is_none_or(|port| port == 0)
        && authorization.iam() == Some(&EfsAuthorizationConfigIam::Enabled);
    if !ours {
        return None;
    }
    Some(EfsVolume {
        name: volume.name()?.to_owned(),
        file_system: FileSystemId::parse(efs.file_system_id()).ok()?,
        access_point: AccessPointId::parse(authorization.access_point_id()?).ok()?,
    })
}

fn parse_container(found: &ContainerDefinition, memory_mib: u32, volume: Option<&EfsVolume>) -> Option<Container> {
    if does_more_than_ours(found) || found.memory().is_some_and(|own| own != int(memory_mib)) {
        return None;
    }
    let name = found.name()?.to_owned();
    let [mapping] = found.port_mappings() else {
        return None;
    };
    let port = mapping.container_port()?;
    let plain = mapping.host_port().is_none_or(|host| host == port || host == 0)
        && mapping
            .protocol()
            .is_none_or(|protocol| *protocol == TransportProtocol::Tcp)
        && mapping.container_port_range().is_none();
    if !plain {
        return None;
    }
    let mount_path = match (found.mount_points(), volume) {
        ([], None) => None,
        ([mount], Some(volume)) if mount.source_volume() == Some(&volume.name) && mount.read_only() != Some(true) => {
            Some(mount.container_path()?.to_owned())
        }
        _ => return None,
    };
    let mut environment = BTreeMap::new();
    for pair in found.environment() {
        environment.insert(pair.name()?.to_owned(), pair.value().unwrap_or_default().to_owned());
    }
    let mut secrets = BTreeMap::new();
    for secret in found.secrets() {
        let reference = SecretReference::parse(secret.value_from()).ok()?;
        secrets.insert(secret.name().to_owned(), reference);
    }
    let (log_group, log_region) = parse_log(found.log_configuration()?, &name)?;
    Some(Container {
        image: found.image()?.to_owned(),
        entry_point: found.entry_point().to_vec(),
        command: found.command().to_vec(),
        user: found.user().map(ToOwned::to_owned),
        port: u16::try_from(port).ok()?,
        environment,
        secrets,
        mount_path,
        log_group,
        log_region,
        stop_timeout_s: u32::try_from(found.stop_timeout()?).ok()?,
        health_check: parse_health(found.health_check()?)?,
        name,
    })
}

/// Whether the container holds anything that valkeep never renders and that would change what runs.
fn does_more_than_ours(found: &ContainerDefinition) -> bool {
    let linux = found.linux_parameters().is_some_and(|linux| {
        linux
            .capabilities()
            .is_some_and(|capabilities| !capabilities.add().is_empty() || !capabilities.drop().is_empty())
            || !linux.devices().is_empty()
            || !linux.tmpfs().is_empty()
            || linux.init_process_enabled() == Some(true)
            || linux.shared_memory_size().is_some_and(|size| size != 0)
    });
    linux
        || found.essential() == Some(false)
        || found.cpu() != 0
        || found.memory_reservation().is_some()
        || found.repository_credentials().is_some()
        || found
            .restart_policy()
            .is_some_and(aws_sdk_ecs::types::ContainerRestartPolicy::enabled)
        || found.start_timeout().is_some()
        || found.hostname().is_some_and(|name| !name.is_empty())
        || found.working_directory().is_some_and(|path| !path.is_empty())
        || found.disable_networking() == Some(true)
        || found.privileged() == Some(true)
        || found.readonly_root_filesystem() == Some(true)
        || found.interactive() == Some(true)
        || found.pseudo_terminal() == Some(true)
        || found.firelens_configuration().is_some()
        || found.docker_labels().is_some_and(|labels| !labels.is_empty())
        || !found.links().is_empty()
        || !found.environment_files().is_empty()
        || !found.volumes_from().is_empty()
        || !found.depends_on().is_empty()
        || !found.dns_servers().is_empty()
        || !found.dns_search_domains().is_empty()
        || !found.extra_hosts().is_empty()
        || !found.docker_security_options().is_empty()
        || !found.ulimits().is_empty()
        || !found.system_controls().is_empty()
        || !found.resource_requirements().is_empty()
        || !found.credential_specs().is_empty()
}

fn parse_log(found: &LogConfiguration, name: &str) -> Option<(String, String)> {
    if *found.log_driver() != LogDriver::Awslogs || !found.secret_options().is_empty() {
        return None;
    }
    let options = found.options()?;
    let ours = options.len() == 3
        && options
            .get("awslogs-stream-prefix")
            .is_some_and(|prefix| prefix == name);
    if !ours {
        return None;
    }
    Some((
        options.get("awslogs-group")?.clone(),
        options.get("awslogs-region")?.clone(),
    ))
}

fn parse_health(found: &SdkHealthCheck) -> Option<HealthCheck> {
    let or = |value: Option<i32>, default: u32| match value {
        Some(value) => u32::try_from(value).ok(),
        None => Some(default),
    };
    Some(HealthCheck {
        command: found.command().to_vec(),
        interval_s: or(found.interval(), HEALTH_INTERVAL_S)?,
        timeout_s: or(found.timeout(), HEALTH_TIMEOUT_S)?,
        retries: or(found.retries(), HEALTH_RETRIES)?,
        start_period_s: or(found.start_period(), 0)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;

    /// What AWS answers when `definition` was registered: defaults filled in, lists reordered.
    fn registered(definition: &TaskDefinition) -> SdkDefinition {
        let input = registration(definition)
            .expect("renders")
            .build()
            .expect("every required field is set");
        let containers = input
            .container_definitions()
            .iter()
            .map(|container| {
                let mut container = container.clone();
                container.cpu = 0;
                if let Some(environment) = &mut container.environment {
                    environment.reverse();
                }
                for list in [&mut container.links, &mut container.dns_servers] {
                    list.get_or_insert_default();
                }
                container.environment.get_or_insert_default();
                container.mount_points.get_or_insert_default();
                container.volumes_from.get_or_insert_default();
                container.secrets.get_or_insert_default().reverse();
                container.ulimits.get_or_insert_default();
                container
            })
            .collect();
        let volumes = input
            .volumes()
            .iter()
            .map(|volume| {
                let mut volume = volume.clone();
                if let Some(efs) = &mut volume.efs_volume_configuration {
                    efs.root_directory = Some("/".to_owned());
                }
                volume
            })
            .collect();
        SdkDefinition::builder()
            .set_family(input.family().map(ToOwned::to_owned))
            .set_task_role_arn(input.task_role_arn().map(ToOwned::to_owned))
            .set_execution_role_arn(input.execution_role_arn().map(ToOwned::to_owned))
            .set_network_mode(input.network_mode().cloned())
            .set_requires_compatibilities(Some(input.requires_compatibilities().to_vec()))
            .set_compatibilities(Some(vec![Compatibility::Ec2, Compatibility::Fargate]))
            .set_cpu(input.cpu().map(ToOwned::to_owned))
            .set_memory(input.memory().map(ToOwned::to_owned))
            .set_container_definitions(Some(containers))
            .set_volumes(Some(volumes))
            .set_placement_constraints(Some(Vec::new()))
            .enable_fault_injection(false)
            .revision(7)
            .build()
    }

    fn reference() -> impl Strategy<Value = SecretReference> {
        prop_oneof![
            "/[a-z]{1,9}",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:[a-z]{1,9}(:[a-z]{1,9}::)?",
        ]
        .prop_map(|text| SecretReference::parse(&text).expect("a reference"))
    }

    fn any_definition() -> impl Strategy<Value = TaskDefinition> {
        let words = || prop::collection::vec("[ -~]{0,20}", 0..4);
        let health = (words(), 5u32..300, 2u32..60, 1u32..10, 0u32..300).prop_map(
            |(command, interval_s, timeout_s, retries, start_period_s)| HealthCheck {
                command,
                interval_s,
                timeout_s,
                retries,
                start_period_s,
            },
        );
        let container = (
            (
                "[a-z]{1,9}",
                "[a-z/:.0-9]{1,30}",
                words(),
                words(),
                prop::option::of("[0-9]{1,5}:[0-9]{1,5}"),
            ),
            (
                1u16..,
                prop::collection::btree_map("[A-Z]{1,6}", "[ -~]{0,9}", 0..4),
                prop::collection::btree_map("[A-Z]{1,6}", reference(), 0..3),
                "/[a-z]{1,9}",
            ),
            ("[a-z/]{1,20}", "[a-z0-9-]{1,12}", 2u32..121, health),
        );
        (
            ("[a-z-]{1,20}", "arn:[a-z]{1,9}", prop::option::of("arn:[a-z]{1,9}")),
            (1u32..100_000, 1u32..500_000, any::<bool>(), any::<bool>()),
            container,
        )
            .prop_map(|(names, (cpu, memory_mib, fargate, mounted), container)| {
                let ((name, image, entry_point, command, user), (port, environment, secrets, path), rest) = container;
                let (log_group, log_region, stop_timeout_s, health_check) = rest;
                TaskDefinition {
                    family: names.0,
                    task_role_arn: names.1,
                    execution_role_arn: names.2,
                    cpu,
                    memory_mib,
                    launch_type: if fargate { LaunchType::Fargate } else { LaunchType::Ec2 },
                    container: Container {
                        name,
                        image,
                        entry_point,
                        command,
                        user,
                        port,
                        environment,
                        secrets,
                        mount_path: mounted.then_some(path),
                        log_group,
                        log_region,
                        stop_timeout_s,
                        health_check,
                    },
                    volume: mounted.then(|| EfsVolume {
                        name: "valkey-data".to_owned(),
                        file_system: FileSystemId::parse("fs-0123456789abcdef0").expect("an id"),
                        access_point: AccessPointId::parse("fsap-0123456789abcdef0").expect("an id"),
                    }),
                }
            })
    }

    proptest! {
        #[test]
        fn what_was_registered_reads_back_equal(definition in any_definition()) {
            prop_assert_eq!(parse(&registered(&definition)), Some(definition));
        }
    }

    fn first(found: &mut SdkDefinition) -> &mut ContainerDefinition {
        &mut found.container_definitions.as_mut().expect("has containers")[0]
    }

    #[test]
    fn what_valkeep_never_renders_is_not_in_our_form() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let definition = any_definition().new_tree(&mut runner).expect("a value").current();
        let good = registered(&definition);
        let change = |edit: &dyn Fn(&mut SdkDefinition)| {
            let mut changed = good.clone();
            edit(&mut changed);
            parse(&changed)
        };
        assert_eq!(change(&|_| ()), Some(definition.clone()));
        assert_eq!(
            change(&|found| {
                let copy = first(found).clone();
                found.container_definitions.as_mut().expect("has containers").push(copy);
            }),
            None
        );
        assert_eq!(change(&|found| first(found).privileged = Some(true)), None);
        assert_eq!(change(&|found| first(found).cpu = 10), None);
        assert_eq!(change(&|found| found.network_mode = Some(NetworkMode::Host)), None);
    }
}
