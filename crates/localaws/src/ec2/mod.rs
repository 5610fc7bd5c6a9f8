//! EC2: networks, security groups and network interfaces. No instances.

mod address;
mod filter;
mod group_calls;
mod groups;
mod interfaces;
mod network;
mod tagging;

pub(crate) use address::Cidr;
pub(crate) use groups::{Group, add_group, default_group};
pub(crate) use interfaces::{AttachError, Interface, NewInterface, Owner, attach, detach, task_interface};
pub(crate) use network::{Subnet, Vpc, add_subnet, add_vpc};

use crate::error::ApiError;
use crate::state::State;
use crate::wire;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// All that EC2 remembers.
#[derive(Debug, Default)]
pub(crate) struct Ec2 {
    pub(crate) vpcs: BTreeMap<String, Vpc>,
    pub(crate) subnets: BTreeMap<String, Subnet>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) interfaces: BTreeMap<String, Interface>,
    /// The last host number given out in a subnet: addresses are not used again before all were.
    last_host: BTreeMap<String, u32>,
}

/// Answers one operation.
pub(crate) fn call(state: &mut State, operation: &str, input: &Value) -> Result<Value, ApiError> {
    match operation {
        "CreateVpc" => network::create_vpc(state, input),
        "DescribeVpcs" => network::describe_vpcs(state, input),
        "DescribeVpcAttribute" => network::describe_vpc_attribute(state, input),
        "ModifyVpcAttribute" => network::modify_vpc_attribute(state, input),
        "CreateSubnet" => network::create_subnet(state, input),
        "DeleteSubnet" => network::delete_subnet(state, input),
        "DescribeSubnets" => network::describe_subnets(state, input),
        "DescribeAvailabilityZones" => Ok(network::describe_zones(state)),
        "CreateSecurityGroup" => group_calls::create(state, input),
        "DescribeSecurityGroups" => group_calls::describe(state, input),
        "DescribeSecurityGroupRules" => group_calls::describe_rules(state, input),
        "AuthorizeSecurityGroupIngress" => group_calls::authorize(state, input, groups::Direction::Ingress),
        "AuthorizeSecurityGroupEgress" => group_calls::authorize(state, input, groups::Direction::Egress),
        "RevokeSecurityGroupIngress" => group_calls::revoke(state, input, groups::Direction::Ingress),
        "RevokeSecurityGroupEgress" => group_calls::revoke(state, input, groups::Direction::Egress),
        "DeleteSecurityGroup" => group_calls::delete(state, input),
        "DescribeNetworkInterfaces" => interfaces::describe(state, input),
        "CreateTags" => tagging::create(state, input),
        "DeleteTags" => tagging::delete(state, input),
        "DescribeTags" => Ok(tagging::describe(state, input)),
        _ => Err(wire::unknown_operation(operation)),
    }
}

/// Whether traffic to TCP `port` gets from an interface in `from` (with this address) into one in `to` (with that
/// one): some egress rule there and some ingress rule here must allow it.
pub(crate) fn reaches(
    state: &State,
    (from, from_address): (&[String], Ipv4Addr),
    (to, to_address): (&[String], Ipv4Addr),
    port: u16,
) -> bool {
    let groups = |ids: &[String]| ids.iter().filter_map(|id| state.ec2.groups.get(id)).collect::<Vec<_>>();
    let leaves = groups(from)
        .iter()
        .flat_map(|group| &group.egress)
        .any(|rule| rule.allows(port, to, to_address));
    let enters = groups(to)
        .iter()
        .flat_map(|group| &group.ingress)
        .any(|rule| rule.allows(port, from, from_address));
    leaves && enters
}

/// The subnet, with its zone and VPC.
pub(crate) fn subnet<'a>(state: &'a State, id: &str) -> Option<&'a Subnet> {
    state.ec2.subnets.get(id)
}
