//! Views of what was observed: the storage that is ours, or taken, and usable. Decides nothing.

use crate::draft::Input;
use crate::policy;
use crate::render::ENV_RESTART;
use std::borrow::Cow;
use std::collections::BTreeSet;
use valkeep_core::Desired;
use valkeep_core::identity::{OVERLAY_VOLUME, TAG_USED_BY};
use valkeep_core::ids::{AccessPointId, FileSystemId, SecurityGroupId};
use valkeep_core::observed::{
    AccessPoint, FileSystem, LifeCycle, MountTarget, ObservedDefinition, SecurityGroup, Subnet,
};

/// The NFS port.
pub(crate) const NFS: i32 = 2049;

impl<'a> Input<'a> {
    /// The security group, if it is ours.
    pub(crate) fn group(self) -> Option<&'a SecurityGroup> {
        self.observed
            .security_group
            .present()
            .filter(|group| self.owns(&group.tags))
    }

    /// The sources that may not reach the mount targets yet.
    pub(crate) fn missing_sources(self, group: &SecurityGroup) -> Vec<SecurityGroupId> {
        let unusable = self.unusable_task_groups();
        self.desired
            .nfs_clients()
            .into_iter()
            .filter(|source| !unusable.contains(&source))
            .filter(|source| {
                !group.ingress.iter().any(|rule| {
                    rule.protocol == "tcp"
                        && rule.from_port == Some(NFS)
                        && rule.to_port == Some(NFS)
                        && rule.source == source.as_str()
                })
            })
            .collect()
    }

    /// The document's task groups that no task can have: those that AWS does not know, or knows in another VPC.
    pub(crate) fn unusable_task_groups(self) -> Vec<&'a SecurityGroupId> {
        let Some(named) = self.observed.named_groups.present() else {
            return Vec::new();
        };
        let usable = |group: &SecurityGroupId| {
            !named.missing.contains(group)
                && !named
                    .found
                    .iter()
                    .any(|(found, vpc)| found == group && *vpc != self.desired.network.vpc)
        };
        let groups = &self.desired.network.task_groups;
        groups.iter().filter(|group| !usable(group)).collect()
    }

    /// Whether the document takes this file system, instead of valkeep making one.
    pub(crate) fn takes(self, found: &FileSystem) -> bool {
        let point = self.observed.access_point.present();
        match (&self.desired.file_system.taken, &self.desired.access_point.taken) {
            (None, None) => false,
            (Some(id), None) => *id == found.id,
            // Two ids that do not belong together: one of them is wrong, and nobody knows which.
            (Some(id), Some(_)) => *id == found.id && point.is_none_or(|point| point.file_system == *id),
            (None, Some(id)) => point.is_some_and(|point| point.id == *id && point.file_system == found.id),
        }
    }

    /// The file system, if it is ours or taken.
    pub(crate) fn file_system(self) -> Option<&'a FileSystem> {
        self.observed
            .file_system
            .present()
            .filter(|found| self.owns(&found.tags) || self.takes(found))
    }

    /// The access point, if it is ours, or taken and no other's.
    pub(crate) fn access_point(self) -> Option<&'a AccessPoint> {
        self.observed
            .access_point
            .present()
            .filter(|found| match &self.desired.access_point.taken {
                None => self.owns(&found.tags),
                Some(id) => found.id == *id && self.desired.identity.other_user(&found.tags, TAG_USED_BY).is_none(),
            })
    }

    /// The access point, if it is ours, or taken and marked as used by us.
    pub(crate) fn our_access_point(self) -> Option<&'a AccessPoint> {
        self.access_point()
            .filter(|found| self.owns(&found.tags) || self.desired.identity.marked(&found.tags, TAG_USED_BY))
    }

    /// The access point, if it is ours, or taken and marked, and usable.
    pub(crate) fn usable_access_point(self) -> Option<&'a AccessPoint> {
        let file_system = self.file_system()?;
        self.our_access_point().filter(|found| {
            let is_nobody = found.uid == Some(0) && !self.desired.task_role.root_access;
            found.file_system == file_system.id
                && !is_nobody
                && found.uid.is_some()
                && found.gid.is_some()
                && matches!(found.state, LifeCycle::Available | LifeCycle::Updating)
        })
    }

    /// Other access points on a directory, that are there to stay and not this identity's own.
    pub(crate) fn others_on(self, path: &str) -> Vec<&'a AccessPoint> {
        let others = self.observed.other_access_points.present();
        let others = others.map(Vec::as_slice).unwrap_or_default();
        others
            .iter()
            .filter(|other| other.path == path && other.state != LifeCycle::Deleting && !self.owns(&other.tags))
            .collect()
    }

    /// The document, with what it leaves to what exists filled in: of an access point that is taken, path and owner; where
    /// it asks for no restart, the mark of the last one, or taking the annotation away would be a restart, too.
    pub(crate) fn as_found(self) -> Cow<'a, Desired> {
        let filled = match self.observed.access_point.present() {
            Some(found) => self.desired.as_found(found),
            None => Cow::Borrowed(self.desired),
        };
        if self.desired.restart.is_some() {
            return filled;
        }
        match self.running_variable(ENV_RESTART) {
            Some(last) => Cow::Owned(Desired {
                restart: Some(last.to_owned()),
                ..filled.into_owned()
            }),
            None => filled,
        }
    }

    /// The definition behind an ARN, where it was read.
    pub(crate) fn definition(self, arn: &str) -> Option<&'a ObservedDefinition> {
        let family = self.observed.family.present().into_iter().flatten();
        let running = self.observed.running_definition.present().into_iter();
        running.chain(family).find(|found| found.arn == arn)
    }

    /// A variable of the server's container, as it runs.
    pub(crate) fn running_variable(self, name: &str) -> Option<&'a str> {
        let running = self.observed.running_definition.present()?;
        if let Some(definition) = &running.definition {
            return definition.container.environment.get(name).map(String::as_str);
        }
        let container = running.raw.as_ref()?.container(&self.desired.server.container)?;
        let pairs = container["environment"].as_array()?;
        pairs.iter().find(|pair| pair["name"] == name)?["value"].as_str()
    }

    /// One subnet a zone, in the document's order.
    pub(crate) fn zones(self) -> Vec<&'a Subnet> {
        let mut seen = BTreeSet::new();
        self.subnets()
            .into_iter()
            .filter(|subnet| seen.insert(subnet.zone_id.as_str()))
            .collect()
    }

    /// The mount target of a zone, whatever its state.
    pub(crate) fn target(self, zone_id: &str) -> Option<&'a MountTarget> {
        self.observed
            .mount_targets
            .present()?
            .iter()
            .find(|target| target.zone_id == zone_id && target.state != LifeCycle::Deleted)
    }

    /// What the running definition mounts, where that is not this access point.
    pub(crate) fn mounts_before(self, access_point: &AccessPoint) -> Option<(FileSystemId, AccessPointId)> {
        mounted(self).filter(|(_, mounted)| *mounted != access_point.id)
    }

    /// Whether the role's policy allows what it should. That of a server that moves allows more for a while.
    pub(crate) fn role_policy_in_place(self) -> bool {
        match (
            self.file_system(),
            self.usable_access_point(),
            self.observed.role_policy.present(),
        ) {
            (Some(file_system), Some(access_point), Some(found)) => policy::covers(
                found,
                &policy::role_policy(self.desired, &file_system.arn, &access_point.arn),
            ),
            _ => false,
        }
    }
}

/// Whether the service runs a definition that mounts this file system as valkeep does: with TLS, IAM and an access
/// point. Unknown is no.
pub(crate) fn mounts(input: Input, file_system: &FileSystemId) -> bool {
    let Some(running) = input.observed.running_definition.present() else {
        return false;
    };
    match (&running.raw, &running.definition) {
        // Of a definition that somebody else maintains only our own volume is known to have all three.
        (Some(raw), _) => raw.volumes().iter().any(|volume| {
            volume["name"] == OVERLAY_VOLUME && volume["efsVolumeConfiguration"]["fileSystemId"] == file_system.as_str()
        }),
        (None, Some(definition)) => definition
            .volume
            .as_ref()
            .is_some_and(|volume| volume.file_system == *file_system),
        (None, None) => false,
    }
}

/// The file system and the access point that the running definition mounts as valkeep does.
pub(crate) fn mounted(input: Input) -> Option<(FileSystemId, AccessPointId)> {
    let running = input.observed.running_definition.present()?;
    match (&running.raw, &running.definition) {
        (Some(raw), _) => {
            let ours = raw.volumes().iter().find(|volume| volume["name"] == OVERLAY_VOLUME)?;
            let efs = &ours["efsVolumeConfiguration"];
            let file_system = FileSystemId::parse(efs["fileSystemId"].as_str()?).ok()?;
            let access_point = efs["authorizationConfig"]["accessPointId"].as_str()?;
            Some((file_system, AccessPointId::parse(access_point).ok()?))
        }
        (None, definition) => {
            let volume = definition.as_ref()?.volume.as_ref()?;
            Some((volume.file_system.clone(), volume.access_point.clone()))
        }
    }
}
