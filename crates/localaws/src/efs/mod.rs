//! EFS: file systems, mount targets, access points, and who may mount what.

mod access_points;
mod authorize;
mod file_systems;
mod mount_targets;
mod policy;
mod settings;
mod tagging;

pub(crate) use access_points::AccessPoint;
pub(crate) use authorize::{MountRequest, may};
pub(crate) use file_systems::FileSystem;
pub(crate) use mount_targets::MountTarget;

use crate::clock::seconds_between;
use crate::ec2;
use crate::error::ApiError;
use crate::fault::is_mutating;
use crate::state::State;
use crate::wire::{number, text, unknown_operation};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

/// All that EFS remembers.
#[derive(Debug, Default)]
pub(crate) struct Efs {
    pub(crate) file_systems: BTreeMap<String, FileSystem>,
    pub(crate) mount_targets: BTreeMap<String, MountTarget>,
    pub(crate) access_points: BTreeMap<String, AccessPoint>,
    /// Nothing happens by itself before then; none after a change, until it was looked for.
    quiet_until: Option<Timestamp>,
}

/// Where something is in its life, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// Being made until then.
    Creating(Timestamp),
    /// Usable.
    Available,
    /// Being changed until then.
    Updating(Timestamp),
    /// Being removed until then.
    Deleting(Timestamp),
}

impl Life {
    /// The state at `now`; none when it is gone.
    fn at(self, now: Timestamp) -> Option<Self> {
        match self {
            Self::Creating(until) | Self::Updating(until) if until <= now => Some(Self::Available),
            Self::Deleting(until) if until <= now => None,
            other => Some(other),
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Creating(_) => "creating",
            Self::Available => "available",
            Self::Updating(_) => "updating",
            Self::Deleting(_) => "deleting",
        }
    }

    /// When it changes by itself.
    fn due(self) -> Option<Timestamp> {
        match self {
            Self::Available => None,
            Self::Creating(until) | Self::Updating(until) | Self::Deleting(until) => Some(until),
        }
    }

    /// Whether clients can use it: a file system that is being updated serves all the while.
    pub(crate) fn is_usable(self) -> bool {
        matches!(self, Self::Available | Self::Updating(_))
    }
}

/// Lets everything happen whose time has come.
pub(crate) fn tick(state: &mut State) {
    let now = state.now;
    // Every request comes through here, and with a thousand file systems looking at each would be most of its cost.
    if state.efs.quiet_until.is_some_and(|until| now < until) {
        return;
    }
    let mut interfaces = Vec::new();
    state.efs.mount_targets.retain(|_, target| {
        let stays = keep(&mut target.life, now);
        if !stays {
            interfaces.push(target.interface.clone());
        }
        stays
    });
    for interface in &interfaces {
        ec2::detach(state, interface);
    }
    state
        .efs
        .file_systems
        .retain(|_, file_system| keep(&mut file_system.life, now));
    let file_systems = &state.efs.file_systems;
    state
        .efs
        .access_points
        .retain(|_, point| file_systems.contains_key(&point.file_system) && keep(&mut point.life, now));
    let Efs {
        file_systems,
        mount_targets,
        access_points,
        ..
    } = &state.efs;
    let lives = file_systems.values().map(|file_system| file_system.life);
    let lives = lives.chain(mount_targets.values().map(|target| target.life));
    let lives = lives.chain(access_points.values().map(|point| point.life));
    state.efs.quiet_until = Some(lives.filter_map(Life::due).min().unwrap_or(Timestamp::MAX));
}

fn keep(life: &mut Life, now: Timestamp) -> bool {
    let next = life.at(now);
    *life = next.unwrap_or(*life);
    next.is_some()
}

/// Answers one operation.
pub(crate) fn call(state: &mut State, operation: &str, input: &Value) -> Result<Value, ApiError> {
    if is_mutating(operation) {
        state.efs.quiet_until = None;
    }
    match operation {
        "CreateFileSystem" => file_systems::create(state, input),
        "DescribeFileSystems" => file_systems::describe(state, input),
        "UpdateFileSystem" => file_systems::update(state, input),
        "DeleteFileSystem" => file_systems::delete(state, input),
        "DescribeLifecycleConfiguration" => settings::describe_lifecycle(state, input),
        "PutLifecycleConfiguration" => settings::put_lifecycle(state, input),
        "DescribeBackupPolicy" => settings::describe_backup(state, input),
        "PutBackupPolicy" => settings::put_backup(state, input),
        "UpdateFileSystemProtection" => settings::update_protection(state, input),
        "DescribeFileSystemPolicy" => policy::describe(state, input),
        "PutFileSystemPolicy" => policy::put(state, input),
        "DeleteFileSystemPolicy" => policy::delete(state, input),
        "CreateMountTarget" => mount_targets::create(state, input),
        "DescribeMountTargets" => mount_targets::describe(state, input),
        "DeleteMountTarget" => mount_targets::delete(state, input),
        "DescribeMountTargetSecurityGroups" => mount_targets::describe_groups(state, input),
        "ModifyMountTargetSecurityGroups" => mount_targets::modify_groups(state, input),
        "CreateAccessPoint" => access_points::create(state, input),
        "DescribeAccessPoints" => access_points::describe(state, input),
        "DeleteAccessPoint" => access_points::delete(state, input),
        "ListTagsForResource" => tagging::list(state, input),
        "TagResource" => tagging::tag(state, input),
        "UntagResource" => tagging::untag(state, input),
        _ => Err(unknown_operation(operation)),
    }
}

/// The file system.
pub(crate) fn file_system<'a>(state: &'a State, id: &str) -> Option<&'a FileSystem> {
    state.efs.file_systems.get(id)
}

/// The access point.
pub(crate) fn access_point<'a>(state: &'a State, id: &str) -> Option<&'a AccessPoint> {
    state.efs.access_points.get(id)
}

/// The file system's mount target in a zone (by name, such as `eu-west-1a`), in whatever state it is.
pub(crate) fn mount_target_in_zone<'a>(state: &'a State, file_system: &str, zone: &str) -> Option<&'a MountTarget> {
    state
        .efs
        .mount_targets
        .values()
        .find(|target| target.file_system == file_system && target.zone == zone)
}

/// Whether the file system's name resolves in a zone: the VPC has DNS, and there is an available mount target whose
/// interface is old enough.
pub(crate) fn name_resolves(state: &State, target: &MountTarget) -> bool {
    let vpc = state.ec2.vpcs.get(&target.vpc);
    vpc.is_some_and(|vpc| vpc.dns_support && vpc.dns_hostnames)
        && target.life == Life::Available
        && seconds_between(target.attached_at, state.now) >= state.config.delays.dns
}

/// Whether NFS gets from an interface in these groups, with this address, to the mount target.
pub(crate) fn nfs_open(state: &State, groups: &[String], address: std::net::Ipv4Addr, target: &MountTarget) -> bool {
    state
        .ec2
        .interfaces
        .get(&target.interface)
        .is_some_and(|there| ec2::reaches(state, (groups, address), (&there.groups, there.address), 2049))
}

/// A page of things ordered by id, from behind the marker, and the marker of the next one.
fn page<'a, T>(
    all: impl Iterator<Item = (&'a String, &'a T)>,
    input: &Value,
    (limit, marker): (&str, &str),
    usual: usize,
) -> (Vec<&'a T>, Option<String>) {
    let limit = number(input, limit)
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usual)
        .clamp(1, 100);
    let after = text(input, marker).unwrap_or_default();
    let mut rest = all.filter(|(id, _)| id.as_str() > after).peekable();
    let mut page = Vec::new();
    let mut last = None;
    while page.len() < limit
        && let Some((id, thing)) = rest.next()
    {
        page.push(thing);
        last = Some(id.clone());
    }
    let next = if rest.peek().is_some() { last } else { None };
    (page, next)
}
