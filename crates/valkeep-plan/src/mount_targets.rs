//! Plans mount targets: one a zone, keyed by zone, because EFS allows no more.
//!
//! On a file system that valkeep made all of them are its own. On one that is taken each zone uses what is there, and what
//! others put there stays: a target is valkeep's by carrying its security group, because mount targets have no tags.

use crate::draft::{Draft, Input, later, list};
use crate::foreign_groups::{self, Reach};
use valkeep_core::ids::SecurityGroupId;
use valkeep_core::observed::{FileSystem, LifeCycle, MountTarget, SecurityGroup, Subnet};
use valkeep_core::{Fact, HoldReason, Resource, Step, Timestamp};

/// Groups that a network interface takes.
const GROUPS_MAX: usize = 5;

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
    if is_elsewhere(input, file_system, targets, draft) {
        return;
    }
    let zones = input.zones();
    for subnet in &zones {
        if let Some(zone) = outside(file_system, subnet) {
            draft.stalled(
                Resource::MountTarget,
                HoldReason::ImmutableField,
                format!(
                    "{} is a One Zone file system in {zone}, and {} is in {}: a task there could not mount it",
                    file_system.id, subnet.id, subnet.zone
                ),
                format!("name only subnets in {zone} in spec.network.subnetIds, or take a Regional file system"),
            );
            continue;
        }
        match input.target(&subnet.zone_id) {
            Some(target) => existing(input, file_system, subnet, target, draft),
            None => create(input, file_system, subnet, draft),
        }
    }
    for target in targets {
        let wanted = zones.iter().any(|subnet| subnet.zone_id == target.zone_id);
        // With unknown subnets nothing can be said to be too many. On a file system of others their targets are no news.
        let ours = input.owns(&file_system.tags);
        if !wanted && ours && input.all_subnets_found() && target.state != LifeCycle::Deleted {
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

/// Whether our security group is needed: not where others' mount targets let the tasks in everywhere.
pub(crate) fn need_group(input: Input) -> bool {
    let Some(file_system) = input.file_system() else {
        // A taken file system that is not there needs nothing; one that valkeep makes will.
        return !input.desired.takes_file_system();
    };
    if input.owns(&file_system.tags) || input.observed.security_group.present().is_some() {
        return true;
    }
    let Some(targets) = input.observed.mount_targets.present() else {
        return input.observed.mount_targets.is_absent();
    };
    if file_system.is_replica || targets.iter().any(|target| other_vpc(input, target)) {
        return false;
    }
    let served = input.zones();
    let mut served = served.iter().filter(|subnet| outside(file_system, subnet).is_none());
    served.any(|subnet| match input.target(&subnet.zone_id) {
        None => true,
        Some(target) => {
            input.desired.file_system.add_security_group
                && target
                    .groups
                    .present()
                    .is_some_and(|groups| matches!(foreign_groups::reach(input, groups), Reach::Closed))
        }
    })
}

/// All mount targets of a file system are in one VPC.
fn is_elsewhere(input: Input, file_system: &FileSystem, targets: &[MountTarget], draft: &mut Draft) -> bool {
    let elsewhere: Vec<&MountTarget> = targets.iter().filter(|target| other_vpc(input, target)).collect();
    let Some(vpc) = elsewhere.first().and_then(|target| target.vpc.as_ref()) else {
        return false;
    };
    draft.stalled(
        Resource::MountTarget,
        HoldReason::ImmutableField,
        format!(
            "the mount targets of {} are in {vpc}, and the document means {}: EFS allows one VPC at a time, and a server in \
             the other could not reach its data",
            file_system.id, input.desired.network.vpc
        ),
        format!(
            "name {vpc} and its subnets and groups in spec.network; or, when nobody mounts there any more, delete the mount \
             targets there (aws efs delete-mount-target --mount-target-id {}): the data stays, and valkeep makes new ones",
            list(elsewhere.iter().map(|target| &target.id))
        ),
    );
    true
}

fn other_vpc(input: Input, target: &MountTarget) -> bool {
    target.vpc.as_ref().is_some_and(|vpc| *vpc != input.desired.network.vpc)
}

/// The only zone of a One Zone file system, if the subnet is not in it.
fn outside<'a>(file_system: &'a FileSystem, subnet: &Subnet) -> Option<&'a str> {
    file_system.one_zone.as_deref().filter(|zone| *zone != subnet.zone)
}

fn create(input: Input, file_system: &FileSystem, subnet: &Subnet, draft: &mut Draft) {
    if let (LifeCycle::Available, Some(group)) = (file_system.state, input.group()) {
        return draft.step(Step::CreateMountTarget {
            file_system: file_system.id.clone(),
            subnet: subnet.id.clone(),
            zone_id: subnet.zone_id.clone(),
            groups: vec![group.id.clone()],
        });
    }
    let mut missing = Vec::new();
    if file_system.state != LifeCycle::Available {
        missing.push("the file system");
    }
    if input.group().is_none() {
        missing.push("its security group");
    }
    draft.waiting(
        Resource::MountTarget,
        HoldReason::Dependency,
        format!("the mount target in {} waits for {}", subnet.zone, list(missing)),
    );
}

fn existing(input: Input, file_system: &FileSystem, subnet: &Subnet, target: &MountTarget, draft: &mut Draft) {
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
        LifeCycle::Available => groups(input, file_system, zone, target, draft),
    }
    let named = target.subnet == subnet.id || input.desired.network.subnets.contains(&target.subnet);
    if !named && input.owns(&file_system.tags) {
        draft.notice_with_hint(
            Resource::MountTarget,
            HoldReason::ImmutableField,
            format!(
                "{} serves {zone} from {}, which is not among the document's subnets: EFS has one mount target a zone and \
                 cannot move it; it serves {} as well, and nothing is lost",
                target.id, target.subnet, subnet.id
            ),
            format!(
                "to move it all the same, at desired count 0: aws efs delete-mount-target --mount-target-id {}; valkeep \
                 makes another in {}",
                target.id, subnet.id
            ),
        );
    }
}

fn groups(input: Input, file_system: &FileSystem, zone: &str, target: &MountTarget, draft: &mut Draft) {
    let found = match &target.groups {
        Fact::Present(found) => found.as_slice(),
        Fact::Absent => &[],
        Fact::Unknown(doubt) => {
            let what = format!("the security groups of {} in {zone}", target.id);
            return draft.doubt(Resource::MountTarget, &what, doubt);
        }
    };
    if !input.owns(&file_system.tags) {
        return others_groups(input, zone, target, found, draft);
    }
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

/// On a file system that is taken no group ever goes; ours is added only where the document asks for it.
fn others_groups(input: Input, zone: &str, target: &MountTarget, found: &[SecurityGroupId], draft: &mut Draft) {
    if input.group().is_some_and(|group| found.contains(&group.id)) {
        return;
    }
    match foreign_groups::reach(input, found) {
        Reach::Open => {}
        Reach::Perhaps(rule) => draft.notice(
            Resource::MountTarget,
            HoldReason::Foreign,
            format!(
                "whether the tasks reach {} in {zone} hangs on {rule}, which valkeep does not compare with their addresses",
                target.id
            ),
        ),
        Reach::Unknown(doubt) => {
            let what = format!("the security groups of {} in {zone}", target.id);
            draft.doubt(Resource::MountTarget, &what, &doubt);
        }
        Reach::Closed if !input.desired.file_system.add_security_group => draft.stalled(
            Resource::MountTarget,
            HoldReason::Foreign,
            format!(
                "the security groups of {} in {zone} ({}) let no task in: none has a rule for TCP 2049 from {}",
                target.id,
                list(found),
                list(&input.desired.network.task_groups)
            ),
            "add such a rule where these groups are kept, or set spec.fileSystem.addSecurityGroup: true, and valkeep adds \
             its own group beside them",
        ),
        Reach::Closed if found.len() >= GROUPS_MAX => draft.stalled(
            Resource::MountTarget,
            HoldReason::LimitExceeded,
            format!(
                "{} in {zone} has {} security groups already, and AWS takes {GROUPS_MAX}",
                target.id,
                found.len()
            ),
            "add a rule for TCP 2049 from the tasks' group to one of them",
        ),
        Reach::Closed => match input.group().filter(|group| may_be_attached(input, group)) {
            Some(group) => {
                let mut to = found.to_vec();
                to.push(group.id.clone());
                to.sort();
                draft.step(Step::SetMountTargetGroups {
                    id: target.id.clone(),
                    from: found.to_vec(),
                    to,
                });
            }
            None => draft.waiting(
                Resource::MountTarget,
                HoldReason::Dependency,
                format!(
                    "{} in {zone} waits for the NFS security group and its rules, which are added to its own",
                    target.id
                ),
            ),
        },
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

/// Whether every zone can mount: an available target that lets the tasks in, and its DNS name has had time.
pub(crate) fn usable(input: Input) -> Result<(), NotUsable> {
    let missing = |what: &str| Err(NotUsable::Missing(what.to_owned()));
    if !input.all_subnets_found() {
        return missing("the subnets");
    }
    let Some(file_system) = input.file_system() else {
        return missing("the file system");
    };
    if file_system.is_replica {
        return missing("a file system that can be written to");
    }
    let ours = input.owns(&file_system.tags);
    let group = input.group();
    if ours && group.is_none() {
        return missing("the NFS security group");
    }
    let has_rules = group.is_some_and(|group| input.missing_sources(group).is_empty());
    if ours && !has_rules {
        return missing("the rules of the NFS security group");
    }
    let mut until: Option<Timestamp> = None;
    for subnet in input.zones() {
        let missing = || NotUsable::Missing(format!("the mount target in {}", subnet.zone));
        let target = input.target(&subnet.zone_id).ok_or_else(missing)?;
        let groups: &Vec<SecurityGroupId> = target.groups.present().ok_or_else(missing)?;
        let carries_ours = group.is_some_and(|group| groups.contains(&group.id));
        let lets_in = if ours {
            carries_ours && groups.len() == 1
        } else {
            carries_ours && has_rules || matches!(foreign_groups::reach(input, groups), Reach::Open | Reach::Perhaps(_))
        };
        let wrong_place = other_vpc(input, target) || outside(file_system, subnet).is_some();
        if target.state != LifeCycle::Available || !lets_in || wrong_place {
            return Err(missing());
        }
        // Where AWS tells no attach time although the interface was seen, there is nothing to count from; and none by a clock
        // for which it is still to come by more than the grace itself.
        let grace_s = i64::from(input.desired.dns_grace_s);
        if let Some(at) = target.attached_at.filter(|at| *at <= later(input.now, grace_s)) {
            until = until.max(Some(later(at, grace_s)));
        }
    }
    match until {
        Some(until) if until > input.now => Err(NotUsable::Until(until)),
        _ => Ok(()),
    }
}
