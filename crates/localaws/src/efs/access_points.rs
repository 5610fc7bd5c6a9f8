//! Access points.

use super::Life;
use serde_json::Value;
use std::collections::BTreeMap;

/// An access point.
#[derive(Debug, Clone)]
pub(crate) struct AccessPoint {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) file_system: String,
    pub(crate) life: Life,
    /// The user that all clients become.
    pub(crate) posix_user: Option<PosixUser>,
    pub(crate) path: String,
    /// With what the directory is made at the first mount; without it a missing directory fails the mount.
    pub(crate) creation: Option<CreationInfo>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// The user that all clients of an access point become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PosixUser {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) secondary_gids: Vec<u32>,
}

/// How an access point's directory is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreationInfo {
    pub(crate) owner_uid: u32,
    pub(crate) owner_gid: u32,
    /// Octal, three or four digits.
    pub(crate) permissions: String,
}
