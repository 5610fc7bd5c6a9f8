//! `spec.network`: ids of the right form, each once, as many as AWS takes.

use super::super::forms;
use super::super::report::{Report, quote};
use super::super::walk::Field;
use super::or_default;
use crate::types::Network;

/// EC2 takes 60 rules per group; five are for the tasks' groups.
const MAINTENANCE_GROUPS_MAX: usize = 50;

pub(super) fn network(field: &Field<'_>, report: &mut Report) -> Option<Network> {
    let mut map = field.map(report)?;
    let vpc_id = map
        .require(report, "vpcId", "write the VPC's id")
        .and_then(|field| field.text(report, forms::vpc_id));
    let subnet_ids = map
        .require(report, "subnetIds", "write the subnets' ids as a list")
        .and_then(|field| {
            ids(
                &field,
                forms::subnet_id,
                1,
                16,
                "a service takes 1 to 16 subnets",
                report,
            )
        });
    let task_security_group_ids = map
        .require(
            report,
            "taskSecurityGroupIds",
            "write the tasks' security groups as a list",
        )
        .and_then(|field| {
            let why = "a network interface takes 1 to 5 security groups";
            ids(&field, forms::security_group_id, 1, 5, why, report)
        });
    let maintenance_security_group_ids = or_default(map.take("maintenanceSecurityGroupIds"), |field| {
        let why = "a security group takes 60 rules";
        ids(&field, forms::security_group_id, 0, MAINTENANCE_GROUPS_MAX, why, report)
    });
    map.finish(report, &[]);
    Some(Network {
        vpc_id: vpc_id?,
        subnet_ids: subnet_ids?,
        task_security_group_ids: task_security_group_ids?,
        maintenance_security_group_ids: maintenance_security_group_ids?,
    })
}

/// A list of ids, each once.
fn ids(
    field: &Field<'_>,
    form: forms::Form,
    min: usize,
    max: usize,
    why: &str,
    report: &mut Report,
) -> Option<Vec<String>> {
    let items = field.list(report)?;
    if items.len() < min {
        field.say(report, format!("is empty; {why}"), "write at least one");
        return None;
    }
    if items.len() > max {
        field.say(
            report,
            format!("has {} entries; {why}", items.len()),
            format!("keep at most {max}"),
        );
        return None;
    }
    let mut ids: Vec<String> = Vec::new();
    let mut good = true;
    for item in &items {
        match item.text(report, form) {
            Some(id) if ids.contains(&id) => {
                item.say(report, format!("{} is there already", quote(&id)), "remove it");
                good = false;
            }
            Some(id) => ids.push(id),
            None => good = false,
        }
    }
    good.then_some(ids)
}
