//! The file system and everything that hangs on it.

use super::{PAGES_MAX, ec2};
use crate::clients::Inner;
use crate::convert::{doubt, fact, id, some, tags, unexpected};
use crate::error::Named;
use aws_sdk_efs::types::{
    AccessPointDescription, BackupPolicy, FileSystemDescription, LifeCycleState, MountTargetDescription,
    PerformanceMode as SdkMode, Status, Tag, ThroughputMode,
};
use serde_json::Value;
use valkeep_core::desired::{PerformanceMode, Throughput};
use valkeep_core::failure::Failure;
use valkeep_core::identity::TAG_POLICY;
use valkeep_core::ids::{AccessPointId, FileSystemId, MountTargetId, NetworkInterfaceId, SecurityGroupId, SubnetId};
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
    pub(super) other_access_points: Fact<Vec<AccessPoint>>,
}

pub(super) async fn storage(aws: &Inner, desired: &Desired) -> Storage {
    let file_system = fact(find_file_system(aws, desired, &desired.names.creation_token).await);
    let Some(found) = file_system.present() else {
        return Storage {
            file_system,
            lifecycle: Fact::not_looked("elasticfilesystem:DescribeLifecycleConfiguration"),
            backups: Fact::not_looked("elasticfilesystem:DescribeBackupPolicy"),
            policy: Fact::not_looked("elasticfilesystem:DescribeFileSystemPolicy"),
            mount_targets: Fact::not_looked("elasticfilesystem:DescribeMountTargets"),
            access_point: Fact::not_looked("elasticfilesystem:DescribeAccessPoints"),
            other_access_points: Fact::not_looked("elasticfilesystem:DescribeAccessPoints"),
        };
    };
    let (lifecycle, backups, policy, mount_targets, access_point) = tokio::join!(
        lifecycle(aws, &found.id),
        backups(aws, &found.id),
        policy(aws, desired, found),
        mount_targets(aws, &found.id),
        access_points(aws, desired, &found.id),
    );
    let (access_point, other_access_points) = access_point;
    Storage {
        lifecycle: fact(lifecycle.map(Some)),
        backups: fact(backups.map(Some)),
        policy,
        mount_targets: fact(mount_targets.map(Some)),
        access_point,
        other_access_points,
        file_system,
    }
}

/// The file system with this creation token; at most one exists in an account and region.
pub(crate) async fn find_file_system(
    aws: &Inner,
    desired: &Desired,
    token: &str,
) -> Result<Option<FileSystem>, Failure> {
    const CALL: &str = "elasticfilesystem:DescribeFileSystems";
    let answer = aws
        .efs
        .describe_file_systems()
        .creation_token(token)
        .send()
        .await
        .named(CALL);
    let answer = match answer {
        Err(failure) if failure.code == "FileSystemNotFound" => return Ok(None),
        answer => answer?,
    };
    let Some(found) = answer.file_systems().first() else {
        return Ok(None);
    };
    let found = file_system(CALL, desired, found)?;
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

async fn lifecycle(aws: &Inner, id: &FileSystemId) -> Result<Option<String>, Failure> {
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

async fn backups(aws: &Inner, id: &FileSystemId) -> Result<bool, Failure> {
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

/// Looked at only where the document asks for one or the tag says that we put one.
async fn policy(aws: &Inner, desired: &Desired, found: &FileSystem) -> Fact<Value> {
    const CALL: &str = "elasticfilesystem:DescribeFileSystemPolicy";
    if !desired.file_system.enforce_tls_and_iam && !found.tags.contains_key(TAG_POLICY) {
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

/// All mount targets with the groups of their interfaces.
async fn mount_targets(aws: &Inner, id: &FileSystemId) -> Result<Vec<MountTarget>, Failure> {
    let mut targets = list_mount_targets(aws, id).await?;
    add_interfaces(aws, &mut targets).await;
    Ok(targets)
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
        state: life_cycle(call, found.life_cycle_state())?,
        ip: found.ip_address().and_then(|ip| ip.parse().ok()),
        interface,
        groups: Fact::not_looked("ec2:DescribeNetworkInterfaces"),
        attached_at: None,
    })
}

async fn add_interfaces(aws: &Inner, targets: &mut [MountTarget]) {
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
                target.attached_at = interface.as_ref().and_then(|interface| interface.attached_at);
                target.groups = match interface {
                    Some(interface) if !interface.groups.is_empty() => Fact::Present(interface.groups),
                    // EC2 is eventually consistent; EFS knows its own target.
                    _ => fact(groups_by_efs(aws, &target.id).await.map(Some)),
                };
            }
        }
    }
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

/// Our access point, and where everything is to go every other one.
async fn access_points(
    aws: &Inner,
    desired: &Desired,
    file_system: &FileSystemId,
) -> (Fact<AccessPoint>, Fact<Vec<AccessPoint>>) {
    const CALL: &str = "elasticfilesystem:DescribeAccessPoints";
    if desired.deletion.is_none() {
        let found = find_access_point(aws, desired, file_system).await;
        return (fact(found), Fact::not_looked(CALL));
    }
    match list_access_points(aws, desired, file_system, Which::All).await {
        Ok(points) => {
            let (ours, others): (Vec<Candidate>, Vec<Candidate>) =
                points.into_iter().partition(|one| one.has_token || one.has_tag);
            let mut ours = ours.into_iter().map(|one| one.point);
            let first = ours.next();
            let others = ours.chain(others.into_iter().map(|one| one.point)).collect();
            (fact(Ok(first)), Fact::Present(others))
        }
        Err(failure) => {
            let doubt = doubt(failure);
            (Fact::Unknown(doubt.clone()), Fact::Unknown(doubt))
        }
    }
}

/// Our access point of this file system: the one with our token, or else one with our owner tag.
pub(crate) async fn find_access_point(
    aws: &Inner,
    desired: &Desired,
    file_system: &FileSystemId,
) -> Result<Option<AccessPoint>, Failure> {
    let ours = list_access_points(aws, desired, file_system, Which::Ours).await?;
    Ok(ours.into_iter().next().map(|one| one.point))
}

/// Which access points are listed.
#[derive(Clone, Copy, PartialEq)]
enum Which {
    /// Those with our token or our tag.
    Ours,
    All,
}

struct Candidate {
    has_token: bool,
    has_tag: bool,
    point: AccessPoint,
}

/// Access points of a file system, the one that counts as ours first.
async fn list_access_points(
    aws: &Inner,
    desired: &Desired,
    file_system: &FileSystemId,
    which: Which,
) -> Result<Vec<Candidate>, Failure> {
    const CALL: &str = "elasticfilesystem:DescribeAccessPoints";
    let token = desired.identity.access_point_token(file_system.as_str());
    let mut listed: Vec<Candidate> = Vec::new();
    let mut page: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let answer = aws
            .efs
            .describe_access_points()
            .file_system_id(file_system.as_str())
            .max_results(100)
            .set_next_token(page)
            .send()
            .await
            .named(CALL)?;
        for found in answer.access_points() {
            let has_token = found.client_token() == Some(&token);
            let has_tag = desired.identity.owns(&efs_tags(found.tags()));
            if has_token || has_tag || which == Which::All {
                let point = access_point(CALL, desired, found)?;
                if point.state != LifeCycle::Deleted {
                    listed.push(Candidate {
                        has_token,
                        has_tag,
                        point,
                    });
                }
            }
        }
        page = answer
            .next_token()
            .filter(|token| !token.is_empty())
            .map(ToOwned::to_owned);
        if page.is_none() {
            // One that goes away counts least; then the token decides, then the id, so that the choice never flips.
            listed.sort_by_key(|one| {
                (
                    one.point.state == LifeCycle::Deleting,
                    !one.has_token,
                    one.point.id.clone(),
                )
            });
            return Ok(listed);
        }
    }
    Err(unexpected(CALL, "the listing does not end"))
}

/// Reads a description.
pub(crate) fn access_point(
    call: &str,
    desired: &Desired,
    found: &AccessPointDescription,
) -> Result<AccessPoint, Failure> {
    let name = some(call, "access point id", found.access_point_id())?;
    let identity = &desired.identity;
    let arn = found.access_point_arn().map_or_else(
        || {
            format!(
                "arn:{}:elasticfilesystem:{}:{}:access-point/{name}",
                desired.partition, identity.region, identity.account
            )
        },
        ToOwned::to_owned,
    );
    // EFS takes 0 to 4294967295, so the model says `long`.
    let number = |value: i64| {
        u32::try_from(value).map_err(|_| unexpected(call, &format!("user or group {value} of access point {name}")))
    };
    let user = found.posix_user();
    let root = found.root_directory();
    let made = root.and_then(|root| root.creation_info());
    Ok(AccessPoint {
        id: id(call, AccessPointId::parse(name))?,
        arn,
        file_system: id(call, FileSystemId::parse(found.file_system_id().unwrap_or_default()))?,
        state: life_cycle(call, some(call, "state", found.life_cycle_state())?)?,
        path: root.and_then(|root| root.path()).unwrap_or("/").to_owned(),
        uid: user.map(|user| number(user.uid())).transpose()?,
        gid: user.map(|user| number(user.gid())).transpose()?,
        permissions: made.map(|made| made.permissions().to_owned()),
        owner_uid: made.map(|made| number(made.owner_uid())).transpose()?,
        owner_gid: made.map(|made| number(made.owner_gid())).transpose()?,
        tags: efs_tags(found.tags()),
    })
}
