//! The operations on security groups.

use super::filter::{Filters, chosen};
use super::groups::{Direction, Group, Peer, Rule, add_group};
use super::{address::Cidr, network, tagging};
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{list, number, required, strings, tag_list, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// AWS's default quota of rules for each direction of one group.
const RULES_MAX: usize = 60;
const GROUP_NAME_LENGTH_MAX: usize = 255;

pub(super) fn create(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let name = required(input, "GroupName")?;
    let description = required(input, "GroupDescription")?;
    let vpc = match text(input, "VpcId") {
        Some(vpc) => vpc.to_owned(),
        None => return Err(ApiError::bad("VPCIdNotSpecified", "No default VPC for this user")),
    };
    if !state.ec2.vpcs.contains_key(&vpc) {
        return Err(network::unknown_vpc(&vpc));
    }
    for (member, text) in [("groupName", name), ("groupDescription", description)] {
        let valid = text.len() <= GROUP_NAME_LENGTH_MAX
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c));
        if !valid {
            let words = format!(
                "Value ({text}) for parameter {member} is invalid. Character sets beyond ASCII are not supported."
            );
            return Err(ApiError::bad("InvalidParameterValue", words));
        }
    }
    if name.to_ascii_lowercase().starts_with("sg-") {
        let words = format!("Invalid value '{name}' for groupName. Names starting with 'sg-' are reserved");
        return Err(ApiError::bad("InvalidParameterValue", words));
    }
    if state
        .ec2
        .groups
        .values()
        .any(|group| group.vpc == vpc && group.name.eq_ignore_ascii_case(name))
    {
        let words = format!("The security group '{name}' already exists for VPC '{vpc}'");
        return Err(ApiError::bad("InvalidGroup.Duplicate", words));
    }
    let id = state.fresh_id("sg");
    add_group(state, &id, &vpc, name, description);
    let arn = state.arn("ec2", &format!("security-group/{id}"));
    let shown_at = state.in_seconds(state.config.delays.group_shown);
    let group = state.ec2.groups.get_mut(&id).expect("it was just added");
    group.shown_at = shown_at;
    group.tags = tagging::specified(input, "security-group");
    Ok(json!({
        "return": true, "groupId": id, "securityGroupArn": arn, "tagSet": tag_list(&group.tags, "key", "value"),
    }))
}

pub(super) fn describe(state: &State, input: &Value) -> Result<Value, ApiError> {
    let ids = strings(input, "GroupId");
    if !ids.is_empty() && input.get("MaxResults").is_some() {
        let words = "The parameter GroupIds cannot be used with the parameter MaxResults";
        return Err(ApiError::bad("InvalidParameterCombination", words));
    }
    let filters = Filters::read(input);
    let names = strings(input, "GroupName");
    let found = chosen(&state.ec2.groups, &ids, unknown_group)?;
    if let Some(hidden) = found
        .iter()
        .find(|group| group.shown_at > state.now && ids.contains(&group.id))
    {
        return Err(unknown_group(&hidden.id));
    }
    let views: Vec<Value> = found
        .into_iter()
        .filter(|group| group.shown_at <= state.now)
        .filter(|group| names.is_empty() || names.contains(&group.name))
        .filter(|group| {
            filters.accept(&group.tags, |name| match name {
                "group-id" => Some(vec![group.id.clone()]),
                "group-name" => Some(vec![group.name.clone()]),
                "vpc-id" => Some(vec![group.vpc.clone()]),
                "description" => Some(vec![group.description.clone()]),
                "owner-id" => Some(vec![state.config.account.clone()]),
                "ip-permission.group-id" => Some(
                    group
                        .ingress
                        .iter()
                        .filter_map(|rule| {
                            if let Peer::Group(id) = &rule.peer {
                                Some(id.clone())
                            } else {
                                None
                            }
                        })
                        .collect(),
                ),
                _ => None,
            })
        })
        .map(|group| {
            json!({
                "ownerId": state.config.account, "groupName": group.name, "groupId": group.id,
                "securityGroupArn": state.arn("ec2", &format!("security-group/{}", group.id)),
                "groupDescription": group.description, "vpcId": group.vpc,
                "ipPermissions": permissions(&group.ingress, &state.config.account),
                "ipPermissionsEgress": permissions(&group.egress, &state.config.account),
                "tagSet": tag_list(&group.tags, "key", "value"),
            })
        })
        .collect();
    Ok(json!({ "securityGroupInfo": views }))
}

pub(super) fn describe_rules(state: &State, input: &Value) -> Result<Value, ApiError> {
    let ids = strings(input, "SecurityGroupRuleId");
    let filters = Filters::read(input);
    let mut views = Vec::new();
    let mut found = Vec::new();
    for group in state.ec2.groups.values() {
        for (rule, egress) in group
            .ingress
            .iter()
            .map(|r| (r, false))
            .chain(group.egress.iter().map(|r| (r, true)))
        {
            let wanted = ids.is_empty() || ids.contains(&rule.id);
            let accepted = filters.accept(&rule.tags, |name| match name {
                "group-id" => Some(vec![group.id.clone()]),
                "security-group-rule-id" => Some(vec![rule.id.clone()]),
                _ => None,
            });
            if wanted && accepted {
                found.push(rule.id.clone());
                views.push(rule_view(rule, group, egress, state));
            }
        }
    }
    if let Some(missing) = ids.iter().find(|id| !found.contains(id)) {
        return Err(unknown_rule(missing));
    }
    Ok(json!({ "securityGroupRuleSet": views }))
}

pub(super) fn authorize(state: &mut State, input: &Value, direction: Direction) -> Result<Value, ApiError> {
    let id = required(input, "GroupId")?;
    let group = state.ec2.groups.get(id).filter(|group| group.shown_at <= state.now);
    let vpc = group.ok_or_else(|| unknown_group(id))?.vpc.clone();
    let mut added = read_rules(state, input)?;
    for rule in &mut added {
        if let Peer::Group(peer) = &rule.peer {
            match state.ec2.groups.get(peer) {
                None => return Err(unknown_group(peer)),
                Some(group) if group.vpc != vpc => {
                    let words = "You have specified two resources that belong to different networks.";
                    return Err(ApiError::bad("InvalidGroup.NotFound", words));
                }
                Some(_) => {}
            }
        }
        rule.tags = tagging::specified(input, "security-group-rule");
    }
    let present = state.ec2.groups[id].rules(direction);
    // The whole call fails and nothing is added when one rule is there already.
    for (index, rule) in added.iter().enumerate() {
        if present.iter().chain(&added[..index]).any(|other| other.is_same(rule)) {
            let words = format!("the specified rule \"{}\" already exists", words_for(rule));
            return Err(ApiError::bad("InvalidPermission.Duplicate", words));
        }
    }
    if present.len() + added.len() > RULES_MAX {
        let words = "The maximum number of rules per security group has been reached.";
        return Err(ApiError::bad("RulesPerSecurityGroupLimitExceeded", words));
    }
    let group = state.ec2.groups.get_mut(id).expect("it was just looked up");
    group.rules_mut(direction).extend(added.clone());
    let group = &state.ec2.groups[id];
    let egress = direction == Direction::Egress;
    let views: Vec<Value> = added.iter().map(|rule| rule_view(rule, group, egress, state)).collect();
    Ok(json!({ "return": true, "securityGroupRuleSet": views }))
}

pub(super) fn revoke(state: &mut State, input: &Value, direction: Direction) -> Result<Value, ApiError> {
    let id = required(input, "GroupId")?;
    if !state.ec2.groups.contains_key(id) {
        return Err(unknown_group(id));
    }
    let rule_ids = strings(input, "SecurityGroupRuleId");
    let unwanted = if rule_ids.is_empty() {
        read_rules(state, input)?
    } else {
        Vec::new()
    };
    let rules = state
        .ec2
        .groups
        .get_mut(id)
        .expect("it was just looked up")
        .rules_mut(direction);
    if let Some(missing) = rule_ids.iter().find(|id| !rules.iter().any(|rule| &rule.id == *id)) {
        return Err(unknown_rule(missing));
    }
    if unwanted.iter().any(|gone| !rules.iter().any(|rule| rule.is_same(gone))) {
        let words = "The specified rule does not exist in this security group.";
        return Err(ApiError::bad("InvalidPermission.NotFound", words));
    }
    rules.retain(|rule| !rule_ids.contains(&rule.id) && !unwanted.iter().any(|gone| gone.is_same(rule)));
    Ok(json!({ "return": true }))
}

pub(super) fn delete(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let id = required(input, "GroupId")?;
    let group = state.ec2.groups.get(id).ok_or_else(|| unknown_group(id))?;
    if group.name == "default" {
        let words = format!("the specified group: \"{id}\" name: \"default\" cannot be deleted by a user");
        return Err(ApiError::bad("CannotDelete", words));
    }
    let attached = state
        .ec2
        .interfaces
        .values()
        .any(|interface| interface.groups.iter().any(|group| group == id));
    let named = state.ec2.groups.values().filter(|other| other.id != id).any(|other| {
        other
            .ingress
            .iter()
            .chain(&other.egress)
            .any(|rule| rule.peer == Peer::Group(id.to_owned()))
    });
    if attached || named {
        return Err(ApiError::bad(
            "DependencyViolation",
            format!("resource {id} has a dependent object"),
        ));
    }
    state.ec2.groups.remove(id);
    Ok(json!({ "return": true, "groupId": id }))
}

fn unknown_group(id: &str) -> ApiError {
    ApiError::bad(
        "InvalidGroup.NotFound",
        format!("The security group '{id}' does not exist"),
    )
}

fn unknown_rule(id: &str) -> ApiError {
    ApiError::bad(
        "InvalidSecurityGroupRuleId.NotFound",
        format!("The security group rule ID '{id}' does not exist"),
    )
}

/// One rule for each peer of each permission.
fn read_rules(state: &mut State, input: &Value) -> Result<Vec<Rule>, ApiError> {
    let mut rules = Vec::new();
    let plain = [input.clone()];
    let nested = list(input, "IpPermissions");
    for permission in if nested.is_empty() { &plain[..] } else { nested } {
        let protocol = required(permission, "IpProtocol")?.to_ascii_lowercase();
        let (from_port, to_port) = if protocol == "-1" {
            (None, None)
        } else {
            (number(permission, "FromPort"), number(permission, "ToPort"))
        };
        if matches!(protocol.as_str(), "tcp" | "udp") && (from_port.is_none() || to_port < from_port) {
            let words = "Must specify both from and to ports with TCP/UDP.";
            return Err(ApiError::bad("InvalidParameterValue", words));
        }
        for (peer, description) in read_peers(permission)? {
            let id = state.fresh_id("sgr");
            let protocol = protocol.clone();
            rules.push(Rule {
                id,
                protocol,
                from_port,
                to_port,
                peer,
                description,
                tags: BTreeMap::new(),
            });
        }
    }
    if rules.is_empty() {
        return Err(ApiError::bad(
            "MissingParameter",
            "The request must contain the parameter ipPermissions",
        ));
    }
    Ok(rules)
}

fn read_peers(permission: &Value) -> Result<Vec<(Peer, Option<String>)>, ApiError> {
    let description = |entry: &Value| text(entry, "Description").map(str::to_owned);
    let block = |text: &str| {
        Cidr::parse(text)
            .map(Peer::Cidr)
            .ok_or_else(|| ApiError::bad("InvalidParameterValue", format!("CIDR block {text} is malformed")))
    };
    let mut peers = Vec::new();
    let pairs = if permission.get("Groups").is_some() {
        "Groups"
    } else {
        "UserIdGroupPairs"
    };
    for entry in list(permission, pairs) {
        peers.push((Peer::Group(required(entry, "GroupId")?.to_owned()), description(entry)));
    }
    for entry in list(permission, "IpRanges") {
        peers.push((block(required(entry, "CidrIp")?)?, description(entry)));
    }
    for entry in list(permission, "Ipv6Ranges") {
        peers.push((Peer::Cidr6(required(entry, "CidrIpv6")?.to_owned()), description(entry)));
    }
    for entry in list(permission, "PrefixListIds") {
        peers.push((
            Peer::PrefixList(required(entry, "PrefixListId")?.to_owned()),
            description(entry),
        ));
    }
    if let Some(cidr) = text(permission, "CidrIp") {
        peers.push((block(cidr)?, None));
    }
    Ok(peers)
}

fn words_for(rule: &Rule) -> String {
    let peer = match &rule.peer {
        Peer::Group(id) => id.clone(),
        Peer::Cidr(block) => block.to_string(),
        Peer::Cidr6(text) | Peer::PrefixList(text) => text.clone(),
    };
    let port = |port: Option<i64>| port.map_or_else(|| "ALL".to_owned(), |port| port.to_string());
    let protocol = rule.protocol.to_ascii_uppercase();
    format!(
        "peer: {peer}, {protocol}, from port: {}, to port: {}, ALLOW",
        port(rule.from_port),
        port(rule.to_port)
    )
}

/// Rules with the same protocol and ports are one permission with several peers.
fn permissions(rules: &[Rule], account: &str) -> Value {
    let mut permissions: BTreeMap<_, Vec<&Rule>> = BTreeMap::new();
    for rule in rules {
        permissions
            .entry((rule.protocol.as_str(), rule.from_port, rule.to_port))
            .or_default()
            .push(rule);
    }
    let views = permissions.into_iter().map(|((protocol, from, to), rules)| {
        let (mut groups, mut ranges, mut ranges6, mut lists) = (vec![], vec![], vec![], vec![]);
        for Rule { peer, description, .. } in rules {
            match peer {
                Peer::Group(id) => groups.push(json!({ "userId": account, "groupId": id, "description": description })),
                Peer::Cidr(block) => ranges.push(json!({ "cidrIp": block.to_string(), "description": description })),
                Peer::Cidr6(block) => ranges6.push(json!({ "cidrIpv6": block, "description": description })),
                Peer::PrefixList(id) => lists.push(json!({ "prefixListId": id, "description": description })),
            }
        }
        json!({
            "ipProtocol": protocol, "fromPort": from, "toPort": to,
            "groups": groups, "ipRanges": ranges, "ipv6Ranges": ranges6, "prefixListIds": lists,
        })
    });
    views.collect()
}

fn rule_view(rule: &Rule, group: &Group, egress: bool, state: &State) -> Value {
    let mut view = json!({
        "securityGroupRuleId": rule.id, "groupId": group.id, "groupOwnerId": state.config.account,
        "securityGroupRuleArn": state.arn("ec2", &format!("security-group-rule/{}", rule.id)),
        "isEgress": egress, "ipProtocol": rule.protocol,
        "fromPort": rule.from_port.unwrap_or(-1), "toPort": rule.to_port.unwrap_or(-1),
        "description": rule.description, "tagSet": tag_list(&rule.tags, "key", "value"),
    });
    match &rule.peer {
        Peer::Group(id) => view["referencedGroupInfo"] = json!({ "groupId": id, "userId": state.config.account }),
        Peer::Cidr(block) => view["cidrIpv4"] = json!(block.to_string()),
        Peer::Cidr6(block) => view["cidrIpv6"] = json!(block),
        Peer::PrefixList(id) => view["prefixListId"] = json!(id),
    }
    view
}
