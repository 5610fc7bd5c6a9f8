//! Folds what a step did into what was observed, so that the same pass can plan on. Never looks: what an answer does
//! not tell becomes unknown and waits for the next look.

use valkeep_core::identity::{TAG_POLICY, TAG_STARTING, TAG_THROUGHPUT_CHANGED};
use valkeep_core::ids::{AccessPointId, FileSystemId, MountTargetId, NetworkInterfaceId, SecurityGroupId};
use valkeep_core::observed::{
    AccessPoint, Deployment, FileSystem, IngressRule, LifeCycle, LogGroup, MountTarget, ObservedDefinition, Rollout,
    SecurityGroup, Service, ServiceKind, ServiceSettings, ServiceStatus,
};
use valkeep_core::valkey::{AppendOnly, SETTING_APPEND_ONLY};
use valkeep_core::{
    Done, Fact, Observed, RawDefinition, Resource, ServerChange, Step, Tags, TaskDefinition, Timestamp,
};

/// Folds AWS's answer to a step into what was observed.
pub fn fold(observed: &mut Observed, step: &Step, done: &Done) {
    match step {
        Step::CreateSecurityGroup { tags, .. } => {
            observed.security_group = match done {
                Done::SecurityGroup(id) => Fact::Present(SecurityGroup {
                    id: id.clone(),
                    tags: tags.clone(),
                    ingress: Vec::new(),
                }),
                _ => Fact::not_looked("ec2:DescribeSecurityGroups"),
            };
        }
        Step::AuthorizeIngress {
            source, description, ..
        } => {
            if let Some(group) = observed.security_group.present_mut() {
                group.ingress.push(nfs_rule(source, description));
            }
        }
        Step::RevokeIngress {
            source, description, ..
        } => {
            if let Some(group) = observed.security_group.present_mut() {
                let gone = nfs_rule(source, description);
                group.ingress.retain(|rule| *rule != gone);
            }
        }
        Step::CreateFileSystem { .. }
        | Step::UpdateThroughput { .. }
        | Step::PutLifecycle { .. }
        | Step::PutBackups { .. }
        | Step::PutFileSystemPolicy { .. }
        | Step::DeleteFileSystemPolicy { .. } => file_system(observed, step, done),
        Step::CreateMountTarget { .. } | Step::SetMountTargetGroups { .. } => mount_target(observed, step, done),
        Step::CreateAccessPoint { .. } => {
            observed.access_point = match done {
                Done::AccessPoint(made) => Fact::Present(AccessPoint::clone(made)),
                _ => Fact::not_looked("elasticfilesystem:DescribeAccessPoints"),
            };
        }
        Step::PutRolePolicy { to, .. } => observed.role_policy = Fact::Present(to.clone()),
        Step::CreateLogGroup {
            name,
            retention_days,
            tags,
        } => {
            observed.log_group = Fact::Present(match done {
                Done::LogGroup(made) => made.clone(),
                _ => LogGroup {
                    name: name.clone(),
                    retention_days: Some(*retention_days),
                    tags: tags.clone(),
                },
            });
        }
        Step::PutRetention { to, .. } => {
            if let Some(group) = observed.log_group.present_mut() {
                group.retention_days = Some(*to);
            }
        }
        Step::RegisterTaskDefinition { definition, tags } => {
            let Done::TaskDefinition(arn) = done else { return };
            registered(observed, arn, tags, Some(TaskDefinition::clone(definition)), None);
        }
        Step::RegisterRevision { definition, tags, .. } => {
            let Done::TaskDefinition(arn) = done else { return };
            registered(observed, arn, tags, None, Some(definition.clone()));
        }
        Step::CreateService { .. }
        | Step::UpdateService { .. }
        | Step::StartService { .. }
        | Step::SetDesired { .. }
        | Step::ClearStarting { .. } => service(observed, step, done),
        Step::Tag {
            resource, set, remove, ..
        } => tag(observed, *resource, set, remove),
        Step::StopService { .. }
        | Step::DeleteService { .. }
        | Step::DeleteAccessPoint { .. }
        | Step::DeleteMountTarget { .. }
        | Step::DeleteFileSystem { .. }
        | Step::DeleteRolePolicy { .. }
        | Step::DeleteSecurityGroup { .. }
        | Step::DeregisterTaskDefinition { .. } => deletion(observed, step),
        Step::ChangeServer { change, .. } => server(observed, change),
    }
}

/// A save goes on until a look finds it ended.
fn server(observed: &mut Observed, change: &ServerChange) {
    match change {
        ServerChange::Save => {
            if let Some(info) = observed.valkey.present_mut() {
                (info.saving, info.saving_for_s) = (true, Some(0));
            }
        }
        ServerChange::Password => observed.former_login = false,
        ServerChange::Set { name, to, .. } => {
            if let Some(settings) = observed.server_settings.present_mut() {
                settings.insert(name.clone(), to.clone());
            }
            if let Some(info) = observed.valkey.present_mut().filter(|_| name == SETTING_APPEND_ONLY) {
                info.append_only = (to == "yes").then_some(AppendOnly {
                    rewriting: true,
                    last_rewrite_ok: true,
                    last_write_ok: true,
                });
            }
        }
    }
}

/// What takes its time to go is going from now on, until a look finds it gone.
fn deletion(observed: &mut Observed, step: &Step) {
    match step {
        Step::StopService { .. } => {
            if let Some(found) = observed.service.present_mut() {
                found.desired = 0;
                found.tags.insert(TAG_STARTING.to_owned(), "true".to_owned());
            }
        }
        Step::DeleteService { .. } => {
            if let Some(found) = observed.service.present_mut() {
                found.status = ServiceStatus::Draining;
            }
        }
        Step::DeleteAccessPoint { id, .. } => {
            let others = observed.other_access_points.present_mut().into_iter().flatten();
            for point in observed.access_point.present_mut().into_iter().chain(others) {
                if point.id == *id {
                    point.state = LifeCycle::Deleting;
                }
            }
        }
        Step::DeleteMountTarget { id, .. } => {
            for target in observed.mount_targets.present_mut().into_iter().flatten() {
                if target.id == *id {
                    target.state = LifeCycle::Deleting;
                }
            }
        }
        Step::DeleteFileSystem { .. } => {
            if let Some(found) = observed.file_system.present_mut() {
                found.state = LifeCycle::Deleting;
            }
        }
        Step::DeleteRolePolicy { .. } => observed.role_policy = Fact::Absent,
        Step::DeleteSecurityGroup { .. } => observed.security_group = Fact::Absent,
        Step::DeregisterTaskDefinition { arn, .. } => {
            if let Some(family) = observed.family.present_mut() {
                family.retain(|found| found.arn != *arn);
            }
        }
        _ => {}
    }
}

/// What AWS would answer, with `(known after …)` where it decides. Everything is there and usable at once.
pub fn imagine(step: &Step) -> Done {
    match step {
        Step::CreateSecurityGroup { .. } => Done::SecurityGroup(SecurityGroupId::known_after("CreateSecurityGroup")),
        Step::CreateFileSystem {
            encrypted,
            kms_key,
            performance,
            throughput,
            tags,
            ..
        } => Done::FileSystem(Box::new(FileSystem {
            id: FileSystemId::known_after("CreateFileSystem"),
            arn: "(known after CreateFileSystem)".to_owned(),
            state: LifeCycle::Available,
            encrypted: *encrypted,
            kms_key: kms_key.clone(),
            performance: *performance,
            throughput: *throughput,
            tags: tags.clone(),
            desired_kms_key: kms_key.clone(),
            one_zone: None,
            is_replica: false,
        })),
        Step::CreateMountTarget {
            subnet,
            zone_id,
            groups,
            ..
        } => Done::MountTarget(Box::new(MountTarget {
            id: MountTargetId::known_after("CreateMountTarget"),
            subnet: subnet.clone(),
            zone_id: zone_id.clone(),
            vpc: None,
            state: LifeCycle::Available,
            ip: None,
            interface: Some(NetworkInterfaceId::known_after("CreateMountTarget")),
            groups: Fact::Present(groups.clone()),
            attached_at: Some(Timestamp::UNIX_EPOCH),
        })),
        Step::CreateAccessPoint {
            file_system,
            path,
            uid,
            gid,
            permissions,
            tags,
            ..
        } => Done::AccessPoint(Box::new(AccessPoint {
            id: AccessPointId::known_after("CreateAccessPoint"),
            arn: "(known after CreateAccessPoint)".to_owned(),
            file_system: file_system.clone(),
            state: LifeCycle::Available,
            path: path.clone(),
            uid: Some(*uid),
            gid: Some(*gid),
            permissions: Some(permissions.clone()),
            owner_uid: Some(*uid),
            owner_gid: Some(*gid),
            tags: tags.clone(),
        })),
        Step::RegisterTaskDefinition { .. } | Step::RegisterRevision { .. } => {
            Done::TaskDefinition("(known after RegisterTaskDefinition)".to_owned())
        }
        Step::CreateService {
            task_definition,
            settings,
            tags,
            ..
        } => Done::Service(Box::new(Service {
            arn: "(known after CreateService)".to_owned(),
            status: ServiceStatus::Active,
            task_definition: task_definition.clone(),
            desired: 0,
            running: 0,
            pending: 0,
            tags: tags.clone(),
            settings: settings.clone(),
            kind: ServiceKind::default(),
            deployments: vec![deployment(task_definition, Rollout::Completed)],
            events: Vec::new(),
        })),
        Step::CreateLogGroup {
            name,
            retention_days,
            tags,
        } => Done::LogGroup(LogGroup {
            name: name.clone(),
            retention_days: Some(*retention_days),
            tags: tags.clone(),
        }),
        Step::AuthorizeIngress { .. }
        | Step::RevokeIngress { .. }
        | Step::UpdateThroughput { .. }
        | Step::PutLifecycle { .. }
        | Step::PutBackups { .. }
        | Step::PutFileSystemPolicy { .. }
        | Step::DeleteFileSystemPolicy { .. }
        | Step::SetMountTargetGroups { .. }
        | Step::PutRolePolicy { .. }
        | Step::PutRetention { .. }
        | Step::UpdateService { .. }
        | Step::StartService { .. }
        | Step::SetDesired { .. }
        | Step::ClearStarting { .. }
        | Step::StopService { .. }
        | Step::DeleteService { .. }
        | Step::DeleteAccessPoint { .. }
        | Step::DeleteMountTarget { .. }
        | Step::DeleteFileSystem { .. }
        | Step::DeleteRolePolicy { .. }
        | Step::DeleteSecurityGroup { .. }
        | Step::DeregisterTaskDefinition { .. }
        | Step::ChangeServer { .. }
        | Step::Tag { .. } => Done::Changed,
    }
}

fn nfs_rule(source: &SecurityGroupId, description: &str) -> IngressRule {
    IngressRule {
        protocol: "tcp".to_owned(),
        from_port: Some(2049),
        to_port: Some(2049),
        source: source.to_string(),
        description: Some(description.to_owned()),
    }
}

fn deployment(task_definition: &str, rollout: Rollout) -> Deployment {
    Deployment {
        id: "(new)".to_owned(),
        primary: true,
        task_definition: task_definition.to_owned(),
        rollout,
        reason: None,
        failed_tasks: 0,
        running: 0,
        updated_at: None,
        created_at: None,
    }
}

fn file_system(observed: &mut Observed, step: &Step, done: &Done) {
    if let Step::CreateFileSystem { backups, .. } = step {
        let Done::FileSystem(made) = done else {
            observed.file_system = Fact::not_looked("elasticfilesystem:DescribeFileSystems");
            return;
        };
        // It is new, so nothing hangs on it yet. One that was found under the token instead is not told of in this way.
        observed.file_system = Fact::Present((**made).clone());
        observed.lifecycle = Fact::Present(None);
        observed.backups = Fact::Present(*backups);
        observed.file_system_policy = Fact::Absent;
        observed.mount_targets = Fact::Present(Vec::new());
        observed.access_point = Fact::Absent;
        observed.other_access_points = Fact::Absent;
        return;
    }
    match step {
        Step::PutLifecycle { to, .. } => observed.lifecycle = Fact::Present(to.clone()),
        Step::PutBackups { to, .. } => observed.backups = Fact::Present(*to),
        Step::PutFileSystemPolicy { to, .. } => observed.file_system_policy = Fact::Present(to.clone()),
        Step::DeleteFileSystemPolicy { .. } => observed.file_system_policy = Fact::Absent,
        _ => {}
    }
    let Some(found) = observed.file_system.present_mut() else {
        return;
    };
    match step {
        Step::UpdateThroughput { to, changed_at, .. } => {
            found.throughput = *to;
            if let Some(at) = changed_at {
                found.tags.insert(TAG_THROUGHPUT_CHANGED.to_owned(), at.to_string());
            }
        }
        Step::PutFileSystemPolicy { .. } => {
            found.tags.insert(TAG_POLICY.to_owned(), "managed".to_owned());
        }
        Step::DeleteFileSystemPolicy { .. } => {
            found.tags.remove(TAG_POLICY);
        }
        _ => {}
    }
    if let Done::Pending(state) = done {
        found.state = *state;
    }
}

fn mount_target(observed: &mut Observed, step: &Step, done: &Done) {
    if observed.mount_targets.is_absent() {
        observed.mount_targets = Fact::Present(Vec::new());
    }
    match (step, done, observed.mount_targets.present_mut()) {
        (Step::CreateMountTarget { .. }, Done::MountTarget(made), Some(targets)) => {
            // Two calls for one zone may answer with the same target.
            targets.retain(|target| !made.id.is_known() || target.id != made.id);
            targets.push(MountTarget::clone(made));
        }
        (Step::CreateMountTarget { .. }, _, _) => {
            observed.mount_targets = Fact::not_looked("elasticfilesystem:DescribeMountTargets");
        }
        (Step::SetMountTargetGroups { id, to, .. }, _, Some(targets)) => {
            for target in targets.iter_mut().filter(|target| target.id == *id) {
                target.groups = Fact::Present(to.clone());
            }
        }
        _ => {}
    }
}

fn service(observed: &mut Observed, step: &Step, done: &Done) {
    if let Step::CreateService { .. } = step {
        match done {
            Done::Service(made) => {
                observed.cluster = Fact::Present(());
                observed.running_definition = definition(observed, &made.task_definition);
                observed.service = Fact::Present(Service::clone(made));
                observed.tasks = Fact::Present(Vec::new());
            }
            _ => observed.service = Fact::not_looked("ecs:DescribeServices"),
        }
        return;
    }
    if let Step::UpdateService {
        from_definition,
        to_definition,
        ..
    } = step
        && from_definition != to_definition
    {
        observed.running_definition = definition(observed, to_definition);
    }
    let Some(found) = observed.service.present_mut() else {
        return;
    };
    match step {
        Step::UpdateService {
            from,
            to,
            from_definition,
            to_definition,
            force,
            ..
        } => {
            if *force || from_definition != to_definition || starts_a_deployment(from, to) {
                for older in &mut found.deployments {
                    older.primary = false;
                }
                found
                    .deployments
                    .insert(0, deployment(to_definition, Rollout::InProgress));
            }
            found.settings = (**to).clone();
            found.task_definition.clone_from(to_definition);
        }
        Step::StartService { .. } => {
            found.desired = 1;
            found.tags.remove(TAG_STARTING);
            for primary in found.deployments.iter_mut().filter(|deployment| deployment.primary) {
                primary.rollout = Rollout::InProgress;
            }
        }
        Step::SetDesired { to, .. } => found.desired = *to,
        Step::ClearStarting { .. } => {
            found.tags.remove(TAG_STARTING);
        }
        _ => {}
    }
}

fn starts_a_deployment(from: &ServiceSettings, to: &ServiceSettings) -> bool {
    (&from.subnets, &from.groups, from.assign_public_ip, &from.registry_arn)
        != (&to.subnets, &to.groups, to.assign_public_ip, &to.registry_arn)
}

fn registered(
    observed: &mut Observed,
    arn: &str,
    tags: &Tags,
    definition: Option<TaskDefinition>,
    raw: Option<Box<RawDefinition>>,
) {
    let made = ObservedDefinition {
        arn: arn.to_owned(),
        active: true,
        tags: tags.clone(),
        definition,
        raw,
    };
    match observed.family.present_mut() {
        Some(family) => family.insert(0, made),
        None => observed.family = Fact::Present(vec![made]),
    }
}

/// The content behind an ARN: a revision of the family, or the base that an overlay goes back to.
fn definition(observed: &Observed, arn: &str) -> Fact<ObservedDefinition> {
    observed
        .family
        .present()
        .into_iter()
        .flatten()
        .chain(observed.base.present())
        .find(|found| found.arn == arn)
        .map_or_else(
            || Fact::not_looked("ecs:DescribeTaskDefinition"),
            |found| Fact::Present(found.clone()),
        )
}

fn tag(observed: &mut Observed, resource: Resource, set: &Tags, remove: &[String]) {
    let tags = match resource {
        Resource::SecurityGroup => observed.security_group.present_mut().map(|found| &mut found.tags),
        Resource::FileSystem => observed.file_system.present_mut().map(|found| &mut found.tags),
        Resource::AccessPoint => observed.access_point.present_mut().map(|found| &mut found.tags),
        Resource::LogGroup => observed.log_group.present_mut().map(|found| &mut found.tags),
        Resource::Service => observed.service.present_mut().map(|found| &mut found.tags),
        Resource::TaskDefinition => observed.running_definition.present_mut().map(|found| &mut found.tags),
        Resource::Document
        | Resource::Network
        | Resource::MountTarget
        | Resource::Role
        | Resource::RolePolicy
        | Resource::Cluster
        | Resource::Task
        | Resource::Valkey => None,
    };
    if let Some(tags) = tags {
        tags.extend(set.clone());
        for key in remove {
            tags.remove(key);
        }
    }
}
