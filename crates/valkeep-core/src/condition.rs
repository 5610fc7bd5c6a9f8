//! Conditions as Kubernetes has them, with kstatus meaning.

use crate::Timestamp;
use serde::{Deserialize, Serialize};

/// One condition of a document's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which.
    #[serde(rename = "type")]
    pub type_: ConditionType,
    /// True, False or Unknown.
    pub status: ConditionStatus,
    /// CamelCase, for machines.
    pub reason: String,
    /// For people.
    pub message: String,
    /// When `status` last changed; whole seconds.
    pub last_transition_time: Timestamp,
    /// The generation that this was seen for.
    pub observed_generation: i64,
}

/// Condition types, in the order in which they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConditionType {
    /// Everything the document asks for is so, and the data is served and safe.
    Ready,
    /// valkeep works on it or waits for AWS.
    Reconciling,
    /// A person is needed.
    Stalled,
    /// The document is valid.
    DocumentValid,
    /// Subnets and the NFS security group.
    NetworkReady,
    /// File system and its settings.
    FileSystemReady,
    /// A usable mount target in every zone.
    MountTargetsReady,
    /// Access point.
    AccessPointReady,
    /// Task-role policy.
    PermissionsReady,
    /// Task definition.
    TaskDefinitionReady,
    /// The service runs what it should, at rest.
    ServiceStable,
    /// Valkey answers and saves as promised.
    PersistenceHealthy,
    /// The last start loaded its data.
    WarmStart,
    /// Something differed from the document and was not this document's own change.
    DriftDetected,
    /// A new definition waits for the next replacement of the server, which is set as the document says already.
    RestartPending,
    /// Everything that valkeep made is gone. There only while the document asks for its deletion.
    Deleted,
}

impl ConditionType {
    /// Every type, in the order in which they are written.
    pub const ALL: [ConditionType; 16] = [
        ConditionType::Ready,
        ConditionType::Reconciling,
        ConditionType::Stalled,
        ConditionType::DocumentValid,
        ConditionType::NetworkReady,
        ConditionType::FileSystemReady,
        ConditionType::MountTargetsReady,
        ConditionType::AccessPointReady,
        ConditionType::PermissionsReady,
        ConditionType::TaskDefinitionReady,
        ConditionType::ServiceStable,
        ConditionType::PersistenceHealthy,
        ConditionType::WarmStart,
        ConditionType::DriftDetected,
        ConditionType::RestartPending,
        ConditionType::Deleted,
    ];

    /// The status at which nobody needs to be told why.
    pub fn at_rest(self) -> ConditionStatus {
        match self {
            ConditionType::Reconciling
            | ConditionType::Stalled
            | ConditionType::DriftDetected
            | ConditionType::RestartPending => ConditionStatus::False,
            _ => ConditionStatus::True,
        }
    }
}

/// Status of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// It cannot be told.
    Unknown,
}
