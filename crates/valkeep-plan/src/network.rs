//! Plans subnets and the NFS security group, rule by rule.

use crate::draft::{Draft, Input, hold, list};
use crate::mount_targets;
use crate::storage::NFS;
use valkeep_core::ids::SecurityGroupId;
use valkeep_core::observed::{IngressRule, Rollout, SecurityGroup};
use valkeep_core::{Fact, HoldKind, HoldReason, Resource, Step};

/// What marks a rule as ours: this and the source's id.
const RULE: &str = "valkeep: NFS from ";

/// The description of our rule for a source.
pub(crate) fn rule_description(source: &str) -> String {
    format!("{RULE}{source}")
}

/// Says which of the document's subnets cannot be used.
pub(crate) fn subnets(input: Input, draft: &mut Draft) {
    let vpc = &input.desired.network.vpc;
    let found = match &input.observed.subnets {
        Fact::Present(found) => found,
        Fact::Absent => {
            return draft.stalled(
                Resource::Network,
                HoldReason::NotFound,
                format!("none of the subnets {} is there", list(&input.desired.network.subnets)),
                "correct spec.network.subnetIds",
            );
        }
        Fact::Unknown(doubt) => return draft.doubt(Resource::Network, "the subnets", doubt),
    };
    if !found.missing.is_empty() {
        draft.stalled(
            Resource::Network,
            HoldReason::NotFound,
            format!("AWS knows no {}", list(&found.missing)),
            "correct spec.network.subnetIds; the other subnets are used meanwhile",
        );
    }
    for subnet in found.found.iter().filter(|subnet| subnet.vpc != *vpc) {
        draft.stalled(
            Resource::Network,
            HoldReason::NotFound,
            format!("{} is in {}, not in {vpc}", subnet.id, subnet.vpc),
            "correct spec.network.subnetIds or spec.network.vpcId",
        );
    }
}

/// Says which of the document's security groups cannot be used.
pub(crate) fn named_groups(input: Input, draft: &mut Draft) {
    let network = &input.desired.network;
    let Some(named) = input.observed.named_groups.present() else {
        return; // AWS itself refuses a wrong one; whether the call is allowed at all, our own group tells.
    };
    for group in input.unusable_task_groups() {
        match named.found.iter().find(|(found, _)| found == group) {
            Some((_, vpc)) => draft.stalled(
                Resource::Network,
                HoldReason::ImmutableField,
                format!(
                    "the security group {group} is in {vpc}, and the document means {}: no task could be started with it, \
                     and no mount target would let it in",
                    network.vpc
                ),
                "name a group of the document's VPC in spec.network.taskSecurityGroupIds; the groups of now stay until then, \
                 and the data is not touched",
            ),
            None => draft.stalled(
                Resource::Network,
                HoldReason::NotFound,
                format!("AWS knows no security group {group}"),
                "correct spec.network.taskSecurityGroupIds; the groups of now stay until then",
            ),
        }
    }
    for (group, vpc) in &named.found {
        if network.maintenance_groups.contains(group) && *vpc != network.vpc {
            draft.notice(
                Resource::Network,
                HoldReason::Warning,
                format!("the maintenance group {group} is in {vpc}; its rule works only through a VPC peering"),
            );
        }
    }
}

/// Plans the security group of the mount targets.
pub(crate) fn security_group(input: Input, draft: &mut Draft) {
    let desired = input.desired;
    let name = &desired.names.security_group;
    if !mount_targets::need_group(input) {
        return; // The groups that are there let the tasks in, or nothing is to be let in to.
    }
    match &input.observed.security_group {
        Fact::Unknown(doubt) => draft.doubt(Resource::SecurityGroup, &format!("the security group {name}"), doubt),
        Fact::Absent => draft.step(Step::CreateSecurityGroup {
            name: name.clone(),
            description: format!(
                "NFS for the Valkey data of {}/{}, kept by valkeep",
                desired.identity.cluster, desired.identity.service
            )
            .chars()
            .take(255)
            .collect(),
            vpc: desired.network.vpc.clone(),
            tags: desired.tags.clone(),
        }),
        Fact::Present(group) if !input.owns(&group.tags) => draft.stalled(
            Resource::SecurityGroup,
            HoldReason::NotOurs,
            format!(
                "the security group {} is named {name} and does not carry valkeep's tag",
                group.id
            ),
            "rename or remove that group, or run this installation of valkeep under another --installation",
        ),
        Fact::Present(group) => rules(input, group, draft),
    }
}

/// One kind of change at a time, and what gives access before what takes it.
fn rules(input: Input, group: &SecurityGroup, draft: &mut Draft) {
    let clients = input.desired.nfs_clients();
    for rule in &group.ingress {
        if !is_ours(rule) && !is_wanted(rule, &clients) {
            draft.notice_with_hint(
                Resource::SecurityGroup,
                HoldReason::Foreign,
                format!("{} has a rule that valkeep did not make: {}", group.id, rule_text(rule)),
                "it is left; remove it by hand if it should not be there",
            );
        }
    }
    let missing = input.missing_sources(group);
    if !missing.is_empty() {
        for source in missing {
            draft.step(Step::AuthorizeIngress {
                group: group.id.clone(),
                description: rule_description(source.as_str()),
                source,
            });
        }
        return;
    }
    let mut revoked = false;
    for rule in group
        .ingress
        .iter()
        .filter(|rule| is_ours(rule) && !is_wanted(rule, &clients))
    {
        let Ok(source) = SecurityGroupId::parse(&rule.source) else {
            continue;
        };
        if may_be_in_use(input, &source) {
            draft.hold(hold(
                Resource::SecurityGroup,
                HoldKind::Waiting,
                HoldReason::RollingOut,
                format!(
                    "the rule for {source} in {} goes when no task can be using it any more",
                    group.id
                ),
            ));
        } else {
            draft.step(Step::RevokeIngress {
                group: group.id.clone(),
                description: rule_description(source.as_str()),
                source,
            });
            revoked = true;
        }
    }
    let set = input.missing_tags(&group.tags);
    if !revoked && !set.is_empty() {
        draft.step(Step::Tag {
            resource: Resource::SecurityGroup,
            id: group.id.to_string(),
            set,
            remove: Vec::new(),
        });
    }
}

/// A task keeps the groups it was started with, and needs NFS until its final save is written.
fn may_be_in_use(input: Input, source: &SecurityGroupId) -> bool {
    match &input.observed.service {
        Fact::Absent => false,
        Fact::Unknown(_) => true,
        Fact::Present(service) => {
            let at_rest = service.desired == 0 && service.running == 0 && service.pending == 0
                || matches!(service.deployments.as_slice(), [only] if only.rollout == Rollout::Completed);
            service.settings.groups.contains(source) || !at_rest
        }
    }
}

fn is_ours(rule: &IngressRule) -> bool {
    rule.protocol == "tcp"
        && rule.from_port == Some(NFS)
        && rule.to_port == Some(NFS)
        && rule.description.as_deref() == Some(rule_description(&rule.source).as_str())
}

fn is_wanted(rule: &IngressRule, clients: &[SecurityGroupId]) -> bool {
    rule.protocol == "tcp"
        && rule.from_port == Some(NFS)
        && rule.to_port == Some(NFS)
        && clients.iter().any(|client| client.as_str() == rule.source)
}

fn rule_text(rule: &IngressRule) -> String {
    let IngressRule {
        protocol,
        from_port,
        to_port,
        source,
        description,
    } = rule;
    let ports = match (from_port, to_port) {
        (Some(from), Some(to)) if from == to => format!(" port {from}"),
        (Some(from), Some(to)) => format!(" ports {from} to {to}"),
        _ => String::new(),
    };
    let protocol = if protocol == "-1" { "all traffic" } else { protocol };
    let description = description
        .as_ref()
        .map(|text| format!(" ({text})"))
        .unwrap_or_default();
    format!("{protocol}{ports} from {source}{description}")
}
