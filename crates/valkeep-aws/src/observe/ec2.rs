//! Subnets, the NFS security group, and the interfaces of mount targets.

use super::PAGES_MAX;
use crate::clients::Inner;
use crate::convert::{fact, id, some, tags, timestamp, unexpected};
use crate::error::Named;
use aws_sdk_ec2::types::{Filter, NetworkInterface};
use std::collections::BTreeMap;
use valkeep_core::failure::Failure;
use valkeep_core::ids::{NetworkInterfaceId, SecurityGroupId, SubnetId, VpcId};
use valkeep_core::observed::{IngressRule, SecurityGroup, Subnet, Subnets};
use valkeep_core::{Desired, Fact, Timestamp};

fn filter(name: &str, values: impl IntoIterator<Item = String>) -> Filter {
    Filter::builder()
        .name(name)
        .set_values(Some(values.into_iter().collect()))
        .build()
}

/// The desired subnets. A subnet never changes while it exists, so each is read once.
pub(super) async fn subnets(aws: &Inner, desired: &Desired) -> Fact<Subnets> {
    fact(look_for_subnets(aws, &desired.network.subnets).await.map(Some))
}

async fn look_for_subnets(aws: &Inner, wanted: &[SubnetId]) -> Result<Subnets, Failure> {
    const CALL: &str = "ec2:DescribeSubnets";
    let unknown: Vec<String> = wanted
        .iter()
        .filter(|id| aws.cache.subnets.get(id).is_none())
        .map(ToString::to_string)
        .collect();
    if !unknown.is_empty() {
        // By filter, not by id: one unknown id would fail the whole call. At most 16 ids, so one page.
        let answer = aws
            .ec2
            .describe_subnets()
            .filters(filter("subnet-id", unknown))
            .send()
            .await
            .named(CALL)?;
        for subnet in answer.subnets() {
            let subnet = Subnet {
                id: id(CALL, SubnetId::parse(some(CALL, "subnet id", subnet.subnet_id())?))?,
                vpc: id(CALL, VpcId::parse(some(CALL, "VPC", subnet.vpc_id())?))?,
                zone_id: some(CALL, "zone id", subnet.availability_zone_id())?.to_owned(),
                zone: subnet.availability_zone().unwrap_or_default().to_owned(),
            };
            aws.cache.subnets.put(subnet.id.clone(), subnet);
        }
    }
    let mut seen = Subnets {
        found: Vec::new(),
        missing: Vec::new(),
    };
    for id in wanted {
        match aws.cache.subnets.get(id) {
            Some(subnet) => seen.found.push(subnet),
            None => seen.missing.push(id.clone()),
        }
    }
    Ok(seen)
}

/// Forgets the desired subnets after a call that named them failed: one of them may be gone.
pub(crate) fn forget_subnets(aws: &Inner, desired: &Desired) {
    for id in &desired.network.subnets {
        aws.cache.subnets.forget(id);
    }
}

pub(super) async fn security_group(aws: &Inner, desired: &Desired) -> Fact<SecurityGroup> {
    fact(find_security_group(aws, &desired.names.security_group, &desired.network.vpc).await)
}

/// The security group of this name in this VPC; names are unique there.
pub(crate) async fn find_security_group(
    aws: &Inner,
    name: &str,
    vpc: &VpcId,
) -> Result<Option<SecurityGroup>, Failure> {
    const CALL: &str = "ec2:DescribeSecurityGroups";
    let answer = aws
        .ec2
        .describe_security_groups()
        .filters(filter("group-name", [name.to_owned()]))
        .filters(filter("vpc-id", [vpc.to_string()]))
        .send()
        .await
        .named(CALL)?;
    let Some(group) = answer.security_groups().first() else {
        return Ok(None);
    };
    let mut ingress = Vec::new();
    for permission in group.ip_permissions() {
        let pairs = permission
            .user_id_group_pairs()
            .iter()
            .map(|it| (it.group_id(), it.description()));
        let ranges = permission.ip_ranges().iter().map(|it| (it.cidr_ip(), it.description()));
        let ranges6 = permission
            .ipv6_ranges()
            .iter()
            .map(|it| (it.cidr_ipv6(), it.description()));
        let lists = permission
            .prefix_list_ids()
            .iter()
            .map(|it| (it.prefix_list_id(), it.description()));
        for (source, description) in pairs.chain(ranges).chain(ranges6).chain(lists) {
            ingress.push(IngressRule {
                protocol: permission.ip_protocol().unwrap_or("-1").to_owned(),
                from_port: permission.from_port(),
                to_port: permission.to_port(),
                source: source.unwrap_or_default().to_owned(),
                description: description.map(ToOwned::to_owned),
            });
        }
    }
    ingress.sort();
    Ok(Some(SecurityGroup {
        id: id(CALL, SecurityGroupId::parse(some(CALL, "group id", group.group_id())?))?,
        tags: tags(group.tags().iter().map(|tag| (tag.key(), tag.value()))),
        ingress,
    }))
}

/// What is known of a mount target's interface.
pub(super) struct Interface {
    /// Sorted.
    pub(super) groups: Vec<SecurityGroupId>,
    pub(super) attached_at: Option<Timestamp>,
}

/// Interfaces by id, those that exist, in one call: cheaper than asking EFS for each target's groups.
pub(super) async fn interfaces(
    aws: &Inner,
    wanted: &[NetworkInterfaceId],
) -> Result<BTreeMap<NetworkInterfaceId, Interface>, Failure> {
    const CALL: &str = "ec2:DescribeNetworkInterfaces";
    let mut found = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let mut page = None;
    for _ in 0..PAGES_MAX {
        let answer = aws
            .ec2
            .describe_network_interfaces()
            .filters(filter("network-interface-id", wanted.iter().map(ToString::to_string)))
            .set_next_token(page)
            .send()
            .await
            .named(CALL)?;
        for interface in answer.network_interfaces() {
            let (id, interface) = read_interface(CALL, interface)?;
            found.insert(id, interface);
        }
        page = answer
            .next_token()
            .filter(|token| !token.is_empty())
            .map(ToOwned::to_owned);
        if page.is_none() {
            return Ok(found);
        }
    }
    Err(unexpected(CALL, "the listing does not end"))
}

fn read_interface(call: &str, interface: &NetworkInterface) -> Result<(NetworkInterfaceId, Interface), Failure> {
    let name = some(call, "interface id", interface.network_interface_id())?;
    let mut groups = Vec::new();
    for group in interface.groups() {
        groups.push(id(call, SecurityGroupId::parse(group.group_id().unwrap_or_default()))?);
    }
    groups.sort();
    let attached_at = interface
        .attachment()
        .and_then(|attachment| attachment.attach_time())
        .and_then(timestamp);
    Ok((
        id(call, NetworkInterfaceId::parse(name))?,
        Interface { groups, attached_at },
    ))
}
