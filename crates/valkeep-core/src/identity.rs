//! Who manages what: the identity that every name, token and tag derives from.
//!
//! Derived from what is managed (account, region, cluster, service) and from the installation's id, never from
//! where the document lies: moving a document from SSM to S3 finds the same file system.

use crate::{Limits, Tags};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Tag that says which identity owns a resource; its value is [`Identity::owner`].
pub const TAG_OWNER: &str = "valkeep.dev/owner";
/// Tag with the installation's id, for people.
pub const TAG_INSTALLATION: &str = "valkeep.dev/installation";
/// Tag by which the owner of a file system or an access point lets an installation work on it; its value is the
/// installation's id. Only IAM reads it: `valkeep iam-policy` grants changes of what documents take by id under it.
pub const TAG_GIVEN: &str = "valkeep.dev/given-to";
/// Tag with `cluster/service`, for people.
pub const TAG_SERVICE: &str = "valkeep.dev/service";
/// Tag on task definitions: SHA-256 of what was rendered.
pub const TAG_HASH: &str = "valkeep.dev/hash";
/// Tag on task definitions: a hash of what the document says that a server must be started anew for. Definitions that have it in
/// common differ only in how valkeep wrote them.
pub const TAG_MEANING: &str = "valkeep.dev/meaning";
/// Tag on the file system: when valkeep last changed the throughput mode or lowered provisioned throughput
/// (RFC 3339). AWS allows the next such change 24 hours later and does not tell when the last one was.
pub const TAG_THROUGHPUT_CHANGED: &str = "valkeep.dev/throughput-changed-at";
/// Tag on the file system: present while valkeep manages its file-system policy.
pub const TAG_POLICY: &str = "valkeep.dev/policy";
/// Tag on the service: desired count 0 is valkeep's own doing and will be raised; never the user's wish.
pub const TAG_STARTING: &str = "valkeep.dev/starting";
/// Tag on the access point: the RDB file name that its directory is used with. A deletion moves this and the two below up
/// to the file system before the access point goes, for the next access point if the deletion is taken back.
pub const TAG_DATA_FILE: &str = "valkeep.dev/data-file";
/// Tag on the access point: the newest server that has written its directory, like `valkey 8.0.1`.
pub const TAG_WRITTEN_BY: &str = "valkeep.dev/written-by";
/// Tag on the access point: since when no snapshots are written to it (RFC 3339); what lies there is older.
pub const TAG_SNAPSHOTS_ENDED: &str = "valkeep.dev/snapshots-ended-at";
/// Tag on an access point that was taken, not made: the identity that uses its directory, [`Identity::user_mark`]. Two
/// servers on one directory would take turns with one dump.
pub const TAG_USED_BY: &str = "valkeep.dev/used-by";
/// Tag on a file system that was taken, not made: the identity whose document decides on its settings,
/// [`Identity::user_mark`].
pub const TAG_SETTINGS_BY: &str = "valkeep.dev/settings-by";
/// Tag on an access point, set by a person: the data that the named other access point had is in this one's directory.
pub const TAG_MOVED_FROM: &str = "valkeep.dev/moved-from";
/// Tag on a task definition that was laid over another: the revision of the same family that is its base.
pub const TAG_BASE: &str = "valkeep.dev/base";
/// Tag on an adopted service: which identity looks after its persistence; its value is [`Identity::owner`]. Never the
/// owner's tag, because the service is somebody else's.
pub const TAG_ADOPTED: &str = "valkeep.dev/adopted-by";
/// Tag on an adopted service: the deployment settings that it had before, to be put back when persistence is disabled.
pub const TAG_SETTINGS: &str = "valkeep.dev/settings-before";
/// On an access point: the data is in an append-only file, and not in the dump.
pub const TAG_APPEND_ONLY: &str = "valkeep.dev/append-only";
/// Docker label on the server's container in a definition that was laid over another: what stood there before, as JSON.
pub const LABEL_BASE: &str = "valkeep.dev/base";
/// Name of the volume in a definition that was laid over another.
pub const OVERLAY_VOLUME: &str = "valkeep-data";
/// All tag keys of ours start with this; user tags may not.
pub const TAG_PREFIX: &str = "valkeep.dev/";

/// What a document manages: one ECS service in one place, by one installation of valkeep.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Twelve digits.
    pub account: String,
    /// Like `eu-west-1`.
    pub region: String,
    /// ECS cluster name.
    pub cluster: String,
    /// ECS service name.
    pub service: String,
    /// The installation's id (`--installation`).
    pub installation: String,
}

/// Home: where valkeep runs and as whom; found once at the start (STS) and from settings. Documents that name no region
/// and no role mean this region and account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// Twelve digits.
    pub account: String,
    /// The SDK's region, where documents and status are.
    pub region: String,
    /// The installation's id (`--installation`, default `default`).
    pub installation: String,
    /// How long a mount target's DNS name is given after its interface was attached, in seconds. AWS advises 90.
    pub dns_grace_s: u32,
    /// How far documents may reach.
    pub limits: Limits,
}

/// Names and tokens, deterministic, so that nothing is ever created twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// NFS security group, unique in the VPC.
    pub security_group: String,
    /// EFS `CreationToken` (at most 64 characters).
    pub creation_token: String,
    /// Inline policy on the task role (at most 128 characters).
    pub role_policy: String,
    /// Task-definition family (at most 255 characters).
    pub family: String,
    /// EFS volume name within the task definition.
    pub volume: String,
}

impl Identity {
    /// 40 hexadecimal digits that stand for this identity in tokens and in the owner tag.
    pub fn owner(&self) -> String {
        let Self {
            account,
            region,
            cluster,
            service,
            installation,
        } = self;
        let mut hash = Sha256::new();
        for part in [account, region, cluster, service, installation] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.finalize()
            .iter()
            .take(20)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Derives every name and token.
    pub fn names(&self) -> Names {
        let owner = self.owner();
        // 80 characters of the service's name keep the longest (the role policy, 128) within its limit.
        let service: String = self.service.chars().take(80).collect();
        let stem = format!("valkeep-{service}-{}", &owner[..8]);
        Names {
            security_group: format!("{stem}-nfs"),
            creation_token: format!("valkeep-{owner}"),
            role_policy: format!("{stem}-efs"),
            family: stem,
            volume: "valkey-data".to_owned(),
        }
    }

    /// The access point's `ClientToken`: unique per account and region, so it names the file system too.
    pub fn access_point_token(&self, file_system: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(self.owner());
        hash.update(file_system);
        format!(
            "valkeep-{}",
            hash.finalize()
                .iter()
                .take(20)
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        )
    }

    /// The tags that mark a resource as ours.
    pub fn tags(&self) -> Tags {
        Tags::from([
            (TAG_OWNER.to_owned(), self.owner()),
            (TAG_INSTALLATION.to_owned(), self.installation.clone()),
            (TAG_SERVICE.to_owned(), format!("{}/{}", self.cluster, self.service)),
        ])
    }

    /// The value of [`TAG_USED_BY`] and [`TAG_SETTINGS_BY`]: the owner's digits, and for people `cluster/service`. EFS
    /// takes 256 characters.
    pub fn user_mark(&self) -> String {
        let place: String = format!("{}/{}", self.cluster, self.service).chars().take(200).collect();
        format!("{} {place}", self.owner())
    }

    /// Whose a mark of the key is, in words, if it is another identity's: the one that made the resource or marked it.
    pub fn other_user(&self, tags: &Tags, key: &str) -> Option<String> {
        let made_by_other = tags.get(TAG_OWNER).filter(|owner| **owner != self.owner());
        if made_by_other.is_some() {
            let installation = tags.get(TAG_INSTALLATION).map_or("unknown", String::as_str);
            let service = tags.get(TAG_SERVICE).map_or("another service", String::as_str);
            return Some(format!("{service} (installation {installation})"));
        }
        let mark = tags.get(key)?;
        let (owner, place) = mark.split_once(' ').unwrap_or((mark, "another service"));
        (owner != self.owner()).then(|| place.to_owned())
    }

    /// Whether the mark of this key is this identity's.
    pub fn marked(&self, tags: &Tags, key: &str) -> bool {
        tags.get(key)
            .is_some_and(|mark| mark.split(' ').next() == Some(self.owner().as_str()))
    }

    /// Whether tags found on a resource say that this identity made it.
    pub fn owns(&self, tags: &Tags) -> bool {
        tags.get(TAG_OWNER).is_some_and(|owner| *owner == self.owner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            account: "123456789012".into(),
            region: "eu-west-1".into(),
            cluster: "c".into(),
            service: "s".repeat(255),
            installation: "default".into(),
        }
    }

    #[test]
    fn names_stay_within_the_limits_of_aws() {
        let names = identity().names();
        assert!(names.creation_token.len() <= 64);
        assert!(names.role_policy.len() <= 128);
        assert!(names.family.len() <= 255);
        assert!(names.security_group.len() <= 255);
        assert!(identity().access_point_token("fs-0123456789abcdef0").len() <= 64);
    }

    #[test]
    fn another_installation_has_other_names() {
        let other = Identity {
            installation: "blue".into(),
            ..identity()
        };
        assert_ne!(other.names(), identity().names());
        assert!(!other.owns(&identity().tags()));
    }

    #[test]
    fn parts_cannot_be_shifted_into_each_other() {
        let one = Identity {
            cluster: "ab".into(),
            service: "c".into(),
            ..identity()
        };
        let two = Identity {
            cluster: "a".into(),
            service: "bc".into(),
            ..identity()
        };
        assert_ne!(one.owner(), two.owner());
    }
}
