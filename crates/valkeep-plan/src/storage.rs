//! Views of what was observed: the storage that is ours and usable. Decides nothing.

use crate::draft::Input;
use crate::policy;
use std::collections::BTreeSet;
use valkeep_core::identity::OVERLAY_VOLUME;
use valkeep_core::ids::{FileSystemId, SecurityGroupId};
use valkeep_core::observed::{AccessPoint, FileSystem, LifeCycle, MountTarget, SecurityGroup, Subnet};

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
        self.desired
            .nfs_clients()
            .into_iter()
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

    /// The file system, if it is ours.
    pub(crate) fn file_system(self) -> Option<&'a FileSystem> {
        self.observed
            .file_system
            .present()
            .filter(|found| self.owns(&found.tags))
    }

    /// The access point, if it is ours and usable.
    pub(crate) fn usable_access_point(self) -> Option<&'a AccessPoint> {
        let file_system = self.file_system()?;
        self.observed.access_point.present().filter(|found| {
            self.owns(&found.tags)
                && found.file_system == file_system.id
                && matches!(found.state, LifeCycle::Available | LifeCycle::Updating)
        })
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

    /// Whether the role's policy says what it should.
    pub(crate) fn role_policy_in_place(self) -> bool {
        match (
            self.file_system(),
            self.usable_access_point(),
            self.observed.role_policy.present(),
        ) {
            (Some(file_system), Some(access_point), Some(found)) => policy::same(
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
