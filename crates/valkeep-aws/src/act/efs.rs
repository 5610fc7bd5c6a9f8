//! The file system and everything that hangs on it.

use crate::clients::Inner;
use crate::convert::{gone_or_done, not_now, not_ours, unexpected};
use crate::error::Named;
use crate::observe::access_points::{access_point, find_access_point};
use crate::observe::efs::{efs_tags, file_system, find_file_system, life_cycle, list_mount_targets, mount_target};
use aws_sdk_efs::error::BuildError;
use aws_sdk_efs::operation::create_access_point::builders::CreateAccessPointFluentBuilder;
use aws_sdk_efs::operation::create_file_system::builders::CreateFileSystemFluentBuilder;
use aws_sdk_efs::types::{
    AccessPointDescription, BackupPolicy, CreationInfo, FileSystemDescription, LifecyclePolicy, MountTargetDescription,
    PerformanceMode as SdkMode, PosixUser, RootDirectory, Status, Tag, ThroughputMode, TransitionToIaRules,
};
use serde_json::Value;
use valkeep_core::desired::{PerformanceMode, Throughput};
use valkeep_core::failure::FailureKind;
use valkeep_core::identity::{TAG_POLICY, TAG_THROUGHPUT_CHANGED};
use valkeep_core::ids::{AccessPointId, FileSystemId, MountTargetId, SecurityGroupId, SubnetId};
use valkeep_core::observed::LifeCycle;
use valkeep_core::{Desired, Done, Fact, Failure, Tags, Timestamp};

pub(super) fn performance(mode: PerformanceMode) -> SdkMode {
    match mode {
        PerformanceMode::GeneralPurpose => SdkMode::GeneralPurpose,
        PerformanceMode::MaxIo => SdkMode::MaxIo,
    }
}

pub(super) fn throughput(throughput: Throughput) -> ThroughputMode {
    match throughput {
        Throughput::Bursting => ThroughputMode::Bursting,
        Throughput::Elastic => ThroughputMode::Elastic,
        Throughput::Provisioned(_) => ThroughputMode::Provisioned,
    }
}

/// A request that lacks what its model requires; our own mistake.
fn incomplete(call: &str) -> impl Fn(BuildError) -> Failure {
    let call = call.to_owned();
    move |error| Failure {
        kind: FailureKind::Rejected,
        ..unexpected(&call, &error.to_string())
    }
}

fn pairs(call: &str, tags: &Tags) -> Result<Vec<Tag>, Failure> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build().map_err(incomplete(call)))
        .collect()
}

/// The token decides: the same token never makes a second file system.
pub(super) async fn create_file_system(
    aws: &Inner,
    desired: &Desired,
    request: CreateFileSystemFluentBuilder,
    token: &str,
    tags: &Tags,
) -> Result<Done, Failure> {
    const CALL: &str = "elasticfilesystem:CreateFileSystem";
    let made = request.set_tags(Some(pairs(CALL, tags)?)).send().await.named(CALL);
    let made = match made {
        Err(failure) if failure.code == "FileSystemAlreadyExists" => {
            // Found by its token; not every answer names the file system in its error.
            return match find_file_system(aws, desired, token).await? {
                // What hangs on it already must be looked at before anything builds on it.
                Some(found) if desired.identity.owns(&found.tags) => Ok(Done::Pending(found.state)),
                Some(found) => Err(not_ours(CALL, &format!("file system {}", found.id))),
                None => Err(not_now(CALL, "a file system with our token is going away".to_owned())),
            };
        }
        made => made?,
    };
    let described = FileSystemDescription::builder()
        .owner_id(made.owner_id())
        .creation_token(made.creation_token())
        .file_system_id(made.file_system_id())
        .set_file_system_arn(made.file_system_arn().map(ToOwned::to_owned))
        .creation_time(*made.creation_time())
        .life_cycle_state(made.life_cycle_state().clone())
        .number_of_mount_targets(made.number_of_mount_targets())
        .set_size_in_bytes(made.size_in_bytes().cloned())
        .performance_mode(made.performance_mode().clone())
        .set_encrypted(made.encrypted())
        .set_kms_key_id(made.kms_key_id().map(ToOwned::to_owned))
        .set_throughput_mode(made.throughput_mode().cloned())
        .set_provisioned_throughput_in_mibps(made.provisioned_throughput_in_mibps())
        .set_tags(Some(made.tags().to_vec()))
        .build()
        .map_err(incomplete(CALL))?;
    let mut made = file_system(CALL, desired, &described)?;
    // They were part of the request, whether the answer repeats them or not.
    made.tags.extend(tags.clone());
    if made.state == LifeCycle::Creating {
        // The answer always says so. One look right away saves a whole round where it is usable by now; what the look
        // cannot tell, the next pass does.
        if let Ok(Some(found)) = find_file_system(aws, desired, token).await {
            made.state = found.state;
        }
    }
    Ok(Done::FileSystem(Box::new(made)))
}

/// Changes the mode, then remembers when: AWS allows the next change a day later and does not tell when the last was.
pub(super) async fn update_throughput(
    aws: &Inner,
    id: &FileSystemId,
    to: Throughput,
    changed_at: Option<Timestamp>,
) -> Result<Done, Failure> {
    const CALL: &str = "elasticfilesystem:UpdateFileSystem";
    let answer = aws
        .once
        .efs
        .update_file_system()
        .file_system_id(id.as_str())
        .throughput_mode(throughput(to))
        .set_provisioned_throughput_in_mibps(to.mibps())
        .send()
        .await
        .named(CALL)?;
    if let Some(changed_at) = changed_at {
        let remember = Tags::from([(TAG_THROUGHPUT_CHANGED.to_owned(), changed_at.to_string())]);
        tag(aws, id.as_str(), &remember, &[]).await?;
    }
    Ok(Done::Pending(life_cycle(CALL, answer.life_cycle_state())?))
}

/// Sets the transition to Infrequent Access and keeps other transitions, because the call replaces them all.
pub(super) async fn put_lifecycle(aws: &Inner, id: &FileSystemId, to: Option<&str>) -> Result<Done, Failure> {
    let now = aws
        .efs
        .describe_lifecycle_configuration()
        .file_system_id(id.as_str())
        .send()
        .await
        .named("elasticfilesystem:DescribeLifecycleConfiguration")?;
    let mut policies: Vec<LifecyclePolicy> = now
        .lifecycle_policies()
        .iter()
        .filter(|policy| policy.transition_to_ia().is_none())
        .cloned()
        .collect();
    if let Some(rule) = to {
        // Each entry holds exactly one transition.
        policies.insert(
            0,
            LifecyclePolicy::builder()
                .transition_to_ia(TransitionToIaRules::from(rule))
                .build(),
        );
    }
    aws.once
        .efs
        .put_lifecycle_configuration()
        .file_system_id(id.as_str())
        .set_lifecycle_policies(Some(policies))
        .send()
        .await
        .named("elasticfilesystem:PutLifecycleConfiguration")?;
    Ok(Done::Changed)
}

pub(super) async fn put_backups(aws: &Inner, id: &FileSystemId, on: bool) -> Result<Done, Failure> {
    const CALL: &str = "elasticfilesystem:PutBackupPolicy";
    let status = if on { Status::Enabled } else { Status::Disabled };
    let policy = BackupPolicy::builder()
        .status(status)
        .build()
        .map_err(incomplete(CALL))?;
    aws.once
        .efs
        .put_backup_policy()
        .file_system_id(id.as_str())
        .backup_policy(policy)
        .send()
        .await
        .named(CALL)?;
    Ok(Done::Changed)
}

/// Tags the file system first: a policy of ours without the tag would never be looked at again.
pub(super) async fn put_policy(aws: &Inner, id: &FileSystemId, policy: &Value) -> Result<Done, Failure> {
    let mark = Tags::from([(TAG_POLICY.to_owned(), "managed".to_owned())]);
    tag(aws, id.as_str(), &mark, &[]).await?;
    aws.once
        .efs
        .put_file_system_policy()
        .file_system_id(id.as_str())
        .policy(policy.to_string())
        .send()
        .await
        .named("elasticfilesystem:PutFileSystemPolicy")?;
    Ok(Done::Changed)
}

pub(super) async fn delete_policy(aws: &Inner, id: &FileSystemId) -> Result<Done, Failure> {
    let gone = aws
        .once
        .efs
        .delete_file_system_policy()
        .file_system_id(id.as_str())
        .send()
        .await
        .named("elasticfilesystem:DeleteFileSystemPolicy");
    match gone {
        Err(failure) if failure.code == "PolicyNotFound" => {}
        gone => {
            gone?;
        }
    }
    tag(aws, id.as_str(), &Tags::new(), &[TAG_POLICY.to_owned()]).await?;
    Ok(Done::Changed)
}

/// A file system has one mount target a zone, so the one that is there already is the one.
pub(super) async fn create_mount_target(
    aws: &Inner,
    file_system: &FileSystemId,
    subnet: &SubnetId,
    zone_id: &str,
    groups: &[SecurityGroupId],
) -> Result<Done, Failure> {
    const CALL: &str = "elasticfilesystem:CreateMountTarget";
    let made = aws
        .once
        .efs
        .create_mount_target()
        .file_system_id(file_system.as_str())
        .subnet_id(subnet.as_str())
        .set_security_groups(Some(groups.iter().map(ToString::to_string).collect()))
        .send()
        .await
        .named(CALL);
    let made = match made {
        Err(failure) if failure.code == "MountTargetConflict" => {
            let targets = list_mount_targets(aws, file_system).await?;
            return match targets.into_iter().find(|target| target.zone_id == zone_id) {
                Some(found) => Ok(Done::MountTarget(Box::new(found))),
                // The conflict is with something else: a VPC that is not the other targets', or a quota.
                None => Err(failure),
            };
        }
        made => made?,
    };
    let described = MountTargetDescription::builder()
        .mount_target_id(made.mount_target_id())
        .file_system_id(made.file_system_id())
        .subnet_id(made.subnet_id())
        .life_cycle_state(made.life_cycle_state().clone())
        .set_ip_address(made.ip_address().map(ToOwned::to_owned))
        .set_network_interface_id(made.network_interface_id().map(ToOwned::to_owned))
        .availability_zone_id(made.availability_zone_id().unwrap_or(zone_id))
        .build()
        .map_err(incomplete(CALL))?;
    let mut made = mount_target(aws, CALL, &described)?;
    let mut groups = groups.to_vec();
    groups.sort();
    made.groups = Fact::Present(groups);
    Ok(Done::MountTarget(Box::new(made)))
}

pub(super) async fn set_groups(aws: &Inner, id: &MountTargetId, to: &[SecurityGroupId]) -> Result<Done, Failure> {
    aws.once
        .efs
        .modify_mount_target_security_groups()
        .mount_target_id(id.as_str())
        .set_security_groups(Some(to.iter().map(ToString::to_string).collect()))
        .send()
        .await
        .named("elasticfilesystem:ModifyMountTargetSecurityGroups")?;
    Ok(Done::Changed)
}

/// Adds user and directory to the request.
pub(super) fn directory(
    request: CreateAccessPointFluentBuilder,
    path: &str,
    uid: u32,
    gid: u32,
    permissions: &str,
) -> Result<CreateAccessPointFluentBuilder, Failure> {
    const CALL: &str = "elasticfilesystem:CreateAccessPoint";
    let (uid, gid) = (i64::from(uid), i64::from(gid));
    let user = PosixUser::builder()
        .uid(uid)
        .gid(gid)
        .build()
        .map_err(incomplete(CALL))?;
    // Without creation info the first mount of a missing directory fails.
    let made_as = CreationInfo::builder()
        .owner_uid(uid)
        .owner_gid(gid)
        .permissions(permissions)
        .build()
        .map_err(incomplete(CALL))?;
    let root = RootDirectory::builder().path(path).creation_info(made_as).build();
    Ok(request.posix_user(user).root_directory(root))
}

pub(super) async fn create_access_point(
    aws: &Inner,
    desired: &Desired,
    request: CreateAccessPointFluentBuilder,
    file_system: &FileSystemId,
    tags: &Tags,
) -> Result<Done, Failure> {
    const CALL: &str = "elasticfilesystem:CreateAccessPoint";
    let made = request.set_tags(Some(pairs(CALL, tags)?)).send().await.named(CALL);
    let made = match made {
        Err(failure) if failure.code == "AccessPointAlreadyExists" => {
            return match find_access_point(aws, desired, file_system).await? {
                Some(found) if desired.identity.owns(&found.tags) => Ok(Done::AccessPoint(Box::new(found))),
                Some(found) => Err(not_ours(CALL, &format!("access point {}", found.id))),
                None => Err(not_now(CALL, "an access point with our token is going away".to_owned())),
            };
        }
        made => made?,
    };
    let described = AccessPointDescription::builder()
        .set_access_point_id(made.access_point_id().map(ToOwned::to_owned))
        .set_access_point_arn(made.access_point_arn().map(ToOwned::to_owned))
        .file_system_id(made.file_system_id().unwrap_or(file_system.as_str()))
        .set_posix_user(made.posix_user().cloned())
        .set_root_directory(made.root_directory().cloned())
        .set_life_cycle_state(made.life_cycle_state().cloned())
        .set_tags(Some(made.tags().to_vec()))
        .build();
    let mut made = access_point(CALL, desired, &described)?;
    made.tags.extend(tags.clone());
    if made.state == LifeCycle::Creating {
        // As for the file system.
        if let Ok(Some(found)) = find_access_point(aws, desired, file_system).await {
            made.state = found.state;
        }
    }
    Ok(Done::AccessPoint(Box::new(made)))
}

pub(super) async fn delete_access_point(aws: &Inner, id: &AccessPointId) -> Result<Done, Failure> {
    let gone = aws
        .once
        .efs
        .delete_access_point()
        .access_point_id(id.as_str())
        .send()
        .await
        .named("elasticfilesystem:DeleteAccessPoint");
    gone_or_done(gone)
}

pub(super) async fn delete_mount_target(aws: &Inner, id: &MountTargetId) -> Result<Done, Failure> {
    let gone = aws
        .once
        .efs
        .delete_mount_target()
        .mount_target_id(id.as_str())
        .send()
        .await
        .named("elasticfilesystem:DeleteMountTarget");
    gone_or_done(gone)
}

/// Nothing brings a file system back, so this looks once more whether it still is ours and unmounted.
pub(super) async fn delete_file_system(aws: &Inner, desired: &Desired, id: &FileSystemId) -> Result<Done, Failure> {
    const CALL: &str = "elasticfilesystem:DeleteFileSystem";
    let looked = aws
        .efs
        .describe_file_systems()
        .file_system_id(id.as_str())
        .send()
        .await
        .named("elasticfilesystem:DescribeFileSystems");
    let looked = match looked {
        Err(failure) if failure.code == "FileSystemNotFound" => return Ok(Done::Changed),
        looked => looked?,
    };
    let Some(found) = looked.file_systems().first() else {
        return Ok(Done::Changed);
    };
    if !desired.identity.owns(&efs_tags(found.tags())) {
        return Err(not_ours(CALL, &format!("file system {id}")));
    }
    if found.number_of_mount_targets() > 0 {
        return Err(not_now(CALL, format!("{id} has mount targets again")));
    }
    if matches!(
        life_cycle(CALL, found.life_cycle_state())?,
        LifeCycle::Deleting | LifeCycle::Deleted
    ) {
        return Ok(Done::Changed);
    }
    let gone = aws
        .once
        .efs
        .delete_file_system()
        .file_system_id(id.as_str())
        .send()
        .await
        .named(CALL);
    gone_or_done(gone)
}

/// Tags of a file system or an access point.
pub(super) async fn tag(aws: &Inner, id: &str, set: &Tags, remove: &[String]) -> Result<(), Failure> {
    const CALL: &str = "elasticfilesystem:TagResource";
    if !set.is_empty() {
        aws.once
            .efs
            .tag_resource()
            .resource_id(id)
            .set_tags(Some(pairs(CALL, set)?))
            .send()
            .await
            .named(CALL)?;
    }
    if !remove.is_empty() {
        aws.once
            .efs
            .untag_resource()
            .resource_id(id)
            .set_tag_keys(Some(remove.to_vec()))
            .send()
            .await
            .named("elasticfilesystem:UntagResource")?;
    }
    Ok(())
}
