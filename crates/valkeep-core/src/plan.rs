//! A plan: what to do now, what not now and why, and when to look again.

use crate::{Step, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The planner's whole answer.
#[must_use = "a plan says what is held and why; dropping it hides that from the user"]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Independent of each other: they may run at the same time, in any order.
    pub steps: Vec<Step>,
    /// What is not done now.
    pub holds: Vec<Hold>,
    /// When to look again at the latest, because something becomes possible then.
    pub retry_at: Option<Timestamp>,
}

impl Plan {
    /// Nothing to do and nothing waited for.
    pub fn is_converged(&self) -> bool {
        self.steps.is_empty() && self.holds.iter().all(|hold| hold.kind == HoldKind::Notice)
    }

    /// Whether any hold needs a person.
    pub fn is_stalled(&self) -> bool {
        self.holds.iter().any(|hold| hold.kind == HoldKind::Stalled)
    }
}

/// Something that is not done now. Conditions, events, CLI text and metric labels all come from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What is held.
    pub resource: Resource,
    /// How it ends.
    pub kind: HoldKind,
    /// Why, for machines.
    pub reason: HoldReason,
    /// Why, for people: a sentence without a period, naming the resource.
    pub message: String,
    /// What the reader can do about it.
    pub hint: Option<String>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// How a hold ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HoldKind {
    /// Not in the way of anything; said for the reader's understanding (a foreign rule, a warning).
    Notice,
    /// By itself.
    Waiting,
    /// When looking works again.
    Unknown,
    /// When a person acts. valkeep still looks again, slowly.
    Stalled,
}

/// Reasons of holds: CamelCase words that appear as condition reasons, and so are a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HoldReason {
    /// A file system, mount target or access point is being made or changed.
    Creating,
    /// The mount target's DNS name is given time.
    DnsGrace,
    /// Something that must come first is not there yet.
    Dependency,
    /// EFS allows the next throughput change later.
    ThroughputCooldown,
    /// A service of this name is still draining.
    Draining,
    /// A deployment goes on.
    RollingOut,
    /// Tasks of the service have not all stopped yet.
    TasksStopping,
    /// The circuit breaker ended a deployment; it is tried again later.
    CircuitBroken,
    /// Tasks stop at start.
    TaskFailing,
    /// Looking failed: no permission.
    AccessDenied,
    /// Looking or acting was throttled.
    Throttled,
    /// No answer.
    Unreachable,
    /// AWS answered 5xx.
    ServerError,
    /// Looking or acting failed otherwise.
    CallFailed,
    /// AWS refused the request as invalid.
    Rejected,
    /// A quota is used up.
    LimitExceeded,
    /// Something the document names is not there: cluster, role, subnet, group.
    NotFound,
    /// A resource has our name and is not ours.
    NotOurs,
    /// The document names something outside of what the operator permits.
    NotPermitted,
    /// The document differs in something that AWS cannot change in place.
    ImmutableField,
    /// The file system is the destination of a replication, which nobody can write to.
    ReadOnly,
    /// The change would make the server start without its data.
    WouldHideData,
    /// The image could not read what wrote the files: it is older, or of the other product.
    ImageTooOld,
    /// An old dump would replace newer live data.
    StaleDump,
    /// RDB and append-only do not change by restart.
    AppendOnlyByRestart,
    /// The running server begins its append-only file.
    AppendOnlyBegins,
    /// The running server could not write its append-only file.
    AppendOnlyFailed,
    /// A snapshot is taken before the server is stopped.
    Snapshotting,
    /// The snapshot that must come before a stop failed.
    SnapshotFailed,
    /// The snapshot that must come before a stop takes far longer than it should.
    SnapshotHangs,
    /// A final save would take longer than ECS waits for the server to end.
    StopBudgetTooSmall,
    /// The server cannot be asked whether it may be stopped.
    ServerUnreachable,
    /// The server is replaced in the maintenance window, which is not open.
    OutsideWindow,
    /// A new definition waits for the next replacement; the running server is set as the document says.
    RestartPending,
    /// The service is at desired count 0: as the document says, or as somebody else has set it, which stays.
    Hibernated,
    /// A rule or setting of somebody else was found and left.
    Foreign,
    /// An adopted service runs one task on every container instance, or in another way than `REPLICA`.
    UnsupportedScheduling,
    /// An adopted service is deployed by another controller than ECS's own.
    UnsupportedController,
    /// An adopted service is deployed by another strategy than `ROLLING`: two copies would run at once.
    UnsupportedStrategy,
    /// An adopted definition has another network mode than `awsvpc`.
    UnsupportedNetworkMode,
    /// An adopted service is meant to run more than one task.
    MoreThanOneTask,
    /// An adopted service is scaled by Application Auto Scaling.
    Autoscaled,
    /// Which container of an adopted definition runs Valkey cannot be told.
    AmbiguousContainer,
    /// How an adopted definition starts its server is not understood.
    CommandNotUnderstood,
    /// An adopted definition has another task role than the document names.
    OtherRole,
    /// An adopted service lies in other subnets or security groups than the document names.
    OtherNetwork,
    /// The cache of an adopted service was never persisted and would be lost once.
    FirstTransition,
    /// ECS would drop a setting of the base definition that valkeep carries on.
    SettingsWouldBeLost,
    /// Two documents have one name, one target or one directory.
    Conflict,
    /// The document is not valid.
    InvalidDocument,
    /// The critic refused the plan: a bug of valkeep, nothing was done.
    RefusedByCritic,
    /// The file system is in the state `error`.
    Failed,
    /// The document asks for the deletion of its data, and there is no final backup.
    BackupRequired,
    /// Something is being deleted.
    Deleting,
    /// Somebody else uses it, so it is not deleted.
    InUse,
    /// It is not deleted, and that is as it should be: it is not ours, or never goes.
    Kept,
    /// Server without TLS and IAM enforcement and the like: worth knowing.
    Warning,
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What is converged; each belongs to one condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Resource {
    /// The document itself.
    Document,
    /// VPC, subnets.
    Network,
    /// NFS security group.
    SecurityGroup,
    /// File system and its sub-resources.
    FileSystem,
    /// Mount targets.
    MountTarget,
    /// Access point.
    AccessPoint,
    /// Task role.
    Role,
    /// Inline policy of the task role.
    RolePolicy,
    /// Log group.
    LogGroup,
    /// Task definition.
    TaskDefinition,
    /// ECS cluster.
    Cluster,
    /// ECS service.
    Service,
    /// Tasks of the service.
    Task,
    /// The Valkey server.
    Valkey,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Resource::Document => "document",
            Resource::Network => "network",
            Resource::SecurityGroup => "security group",
            Resource::FileSystem => "file system",
            Resource::MountTarget => "mount target",
            Resource::AccessPoint => "access point",
            Resource::Role => "task role",
            Resource::RolePolicy => "task-role policy",
            Resource::LogGroup => "log group",
            Resource::TaskDefinition => "task definition",
            Resource::Cluster => "cluster",
            Resource::Service => "service",
            Resource::Task => "task",
            Resource::Valkey => "Valkey",
        })
    }
}
