//! What one valid document means, with every default filled in and every name derived.

use crate::access::AccessSpec;
use crate::ids::{AccessPointId, FileSystemId, SecurityGroupId, SubnetId, VpcId};
use crate::observed::AccessPoint;
use crate::task_definition::LaunchType;
use crate::valkey::{AppendFsync, MaxmemoryPolicy, SavePoints};
use crate::{Identity, Limits, Names, Place, Tags, Window};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The whole desired state of one document. Made by `valkeep-document` only, from a document without findings, so the
/// planner has nothing to check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    /// `metadata.name`.
    pub document: String,
    /// Grows with each change of the document (SSM version, S3 last-modified seconds).
    pub generation: i64,
    /// How far valkeep goes.
    pub mode: Mode,
    /// What is managed, and by whom.
    pub identity: Identity,
    /// Where it is, and as whom valkeep works there. The identity's region and account are those of this place.
    pub place: Place,
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// Derived names and tokens.
    pub names: Names,
    /// On everything valkeep makes: the document's own tags and the identity's.
    pub tags: Tags,
    /// Where it is.
    pub network: Network,
    /// EFS.
    pub file_system: FileSystemSpec,
    /// EFS access point.
    pub access_point: AccessPointSpec,
    /// Task role.
    pub task_role: TaskRoleSpec,
    /// The container that runs Valkey.
    pub server: ServerSpec,
    /// Who makes the service.
    pub origin: Origin,
    /// Snapshots.
    pub persistence: Persistence,
    /// How a running server is changed or replaced.
    pub rollout: Rollout,
    /// Desired count of the ECS service, 0 or 1; `None` leaves a 0 that somebody else sets.
    pub task_count: Option<u32>,
    /// How long a mount target's DNS name is given after its interface was attached, in seconds.
    pub dns_grace_s: u32,
    /// The annotation `valkeep.dev/look-now`; its value comes back in the status of the look that it brought about.
    pub look_now: Option<String>,
    /// The annotation `valkeep.dev/restart`; a value that was not seen before asks for one replacement of the task. At most
    /// 256 printable characters.
    pub restart: Option<String>,
    /// The annotation `valkeep.dev/load-stale-dump: <document name>` is there: a dump older than the live data may be
    /// loaded in its place.
    pub load_stale_dump: bool,
    /// The annotation `valkeep.dev/delete: <document name>` is there: what valkeep made for this document goes.
    pub deletion: Option<Deletion>,
    /// How far the operator lets documents reach; never from the document.
    pub limits: Limits,
}

/// That a document asks for the deletion of what valkeep made for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// The annotation `valkeep.dev/delete-without-backup: <document name>` is there: the file system may go without a
    /// final backup.
    pub without_backup: bool,
}

/// How far valkeep goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Mode {
    /// Everything is kept true.
    #[default]
    Enforce,
    /// What differs is reported; nothing is changed.
    Observe,
    /// Nothing is looked at and nothing is changed.
    Paused,
}

impl Mode {
    /// As documents spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Enforce => "Enforce",
            Mode::Observe => "Observe",
            Mode::Paused => "Paused",
        }
    }
}

/// Network of service and mount targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// VPC.
    pub vpc: VpcId,
    /// Subnets of the service; one mount target per zone of these. Not empty, in the document's order.
    pub subnets: Vec<SubnetId>,
    /// Security groups of the tasks, 1 to 5.
    pub task_groups: Vec<SecurityGroupId>,
    /// Groups that may mount for maintenance, like a bastion's.
    pub maintenance_groups: Vec<SecurityGroupId>,
}

/// The file system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileSystemSpec {
    /// The one that is taken; none is one that valkeep makes, or the one that a taken access point is on.
    pub taken: Option<FileSystemId>,
    /// What the document itself says of a file system that exists. All other values here are defaults, and those are
    /// for a file system that valkeep makes.
    pub said: BTreeSet<FileSystemField>,
    /// Add our security group beside those of mount targets that others made.
    pub add_security_group: bool,
    /// Encryption at rest; immutable.
    pub encrypted: bool,
    /// KMS key (id, ARN or alias); none is AWS's own key for EFS. Immutable.
    pub kms_key: Option<String>,
    /// Immutable.
    pub performance: PerformanceMode,
    /// Changeable, the mode at most once in 24 hours.
    pub throughput: Throughput,
    /// `AFTER_30_DAYS`, ...; none is never.
    pub transition_to_ia: Option<String>,
    /// EFS's own daily backups.
    pub automatic_backups: bool,
    /// A file-system policy that refuses anonymous and clear-text mounts.
    pub enforce_tls_and_iam: bool,
}

/// A setting of a file system that a document may leave to whoever made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields of `FileSystemSpec`")]
pub enum FileSystemField {
    Encrypted,
    KmsKey,
    Performance,
    Throughput,
    TransitionToIa,
    AutomaticBackups,
}

/// A setting of an access point that a document may leave to whoever made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields of `AccessPointSpec`")]
pub enum AccessPointField {
    Path,
    Uid,
    Gid,
    Permissions,
}

/// EFS performance mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PerformanceMode {
    /// `generalPurpose`
    GeneralPurpose,
    /// `maxIO`
    #[serde(rename = "maxIO")]
    MaxIo,
}

impl PerformanceMode {
    /// As EFS spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            PerformanceMode::GeneralPurpose => "generalPurpose",
            PerformanceMode::MaxIo => "maxIO",
        }
    }
}

/// EFS throughput mode.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "mode", content = "mibps")]
pub enum Throughput {
    /// `bursting`
    Bursting,
    /// `elastic`
    Elastic,
    /// `provisioned`, with MiB/s
    Provisioned(f64),
}

impl Throughput {
    /// The mode as EFS spells it.
    pub fn mode(self) -> &'static str {
        match self {
            Throughput::Bursting => "bursting",
            Throughput::Elastic => "elastic",
            Throughput::Provisioned(_) => "provisioned",
        }
    }

    /// MiB/s, only when provisioned.
    pub fn mibps(self) -> Option<f64> {
        match self {
            Throughput::Provisioned(mibps) => Some(mibps),
            Throughput::Bursting | Throughput::Elastic => None,
        }
    }
}

/// The access point. All of it is immutable in EFS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessPointSpec {
    /// The one that is taken; none is one that valkeep makes.
    pub taken: Option<AccessPointId>,
    /// What the document itself says of an access point that exists.
    pub said: BTreeSet<AccessPointField>,
    /// Directory on the file system, like `/valkey-data`.
    pub path: String,
    /// POSIX user of every client.
    pub uid: u32,
    /// POSIX group of every client.
    pub gid: u32,
    /// Octal digits, like `0755`.
    pub permissions: String,
}

/// The task role that exists already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRoleSpec {
    /// Role name.
    pub name: String,
    /// Grant `ClientRootAccess`, too.
    pub root_access: bool,
}

/// The log group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogGroupSpec {
    /// Name.
    pub name: String,
    /// Days; used only on a group that valkeep makes.
    pub retention_days: u32,
}

/// The container that runs Valkey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSpec {
    /// Container name.
    pub container: String,
    /// TCP port.
    pub port: u16,
    /// Seconds from SIGTERM to SIGKILL.
    pub stop_timeout_s: u32,
    /// `maxmemory`; 0 is no limit, and none is left to Valkey.
    pub maxmemory_bytes: Option<u64>,
    /// `maxmemory-policy`; none is left to Valkey.
    pub maxmemory_policy: Option<MaxmemoryPolicy>,
    /// What it takes to be let in.
    pub access: AccessSpec,
}

/// How a running server is changed or replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// A planned replacement takes a snapshot and checks it before it stops a server that may hold what is not saved.
    pub require_snapshot: bool,
    /// What Valkey takes while it runs is set there, and the new definition waits for the next replacement; otherwise it
    /// replaces the task at once.
    pub live_only: bool,
    /// When replacements that can wait may happen; none is at any time.
    pub window: Option<Window>,
}

/// Who makes the service and its task definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// valkeep, from the document.
    Created(Box<Created>),
    /// Somebody else; valkeep lays persistence over what it finds.
    Adopted(Adopted),
}

/// What a service of valkeep's own is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// CloudWatch log group.
    pub log_group: LogGroupSpec,
    /// Image and task size.
    pub task: TaskSpec,
    /// ECS service.
    pub service: ServiceSpec,
}

/// How a service that exists is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// What may happen to a cache that was never persisted.
    pub first_transition: FirstTransition,
}

/// What may happen to a cache that was never persisted, when its server is replaced by one that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FirstTransition {
    /// Nothing: the replacement waits.
    Wait,
    /// It is lost once.
    AcceptLoss,
}

/// Image and task size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Image with a tag that is not `latest`, or a digest.
    pub image: String,
    /// CPU units.
    pub cpu: u32,
    /// MiB.
    pub memory_mib: u32,
    /// Where tasks run.
    pub launch_type: LaunchType,
    /// Execution role.
    pub execution_role_arn: Option<String>,
    /// Passed to the server after ours; ours may not be repeated.
    pub extra_flags: Vec<String>,
}

/// The ECS service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// Public address for the task.
    pub assign_public_ip: bool,
    /// ECS Exec.
    pub enable_execute_command: bool,
    /// Cloud Map service.
    pub registry_arn: Option<String>,
}

/// What the document promises about the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Persistence {
    /// The seed's rollback option 1: no volume, no snapshots; the file system is kept as it is and not looked after.
    Disabled,
    /// The directory is mounted.
    Mounted(Snapshots),
}

/// Snapshot settings of a mounted directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshots {
    /// Save points; none under preset `Off` (the seed's rollback option 2).
    pub save: SavePoints,
    /// `--dbfilename`.
    pub filename: String,
    /// `--rdbcompression`.
    pub compression: bool,
    /// `--stop-writes-on-bgsave-error`.
    pub stop_writes_on_error: bool,
    /// Container path, `/data`.
    pub mount_path: String,
    /// What to do with a dump that is older than the data it would replace.
    pub stale_dump: StaleDump,
    /// When the append-only file is flushed to disk; none is no such file.
    pub append_only: Option<AppendFsync>,
}

/// What to do with a dump that is older than the data it would replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StaleDump {
    /// Load it.
    Load,
    /// Rename it under the lock before the server starts.
    SetAside,
}

impl Desired {
    /// Whether the document wants the service at desired count 0.
    pub fn hibernates(&self) -> bool {
        self.task_count == Some(0)
    }

    /// Whether the document takes a file system that exists, by its id or by that of an access point on it.
    pub fn takes_file_system(&self) -> bool {
        self.file_system.taken.is_some() || self.access_point.taken.is_some()
    }

    /// Whether the document asks for its value of this setting: on a file system that it takes, only what it says counts.
    pub fn asks_for(&self, field: FileSystemField) -> bool {
        !self.takes_file_system() || self.file_system.said.contains(&field)
    }

    /// This, with what the document leaves to the access point that it takes filled in from the one that was found.
    pub fn as_found(&self, found: &AccessPoint) -> Cow<'_, Desired> {
        let spec = &self.access_point;
        if spec.taken.as_ref() != Some(&found.id) {
            return Cow::Borrowed(self);
        }
        let said = |field| spec.said.contains(&field);
        let mut filled = self.clone();
        let to = &mut filled.access_point;
        if !said(AccessPointField::Path) {
            to.path.clone_from(&found.path);
        }
        if let (Some(uid), false) = (found.uid, said(AccessPointField::Uid)) {
            to.uid = uid;
        }
        if let (Some(gid), false) = (found.gid, said(AccessPointField::Gid)) {
            to.gid = gid;
        }
        if let (Some(permissions), false) = (&found.permissions, said(AccessPointField::Permissions)) {
            to.permissions.clone_from(permissions);
        }
        Cow::Owned(filled)
    }

    /// What the service is made of, where valkeep makes it.
    pub fn created(&self) -> Option<&Created> {
        match &self.origin {
            Origin::Created(created) => Some(created),
            Origin::Adopted(_) => None,
        }
    }

    /// The same, to change.
    pub fn created_mut(&mut self) -> Option<&mut Created> {
        match &mut self.origin {
            Origin::Created(created) => Some(created),
            Origin::Adopted(_) => None,
        }
    }

    /// How the service is taken over, where somebody else makes it.
    pub fn adopted(&self) -> Option<Adopted> {
        match self.origin {
            Origin::Created(_) => None,
            Origin::Adopted(adopted) => Some(adopted),
        }
    }

    /// The mounted directory's settings, if there is one.
    pub fn snapshots(&self) -> Option<&Snapshots> {
        match &self.persistence {
            Persistence::Mounted(snapshots) => Some(snapshots),
            Persistence::Disabled => None,
        }
    }

    /// Whether the document promises snapshots.
    pub fn saves(&self) -> bool {
        self.snapshots().is_some_and(|snapshots| !snapshots.save.is_off())
    }

    /// Whether the document promises an append-only file.
    pub fn appends(&self) -> bool {
        self.snapshots()
            .is_some_and(|snapshots| snapshots.append_only.is_some())
    }

    /// Every group that may reach the mount targets, in order, each once.
    pub fn nfs_clients(&self) -> Vec<SecurityGroupId> {
        let mut groups: Vec<SecurityGroupId> = Vec::new();
        for group in self.network.task_groups.iter().chain(&self.network.maintenance_groups) {
            if !groups.contains(group) {
                groups.push(group.clone());
            }
        }
        groups
    }
}
