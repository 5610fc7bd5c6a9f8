//! What was seen on AWS and in Valkey in one pass.

use crate::desired::{PerformanceMode, Throughput};
use crate::ids::{AccessPointId, FileSystemId, MountTargetId, NetworkInterfaceId, SecurityGroupId, SubnetId, VpcId};
use crate::valkey::ServerSettings;
use crate::{Fact, RawDefinition, Tags, TaskDefinition, Timestamp, ValkeyInfo};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};

/// Everything one pass looked at. Each part carries its own doubt, so one denied call hides one part only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// The desired subnets, found by id; a subnet that AWS does not know makes the fact `Unknown` with its id, the
    /// others stay usable through [`Subnets::found`].
    pub subnets: Fact<Subnets>,
    /// The security group with our name in the VPC.
    pub security_group: Fact<SecurityGroup>,
    /// The groups that the document names, for tasks and for maintenance. A group never changes its VPC.
    pub named_groups: Fact<NamedGroups>,
    /// Groups of others on the mount targets of a file system that is taken, with their rules.
    pub target_groups: Fact<Vec<SecurityGroup>>,
    /// The file system with our creation token, or the one that the document takes.
    pub file_system: Fact<FileSystem>,
    /// `TransitionToIA`; `Present(None)` is never.
    pub lifecycle: Fact<Option<String>>,
    /// Automatic backups on.
    pub backups: Fact<bool>,
    /// The file-system policy. Looked at only if the document asks for one, the file system says that we put one, or
    /// the file system is taken and another's policy may keep us out.
    pub file_system_policy: Fact<Value>,
    /// All mount targets of the file system.
    pub mount_targets: Fact<Vec<MountTarget>>,
    /// The access point with our token or tag, or the one that the document takes.
    pub access_point: Fact<AccessPoint>,
    /// Other access points of the file system that matter: those on the same directory, and the one that the running
    /// definition mounts; every other one, ours or not, where the document asks for its deletion.
    pub other_access_points: Fact<Vec<AccessPoint>>,
    /// The task role.
    pub role: Fact<Role>,
    /// Our inline policy on the role, percent-decoded and parsed.
    pub role_policy: Fact<Value>,
    /// The log group.
    pub log_group: Fact<LogGroup>,
    /// The ECS service, and with it whether the cluster is there.
    pub service: Fact<Service>,
    /// The cluster; `Present` also when the service is absent in it.
    pub cluster: Fact<()>,
    /// The task definition that the service runs; `Absent` when there is no service.
    pub running_definition: Fact<ObservedDefinition>,
    /// ACTIVE revisions of our family with our tags, newest first, looked for only when the running one is not what
    /// the document means. At most ten; a hundred if the document asks for its deletion.
    pub family: Fact<Vec<ObservedDefinition>>,
    /// The revision that the running one was laid over, as its tag says; looked for only where somebody else maintains the
    /// definition.
    pub base: Fact<ObservedDefinition>,
    /// What Application Auto Scaling has for the service; looked for only where somebody else makes the service.
    pub scaling: Fact<ScalingTarget>,
    /// Tasks of the service: running, starting and stopping, and the stopped ones that ECS still remembers. If the
    /// document asks for its deletion, those of our family as well, whoever started them.
    pub tasks: Fact<Vec<Task>>,
    /// The server in the running task, asked apart from AWS; not reachable is `Unknown`.
    pub valkey: Fact<ValkeyInfo>,
    /// Its settings that valkeep keeps true ([`crate::valkey::SERVER_SETTINGS`]).
    pub server_settings: Fact<ServerSettings>,
    /// The server let valkeep in with another password than the document's by now, or without one.
    pub former_login: bool,
}

/// The desired subnets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnets {
    /// Those that AWS knows, in the document's order.
    pub found: Vec<Subnet>,
    /// Those that it does not.
    pub missing: Vec<SubnetId>,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Id.
    pub id: SubnetId,
    /// VPC.
    pub vpc: VpcId,
    /// Zone id, like `euw1-az1`: the key of mount targets.
    pub zone_id: String,
    /// Zone name, like `eu-west-1a`, for people.
    pub zone: String,
}

/// The groups that the document names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedGroups {
    /// Those that AWS knows, with their VPC.
    pub found: Vec<(SecurityGroupId, VpcId)>,
    /// Those that it does not.
    pub missing: Vec<SecurityGroupId>,
}

/// A security group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// Id.
    pub id: SecurityGroupId,
    /// Its tags.
    pub tags: Tags,
    /// Ingress rules, one entry a source.
    pub ingress: Vec<IngressRule>,
}

/// One ingress rule: protocol, ports and one source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IngressRule {
    /// `tcp`, `-1`, ...
    pub protocol: String,
    /// First port; none for all.
    pub from_port: Option<i32>,
    /// Last port; none for all.
    pub to_port: Option<i32>,
    /// Security group id, CIDR or prefix list.
    pub source: String,
    /// Description of the source. Not part of the rule's identity.
    pub description: Option<String>,
}

/// EFS life-cycle state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LifeCycle {
    /// Being made.
    Creating,
    /// Usable.
    Available,
    /// Being changed.
    Updating,
    /// Being removed.
    Deleting,
    /// Gone.
    Deleted,
    /// Failed; EFS does not say why.
    Error,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileSystem {
    /// Id.
    pub id: FileSystemId,
    /// ARN.
    pub arn: String,
    /// State.
    pub state: LifeCycle,
    /// Encrypted at rest.
    pub encrypted: bool,
    /// ARN of the key, when encrypted.
    pub kms_key: Option<String>,
    /// Mode.
    pub performance: PerformanceMode,
    /// Mode.
    pub throughput: Throughput,
    /// Tags, without `aws:` keys.
    pub tags: Tags,
    /// The KMS key that the document names, resolved to a key ARN for the comparison; none where it names none or it
    /// could not be resolved.
    pub desired_kms_key: Option<String>,
    /// The one zone (by name) of a One Zone file system; none is a Regional one.
    pub one_zone: Option<String>,
    /// It is the destination of a replication: nobody can write to it.
    pub is_replica: bool,
}

/// A mount target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountTarget {
    /// Id.
    pub id: MountTargetId,
    /// Subnet.
    pub subnet: SubnetId,
    /// Zone id.
    pub zone_id: String,
    /// VPC, where EFS tells it.
    pub vpc: Option<VpcId>,
    /// State.
    pub state: LifeCycle,
    /// Address.
    pub ip: Option<IpAddr>,
    /// Network interface.
    pub interface: Option<NetworkInterfaceId>,
    /// Security groups of the interface, sorted.
    pub groups: Fact<Vec<SecurityGroupId>>,
    /// When the interface was attached; the DNS grace counts from here.
    pub attached_at: Option<Timestamp>,
}

/// An access point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessPoint {
    /// Id.
    pub id: AccessPointId,
    /// ARN.
    pub arn: String,
    /// Its file system.
    pub file_system: FileSystemId,
    /// State.
    pub state: LifeCycle,
    /// Directory.
    pub path: String,
    /// POSIX user; none where clients keep their own.
    pub uid: Option<u32>,
    /// POSIX group.
    pub gid: Option<u32>,
    /// Permissions that the directory was made with.
    pub permissions: Option<String>,
    /// Owner uid that the directory was made with.
    pub owner_uid: Option<u32>,
    /// Owner gid that the directory was made with.
    pub owner_gid: Option<u32>,
    /// Tags, without `aws:` keys.
    pub tags: Tags,
}

/// The task role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// ARN, with its path.
    pub arn: String,
}

/// A log group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogGroup {
    /// Name.
    pub name: String,
    /// Days; none is for ever.
    pub retention_days: Option<u32>,
    /// Tags, where they were read; a group that exists is used as it is, so they matter only for what we made.
    pub tags: Tags,
}

/// A registered task definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedDefinition {
    /// ARN with revision.
    pub arn: String,
    /// Can be used for new tasks.
    pub active: bool,
    /// Tags.
    pub tags: Tags,
    /// In our form, or none where it holds something that valkeep never renders (a second container, ...).
    pub definition: Option<TaskDefinition>,
    /// Whole, where somebody else maintains it.
    pub raw: Option<Box<RawDefinition>>,
}

/// What Application Auto Scaling may set a service's desired count to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScalingTarget {
    /// `MinCapacity`
    pub min: u32,
    /// `MaxCapacity`
    pub max: u32,
}

/// The ECS service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// ARN.
    pub arn: String,
    /// `ACTIVE`, `DRAINING` or `INACTIVE`. An INACTIVE service counts as absent.
    pub status: ServiceStatus,
    /// Task definition ARN.
    pub task_definition: String,
    /// Desired count.
    pub desired: u32,
    /// Running tasks.
    pub running: u32,
    /// Pending tasks.
    pub pending: u32,
    /// Tags.
    pub tags: Tags,
    /// What it was configured with.
    pub settings: ServiceSettings,
    /// How it is scheduled and deployed.
    pub kind: ServiceKind,
    /// Deployments, PRIMARY first.
    pub deployments: Vec<Deployment>,
    /// Newest first, at most ten.
    pub events: Vec<ServiceEvent>,
}

impl Service {
    /// The tasks that ECS counts for it. This and the list of tasks are read apart, so they may differ.
    pub fn counted(&self) -> usize {
        usize::try_from(self.running.saturating_add(self.pending)).unwrap_or(usize::MAX)
    }
}

/// Service status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ServiceStatus {
    /// In use.
    Active,
    /// Being deleted; its name is not free yet.
    Draining,
}

/// The parts of a service that valkeep keeps true. Sets are sorted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSettings {
    /// Subnets.
    pub subnets: Vec<SubnetId>,
    /// Security groups.
    pub groups: Vec<SecurityGroupId>,
    /// Public address.
    pub assign_public_ip: bool,
    /// `minimumHealthyPercent`; valkeep wants 0.
    pub minimum_healthy_percent: Option<u32>,
    /// `maximumPercent`; valkeep wants 100.
    pub maximum_percent: Option<u32>,
    /// Circuit breaker enabled; valkeep wants true.
    pub circuit_breaker: bool,
    /// Circuit breaker rolls back; valkeep wants false.
    pub rollback: bool,
    /// Availability-zone rebalancing; valkeep wants it off. None where AWS does not say, which means off.
    pub zone_rebalancing: Option<bool>,
    /// ECS Exec.
    pub enable_execute_command: bool,
    /// Cloud Map service ARN.
    pub registry_arn: Option<String>,
}

/// How a service is scheduled and deployed, as ECS spells it; what is left out is what ECS takes for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceKind {
    /// `REPLICA` or `DAEMON`.
    pub scheduling: String,
    /// `ECS`, `CODE_DEPLOY` or `EXTERNAL`.
    pub controller: String,
    /// `ROLLING`, `BLUE_GREEN`, `LINEAR` or `CANARY`.
    pub strategy: String,
}

impl Default for ServiceKind {
    fn default() -> Self {
        Self {
            scheduling: "REPLICA".to_owned(),
            controller: "ECS".to_owned(),
            strategy: "ROLLING".to_owned(),
        }
    }
}

/// A deployment of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// `ecs-svc/...`
    pub id: String,
    /// `PRIMARY` is true, older ones false.
    pub primary: bool,
    /// Task definition ARN.
    pub task_definition: String,
    /// Rollout state.
    pub rollout: Rollout,
    /// ECS's own reason.
    pub reason: Option<String>,
    /// Tasks that failed.
    pub failed_tasks: u32,
    /// Tasks that run.
    pub running: u32,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
}

/// Rollout state of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Rollout {
    /// Going on.
    InProgress,
    /// Done.
    Completed,
    /// The circuit breaker ended it.
    Failed,
}

/// A service event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceEvent {
    /// When.
    pub at: Option<Timestamp>,
    /// ECS's own words.
    pub message: String,
}

/// A task of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// ARN.
    pub arn: String,
    /// `PROVISIONING` ... `STOPPED`, as ECS has it.
    pub last_status: String,
    /// `RUNNING` or `STOPPED`.
    pub desired_status: String,
    /// Task definition ARN.
    pub task_definition: String,
    /// Private address.
    pub ip: Option<IpAddr>,
    /// `HEALTHY`, `UNHEALTHY` or `UNKNOWN`.
    pub health: Option<String>,
    /// Start.
    pub started_at: Option<Timestamp>,
    /// When it was told to end.
    pub stopping_at: Option<Timestamp>,
    /// End.
    pub stopped_at: Option<Timestamp>,
    /// `TaskFailedToStart`, `EssentialContainerExited`, ...
    pub stop_code: Option<String>,
    /// ECS's own words.
    pub stopped_reason: Option<String>,
    /// Exit code of the container.
    pub exit_code: Option<i32>,
    /// The container's own reason (`OutOfMemoryError: ...`, `CannotPullContainerError: ...`).
    pub container_reason: Option<String>,
}

impl Task {
    /// Whether it has ended for good.
    pub fn is_stopped(&self) -> bool {
        matches!(self.last_status.as_str(), "STOPPED" | "DELETED")
    }

    /// Whether it runs and is meant to.
    pub fn is_running(&self) -> bool {
        self.last_status == "RUNNING" && self.desired_status == "RUNNING"
    }

    /// Whether it was told to end and has not.
    pub fn is_ending(&self) -> bool {
        self.desired_status == "STOPPED" && !self.is_stopped()
    }
}

impl Observed {
    /// Nothing has been looked at yet.
    pub fn nothing() -> Self {
        Self {
            subnets: Fact::not_looked("ec2:DescribeSubnets"),
            security_group: Fact::not_looked("ec2:DescribeSecurityGroups"),
            named_groups: Fact::not_looked("ec2:DescribeSecurityGroups"),
            target_groups: Fact::not_looked("ec2:DescribeSecurityGroups"),
            file_system: Fact::not_looked("elasticfilesystem:DescribeFileSystems"),
            lifecycle: Fact::not_looked("elasticfilesystem:DescribeLifecycleConfiguration"),
            backups: Fact::not_looked("elasticfilesystem:DescribeBackupPolicy"),
            file_system_policy: Fact::not_looked("elasticfilesystem:DescribeFileSystemPolicy"),
            mount_targets: Fact::not_looked("elasticfilesystem:DescribeMountTargets"),
            access_point: Fact::not_looked("elasticfilesystem:DescribeAccessPoints"),
            other_access_points: Fact::not_looked("elasticfilesystem:DescribeAccessPoints"),
            role: Fact::not_looked("iam:GetRole"),
            role_policy: Fact::not_looked("iam:GetRolePolicy"),
            log_group: Fact::not_looked("logs:DescribeLogGroups"),
            service: Fact::not_looked("ecs:DescribeServices"),
            cluster: Fact::not_looked("ecs:DescribeServices"),
            running_definition: Fact::not_looked("ecs:DescribeTaskDefinition"),
            family: Fact::not_looked("ecs:ListTaskDefinitions"),
            base: Fact::not_looked("ecs:DescribeTaskDefinition"),
            scaling: Fact::not_looked("application-autoscaling:DescribeScalableTargets"),
            tasks: Fact::not_looked("ecs:ListTasks"),
            valkey: Fact::not_looked("valkey:INFO"),
            server_settings: Fact::not_looked("valkey:CONFIG GET"),
            former_login: false,
        }
    }

    /// Where the task that serves can be reached: by the port of what runs, which the document may be changing to `port`.
    pub fn server_address(&self, port: u16) -> Option<SocketAddr> {
        let ip = self.serving_task()?.ip?;
        let running = self.running_definition.present();
        let runs_with = running.and_then(|found| Some(found.definition.as_ref()?.container.port));
        Some(SocketAddr::new(ip, runs_with.unwrap_or(port)))
    }

    /// The task that serves now, if exactly one runs.
    pub fn serving_task(&self) -> Option<&Task> {
        let mut running = self.tasks.present()?.iter().filter(|task| task.is_running());
        match (running.next(), running.next()) {
            (Some(task), None) => Some(task),
            _ => None,
        }
    }
}
