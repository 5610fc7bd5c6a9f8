//! Network interfaces: those of mount targets and of tasks. Nobody else can make one here.

use super::address::Cidr;
use super::filter::{Filters, chosen};
use crate::clock::{iso, later};
use crate::error::ApiError;
use crate::ids;
use crate::state::State;
use crate::wire::{strings, tag_list};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// A network interface.
#[derive(Debug, Clone)]
pub(crate) struct Interface {
    pub(crate) id: String,
    pub(crate) subnet: String,
    pub(crate) vpc: String,
    pub(crate) zone: String,
    pub(crate) zone_id: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: String,
    pub(crate) groups: Vec<String>,
    pub(crate) description: String,
    pub(crate) owner: Owner,
    pub(crate) attached_at: Timestamp,
}

/// Whose an interface is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A mount target's.
    Efs,
    /// A task's.
    Ecs,
}

/// What an interface is made with.
pub(crate) struct NewInterface<'a> {
    pub(crate) subnet: &'a str,
    pub(crate) groups: Vec<String>,
    pub(crate) description: String,
    pub(crate) owner: Owner,
    /// A wanted address instead of a free one.
    pub(crate) address: Option<Ipv4Addr>,
}

/// Why there is no interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttachError {
    /// No such subnet.
    NoSubnet,
    /// The wanted address is used.
    InUse,
    /// The wanted address is not of this subnet.
    OutOfRange,
    /// There is no free one.
    Full,
}

/// Makes an interface with an address of its subnet. Addresses are not used again before all others were.
pub(crate) fn attach(state: &mut State, new: NewInterface<'_>) -> Result<Interface, AttachError> {
    let NewInterface {
        subnet,
        groups,
        description,
        owner,
        address,
    } = new;
    let subnet = state.ec2.subnets.get(subnet).cloned().ok_or(AttachError::NoSubnet)?;
    let address = match address {
        Some(address) if !subnet.cidr.contains(address) => return Err(AttachError::OutOfRange),
        Some(address) if is_used(state, address) => return Err(AttachError::InUse),
        Some(address) => address,
        None => free_address(state, &subnet.id, subnet.cidr).ok_or(AttachError::Full)?,
    };
    Ok(insert(state, &subnet, address, groups, description, owner))
}

/// Makes the interface of a task. Its address can be reached on this machine: it is the subnet's where the subnet
/// lies on loopback, and one of the configured block otherwise.
pub(crate) fn task_interface(
    state: &mut State,
    subnet: &str,
    groups: Vec<String>,
    description: &str,
) -> Result<Interface, AttachError> {
    let found = state.ec2.subnets.get(subnet).cloned().ok_or(AttachError::NoSubnet)?;
    let [first, second] = state.config.ip_block;
    let block = Cidr::parse(&format!("{first}.{second}.0.0/16")).expect("two octets make a block");
    let loopback = Cidr::parse("127.0.0.0/8").expect("it is a block");
    let (pool, range) = if loopback.covers(found.cidr) {
        (found.id.as_str(), found.cidr)
    } else {
        ("tasks", block)
    };
    let address = free_address(state, pool, range).ok_or(AttachError::Full)?;
    Ok(insert(
        state,
        &found,
        address,
        groups,
        description.to_owned(),
        Owner::Ecs,
    ))
}

/// Removes an interface; one that is gone already is fine.
pub(crate) fn detach(state: &mut State, id: &str) {
    state.ec2.interfaces.remove(id);
}

fn insert(
    state: &mut State,
    subnet: &super::Subnet,
    address: Ipv4Addr,
    groups: Vec<String>,
    description: String,
    owner: Owner,
) -> Interface {
    let id = state.fresh_id("eni");
    let digits = ids::hex(&mut state.rng, 10);
    let pairs: Vec<&str> = (0..5).map(|pair| &digits[pair * 2..pair * 2 + 2]).collect();
    let interface = Interface {
        id: id.clone(),
        subnet: subnet.id.clone(),
        vpc: subnet.vpc.clone(),
        zone: subnet.zone.clone(),
        zone_id: subnet.zone_id.clone(),
        address,
        mac: format!("0a:{}", pairs.join(":")),
        groups,
        description,
        owner,
        attached_at: state.now,
    };
    state.ec2.interfaces.insert(id, interface.clone());
    interface
}

fn is_used(state: &State, address: Ipv4Addr) -> bool {
    state
        .ec2
        .interfaces
        .values()
        .any(|interface| interface.address == address)
}

fn free_address(state: &mut State, pool: &str, block: Cidr) -> Option<Ipv4Addr> {
    // The first four and the last address of a subnet are AWS's own.
    let (first, last) = (4, u32::try_from(block.size().saturating_sub(2)).ok()?);
    let start = state.ec2.last_host.get(pool).copied().unwrap_or(first - 1);
    let numbers = (start + 1..=last).chain(first..=start);
    for number in numbers {
        let address = block.host(number)?;
        if !is_used(state, address) {
            state.ec2.last_host.insert(pool.to_owned(), number);
            return Some(address);
        }
    }
    None
}

pub(super) fn describe(state: &State, input: &Value) -> Result<Value, ApiError> {
    let filters = Filters::read(input);
    let none = BTreeMap::new();
    let unknown = |id: &str| {
        ApiError::bad(
            "InvalidNetworkInterfaceID.NotFound",
            format!("The networkInterface ID '{id}' does not exist"),
        )
    };
    let interfaces = chosen(&state.ec2.interfaces, &strings(input, "NetworkInterfaceId"), unknown)?;
    let views: Vec<Value> = interfaces
        .into_iter()
        .filter(|interface| later(interface.attached_at, state.config.delays.interface_shown) <= state.now)
        .filter(|interface| {
            filters.accept(&none, |name| match name {
                "network-interface-id" => Some(vec![interface.id.clone()]),
                "subnet-id" => Some(vec![interface.subnet.clone()]),
                "vpc-id" => Some(vec![interface.vpc.clone()]),
                "availability-zone" => Some(vec![interface.zone.clone()]),
                "description" => Some(vec![interface.description.clone()]),
                "group-id" => Some(interface.groups.clone()),
                "private-ip-address" | "addresses.private-ip-address" => Some(vec![interface.address.to_string()]),
                "interface-type" => Some(vec![kind(interface.owner).to_owned()]),
                "requester-managed" => Some(vec!["true".to_owned()]),
                "status" => Some(vec!["in-use".to_owned()]),
                _ => None,
            })
        })
        .map(|interface| view(interface, state))
        .collect();
    Ok(json!({ "networkInterfaceSet": views }))
}

fn kind(owner: Owner) -> &'static str {
    match owner {
        Owner::Efs => "efs",
        Owner::Ecs => "interface",
    }
}

fn view(interface: &Interface, state: &State) -> Value {
    let groups: Vec<Value> = interface
        .groups
        .iter()
        .map(|id| json!({ "groupId": id, "groupName": state.ec2.groups.get(id).map(|group| group.name.clone()) }))
        .collect();
    let address = interface.address.to_string();
    let name = format!(
        "ip-{}.{}.compute.internal",
        address.replace('.', "-"),
        state.config.region
    );
    json!({
        "networkInterfaceId": interface.id, "subnetId": interface.subnet, "vpcId": interface.vpc,
        "availabilityZone": interface.zone, "availabilityZoneId": interface.zone_id,
        "description": interface.description, "ownerId": state.config.account,
        "requesterManaged": true, "status": "in-use", "macAddress": interface.mac,
        "interfaceType": kind(interface.owner), "sourceDestCheck": true,
        "privateIpAddress": address, "privateDnsName": name,
        "groupSet": groups,
        "attachment": {
            "attachmentId": interface.id.replacen("eni-", "eni-attach-", 1),
            "instanceOwnerId": if interface.owner == Owner::Efs { "amazon-efs" } else { "amazon-aws" },
            "deviceIndex": 1, "status": "attached",
            "attachTime": iso(interface.attached_at), "deleteOnTermination": false,
        },
        "privateIpAddressesSet": [{ "privateIpAddress": address, "privateDnsName": name, "primary": true }],
        "ipv6AddressesSet": [],
        "tagSet": tag_list(&BTreeMap::new(), "key", "value"),
    })
}
