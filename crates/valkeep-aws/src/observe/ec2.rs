//! Subnets, security groups, and the interfaces of mount targets.

use super::PAGES_MAX;
use crate::clients::Inner;
use crate::convert::{doubt, fact, id, some, tags, timestamp, unexpected};
use crate::error::Named;
use aws_sdk_ec2::types::{Filter, NetworkInterface, SecurityGroup as SdkGroup};
use std::collections::{BTreeMap, BTreeSet};
use valkeep_core::failure::Failure;
use valkeep_core::ids::{NetworkInterfaceId, SecurityGroupId, SubnetId, VpcId};
use valkeep_core::observed::{IngressRule, NamedGroups, SecurityGroup, Subnet, Subnets};
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

/// Forgets the desired subnets and groups after a call that named them failed: one of them may be gone.
pub(crate) fn forget_network(aws: &Inner, desired: &Desired) {
    for id in &desired.network.subnets {
        aws.cache.subnets.forget(id);
    }
    for id in desired.nfs_clients() {
        aws.cache.groups.forget(&id);
    }
}

/// The groups that the document names. A group never changes its VPC, so each is read once.
pub(super) async fn named_groups(aws: &Inner, desired: &Desired) -> Fact<NamedGroups> {
    fact(look_for_groups(aws, &desired.nfs_clients()).await.map(Some))
}

async fn look_for_groups(aws: &Inner, wanted: &[SecurityGroupId]) -> Result<NamedGroups, Failure> {
    let unknown: Vec<String> = wanted
        .iter()
        .filter(|id| aws.cache.groups.get(id).is_none())
        .map(ToString::to_string)
        .collect();
    if !unknown.is_empty() {
        // By filter, as subnets are. At most 55 ids, so one page.
        let answer = aws
            .ec2
            .describe_security_groups()
            .filters(filter("group-id", unknown))
            .send()
            .await
            .named(GROUPS_CALL)?;
        for group in answer.security_groups() {
            let group_id = id(
                GROUPS_CALL,
                SecurityGroupId::parse(some(GROUPS_CALL, "group id", group.group_id())?),
            )?;
            let vpc = id(GROUPS_CALL, VpcId::parse(some(GROUPS_CALL, "VPC", group.vpc_id())?))?;
            aws.cache.groups.put(group_id, vpc);
        }
    }
    let mut seen = NamedGroups {
        found: Vec::new(),
        missing: Vec::new(),
    };
    for id in wanted {
        match aws.cache.groups.get(id) {
            Some(vpc) => seen.found.push((id.clone(), vpc)),
            None => seen.missing.push(id.clone()),
        }
    }
    Ok(seen)
}

pub(super) async fn security_group(aws: &Inner, desired: &Desired) -> Fact<SecurityGroup> {
    fact(find_security_group(aws, &desired.names.security_group, &desired.network.vpc).await)
}

/// Our security group, and those of these names.
pub(super) async fn security_groups(
    aws: &Inner,
    desired: &Desired,
    names: &BTreeSet<String>,
) -> (Fact<SecurityGroup>, Fact<Vec<SecurityGroup>>) {
    let ours = &desired.names.security_group;
    let names = names.iter().chain([ours]).cloned();
    match find_security_groups(aws, names, &desired.network.vpc).await {
        Err(failure) => {
            let doubt = doubt(failure);
            (Fact::Unknown(doubt.clone()), Fact::Unknown(doubt))
        }
        Ok(mut found) => {
            let group = found.remove(ours);
            let others = found.into_values().chain(group.clone()).collect();
            (group.map_or(Fact::Absent, Fact::Present), Fact::Present(others))
        }
    }
}

/// The security group of this name in this VPC; names are unique there.
pub(crate) async fn find_security_group(
    aws: &Inner,
    name: &str,
    vpc: &VpcId,
) -> Result<Option<SecurityGroup>, Failure> {
    let mut found = find_security_groups(aws, [name.to_owned()], vpc).await?;
    Ok(found.pop_first().map(|(_, group)| group))
}

const GROUPS_CALL: &str = "ec2:DescribeSecurityGroups";

/// The groups of these names in this VPC, by name. A file system has a mount target a zone with at most five groups each,
/// so they fit one page.
async fn find_security_groups(
    aws: &Inner,
    names: impl IntoIterator<Item = String>,
    vpc: &VpcId,
) -> Result<BTreeMap<String, SecurityGroup>, Failure> {
    let answer = aws
        .ec2
        .describe_security_groups()
        .filters(filter("group-name", names))
        .filters(filter("vpc-id", [vpc.to_string()]))
        .send()
        .await
        .named(GROUPS_CALL)?;
    let groups = answer.security_groups().iter();
    groups
        .map(|group| Ok((group.group_name().unwrap_or_default().to_owned(), read_group(group)?)))
        .collect()
}

fn read_group(group: &SdkGroup) -> Result<SecurityGroup, Failure> {
    const CALL: &str = GROUPS_CALL;
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
    Ok(SecurityGroup {
        id: id(CALL, SecurityGroupId::parse(some(CALL, "group id", group.group_id())?))?,
        tags: tags(group.tags().iter().map(|tag| (tag.key(), tag.value()))),
        ingress,
    })
}

/// What is known of a mount target's interface.
pub(super) struct Interface {
    /// Sorted.
    pub(super) groups: Vec<SecurityGroupId>,
    /// Their names.
    pub(super) names: Vec<String>,
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
    let names = interface.groups().iter().filter_map(|group| group.group_name());
    let names = names.map(ToOwned::to_owned).collect();
    let attached_at = interface
        .attachment()
        .and_then(|attachment| attachment.attach_time())
        .and_then(timestamp);
    Ok((
        id(call, NetworkInterfaceId::parse(name))?,
        Interface {
            groups,
            names,
            attached_at,
        },
    ))
}
