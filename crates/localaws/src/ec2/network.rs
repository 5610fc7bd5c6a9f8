//! VPCs, subnets and availability zones.

use super::address::Cidr;
use super::filter::{Filters, chosen};
use super::groups;
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{boolean, required, strings, tag_list, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A VPC.
#[derive(Debug, Clone)]
pub(crate) struct Vpc {
    pub(crate) id: String,
    pub(crate) cidr: Cidr,
    pub(crate) dns_support: bool,
    pub(crate) dns_hostnames: bool,
    pub(crate) tags: BTreeMap<String, String>,
}

/// A subnet.
#[derive(Debug, Clone)]
pub(crate) struct Subnet {
    pub(crate) id: String,
    pub(crate) vpc: String,
    pub(crate) cidr: Cidr,
    /// `eu-west-1a`.
    pub(crate) zone: String,
    /// `euw1-az1`.
    pub(crate) zone_id: String,
    pub(crate) tags: BTreeMap<String, String>,
}

/// Adds a VPC with its default security group.
pub(crate) fn add_vpc(state: &mut State, id: &str, cidr: Cidr) {
    let vpc = Vpc {
        id: id.to_owned(),
        cidr,
        dns_support: true,
        dns_hostnames: false,
        tags: BTreeMap::new(),
    };
    state.ec2.vpcs.insert(id.to_owned(), vpc);
    let group = state.fresh_id("sg");
    groups::add_group(state, &group, id, "default", "default VPC security group");
    let own = groups::Rule::all_from_group(state, &group);
    if let Some(group) = state.ec2.groups.get_mut(&group) {
        group.ingress.push(own);
    }
}

/// Adds a subnet.
pub(crate) fn add_subnet(state: &mut State, id: &str, vpc: &str, cidr: Cidr, zone: &str) {
    let subnet = Subnet {
        id: id.to_owned(),
        vpc: vpc.to_owned(),
        cidr,
        zone: zone.to_owned(),
        zone_id: zone_id(&state.config.region, zone),
        tags: BTreeMap::new(),
    };
    state.ec2.subnets.insert(id.to_owned(), subnet);
}

pub(super) fn create_vpc(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let block = required(input, "CidrBlock")?;
    let cidr = Cidr::parse(block).ok_or_else(|| {
        ApiError::bad(
            "InvalidParameterValue",
            format!("Value ({block}) for parameter cidrBlock is invalid."),
        )
    })?;
    let id = state.fresh_id("vpc");
    add_vpc(state, &id, cidr);
    let tags = super::tagging::specified(input, "vpc");
    let vpc = state.ec2.vpcs.get_mut(&id).expect("it was just added");
    vpc.tags = tags;
    Ok(json!({ "vpc": vpc_view(vpc, &state.config.account) }))
}

pub(super) fn describe_vpcs(state: &State, input: &Value) -> Result<Value, ApiError> {
    let filters = Filters::read(input);
    let vpcs = chosen(&state.ec2.vpcs, &strings(input, "VpcId"), unknown_vpc)?;
    let views: Vec<Value> = vpcs
        .into_iter()
        .filter(|vpc| {
            filters.accept(&vpc.tags, |name| match name {
                "vpc-id" => Some(vec![vpc.id.clone()]),
                "cidr" | "cidr-block-association.cidr-block" => Some(vec![vpc.cidr.to_string()]),
                "is-default" | "isDefault" => Some(vec!["false".to_owned()]),
                "state" => Some(vec!["available".to_owned()]),
                _ => None,
            })
        })
        .map(|vpc| vpc_view(vpc, &state.config.account))
        .collect();
    Ok(json!({ "vpcSet": views }))
}

pub(super) fn describe_vpc_attribute(state: &State, input: &Value) -> Result<Value, ApiError> {
    let id = required(input, "VpcId")?;
    let vpc = state.ec2.vpcs.get(id).ok_or_else(|| unknown_vpc(id))?;
    match required(input, "Attribute")? {
        "enableDnsSupport" => Ok(json!({ "vpcId": id, "enableDnsSupport": { "value": vpc.dns_support } })),
        "enableDnsHostnames" => Ok(json!({ "vpcId": id, "enableDnsHostnames": { "value": vpc.dns_hostnames } })),
        other => Err(ApiError::bad(
            "InvalidParameterValue",
            format!("Value ({other}) for parameter attribute is invalid."),
        )),
    }
}

pub(super) fn modify_vpc_attribute(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let id = required(input, "VpcId")?;
    let vpc = state.ec2.vpcs.get_mut(id).ok_or_else(|| unknown_vpc(id))?;
    if let Some(value) = input.get("EnableDnsSupport").and_then(|value| boolean(value, "Value")) {
        vpc.dns_support = value;
    }
    if let Some(value) = input
        .get("EnableDnsHostnames")
        .and_then(|value| boolean(value, "Value"))
    {
        vpc.dns_hostnames = value;
    }
    Ok(json!({ "return": true }))
}

pub(super) fn create_subnet(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let vpc_id = required(input, "VpcId")?;
    let vpc = state.ec2.vpcs.get(vpc_id).ok_or_else(|| unknown_vpc(vpc_id))?;
    let block = required(input, "CidrBlock")?;
    let cidr = Cidr::parse(block)
        .filter(|cidr| vpc.cidr.covers(*cidr))
        .ok_or_else(|| ApiError::bad("InvalidSubnet.Range", format!("The CIDR '{block}' is invalid.")))?;
    if state
        .ec2
        .subnets
        .values()
        .any(|subnet| subnet.vpc == vpc_id && subnet.cidr.overlaps(cidr))
    {
        let words = format!("The CIDR '{block}' conflicts with another subnet");
        return Err(ApiError::bad("InvalidSubnet.Conflict", words));
    }
    let zones = zones(&state.config.region);
    let zone = match (text(input, "AvailabilityZone"), text(input, "AvailabilityZoneId")) {
        (Some(zone), _) => zones.iter().find(|known| *known == zone),
        (None, Some(id)) => zones.iter().find(|known| zone_id(&state.config.region, known) == id),
        (None, None) => zones.first(),
    };
    let Some(zone) = zone else {
        let words = "Value for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: ";
        return Err(ApiError::bad(
            "InvalidParameterValue",
            format!("{words}{}.", zones.join(", ")),
        ));
    };
    let id = state.fresh_id("subnet");
    add_subnet(state, &id, vpc_id, cidr, zone);
    let tags = super::tagging::specified(input, "subnet");
    let subnet = state.ec2.subnets.get_mut(&id).expect("it was just added");
    subnet.tags = tags;
    let view = subnet_view(&state.ec2.subnets[&id], state);
    Ok(json!({ "subnet": view }))
}

pub(super) fn delete_subnet(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let id = required(input, "SubnetId")?;
    if !state.ec2.subnets.contains_key(id) {
        return Err(unknown_subnet(id));
    }
    if state.ec2.interfaces.values().any(|interface| interface.subnet == id) {
        let words = format!("The subnet '{id}' has dependencies and cannot be deleted.");
        return Err(ApiError::bad("DependencyViolation", words));
    }
    state.ec2.subnets.remove(id);
    Ok(json!({ "return": true }))
}

pub(super) fn describe_subnets(state: &State, input: &Value) -> Result<Value, ApiError> {
    let filters = Filters::read(input);
    let subnets = chosen(&state.ec2.subnets, &strings(input, "SubnetId"), unknown_subnet)?;
    let views: Vec<Value> = subnets
        .into_iter()
        .filter(|subnet| {
            filters.accept(&subnet.tags, |name| match name {
                "subnet-id" => Some(vec![subnet.id.clone()]),
                "vpc-id" => Some(vec![subnet.vpc.clone()]),
                "availability-zone" | "availabilityZone" => Some(vec![subnet.zone.clone()]),
                "availability-zone-id" | "availabilityZoneId" => Some(vec![subnet.zone_id.clone()]),
                "cidr" | "cidr-block" | "cidrBlock" => Some(vec![subnet.cidr.to_string()]),
                "state" => Some(vec!["available".to_owned()]),
                _ => None,
            })
        })
        .map(|subnet| subnet_view(subnet, state))
        .collect();
    Ok(json!({ "subnetSet": views }))
}

pub(super) fn describe_zones(state: &State) -> Value {
    let region = &state.config.region;
    let views: Vec<Value> = zones(region)
        .iter()
        .map(|zone| {
            json!({
                "zoneName": zone, "zoneId": zone_id(region, zone), "zoneState": "available", "regionName": region,
                "zoneType": "availability-zone", "optInStatus": "opt-in-not-required", "groupName": region,
            })
        })
        .collect();
    json!({ "availabilityZoneInfo": views })
}

pub(super) fn unknown_vpc(id: &str) -> ApiError {
    ApiError::bad("InvalidVpcID.NotFound", format!("The vpc ID '{id}' does not exist"))
}

fn unknown_subnet(id: &str) -> ApiError {
    ApiError::bad(
        "InvalidSubnetID.NotFound",
        format!("The subnet ID '{id}' does not exist"),
    )
}

fn vpc_view(vpc: &Vpc, account: &str) -> Value {
    json!({
        "vpcId": vpc.id, "ownerId": account, "state": "available", "cidrBlock": vpc.cidr.to_string(),
        "cidrBlockAssociationSet": [{
            "cidrBlock": vpc.cidr.to_string(), "associationId": format!("vpc-cidr-assoc-{}", vpc.id.trim_start_matches("vpc-")),
            "cidrBlockState": { "state": "associated" },
        }],
        "dhcpOptionsId": "default", "instanceTenancy": "default", "isDefault": false,
        "tagSet": tag_list(&vpc.tags, "key", "value"),
    })
}

fn subnet_view(subnet: &Subnet, state: &State) -> Value {
    let used = state
        .ec2
        .interfaces
        .values()
        .filter(|interface| interface.subnet == subnet.id)
        .count() as u64;
    json!({
        "subnetId": subnet.id, "subnetArn": state.arn("ec2", &format!("subnet/{}", subnet.id)),
        "state": "available", "ownerId": state.config.account, "vpcId": subnet.vpc,
        "cidrBlock": subnet.cidr.to_string(), "ipv6CidrBlockAssociationSet": [],
        // The first four and the last address of a subnet are AWS's own.
        "availableIpAddressCount": subnet.cidr.size().saturating_sub(5 + used),
        "availabilityZone": subnet.zone, "availabilityZoneId": subnet.zone_id,
        "defaultForAz": false, "mapPublicIpOnLaunch": false, "assignIpv6AddressOnCreation": false,
        "tagSet": tag_list(&subnet.tags, "key", "value"),
    })
}

fn zones(region: &str) -> [String; 3] {
    ["a", "b", "c"].map(|letter| format!("{region}{letter}"))
}

/// `eu-west-1a` is `euw1-az1`: the region in short, and the zone by its letter's place.
fn zone_id(region: &str, zone: &str) -> String {
    let mut short = String::new();
    for (place, part) in region.split('-').enumerate() {
        match (place, part) {
            (_, "northeast") => short.push_str("ne"),
            (_, "northwest") => short.push_str("nw"),
            (_, "southeast") => short.push_str("se"),
            (_, "southwest") => short.push_str("sw"),
            (0, part) => short.push_str(part),
            (_, part) => short.extend(part.chars().next()),
        }
    }
    let number = zone.bytes().last().map_or(1, |letter| letter.saturating_sub(b'a') + 1);
    format!("{short}-az{number}")
}
