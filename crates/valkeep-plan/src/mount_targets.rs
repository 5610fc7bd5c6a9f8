//! Plans mount targets: one a zone, keyed by zone, because EFS allows no more.

use crate::draft::{Draft, Input, later, list};
use valkeep_core::ids::SecurityGroupId;
use valkeep_core::observed::{LifeCycle, MountTarget, SecurityGroup, Subnet};
use valkeep_core::{Fact, HoldReason, Resource, Step, Timestamp};

/// Plans the mount targets of every zone.
pub(crate) fn mount_targets(input: Input, draft: &mut Draft) {
    let Some(file_system) = input.file_system() else {
        return draft.waiting(
            Resource::MountTarget,
            HoldReason::Dependency,
            "the mount targets wait for the file system",
        );
    };
    let targets = match &input.observed.mount_targets {
        Fact::Present(targets) => targets.as_slice(),
        Fact::Absent => &[],
        Fact::Unknown(doubt) => {
            return draft.doubt(
                Resource::MountTarget,
                &format!("the mount targets of {}", file_system.id),
                doubt,
            );
        }
    };
    let zones = input.zones();
    for subnet in &zones {
        match input.target(&subnet.zone_id) {
            Some(target) => existing(input, subnet, target, draft),
            None => match (file_system.state, input.group()) {
                (LifeCycle::Available, Some(group)) => draft.step(Step::CreateMountTarget {
                    file_system: file_system.id.clone(),
                    subnet: subnet.id.clone(),
                    zone_id: subnet.zone_id.clone(),
                    groups: vec![group.id.clone()],
                }),
                (state, group) => {
                    let mut missing = Vec::new();
                    if state != LifeCycle::Available {
                        missing.push("the file system");
                    }
                    if group.is_none() {
                        missing.push("its security group");
                    }
                    draft.waiting(
                        Resource::MountTarget,
                        HoldReason::Dependency,
                        format!("the mount target in {} waits for {}", subnet.zone, list(missing)),
                    );
                }
            },
        }
    }
    for target in targets {
        let wanted = zones.iter().any(|subnet| subnet.zone_id == target.zone_id);
        // With unknown subnets nothing can be said to be too many.
        if !wanted && input.all_subnets_found() && target.state != LifeCycle::Deleted {
            draft.notice_with_hint(
                Resource::MountTarget,
                HoldReason::Foreign,
                format!(
                    "{} is in {}, where the document has no subnet",
                    target.id, target.zone_id
                ),
                "it is left: removing it would cut off whoever mounts there",
            );
        }
    }
}

fn existing(input: Input, subnet: &Subnet, target: &MountTarget, draft: &mut Draft) {
    let zone = &subnet.zone;
    match target.state {
        LifeCycle::Creating | LifeCycle::Updating => draft.waiting(
            Resource::MountTarget,
            HoldReason::Creating,
            format!("the mount target {} in {zone} is being made", target.id),
        ),
        LifeCycle::Deleting | LifeCycle::Deleted => draft.waiting(
            Resource::MountTarget,
            HoldReason::Creating,
            format!(
                "{} in {zone} is being deleted; another is made when it is gone",
                target.id
            ),
        ),
        LifeCycle::Error => draft.stalled(
            Resource::MountTarget,
            HoldReason::Failed,
            format!("{} in {zone} is in the state error", target.id),
            "delete this mount target; valkeep makes another",
        ),
        LifeCycle::Available => groups(input, zone, target, draft),
    }
    if target.subnet != subnet.id && !input.desired.network.subnets.contains(&target.subnet) {
        draft.notice(
            Resource::MountTarget,
            HoldReason::Foreign,
            format!(
                "{} serves {zone} from {}, which is not among the document's subnets; it covers the zone and is left",
                target.id, target.subnet
            ),
        );
    }
}

fn groups(input: Input, zone: &str, target: &MountTarget, draft: &mut Draft) {
    let found = match &target.groups {
        Fact::Present(found) => found.as_slice(),
        Fact::Absent => &[],
        Fact::Unknown(doubt) => {
            let what = format!("the security groups of {} in {zone}", target.id);
            return draft.doubt(Resource::MountTarget, &what, doubt);
        }
    };
    match input.group() {
        Some(group) if found == std::slice::from_ref(&group.id) => {}
        Some(group) if may_be_attached(input, group) => draft.step(Step::SetMountTargetGroups {
            id: target.id.clone(),
            from: found.to_vec(),
            to: vec![group.id.clone()],
        }),
        // Attached without its rules it would cut off a server that mounts now.
        _ => draft.waiting(
            Resource::MountTarget,
            HoldReason::Dependency,
            format!(
                "the security groups of {} in {zone} wait for the NFS security group and its rules",
                target.id
            ),
        ),
    }
}

fn may_be_attached(input: Input, group: &SecurityGroup) -> bool {
    input.missing_sources(group).is_empty()
}

/// Why the mount targets cannot be used yet.
pub(crate) enum NotUsable {
    /// Something is missing; the words of what.
    Missing(String),
    /// Only the DNS name needs time.
    Until(Timestamp),
}

/// Whether every zone can mount: an available target with our group, and its DNS name has had time.
pub(crate) fn usable(input: Input) -> Result<(), NotUsable> {
    if !input.all_subnets_found() {
        return Err(NotUsable::Missing("the subnets".to_owned()));
    }
    let Some(group) = input.group() else {
        return Err(NotUsable::Missing("the NFS security group".to_owned()));
    };
    if !input.missing_sources(group).is_empty() {
        return Err(NotUsable::Missing("the rules of the NFS security group".to_owned()));
    }
    let mut until: Option<Timestamp> = None;
    for subnet in input.zones() {
        let missing = || NotUsable::Missing(format!("the mount target in {}", subnet.zone));
        let target = input.target(&subnet.zone_id).ok_or_else(missing)?;
        let groups: &Vec<SecurityGroupId> = target.groups.present().ok_or_else(missing)?;
        if target.state != LifeCycle::Available || groups.as_slice() != std::slice::from_ref(&group.id) {
            return Err(missing());
        }
        // Where AWS tells no attach time although the interface was seen, there is nothing to count from.
        if let Some(at) = target.attached_at {
            until = until.max(Some(later(at, i64::from(input.desired.dns_grace_s))));
        }
    }
    match until {
        Some(until) if until > input.now => Err(NotUsable::Until(until)),
        _ => Ok(()),
    }
}
