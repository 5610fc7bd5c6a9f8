//! The document as users write it. What it means is `valkeep_core::Desired`; whether it is valid is `read`'s business.
//!
//! The comments here are the schema's descriptions: they are read in editors by people who write documents.
//! A field whose meaning comes with a later version is not here, so that the schema tells the truth.

use crate::access::{CredentialsFrom, ServerTls};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `apiVersion` of every document of this version.
pub const API_VERSION: &str = "valkeep.dev/v1alpha1";
/// `kind` of every document.
pub const KIND: &str = "ValkeyPersistence";
/// Annotation: a dump older than the live data may be loaded in its place. Its value is the document's own name, so that
/// a copied document does not carry the permission along.
pub const LOAD_STALE_DUMP: &str = "valkeep.dev/load-stale-dump";
/// Annotation: any value, given anew, makes valkeep look at once, and comes back in the status.
pub const LOOK_NOW: &str = "valkeep.dev/look-now";
/// Annotation: any value, given anew, makes valkeep replace the task once, with the order and the care of every replacement.
pub const RESTART: &str = "valkeep.dev/restart";
/// Annotation: what valkeep made for this document is deleted. Its value is the document's own name.
pub const DELETE: &str = "valkeep.dev/delete";
/// Annotation: the deletion may take the data along without a final backup. Its value is the document's own name; alone,
/// without [`DELETE`], it does nothing.
pub const DELETE_WITHOUT_BACKUP: &str = "valkeep.dev/delete-without-backup";

/// Every annotation of valkeep's own, and why its value must be the document's name.
pub(crate) const PERMISSIONS: [(&str, &str); 3] = [
    (LOAD_STALE_DUMP, "carry the permission along"),
    (DELETE, "delete anything"),
    (DELETE_WITHOUT_BACKUP, "carry the permission along"),
];

/// Days that CloudWatch Logs takes as retention.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html>
pub(crate) const RETENTION_DAYS: [u32; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

/// A Valkey service on Amazon ECS whose data survives its tasks, on Amazon EFS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    /// Version of this document's form.
    pub api_version: ApiVersion,
    /// What this document is.
    pub kind: Kind,
    /// Name, labels and annotations.
    pub metadata: Metadata,
    /// What valkeep keeps true.
    pub spec: Spec,
    /// Where it was read.
    #[serde(skip)]
    pub(crate) origin: Origin,
}

/// Where a document was read, for findings that come after reading. Never part of what a document says: any two are equal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    /// As given to `read`.
    pub(crate) file: String,
    /// Line and column of `spec.region`'s value, from 1.
    pub(crate) region: Option<(usize, usize)>,
    /// The same of `spec.assumeRoleArn`.
    pub(crate) assume_role: Option<(usize, usize)>,
    /// The same of each reference to a secret, by its path.
    pub(crate) references: BTreeMap<String, (usize, usize)>,
}

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The version of the form that this valkeep reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The one version there is.
    #[default]
    #[serde(rename = "valkeep.dev/v1alpha1")]
    V1Alpha1,
}

/// The kind of document that this valkeep reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// The one kind there is.
    #[default]
    ValkeyPersistence,
}

/// Name, labels and annotations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Name of the document, unique in its store: a DNS label, at most 63 lower-case letters, digits and hyphens. Status
    /// is written under this name.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// Labels for people and tools. valkeep does not read them.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Annotations for people and tools. Keys that start with `valkeep.dev/` are valkeep's own. It knows five. Three have
    /// this document's name as their value. `valkeep.dev/load-stale-dump`: a dump older than the live data may be loaded in
    /// its place. `valkeep.dev/delete`: everything that valkeep made for this document is deleted.
    /// `valkeep.dev/delete-without-backup`: the deletion may take the data along without a final backup. Two have any value,
    /// and a new one has an effect. `valkeep.dev/look-now`: valkeep looks at once, and the value comes back in the status.
    /// `valkeep.dev/restart`, at most 256 characters: valkeep replaces the task once.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// What valkeep keeps true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// How far valkeep goes.
    #[serde(default)]
    pub mode: Mode,
    /// AWS region of everything here, like `eu-west-1`. Left out, it is the region that valkeep runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[a-z]{2}(-[a-z]+)+-[0-9]$"))]
    pub region: Option<String>,
    /// ARN of a role that valkeep assumes for this document. Everything here is then in that role's account. Its trust policy
    /// must name the role that valkeep runs as. Left out, valkeep works as itself, in its own account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"))]
    pub assume_role_arn: Option<String>,
    /// What the trust policy of `assumeRoleArn` asks for as `sts:ExternalId`, if it does. It is not a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1224), regex(pattern = "^[A-Za-z0-9_+=,.@:/-]+$"))]
    pub external_id: Option<String>,
    /// Name of the ECS cluster, which exists.
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[A-Za-z0-9_-]+$"))]
    pub cluster: String,
    /// The ECS service that runs Valkey.
    pub service: Service,
    /// The role of the tasks, which exists. valkeep gives it the EFS permissions.
    pub task_role: TaskRole,
    /// Where tasks and mount targets are.
    pub network: Network,
    /// The EFS file system that keeps the data.
    #[serde(default)]
    pub file_system: FileSystem,
    /// Settings of the Valkey server itself.
    #[serde(default)]
    pub valkey: Valkey,
    /// What is kept of the data, and how often it is saved.
    #[serde(default)]
    pub persistence: Persistence,
    /// How a task is replaced.
    #[serde(default)]
    pub rollout: Rollout,
    /// Tags on everything that valkeep makes, beside its own. At most 40; keys do not start with `aws:` or `valkeep.dev/`.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 40))]
    pub tags: BTreeMap<String, String>,
}

/// How far valkeep goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Everything in the document is kept true.
    #[default]
    Enforce,
    /// What differs is reported, and nothing is changed.
    Observe,
    /// Nothing is looked at and nothing is changed.
    Paused,
}

/// The ECS service that runs Valkey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// Name of the service.
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[A-Za-z0-9_-]+$"))]
    pub name: String,
    /// Name of the container that runs Valkey.
    #[serde(default = "Service::default_container")]
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[A-Za-z0-9_-]+$"))]
    pub container: String,
    /// TCP port that Valkey listens on.
    #[serde(default = "Service::default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// Desired count of the service. 0 hibernates it: a snapshot is checked, then the server stops, and its data stays on the file
    /// system. 1 keeps it running, even where somebody else sets 0. Left out, valkeep runs one task, and a 0 that somebody else
    /// sets stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1))]
    pub desired_count: Option<u32>,
    /// What the service is made of: valkeep makes the service and keeps it so. Left out, the service is somebody else's, like
    /// Terraform's or a pipeline's, and valkeep keeps only its persistence true, on top of whatever definition it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<Create>,
}

impl Service {
    pub(crate) fn default_container() -> String {
        "valkey".to_owned()
    }

    pub(crate) fn default_port() -> u16 {
        6379
    }
}

/// What the service is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Create {
    /// Image with a tag that is not `latest`, like `valkey/valkey:8.0`; a digest may follow the tag.
    #[schemars(length(min = 1, max = 255))]
    pub image: String,
    /// CPU units of the task; 1024 are one vCPU. Fargate takes certain pairs of `cpu` and `memoryMiB`.
    #[serde(default = "Create::default_cpu")]
    #[schemars(range(min = 128, max = 196_608))]
    pub cpu: u32,
    /// Memory of the task in MiB.
    #[serde(rename = "memoryMiB", default = "Create::default_memory_mib")]
    #[schemars(range(min = 64, max = 25_165_824))]
    pub memory_mib: u32,
    /// Where tasks run.
    #[serde(default)]
    pub launch_type: LaunchType,
    /// ARN of the role that pulls the image and writes the log. Fargate needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"))]
    pub execution_role_arn: Option<String>,
    /// Give tasks a public address. Only on Fargate.
    #[serde(default)]
    pub assign_public_ip: bool,
    /// Allow ECS Exec into tasks, for troubleshooting. The task role then needs the `ssmmessages` permissions.
    #[serde(default)]
    pub enable_execute_command: bool,
    /// The CloudWatch log group of the tasks.
    #[serde(default)]
    pub log_group: LogGroup,
    /// ARN of a Cloud Map service in which ECS keeps the task's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^arn:aws[a-z-]*:servicediscovery:[a-z0-9-]+:[0-9]{12}:service/srv-[a-z0-9]+$"))]
    pub service_registry_arn: Option<String>,
    /// Words passed to `valkey-server` after valkeep's own, like `["--maxclients", "5000"]`. Settings that valkeep makes
    /// may not be repeated.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub extra_flags: Vec<String>,
}

impl Create {
    pub(crate) fn default_cpu() -> u32 {
        256
    }

    pub(crate) fn default_memory_mib() -> u32 {
        512
    }
}

/// Where tasks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum LaunchType {
    /// AWS Fargate.
    #[default]
    Fargate,
    /// The cluster's own container instances.
    Ec2,
}

/// The CloudWatch log group of the tasks. One that exists is used as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogGroup {
    /// Name; left out, `/ecs/` and the service's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), regex(pattern = "^[A-Za-z0-9._/#-]+$"))]
    pub name: Option<String>,
    /// Days that events are kept, for a group that valkeep makes.
    #[serde(default = "LogGroup::default_retention_days")]
    #[schemars(extend("enum" = RETENTION_DAYS))]
    pub retention_days: u32,
}

impl LogGroup {
    pub(crate) fn default_retention_days() -> u32 {
        30
    }
}

impl Default for LogGroup {
    fn default() -> Self {
        Self {
            name: None,
            retention_days: Self::default_retention_days(),
        }
    }
}

/// The role of the tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskRole {
    /// Name of the role, not its ARN.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_+=,.@-]+$"))]
    pub name: String,
    /// Also grant `elasticfilesystem:ClientRootAccess`. A uid other than 0 does not need it.
    #[serde(default = "yes")]
    pub root_access: bool,
}

/// Where tasks and mount targets are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Network {
    /// The VPC.
    #[schemars(regex(pattern = "^vpc-[0-9a-f]{8,40}$"))]
    pub vpc_id: String,
    /// Subnets of the tasks, 1 to 16. Each of their availability zones gets one mount target.
    #[schemars(length(min = 1, max = 16), inner(regex(pattern = "^subnet-[0-9a-f]{8,40}$")), extend("uniqueItems" = true))]
    pub subnet_ids: Vec<String>,
    /// Security groups of the tasks, 1 to 5. They may reach the mount targets.
    #[schemars(length(min = 1, max = 5), inner(regex(pattern = "^sg-[0-9a-f]{8,40}$")), extend("uniqueItems" = true))]
    pub task_security_group_ids: Vec<String>,
    /// Further security groups that may reach the mount targets, like a bastion's. At most 50.
    #[serde(default)]
    #[schemars(length(max = 50), inner(regex(pattern = "^sg-[0-9a-f]{8,40}$")), extend("uniqueItems" = true))]
    pub maintenance_security_group_ids: Vec<String>,
}

/// The EFS file system: one that valkeep makes, or, with `id` here or in `accessPoint`, one that exists. Of one that
/// exists valkeep keeps true only what is written here; what is left out stays as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct FileSystem {
    /// Take this file system instead of making one. It is never deleted, and policies, tags and mount targets of others on
    /// it are never removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^fs-[0-9a-f]{8,40}$"))]
    pub id: Option<String>,
    /// Encrypt at rest. Cannot be changed later.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub encrypted: Option<bool>,
    /// KMS key for the encryption at rest: id, ARN or `alias/...`; left out, AWS's own key for EFS. Cannot be changed later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// Performance mode. Cannot be changed later.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PerformanceMode", extend("default" = "generalPurpose"))]
    pub performance_mode: Option<PerformanceMode>,
    /// Throughput mode. AWS allows a change once in 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ThroughputMode", extend("default" = "bursting"))]
    pub throughput_mode: Option<ThroughputMode>,
    /// Provisioned throughput in MiB/s, 1 to 3414; with `throughputMode: provisioned` and only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3414))]
    pub provisioned_mibps: Option<f64>,
    /// When files that are not read move to Infrequent Access.
    #[serde(rename = "transitionToIA", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TransitionToIa", extend("default" = "AFTER_30_DAYS"))]
    pub transition_to_ia: Option<TransitionToIa>,
    /// EFS's own daily backups.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub automatic_backups: Option<bool>,
    /// Refuse anonymous and clear-text mounts by a file-system policy. Clients for maintenance then need TLS and IAM, too.
    /// Only on a file system that valkeep makes.
    pub enforce_tls_and_iam: bool,
    /// On mount targets that others made, add valkeep's security group beside theirs, so that the tasks get in. Only on a
    /// file system that exists. Whoever keeps those mount targets by a tool sees a change.
    pub add_security_group: bool,
    /// The directory of this service on the file system, and its owner.
    pub access_point: AccessPoint,
    /// Where the directory is mounted in the container.
    #[schemars(length(min = 2, max = 255), regex(pattern = "^/"))]
    pub mount_path: String,
}

impl Default for FileSystem {
    fn default() -> Self {
        Self {
            id: None,
            encrypted: None,
            kms_key_id: None,
            performance_mode: None,
            throughput_mode: None,
            provisioned_mibps: None,
            transition_to_ia: None,
            automatic_backups: None,
            enforce_tls_and_iam: false,
            add_security_group: false,
            access_point: AccessPoint::default(),
            mount_path: "/data".to_owned(),
        }
    }
}

impl FileSystem {
    /// Whether it exists, instead of being made.
    pub fn exists(&self) -> bool {
        self.id.is_some() || self.access_point.id.is_some()
    }

    /// Fills in the defaults of what valkeep makes. What exists keeps what the document leaves out.
    pub(crate) fn fill(&mut self) {
        if !self.exists() {
            self.encrypted.get_or_insert(Self::ENCRYPTED);
            self.performance_mode.get_or_insert_default();
            self.throughput_mode.get_or_insert_default();
            self.transition_to_ia.get_or_insert_default();
            self.automatic_backups.get_or_insert(Self::AUTOMATIC_BACKUPS);
        }
        if self.access_point.id.is_none() {
            self.access_point.path.get_or_insert_with(AccessPoint::default_path);
            self.access_point.uid.get_or_insert(AccessPoint::ID);
            self.access_point.gid.get_or_insert(AccessPoint::ID);
            self.access_point
                .permissions
                .get_or_insert_with(AccessPoint::default_permissions);
        }
    }

    pub(crate) const ENCRYPTED: bool = true;
    pub(crate) const AUTOMATIC_BACKUPS: bool = true;
}

/// EFS performance mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum PerformanceMode {
    /// Lowest latency; right for Valkey.
    #[default]
    #[serde(rename = "generalPurpose")]
    GeneralPurpose,
    /// More operations per second at higher latency. Not with elastic throughput.
    #[serde(rename = "maxIO")]
    MaxIo,
}

/// EFS throughput mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ThroughputMode {
    /// Throughput grows with the data stored, with credits for bursts.
    #[default]
    Bursting,
    /// Throughput as it is used, paid by use.
    Elastic,
    /// A fixed throughput, `provisionedMibps`.
    Provisioned,
}

/// When files that are not read move to EFS Infrequent Access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum TransitionToIa {
    /// After one day.
    #[serde(rename = "AFTER_1_DAY")]
    After1Day,
    /// After 7 days.
    #[serde(rename = "AFTER_7_DAYS")]
    After7Days,
    /// After 14 days.
    #[serde(rename = "AFTER_14_DAYS")]
    After14Days,
    /// After 30 days.
    #[default]
    #[serde(rename = "AFTER_30_DAYS")]
    After30Days,
    /// After 60 days.
    #[serde(rename = "AFTER_60_DAYS")]
    After60Days,
    /// After 90 days.
    #[serde(rename = "AFTER_90_DAYS")]
    After90Days,
    /// After 180 days.
    #[serde(rename = "AFTER_180_DAYS")]
    After180Days,
    /// After 270 days.
    #[serde(rename = "AFTER_270_DAYS")]
    After270Days,
    /// After 365 days.
    #[serde(rename = "AFTER_365_DAYS")]
    After365Days,
    /// Never.
    Never,
}

/// The EFS access point: a directory and the POSIX user of everyone who mounts it. None of it can be changed later.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AccessPoint {
    /// Take this access point instead of making one. Directory, user and group are then its own; its file system is the one
    /// that is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^fsap-[0-9a-f]{8,40}$"))]
    pub id: Option<String>,
    /// Directory on the file system: absolute, at most 4 levels and 100 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 100), regex(pattern = "^/"), extend("default" = "/valkey-data"))]
    pub path: Option<String>,
    /// POSIX user id. Valkey runs as this user.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = 1000))]
    pub uid: Option<u32>,
    /// POSIX group id. Valkey runs as this group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = 1000))]
    pub gid: Option<u32>,
    /// Permissions of the directory when EFS makes it: octal digits in quotes, like `"0755"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-7]{3,4}$"), extend("default" = "0755"))]
    pub permissions: Option<String>,
}

impl AccessPoint {
    pub(crate) const ID: u32 = 1000;

    pub(crate) fn default_path() -> String {
        "/valkey-data".to_owned()
    }

    pub(crate) fn default_permissions() -> String {
        "0755".to_owned()
    }
}

/// Settings of the Valkey server itself. What is left out is left to Valkey.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Valkey {
    /// Memory for data, as Valkey writes it: `300mb`, `1gb`, or bytes in quotes; `"0"` is no limit. A snapshot needs memory
    /// beside it, in the worst case as much again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9]+[kKmMgG]?[bB]?$"))]
    pub maxmemory: Option<String>,
    /// What goes when that memory is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "MaxmemoryPolicy")]
    pub maxmemory_policy: Option<MaxmemoryPolicy>,
    /// Where the server's password lies. A service that valkeep makes gets it from there; an adopted one has it already, and
    /// valkeep logs in with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CredentialsFrom")]
    pub credentials_from: Option<CredentialsFrom>,
    /// How valkeep reaches a server that speaks TLS. Only for services that exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ServerTls")]
    pub tls: Option<ServerTls>,
}

/// What goes when the memory is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MaxmemoryPolicy {
    /// Nothing; writes are refused. Valkey's own default.
    Noeviction,
    /// Keys that were not used for longest.
    AllkeysLru,
    /// Keys that are used least often.
    AllkeysLfu,
    /// Any keys.
    AllkeysRandom,
    /// Of the keys that expire, those that were not used for longest.
    VolatileLru,
    /// Of the keys that expire, those that are used least often.
    VolatileLfu,
    /// Of the keys that expire, any.
    VolatileRandom,
    /// Of the keys that expire, those that expire next.
    VolatileTtl,
}

/// What is kept of the data, and how often it is saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Persistence {
    /// `false`: Valkey runs without the directory and saves nothing; the file system is kept as it is.
    pub enabled: bool,
    /// What to do with a dump that is older than the data it would replace, as after a time without snapshots.
    pub stale_dump: StaleDump,
    /// RDB snapshots.
    pub snapshots: Snapshots,
    /// The append-only file.
    pub append_only: AppendOnly,
}

impl Default for Persistence {
    fn default() -> Self {
        Self {
            enabled: true,
            stale_dump: StaleDump::default(),
            snapshots: Snapshots::default(),
            append_only: AppendOnly::default(),
        }
    }
}

/// What to do with a dump that is older than the data it would replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum StaleDump {
    /// Load it.
    #[default]
    Load,
    /// Rename it before the server starts.
    SetAside,
}

/// RDB snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Snapshots {
    /// How often a snapshot is written.
    pub preset: Preset,
    /// Save points for `preset: Custom`, and only there: save when at least `changes` keys changed within `seconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub rules: Option<Vec<SaveRule>>,
    /// Name of the RDB file in the directory. Cannot be changed later: Valkey would start empty.
    #[schemars(length(min = 1, max = 200), regex(pattern = "^[A-Za-z0-9_][A-Za-z0-9._-]*$"))]
    pub filename: String,
    /// Compress snapshots.
    pub compression: bool,
    /// Refuse writes while snapshots fail.
    pub stop_writes_on_error: bool,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self {
            preset: Preset::default(),
            rules: None,
            filename: "dump.rdb".to_owned(),
            compression: true,
            stop_writes_on_error: false,
        }
    }
}

/// How often a snapshot is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Preset {
    /// 15 minutes with 1 change, 5 minutes with 10, 1 minute with 10,000.
    #[default]
    Balanced,
    /// 5 minutes with 1 change, 1 minute with 10, 10 seconds with 10,000.
    Frequent,
    /// 1 hour with 1 change, 15 minutes with 10, 5 minutes with 10,000.
    Infrequent,
    /// As `rules` says.
    Custom,
    /// Never. The directory stays mounted and a dump in it is loaded at start.
    Off,
}

/// A save point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SaveRule {
    /// Within this many seconds.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub seconds: u32,
    /// At least this many changed keys.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub changes: u32,
}

/// The append-only file, beside the snapshots: every write is in it, at the latest a second later. It is switched on and off
/// while the server runs, which is replaced at once afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AppendOnly {
    /// Whether it is written. Snapshots must be on, too: they are the way back.
    pub enabled: bool,
    /// When it is flushed to disk; without effect while it is off.
    pub fsync: Fsync,
}

/// When the append-only file is flushed to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Fsync {
    /// Once a second.
    #[default]
    Everysec,
    /// With every write.
    Always,
    /// When the system does it.
    No,
}

/// How a task is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Rollout {
    /// Seconds from SIGTERM to SIGKILL, in which Valkey writes its last snapshot. At most 120 on Fargate.
    #[schemars(range(min = 1, max = 86400))]
    pub stop_timeout_seconds: u32,
    /// What may happen to a cache that was never persisted, when an adopted service is replaced for the first time, or after
    /// somebody deployed it without persistence.
    pub first_transition: FirstTransition,
    /// Before a planned replacement stops a server that may hold what is not saved, take a snapshot and check it.
    pub require_snapshot: bool,
    /// Set what Valkey takes while it runs on the running server, and let the new definition wait for the next replacement or
    /// maintenance window. `false`: replace the task at once.
    pub live_only: bool,
    /// When replacements that can wait may happen; left out, at any time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_window: Option<MaintenanceWindow>,
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            stop_timeout_seconds: 120,
            first_transition: FirstTransition::default(),
            require_snapshot: true,
            live_only: true,
            maintenance_window: None,
        }
    }
}

/// When replacements that can wait may happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MaintenanceWindow {
    /// When it opens, in five fields as of a Kubernetes CronJob: minute, hour, day of the month, month, day of the week; like
    /// `0 2 * * SUN`. In an hour that clocks skip it opens when they are put forward, in one that they repeat once.
    #[schemars(length(min = 9), regex(pattern = r"^\s*(\S+\s+){4}\S+\s*$"))]
    pub cron: String,
    /// How long it is open, a minute to a week. Where it is longer than the time to the next one, it is always open.
    #[schemars(range(min = 1, max = 10_080))]
    pub duration_minutes: u32,
    /// Whose clocks `cron` is about: a name of the IANA time zone database, like `Europe/London`.
    #[serde(default = "MaintenanceWindow::default_timezone")]
    pub timezone: String,
}

impl MaintenanceWindow {
    pub(crate) fn default_timezone() -> String {
        "UTC".to_owned()
    }
}

/// What may happen to a cache that was never persisted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum FirstTransition {
    /// Nothing: the replacement waits, and the status says so.
    #[default]
    Wait,
    /// It is lost once.
    AcceptLoss,
}

fn yes() -> bool {
    true
}
