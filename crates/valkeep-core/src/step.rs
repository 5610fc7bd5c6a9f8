//! What to do: one step is one change on AWS or of the Valkey server, with nothing left to decide.

use crate::desired::{PerformanceMode, Throughput};
use crate::ids::{AccessPointId, FileSystemId, MountTargetId, SecurityGroupId, SubnetId, VpcId};
use crate::observed::{AccessPoint, FileSystem, LifeCycle, LogGroup, MountTarget, Service, ServiceSettings};
use crate::valkey::ServerChange;
use crate::{RawDefinition, Resource, Tags, TaskDefinition, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::SocketAddr;

/// One change. It names the resource, the new value and, where there is one, the old value that it expects. Acting is
/// idempotent: tokens come from what is managed, and an answer that says "it is so already" is success once the
/// resource is seen to be ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the request's own, named as AWS names them")]
pub enum Step {
    /// `CreateSecurityGroup`
    CreateSecurityGroup {
        name: String,
        description: String,
        vpc: VpcId,
        tags: Tags,
    },
    /// `AuthorizeSecurityGroupIngress`: TCP 2049 from one group.
    AuthorizeIngress {
        group: SecurityGroupId,
        source: SecurityGroupId,
        description: String,
    },
    /// `RevokeSecurityGroupIngress`: a rule that valkeep's own description marks as ours and the document no longer asks for.
    RevokeIngress {
        group: SecurityGroupId,
        source: SecurityGroupId,
        description: String,
    },
    /// `CreateFileSystem`
    CreateFileSystem {
        token: String,
        encrypted: bool,
        kms_key: Option<String>,
        performance: PerformanceMode,
        throughput: Throughput,
        backups: bool,
        tags: Tags,
    },
    /// `UpdateFileSystem`, then the tag [`crate::identity::TAG_THROUGHPUT_CHANGED`] = `changed_at` when the 24-hour rule counts it.
    UpdateThroughput {
        id: FileSystemId,
        from: Throughput,
        to: Throughput,
        changed_at: Option<Timestamp>,
    },
    /// `PutLifecycleConfiguration`
    PutLifecycle {
        id: FileSystemId,
        from: Option<String>,
        to: Option<String>,
    },
    /// `PutBackupPolicy`
    PutBackups { id: FileSystemId, from: bool, to: bool },
    /// `PutFileSystemPolicy`, preceded by the tag [`crate::identity::TAG_POLICY`].
    PutFileSystemPolicy {
        id: FileSystemId,
        from: Option<Value>,
        to: Value,
    },
    /// `DeleteFileSystemPolicy`, then the tag goes. Only a policy that we put.
    DeleteFileSystemPolicy { id: FileSystemId, from: Value },
    /// `CreateMountTarget`
    CreateMountTarget {
        file_system: FileSystemId,
        subnet: SubnetId,
        zone_id: String,
        groups: Vec<SecurityGroupId>,
    },
    /// `ModifyMountTargetSecurityGroups` (the whole set).
    SetMountTargetGroups {
        id: MountTargetId,
        from: Vec<SecurityGroupId>,
        to: Vec<SecurityGroupId>,
    },
    /// `CreateAccessPoint`
    CreateAccessPoint {
        token: String,
        file_system: FileSystemId,
        path: String,
        uid: u32,
        gid: u32,
        permissions: String,
        tags: Tags,
    },
    /// `PutRolePolicy`
    PutRolePolicy {
        role: String,
        policy: String,
        from: Option<Value>,
        to: Value,
    },
    /// `CreateLogGroup`, then `PutRetentionPolicy`.
    CreateLogGroup {
        name: String,
        retention_days: u32,
        tags: Tags,
    },
    /// `PutRetentionPolicy` on a group that valkeep made.
    PutRetention { name: String, from: Option<u32>, to: u32 },
    /// `RegisterTaskDefinition`
    RegisterTaskDefinition {
        definition: Box<TaskDefinition>,
        tags: Tags,
    },
    /// `RegisterTaskDefinition` of a definition that somebody else maintains, with persistence laid over it or taken off.
    /// `from` is the revision that it was made of.
    RegisterRevision {
        from: String,
        definition: Box<RawDefinition>,
        tags: Tags,
    },
    /// `CreateService` at desired count 0, with [`crate::identity::TAG_STARTING`] among the tags.
    CreateService {
        cluster: String,
        name: String,
        token: String,
        task_definition: String,
        launch_type: crate::task_definition::LaunchType,
        container: String,
        port: u16,
        settings: ServiceSettings,
        tags: Tags,
    },
    /// One `UpdateService` with full blocks: settings, task definition and, where `force` says so, a new deployment of
    /// the same one. The desired count is left alone.
    UpdateService {
        cluster: String,
        name: String,
        from: Box<ServiceSettings>,
        to: Box<ServiceSettings>,
        from_definition: String,
        to_definition: String,
        force: bool,
        container: String,
        port: u16,
    },
    /// `UpdateService` desired count 0 to 1, then [`crate::identity::TAG_STARTING`] goes. Acting looks once more, right
    /// before, that no task of the service is left that has not stopped.
    StartService { cluster: String, name: String, arn: String },
    /// `UpdateService` with a desired count only: back to one task where somebody has scaled a one-writer service, or to 0
    /// where a server without the lock is replaced.
    SetDesired {
        cluster: String,
        name: String,
        from: u32,
        to: u32,
    },
    /// `UntagResource` of [`crate::identity::TAG_STARTING`] on a service whose desired count is 1 already.
    ClearStarting { arn: String },
    /// Tag a resource of ours: `set` is written, `remove` goes.
    Tag {
        resource: Resource,
        id: String,
        set: Tags,
        remove: Vec<String>,
    },
    /// [`crate::identity::TAG_STARTING`] on the service, then `UpdateService` desired count `from` to 0: the server saves
    /// as it stops. The mark goes first, so that whoever finds the 0 knows that it is ours and not the user's wish.
    StopService {
        cluster: String,
        name: String,
        arn: String,
        from: u32,
    },
    /// `DeleteService`, without force: ECS itself refuses it above desired count 0. Like every step that deletes it names
    /// the `owner` tag that was seen.
    DeleteService {
        cluster: String,
        name: String,
        arn: String,
        owner: String,
    },
    /// `DeleteAccessPoint`. The directory and its files stay.
    DeleteAccessPoint {
        id: AccessPointId,
        file_system: FileSystemId,
        path: String,
        owner: String,
    },
    /// `DeleteMountTarget`. A mount target has no tags; `owner` is that of its file system.
    DeleteMountTarget {
        id: MountTargetId,
        file_system: FileSystemId,
        zone_id: String,
        owner: String,
    },
    /// `DeleteFileSystem`, with everything on it. Acting looks once more, right before, that it still is ours and has no
    /// mount target.
    DeleteFileSystem { id: FileSystemId, owner: String },
    /// `DeleteRolePolicy`: the inline policy of our name.
    DeleteRolePolicy { role: String, policy: String, from: Value },
    /// `DeleteSecurityGroup`
    DeleteSecurityGroup {
        id: SecurityGroupId,
        name: String,
        owner: String,
    },
    /// `DeregisterTaskDefinition`: one revision.
    DeregisterTaskDefinition { arn: String, owner: String },
    /// A command to the Valkey server with this run id, and to no other process that may answer there meanwhile.
    ChangeServer {
        address: SocketAddr,
        run_id: String,
        change: ServerChange,
    },
}

/// What came of a step: what AWS answered, for the rest of this pass. The next pass looks for itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Done {
    /// Nothing that the planner needs beyond the step itself.
    Changed,
    /// `CreateSecurityGroup`
    SecurityGroup(SecurityGroupId),
    /// `CreateFileSystem` made a new one, on which nothing hangs yet. One that was there already is [`Done::Pending`].
    FileSystem(Box<FileSystem>),
    /// `CreateMountTarget`
    MountTarget(Box<MountTarget>),
    /// `CreateAccessPoint`
    AccessPoint(Box<AccessPoint>),
    /// `CreateLogGroup`
    LogGroup(LogGroup),
    /// `RegisterTaskDefinition`: ARN with revision.
    TaskDefinition(String),
    /// `CreateService`
    Service(Box<Service>),
    /// The resource changes state now and must be looked at again before anything builds on it.
    Pending(LifeCycle),
}

impl Step {
    /// The call in IAM's spelling, or the command to Valkey.
    pub fn action(&self) -> &'static str {
        match self {
            Step::CreateSecurityGroup { .. } => "ec2:CreateSecurityGroup",
            Step::AuthorizeIngress { .. } => "ec2:AuthorizeSecurityGroupIngress",
            Step::RevokeIngress { .. } => "ec2:RevokeSecurityGroupIngress",
            Step::CreateFileSystem { .. } => "elasticfilesystem:CreateFileSystem",
            Step::UpdateThroughput { .. } => "elasticfilesystem:UpdateFileSystem",
            Step::PutLifecycle { .. } => "elasticfilesystem:PutLifecycleConfiguration",
            Step::PutBackups { .. } => "elasticfilesystem:PutBackupPolicy",
            Step::PutFileSystemPolicy { .. } => "elasticfilesystem:PutFileSystemPolicy",
            Step::DeleteFileSystemPolicy { .. } => "elasticfilesystem:DeleteFileSystemPolicy",
            Step::CreateMountTarget { .. } => "elasticfilesystem:CreateMountTarget",
            Step::SetMountTargetGroups { .. } => "elasticfilesystem:ModifyMountTargetSecurityGroups",
            Step::CreateAccessPoint { .. } => "elasticfilesystem:CreateAccessPoint",
            Step::PutRolePolicy { .. } => "iam:PutRolePolicy",
            Step::CreateLogGroup { .. } => "logs:CreateLogGroup",
            Step::PutRetention { .. } => "logs:PutRetentionPolicy",
            Step::RegisterTaskDefinition { .. } | Step::RegisterRevision { .. } => "ecs:RegisterTaskDefinition",
            Step::CreateService { .. } => "ecs:CreateService",
            Step::UpdateService { .. }
            | Step::StartService { .. }
            | Step::StopService { .. }
            | Step::SetDesired { .. } => "ecs:UpdateService",
            Step::ClearStarting { .. } => "ecs:UntagResource",
            Step::Tag { resource, .. } => match resource {
                Resource::SecurityGroup => "ec2:CreateTags",
                Resource::Service | Resource::TaskDefinition => "ecs:TagResource",
                Resource::LogGroup => "logs:TagResource",
                _ => "elasticfilesystem:TagResource",
            },
            Step::DeleteService { .. } => "ecs:DeleteService",
            Step::DeleteAccessPoint { .. } => "elasticfilesystem:DeleteAccessPoint",
            Step::DeleteMountTarget { .. } => "elasticfilesystem:DeleteMountTarget",
            Step::DeleteFileSystem { .. } => "elasticfilesystem:DeleteFileSystem",
            Step::DeleteRolePolicy { .. } => "iam:DeleteRolePolicy",
            Step::DeleteSecurityGroup { .. } => "ec2:DeleteSecurityGroup",
            Step::DeregisterTaskDefinition { .. } => "ecs:DeregisterTaskDefinition",
            Step::ChangeServer { change, .. } => change.command(),
        }
    }

    /// What it changes.
    pub fn resource(&self) -> Resource {
        match self {
            Step::CreateSecurityGroup { .. }
            | Step::AuthorizeIngress { .. }
            | Step::RevokeIngress { .. }
            | Step::DeleteSecurityGroup { .. } => Resource::SecurityGroup,
            Step::CreateFileSystem { .. }
            | Step::UpdateThroughput { .. }
            | Step::PutLifecycle { .. }
            | Step::PutBackups { .. }
            | Step::PutFileSystemPolicy { .. }
            | Step::DeleteFileSystemPolicy { .. }
            | Step::DeleteFileSystem { .. } => Resource::FileSystem,
            Step::CreateMountTarget { .. } | Step::SetMountTargetGroups { .. } | Step::DeleteMountTarget { .. } => {
                Resource::MountTarget
            }
            Step::CreateAccessPoint { .. } | Step::DeleteAccessPoint { .. } => Resource::AccessPoint,
            Step::PutRolePolicy { .. } | Step::DeleteRolePolicy { .. } => Resource::RolePolicy,
            Step::CreateLogGroup { .. } | Step::PutRetention { .. } => Resource::LogGroup,
            Step::RegisterTaskDefinition { .. }
            | Step::RegisterRevision { .. }
            | Step::DeregisterTaskDefinition { .. } => Resource::TaskDefinition,
            Step::CreateService { .. }
            | Step::UpdateService { .. }
            | Step::StartService { .. }
            | Step::SetDesired { .. }
            | Step::ClearStarting { .. }
            | Step::StopService { .. }
            | Step::DeleteService { .. } => Resource::Service,
            Step::ChangeServer { .. } => Resource::Valkey,
            Step::Tag { resource, .. } => *resource,
        }
    }
}
