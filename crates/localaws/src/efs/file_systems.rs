//! File systems.

use super::Life;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// A file system.
#[derive(Debug, Clone)]
pub(crate) struct FileSystem {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) created_at: Timestamp,
    pub(crate) life: Life,
    pub(crate) performance: String,
    pub(crate) encrypted: bool,
    pub(crate) kms_key: Option<String>,
    pub(crate) throughput: String,
    pub(crate) provisioned_mibps: Option<f64>,
    pub(crate) zone: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// The policy, normalised.
    pub(crate) policy: Option<Value>,
    pub(super) lifecycle: Value,
    pub(super) backup: Backup,
    pub(super) overwrite_protection: bool,
    /// The last change of mode or decrease.
    throughput_changed_at: Option<Timestamp>,
    /// The last change of a sub-resource.
    pub(super) settings_changed_at: Option<Timestamp>,
}

/// The backup policy: what it becomes and from when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backup {
    pub(super) enabled: bool,
    pub(super) settled_at: Timestamp,
}
