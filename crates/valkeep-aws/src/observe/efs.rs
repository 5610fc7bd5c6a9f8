//! The file system and everything that hangs on it.

use super::access_points::{POINTS_CALL, access_points, describe_access_point};
use super::{PAGES_MAX, ec2};
use crate::clients::Inner;
use crate::convert::{doubt, fact, id, some, tags, unexpected};
use crate::error::Named;
use aws_sdk_efs::operation::describe_file_systems::builders::DescribeFileSystemsFluentBuilder;
use aws_sdk_efs::types::{
    BackupPolicy, FileSystemDescription, LifeCycleState, MountTargetDescription, PerformanceMode as SdkMode,
    ReplicationOverwriteProtection, Status, Tag, ThroughputMode,
};
use serde_json::Value;
use std::collections::BTreeSet;
use valkeep_core::desired::{FileSystemField, PerformanceMode, Throughput};
use valkeep_core::failure::Failure;
use valkeep_core::identity::TAG_POLICY;
use valkeep_core::ids::{FileSystemId, MountTargetId, NetworkInterfaceId, SecurityGroupId, SubnetId, VpcId};
use valkeep_core::observed::{AccessPoint, FileSystem, LifeCycle, MountTarget};
use valkeep_core::{Desired, Fact, Tags};

/// What was seen of storage.
pub(super) struct Storage {
    pub(super) file_system: Fact<FileSystem>,
    pub(super) lifecycle: Fact<Option<String>>,
    pub(super) backups: Fact<bool>,
    pub(super) policy: Fact<Value>,
    pub(super) mount_targets: Fact<Vec<MountTarget>>,
    pub(super) access_point: Fact<AccessPoint>,
    /// All access points of the file system.
    pub(super) access_points: Fact<Vec<AccessPoint>>,
    /// Names of the groups on the mount targets.
    pub(super) group_names: BTreeSet<String>,
}

impl Storage {
    fn nothing(file_system: Fact<FileSystem>, access_point: Fact<AccessPoint>) -> Self {
        Self {
            file_system,
            lifecycle: Fact::not_looked("elasticfilesystem:DescribeLifecycleConfiguration"),
            backups: Fact::not_looked("elasticfilesystem:DescribeBackupPolicy"),
            policy: Fact::not_looked("elasticfilesystem:DescribeFileSystemPolicy"),
            mount_targets: Fact::not_looked("elasticfilesystem:DescribeMountTargets"),
            access_point,
            access_points: Fact::not_looked(POINTS_CALL),
            group_names: BTreeSet::new(),
        }
    }
}

pub(super) async fn storage(aws: &Inner, desired: &Desired) -> Storage {
    let wanted = match wanted_file_system(aws, desired).await {
        Ok(Some(wanted)) => wanted,
        // Without its access point nobody knows which file system is meant.
        Ok(None) => return Storage::nothing(Fact::not_looked(FILE_SYSTEMS_CALL), Fact::Absent),
        Err(failure) => {
            let doubt = doubt(failure);
            return Storage::nothing(Fact::Unknown(doubt.clone()), Fact::Unknown(doubt));
        }
    };
    let file_system = fact(match &wanted {
        Wanted::Token(token) => find_file_system(aws, desired, token).await,
        Wanted::Id(id) => describe_file_system(aws, desired, id).await,
    });
    let Some(found) = file_system.present() else {
        return Storage::nothing(file_system, Fact::not_looked(POINTS_CALL));
    };
    let (lifecycle, backups, policy, mount_targets, points) = tokio::join!(
        lifecycle(aws, desired, &found.id),
        backups(aws, desired, &found.id),
        policy(aws, desired, found),
        mount_targets(aws, &found.id),
        access_points(aws, desired, &found.id),
    );
    let (access_point, access_points) = match points {
        Ok((ours, all)) => (ours.map_or(Fact::Absent, Fact::Present), Fact::Present(all)),
        Err(failure) => {
            let doubt = doubt(failure);
            (Fact::Unknown(doubt.clone()), Fact::Unknown(doubt))
        }
    };
    let (mount_targets, group_names) = match mount_targets {
        Ok((targets, names)) => (Fact::Present(targets), names),
        Err(failure) => (Fact::Unknown(doubt(failure)), BTreeSet::new()),
    };
    Storage {
        file_system,
        lifecycle,
        backups,
        policy,
        mount_targets,
        access_point,
        access_points,
        group_names,
    }
}

/// How the file system is found.
enum Wanted {
    /// By the token that valkeep makes it with.
    Token(String),
    /// By its id, because it is taken.
    Id(FileSystemId),
}

/// None when the access point that would tell is not there.
async fn wanted_file_system(aws: &Inner, desired: &Desired) -> Result<Option<Wanted>, Failure> {
    if let Some(id) = &desired.file_system.taken {
        return Ok(Some(Wanted::Id(id.clone())));
    }
    let Some(point) = &desired.access_point.taken else {
        return Ok(Some(Wanted::Token(desired.names.creation_token.clone())));
    };
    if let Some(id) = aws.cache.access_points.get(point) {
        return Ok(Some(Wanted::Id(id)));
    }
    let Some(found) = describe_access_point(aws, desired, point).await? else {
        return Ok(None);
    };
    aws.cache.access_points.put(point.clone(), found.file_system.clone());
    Ok(Some(Wanted::Id(found.file_system)))
}

const FILE_SYSTEMS_CALL: &str = "elasticfilesystem:DescribeFileSystems";

/// The file system with this creation token; at most one exists in an account and region.
pub(crate) async fn find_file_system(
    aws: &Inner,
    desired: &Desired,
    token: &str,
) -> Result<Option<FileSystem>, Failure> {
    let request = aws.efs.describe_file_systems().creation_token(token);
    only_file_system(desired, request).await
}

/// The file system with this id.
async fn describe_file_system(
    aws: &Inner,
    desired: &Desired,
    id: &FileSystemId,
) -> Result<Option<FileSystem>, Failure> {
    let request = aws.efs.describe_file_systems().file_system_id(id.as_str());
    only_file_system(desired, request).await
}

async fn only_file_system(
    desired: &Desired,
    request: DescribeFileSystemsFluentBuilder,
) -> Result<Option<FileSystem>, Failure> {
    let answer = match request.send().await.named(FILE_SYSTEMS_CALL) {
        Err(failure) if failure.code == "FileSystemNotFound" => return Ok(None),
        answer => answer?,
    };
    let Some(found) = answer.file_systems().first() else {
        return Ok(None);
    };
    let found = file_system(FILE_SYSTEMS_CALL, desired, found)?;
    Ok((found.state != LifeCycle::Deleted).then_some(found))
}

/// Reads a description.
pub(crate) fn file_system(call: &str, desired: &Desired, found: &FileSystemDescription) -> Result<FileSystem, Failure> {
    let performance = match found.performance_mode() {
        SdkMode::GeneralPurpose => PerformanceMode::GeneralPurpose,
        SdkMode::MaxIo => PerformanceMode::MaxIo,
        other => return Err(unexpected(call, &format!("performance mode `{}`", other.as_str()))),
    };
    let throughput = match found.throughput_mode() {
        None | Some(ThroughputMode::Bursting) => Throughput::Bursting,
        Some(ThroughputMode::Elastic) => Throughput::Elastic,
        Some(ThroughputMode::Provisioned) => Throughput::Provisioned(some(
            call,
            "provisioned throughput",
            found.provisioned_throughput_in_mibps(),
        )?),
        Some(other) => return Err(unexpected(call, &format!("throughput mode `{}`", other.as_str()))),
    };
    let identity = &desired.identity;
    let arn = found.file_system_arn().map_or_else(
        || {
            format!(
                "arn:{}:elasticfilesystem:{}:{}:file-system/{}",
                desired.partition, identity.region, identity.account, found.file_system_id
            )
        },
        ToOwned::to_owned,
    );
    Ok(FileSystem {
        id: id(call, FileSystemId::parse(found.file_system_id()))?,
        arn,
        state: life_cycle(call, found.life_cycle_state())?,
        encrypted: found.encrypted().unwrap_or(false),
        kms_key: found.kms_key_id().map(ToOwned::to_owned),
        performance,
        throughput,
        tags: efs_tags(found.tags()),
        desired_kms_key: desired_kms_key(desired),
        one_zone: found.availability_zone_name().map(ToOwned::to_owned),
        is_replica: found
            .file_system_protection()
            .and_then(|protection| protection.replication_overwrite_protection())
            == Some(&ReplicationOverwriteProtection::Replicating),
    })
}

/// The document's key as EFS describes it. An alias would take a call to KMS, and valkeep makes none: the comparison is
/// then left out, and the key is checked by EFS itself when the file system is made.
fn desired_kms_key(desired: &Desired) -> Option<String> {
    let key = desired.file_system.kms_key.as_deref()?;
    if key.starts_with("arn:") {
        return key.contains(":key/").then(|| key.to_owned());
    }
    if key.starts_with("alias/") {
        return None;
    }
    let identity = &desired.identity;
    Some(format!(
        "arn:{}:kms:{}:{}:key/{key}",
        desired.partition, identity.region, identity.account
    ))
}

pub(crate) fn efs_tags(found: &[Tag]) -> Tags {
    tags(found.iter().map(|tag| (Some(tag.key()), Some(tag.value()))))
}

pub(crate) fn life_cycle(call: &str, state: &LifeCycleState) -> Result<LifeCycle, Failure> {
    match state {
        LifeCycleState::Creating => Ok(LifeCycle::Creating),
        LifeCycleState::Available => Ok(LifeCycle::Available),
        LifeCycleState::Updating => Ok(LifeCycle::Updating),
        LifeCycleState::Deleting => Ok(LifeCycle::Deleting),
        LifeCycleState::Deleted => Ok(LifeCycle::Deleted),
        LifeCycleState::Error => Ok(LifeCycle::Error),
        other => Err(unexpected(call, &format!("state `{}`", other.as_str()))),
    }
}

/// Looked at only where the document has a say in it, as the backups are.
async fn lifecycle(aws: &Inner, desired: &Desired, id: &FileSystemId) -> Fact<Option<String>> {
    if !desired.asks_for(FileSystemField::TransitionToIa) {
        return Fact::not_looked("elasticfilesystem:DescribeLifecycleConfiguration");
    }
    fact(get_lifecycle(aws, id).await.map(Some))
}

async fn get_lifecycle(aws: &Inner, id: &FileSystemId) -> Result<Option<String>, Failure> {
    const CALL: &str = "elasticfilesystem:DescribeLifecycleConfiguration";
    let answer = aws
        .efs
        .describe_lifecycle_configuration()
        .file_system_id(id.as_str())
        .send()
        .await
        .named(CALL)?;
    Ok(answer
        .lifecycle_policies()
        .iter()
        .find_map(|policy| policy.transition_to_ia())
        .map(|rule| rule.as_str().to_owned()))
}

async fn backups(aws: &Inner, desired: &Desired, id: &FileSystemId) -> Fact<bool> {
    if !desired.asks_for(FileSystemField::AutomaticBackups) {
        return Fact::not_looked("elasticfilesystem:DescribeBackupPolicy");
    }
    fact(get_backups(aws, id).await.map(Some))
}

async fn get_backups(aws: &Inner, id: &FileSystemId) -> Result<bool, Failure> {
    const CALL: &str = "elasticfilesystem:DescribeBackupPolicy";
    let answer = aws
        .efs
        .describe_backup_policy()
        .file_system_id(id.as_str())
        .send()
        .await
        .named(CALL);
    let answer = match answer {
        Err(failure) if failure.code == "PolicyNotFound" => return Ok(false),
        answer => answer?,
    };
    let status = answer.backup_policy().map(BackupPolicy::status);
    Ok(matches!(status, Some(Status::Enabled | Status::Enabling)))
}

/// Looked at only where the document asks for one, the tag says that we put one, or the file system is taken and a policy of
/// others may keep us out.
async fn policy(aws: &Inner, desired: &Desired, found: &FileSystem) -> Fact<Value> {
    const CALL: &str = "elasticfilesystem:DescribeFileSystemPolicy";
    let may_be_foreign = desired.takes_file_system() && !desired.identity.owns(&found.tags);
    if !desired.file_system.enforce_tls_and_iam && !found.tags.contains_key(TAG_POLICY) && !may_be_foreign {
        return Fact::not_looked(CALL);
    }
    let answer = aws
        .efs
        .describe_file_system_policy()
        .file_system_id(found.id.as_str())
        .send()
        .await
        .named(CALL);
    fact(match answer {
        Err(failure) if failure.code == "PolicyNotFound" => Ok(None),
        Err(failure) => Err(failure),
        Ok(answer) => serde_json::from_str(answer.policy().unwrap_or_default())
            .map(Some)
            .map_err(|error| unexpected(CALL, &format!("the policy is not JSON: {error}"))),
    })
}

/// All mount targets with the groups of their interfaces, and the names of these groups.
async fn mount_targets(aws: &Inner, id: &FileSystemId) -> Result<(Vec<MountTarget>, BTreeSet<String>), Failure> {
    let mut targets = list_mount_targets(aws, id).await?;
    let names = add_interfaces(aws, &mut targets).await;
    Ok((targets, names))
}

/// All mount targets, in order of their zones, without their interfaces' groups.
pub(crate) async fn list_mount_targets(aws: &Inner, id: &FileSystemId) -> Result<Vec<MountTarget>, Failure> {
    const CALL: &str = "elasticfilesystem:DescribeMountTargets";
    let mut targets = Vec::new();
    let mut page: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let answer = aws
            .efs
            .describe_mount_targets()
            .file_system_id(id.as_str())
            // One page holds a target for every zone of every region.
            .max_items(100)
            .set_marker(page)
            .send()
            .await
            .named(CALL)?;
        for target in answer.mount_targets() {
            let target = mount_target(aws, CALL, target)?;
            if target.state != LifeCycle::Deleted {
                targets.push(target);
            }
        }
        page = answer
            .next_marker()
            .filter(|marker| !marker.is_empty())
            .map(ToOwned::to_owned);
        if page.is_none() {
            targets.sort_by(|one, two| (&one.zone_id, &one.id).cmp(&(&two.zone_id, &two.id)));
            return Ok(targets);
        }
    }
    Err(unexpected(CALL, "the listing does not end"))
}

/// Reads a description; groups and attach time are the interface's and come later.
pub(crate) fn mount_target(aws: &Inner, call: &str, found: &MountTargetDescription) -> Result<MountTarget, Failure> {
    let subnet = id(call, SubnetId::parse(found.subnet_id()))?;
    let zone_id = match found.availability_zone_id() {
        Some(zone_id) => zone_id.to_owned(),
        None => aws
            .cache
            .subnets
            .get(&subnet)
            .map(|subnet| subnet.zone_id)
            .ok_or_else(|| unexpected(call, &format!("no zone for mount target {}", found.mount_target_id())))?,
    };
    let interface = match found.network_interface_id() {
        Some(name) => Some(id(call, NetworkInterfaceId::parse(name))?),
        None => None,
    };
    Ok(MountTarget {
        id: id(call, MountTargetId::parse(found.mount_target_id()))?,
        subnet,
        zone_id,
        vpc: match found.vpc_id() {
            Some(vpc) => Some(self::id(call, VpcId::parse(vpc))?),
            None => None,
        },
        state: life_cycle(call, found.life_cycle_state())?,
        ip: found.ip_address().and_then(|ip| ip.parse().ok()),
        interface,
        groups: Fact::not_looked("ec2:DescribeNetworkInterfaces"),
        attached_at: None,
    })
}

async fn add_interfaces(aws: &Inner, targets: &mut [MountTarget]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let wanted: Vec<NetworkInterfaceId> = targets.iter().filter_map(|target| target.interface.clone()).collect();
    match ec2::interfaces(aws, &wanted).await {
        Err(failure) => {
            let doubt = doubt(failure);
            for target in targets {
                target.groups = Fact::Unknown(doubt.clone());
            }
        }
        Ok(mut found) => {
            for target in targets {
                let interface = target.interface.as_ref().and_then(|id| found.remove(id));
                names.extend(interface.iter().flat_map(|interface| interface.names.iter().cloned()));
                target.attached_at = interface.as_ref().and_then(|interface| interface.attached_at);
                target.groups = match interface {
                    Some(interface) if !interface.groups.is_empty() => Fact::Present(interface.groups),
                    // EC2 is eventually consistent; EFS knows its own target.
                    _ => fact(groups_by_efs(aws, &target.id).await.map(Some)),
                };
            }
        }
    }
    names
}

async fn groups_by_efs(aws: &Inner, target: &MountTargetId) -> Result<Vec<SecurityGroupId>, Failure> {
    const CALL: &str = "elasticfilesystem:DescribeMountTargetSecurityGroups";
    let answer = aws
        .efs
        .describe_mount_target_security_groups()
        .mount_target_id(target.as_str())
        .send()
        .await
        .named(CALL)?;
    let mut groups = Vec::new();
    for group in answer.security_groups() {
        groups.push(id(CALL, SecurityGroupId::parse(group))?);
    }
    groups.sort();
    Ok(groups)
}
