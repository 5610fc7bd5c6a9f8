//! Judges security groups that valkeep did not make: whether they let the tasks in to NFS. Changes none of them.

use crate::draft::Input;
use crate::storage::NFS;
use valkeep_core::ids::SecurityGroupId;
use valkeep_core::observed::IngressRule;
use valkeep_core::{Doubt, DoubtKind, Fact};

/// Whether the tasks reach a mount target through its groups.
pub(crate) enum Reach {
    /// A rule names one of the tasks' groups.
    Open,
    /// A rule names addresses or a prefix list; these words say which.
    Perhaps(String),
    /// No rule of any group can be meant for the tasks.
    Closed,
    /// Not all groups could be looked at, and those that could do not let in.
    Unknown(Doubt),
}

/// Whether these groups let the tasks in. Rules of several groups add up.
pub(crate) fn reach(input: Input, groups: &[SecurityGroupId]) -> Reach {
    let known = match &input.observed.target_groups {
        Fact::Present(known) => known.as_slice(),
        Fact::Absent => &[],
        Fact::Unknown(doubt) => return Reach::Unknown(doubt.clone()),
    };
    let mut perhaps = None;
    let mut unseen = None;
    for id in groups {
        let Some(group) = known.iter().find(|group| group.id == *id) else {
            unseen.get_or_insert(id);
            continue;
        };
        for rule in group.ingress.iter().filter(|rule| is_for_nfs(rule)) {
            let task_group = |group: &SecurityGroupId| group.as_str() == rule.source;
            if input.desired.network.task_groups.iter().any(task_group) {
                return Reach::Open;
            }
            if !rule.source.starts_with("sg-") {
                perhaps.get_or_insert_with(|| format!("the rule of {id} for {}", rule.source));
            }
        }
    }
    match (perhaps, unseen) {
        (Some(rule), _) => Reach::Perhaps(rule),
        (None, Some(id)) => Reach::Unknown(Doubt {
            kind: DoubtKind::Other,
            call: "ec2:DescribeSecurityGroups".to_owned(),
            message: format!("{id} is not among the groups of the VPC"),
        }),
        (None, None) => Reach::Closed,
    }
}

fn is_for_nfs(rule: &IngressRule) -> bool {
    let IngressRule {
        protocol,
        from_port,
        to_port,
        source: _,
        description: _,
    } = rule;
    match protocol.as_str() {
        "-1" => true,
        "tcp" | "6" => from_port.is_none_or(|from| from <= NFS) && to_port.is_none_or(|to| to >= NFS),
        _ => false,
    }
}
