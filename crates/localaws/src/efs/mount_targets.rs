//! Mount targets: one a zone, each with an interface in EC2.

use super::file_systems::{bad, find, find_available, id_of};
use super::{Life, page};
use crate::ec2::{self, AttachError, NewInterface, Owner};
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{required, strings, text};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

/// The real default is ten, so that whoever does not read on sees only ten.
const PAGE: usize = 10;
const GROUPS_MAX: usize = 5;

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

pub(super) fn create(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let file_system = find_available(state, required(input, "FileSystemId")?)?.clone();
    let subnet_id = required(input, "SubnetId")?;
    let Some(subnet) = ec2::subnet(state, subnet_id).cloned() else {
        let words = format!("The subnet ID '{subnet_id}' does not exist");
        return Err(ApiError::bad("SubnetNotFound", words));
    };
    if file_system.zone.as_ref().is_some_and(|zone| *zone != subnet.zone) {
        let words = "The Availability Zone of the subnet does not match that of the file system.";
        return Err(ApiError::bad("AvailabilityZonesMismatch", words));
    }
    for other in state
        .efs
        .mount_targets
        .values()
        .filter(|other| other.file_system == file_system.id)
    {
        if other.vpc != subnet.vpc {
            let words = "requested subnet for new mount target is not in the same VPC as existing mount targets";
            return Err(ApiError::conflict("MountTargetConflict", words));
        }
        if other.zone == subnet.zone {
            return Err(ApiError::conflict(
                "MountTargetConflict",
                "mount target already exists in this AZ",
            ));
        }
    }
    let mut groups = strings(input, "SecurityGroups");
    if groups.is_empty() {
        groups.extend(ec2::default_group(state, &subnet.vpc));
    }
    check_groups(state, &groups, &subnet.vpc)?;
    let address = match text(input, "IpAddress") {
        Some(text) => Some(text.parse().map_err(|_| bad("The IP address is malformed."))?),
        None => None,
    };
    let id = state.fresh_id("fsmt");
    let description = format!("Mount target {id} for file system {}", file_system.id);
    let new = NewInterface {
        subnet: subnet_id,
        groups,
        description,
        owner: Owner::Efs,
        address,
    };
    let interface = ec2::attach(state, new).map_err(|problem| match problem {
        AttachError::InUse => ApiError::conflict("IpAddressInUse", "The IP address is already in use."),
        AttachError::OutOfRange => bad("Address does not fall within the subnet's address range"),
        AttachError::Full | AttachError::NoSubnet => {
            ApiError::conflict("NoFreeAddressesInSubnet", "There are no free addresses in the subnet.")
        }
    })?;
    let target = MountTarget {
        id: id.clone(),
        file_system: file_system.id,
        subnet: subnet.id,
        vpc: subnet.vpc,
        zone: subnet.zone,
        zone_id: subnet.zone_id,
        address: interface.address,
        interface: interface.id,
        life: Life::Creating(state.in_seconds(state.config.delays.mount_target)),
        attached_at: interface.attached_at,
    };
    state.efs.mount_targets.insert(id.clone(), target);
    Ok(view(state, &state.efs.mount_targets[&id]))
}

pub(super) fn describe(state: &State, input: &Value) -> Result<Value, ApiError> {
    let file_system = match (
        text(input, "FileSystemId"),
        text(input, "MountTargetId"),
        text(input, "AccessPointId"),
    ) {
        (Some(id), None, None) => find(state, id)?.id.clone(),
        (None, Some(id), None) => {
            let target = known(state, id)?;
            return Ok(json!({ "MountTargets": [view(state, target)] }));
        }
        (None, None, Some(id)) => super::access_points::find(state, id_of(id))?.file_system.clone(),
        _ => {
            return Err(bad(
                "Exactly one of FileSystemId, MountTargetId and AccessPointId must be given.",
            ));
        }
    };
    let all = state
        .efs
        .mount_targets
        .iter()
        .filter(|(_, target)| target.file_system == file_system);
    let (found, next) = page(all, input, ("MaxItems", "Marker"), PAGE);
    let views: Vec<Value> = found.into_iter().map(|target| view(state, target)).collect();
    let mut answer = json!({ "MountTargets": views });
    if let Some(next) = next {
        answer["NextMarker"] = json!(next);
    }
    Ok(answer)
}

pub(super) fn delete(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let until = state.in_seconds(state.config.delays.mount_target_delete);
    let id = known(state, required(input, "MountTargetId")?)?.id.clone();
    let target = state.efs.mount_targets.get_mut(&id).expect("it was just found");
    if !matches!(target.life, Life::Deleting(_)) {
        target.life = Life::Deleting(until);
    }
    Ok(Value::Null)
}

pub(super) fn describe_groups(state: &State, input: &Value) -> Result<Value, ApiError> {
    let target = usable(state, required(input, "MountTargetId")?)?;
    let groups = state
        .ec2
        .interfaces
        .get(&target.interface)
        .map(|interface| interface.groups.clone());
    Ok(json!({ "SecurityGroups": groups.unwrap_or_default() }))
}

pub(super) fn modify_groups(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let target = usable(state, required(input, "MountTargetId")?)?.clone();
    let mut groups = strings(input, "SecurityGroups");
    if groups.is_empty() {
        groups.extend(ec2::default_group(state, &target.vpc));
    }
    check_groups(state, &groups, &target.vpc)?;
    if let Some(interface) = state.ec2.interfaces.get_mut(&target.interface) {
        interface.groups = groups;
    }
    Ok(Value::Null)
}

fn known<'a>(state: &'a State, id: &str) -> Result<&'a MountTarget, ApiError> {
    state
        .efs
        .mount_targets
        .get(id)
        .ok_or_else(|| ApiError::missing("MountTargetNotFound", format!("Mount target '{id}' does not exist.")))
}

fn usable<'a>(state: &'a State, id: &str) -> Result<&'a MountTarget, ApiError> {
    let target = known(state, id)?;
    if target.life == Life::Available {
        return Ok(target);
    }
    let words = format!(
        "The mount target '{id}' is in the state '{}', but must be 'available'.",
        target.life.as_str()
    );
    Err(ApiError::conflict("IncorrectMountTargetState", words))
}

fn check_groups(state: &State, groups: &[String], vpc: &str) -> Result<(), ApiError> {
    if groups.len() > GROUPS_MAX {
        let words = "The maximum number of security groups per interface has been reached.";
        return Err(ApiError::bad("SecurityGroupLimitExceeded", words));
    }
    let strange = groups
        .iter()
        .find(|id| state.ec2.groups.get(*id).is_none_or(|group| group.vpc != vpc));
    match strange {
        Some(id) => {
            let words = format!("The security group '{id}' does not exist");
            Err(ApiError::bad("SecurityGroupNotFound", words))
        }
        None => Ok(()),
    }
}

fn view(state: &State, target: &MountTarget) -> Value {
    json!({
        "OwnerId": state.config.account, "MountTargetId": target.id, "FileSystemId": target.file_system,
        "SubnetId": target.subnet, "LifeCycleState": target.life.as_str(), "IpAddress": target.address.to_string(),
        "NetworkInterfaceId": target.interface, "AvailabilityZoneId": target.zone_id,
        "AvailabilityZoneName": target.zone, "VpcId": target.vpc,
    })
}
