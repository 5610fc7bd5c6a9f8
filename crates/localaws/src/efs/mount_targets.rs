//! Mount targets: one a zone, each with an interface in EC2.

use super::Life;
use jiff::Timestamp;
use std::net::Ipv4Addr;

/// A mount target.
#[derive(Debug, Clone)]
pub(crate) struct MountTarget {
    pub(crate) id: String,
    pub(crate) file_system: String,
    pub(crate) subnet: String,
    pub(crate) vpc: String,
    /// `eu-west-1a`.
    pub(crate) zone: String,
    /// `euw1-az1`.
    pub(crate) zone_id: String,
    pub(crate) address: Ipv4Addr,
    /// Id of its network interface, whose groups are the mount target's.
    pub(crate) interface: String,
    pub(crate) life: Life,
    pub(crate) attached_at: Timestamp,
}
