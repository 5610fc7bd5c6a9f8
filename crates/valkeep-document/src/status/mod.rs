//! The status as written beside a document: a promise to everyone who reads it.
//!
//! JSON in Kubernetes' form, so that tools which judge by `.status.conditions` and `.status.observedGeneration` can. This
//! module knows how a status is written and compared; what it says is decided elsewhere.

mod json;
mod shorten;

use crate::Finding;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use valkeep_core::{Condition, ConditionStatus, ConditionType};

/// The most history events that a status keeps; older ones go first. Twenty are about three careful rollouts.
pub const HISTORY_MAX: usize = 20;

/// The state of one document. All times are in whole seconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// Name of the document, or the object's own stem where the document has no readable name. Written as `metadata.name`.
    #[serde(skip)]
    pub name: String,
    /// Generation of the document that this is about.
    pub observed_generation: i64,
    /// S3 version or ETag, or SSM version, of the document that this is about.
    pub observed_revision: String,
    /// The older revision that is in force because the newest one is not valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_good_revision: Option<String>,
    /// The installation of valkeep that wrote this.
    pub installation: String,
    /// Since when the document is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub paused_since: Option<Timestamp>,
    /// The annotation `valkeep.dev/look-now` of the version that this is about: it was looked at with this value there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub look_now: Option<String>,
    /// One sentence for people: what goes on now.
    pub phase: String,
    /// Conditions with kstatus meaning, each type at most once.
    #[serde(deserialize_with = "json::each_readable")]
    #[schemars(with = "Vec<ConditionSchema>")]
    pub conditions: Vec<Condition>,
    /// Host and port that clients connect to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Region of everything here, where it is not valkeep's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Account of everything here, where it is not valkeep's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// ARN of the role that valkeep works with there, where it is not its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assumed_role_arn: Option<String>,
    /// Ids of everything that belongs to the document.
    pub resources: Resources,
    /// The Valkey server, as it last answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valkey: Option<ValkeyStatus>,
    /// A dump that is older than the data it would replace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_dump: Option<StaleDumpStatus>,
    /// What is not done now, and why.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "json::each_readable")]
    pub holds: Vec<HoldStatus>,
    /// What is wrong with the document.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "json::each_readable")]
    pub findings: Vec<Finding>,
    /// What happened, oldest first, at most 20 events.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "json::each_readable")]
    pub history: Vec<Event>,
    /// Something was left out, because the store takes no longer status.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shortened: bool,
    /// When this was written.
    #[schemars(with = "Time")]
    pub last_updated: Timestamp,
}

/// Ids of everything that belongs to a document; absent while not known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// The NFS security group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_group_id: Option<String>,
    /// The file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_system_id: Option<String>,
    /// The file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_system_arn: Option<String>,
    /// One per availability zone.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "json::each_readable")]
    pub mount_targets: Vec<MountTargetStatus>,
    /// The access point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_point_id: Option<String>,
    /// The access point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_point_arn: Option<String>,
    /// The inline policy on the task role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_policy_name: Option<String>,
    /// The log group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_group: Option<String>,
    /// The task definition that the service runs or is to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_definition_arn: Option<String>,
    /// The service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_arn: Option<String>,
    /// The task that runs now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_arn: Option<String>,
}

/// One mount target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MountTargetStatus {
    /// Availability zone.
    pub zone: String,
    /// Id.
    pub id: String,
    /// Address, when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
}

/// The Valkey server, as it last answered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ValkeyStatus {
    /// Product and version, like `valkey 8.0.1`.
    pub version: String,
    /// Keys in all databases.
    pub keys: u64,
    /// Changes since the last snapshot: what would be lost if the server were killed now. None while they are in an append-only
    /// file.
    pub keys_at_risk: u64,
    /// `appendfsync`, while every write goes to an append-only file that the next server would load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub append_fsync: Option<String>,
    /// When the last snapshot ended; absent before the first one of this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub last_snapshot_at: Option<Timestamp>,
    /// How long it took, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_snapshot_seconds_taken: Option<u64>,
    /// Whether the last snapshot succeeded.
    pub last_snapshot_ok: bool,
    /// Keys that the server loaded when it started; 0 is a cold start.
    pub keys_loaded_at_start: u64,
    /// When the server started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub started_at: Option<Timestamp>,
    /// How long loading took, in seconds, where it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_seconds: Option<u64>,
    /// Memory in use, in bytes.
    pub used_memory_bytes: u64,
    /// Limit in bytes; 0 is none.
    pub maxmemory_bytes: u64,
}

/// A dump that is older than the data it would replace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StaleDumpStatus {
    /// Since when no snapshots are written; the dump is older.
    #[schemars(with = "Time")]
    pub snapshots_ended_at: Timestamp,
    /// How long ago that was when this was written, in seconds.
    pub age_seconds: u64,
}

/// Something that is not done now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HoldStatus {
    /// CamelCase, for machines.
    pub reason: String,
    /// For people.
    pub message: String,
    /// What the reader can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub until: Option<Timestamp>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When.
    #[schemars(with = "Time")]
    pub at: Timestamp,
    /// CamelCase, for machines.
    pub event: String,
    /// For people.
    pub message: String,
}

impl Status {
    /// An empty status under a document's name or an object's stem.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Writes a condition. Where its status is what it was, the time of the last transition stays as it was, too. Times
    /// are cut to whole seconds, so that what is read back equals what was written.
    pub fn set_condition(&mut self, condition: Condition) {
        let mut condition = Condition {
            last_transition_time: whole_seconds(condition.last_transition_time),
            ..condition
        };
        match self.conditions.iter_mut().find(|old| old.type_ == condition.type_) {
            Some(old) => {
                if old.status == condition.status {
                    condition.last_transition_time = old.last_transition_time;
                }
                *old = condition;
            }
            None => self.conditions.push(condition),
        }
        self.conditions.sort_by_key(|condition| condition.type_);
    }

    /// Writes all conditions: as [`Status::set_condition`] each, and those that are not given go.
    pub fn set_conditions(&mut self, conditions: impl IntoIterator<Item = Condition>) {
        let conditions: Vec<Condition> = conditions.into_iter().collect();
        self.conditions
            .retain(|old| conditions.iter().any(|condition| condition.type_ == old.type_));
        for condition in conditions {
            self.set_condition(condition);
        }
    }

    /// The condition of a type, if it was written.
    pub fn condition(&self, type_: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }

    /// Whether a condition is there and `True`.
    pub fn is(&self, type_: ConditionType) -> bool {
        self.condition(type_)
            .is_some_and(|condition| condition.status == ConditionStatus::True)
    }

    /// Adds an event and drops the oldest beyond [`HISTORY_MAX`].
    pub fn remember(&mut self, at: Timestamp, event: impl Into<String>, message: impl Into<String>) {
        self.history.push(Event {
            at: whole_seconds(at),
            event: event.into(),
            message: message.into(),
        });
        let surplus = self.history.len().saturating_sub(HISTORY_MAX);
        self.history.drain(..surplus);
    }

    /// Whether a reader could notice the difference. Not noticed: when it was written, how old a stale dump is (its time
    /// says it), and memory that differs by less than a 64th, as it does at every look.
    pub fn noticeable_difference(&self, other: &Self) -> bool {
        let plain = |status: &Self| {
            let mut status = status.clone();
            status.last_updated = Timestamp::UNIX_EPOCH;
            if let Some(stale) = &mut status.stale_dump {
                stale.age_seconds = 0;
            }
            status
        };
        let (mut one, mut two) = (plain(self), plain(other));
        if let (Some(one), Some(two)) = (&mut one.valkey, &mut two.valkey)
            && one.used_memory_bytes.abs_diff(two.used_memory_bytes) < one.used_memory_bytes / 64
        {
            one.used_memory_bytes = two.used_memory_bytes;
        }
        one != two
    }
}

/// Cuts a time to whole seconds.
pub fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).expect("the seconds of a timestamp are within its range")
}

/// `valkeep_core::Condition` for the schema; that crate knows no schemas. A test compares the two.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Condition")]
struct ConditionSchema {
    /// Which.
    #[serde(rename = "type")]
    type_: String,
    /// `True`, `False` or `Unknown`.
    status: ConditionStatusSchema,
    /// CamelCase, for machines.
    reason: String,
    /// For people.
    message: String,
    /// When `status` last changed.
    #[schemars(with = "Time")]
    last_transition_time: String,
    /// The generation that this was seen for.
    observed_generation: i64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ConditionStatus")]
enum ConditionStatusSchema {
    True,
    False,
    Unknown,
}

/// A time for the schema.
#[derive(JsonSchema)]
#[schemars(transparent, inline, extend("format" = "date-time"))]
#[expect(dead_code, reason = "only its schema is used")]
struct Time(String);
