//! File systems.

use super::{Life, page};
use crate::clock::{epoch_seconds, seconds_between};
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{boolean, required, tag_list, tags, text};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Mode changes and decreases are at least this far apart.
const THROUGHPUT_CHANGE_S: f64 = 24.0 * 3600.0;
const PAGE: usize = 100;
const TAGS_MAX: usize = 50;
/// The size of a file system without files.
const EMPTY_BYTES: u64 = 6144;

/// A file system.
#[derive(Debug, Clone)]
pub(crate) struct FileSystem {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) created_at: Timestamp,
    pub(crate) life: Life,
    pub(crate) performance: String,
    pub(crate) encrypted: bool,
    pub(crate) kms_key: Option<String>,
    pub(crate) throughput: Throughput,
    pub(crate) zone: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// The policy, normalised, with roles by their unique ids.
    pub(crate) policy: Option<Value>,
    pub(super) lifecycle: Value,
    pub(super) backup: Backup,
    pub(super) overwrite_protection: bool,
    /// The last change of mode, or decrease.
    throughput_changed_at: Option<Timestamp>,
    /// The last change of a sub-resource.
    pub(super) settings_changed_at: Option<Timestamp>,
}

/// Throughput mode, with what it provisions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Throughput {
    /// By size.
    Bursting,
    /// By use.
    Elastic,
    /// So many MiB/s.
    Provisioned(f64),
}

/// The backup policy: what it becomes, and from when it is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backup {
    pub(super) enabled: bool,
    pub(super) settled_at: Timestamp,
}

impl Throughput {
    /// From members of an input. `usual` where the mode is not named.
    fn read(input: &Value, usual: &Self) -> Result<Self, ApiError> {
        let mibps = input.get("ProvisionedThroughputInMibps").and_then(Value::as_f64);
        let mode = match text(input, "ThroughputMode") {
            Some(mode) => mode,
            None => usual.mode(),
        };
        match (mode, mibps) {
            ("bursting", None) => Ok(Self::Bursting),
            ("elastic", None) => Ok(Self::Elastic),
            ("provisioned", Some(mibps)) if (1.0..=3414.0).contains(&mibps) => Ok(Self::Provisioned(mibps)),
            ("provisioned", Some(_)) => Err(bad("Provisioned throughput must be between 1 and 3414 MiB/s.")),
            ("provisioned", None) => match usual {
                Self::Provisioned(mibps) => Ok(Self::Provisioned(*mibps)),
                _ => Err(bad(
                    "Provisioned throughput must be set for file systems that use provisioned throughput mode.",
                )),
            },
            ("bursting" | "elastic", Some(_)) => Err(bad(
                "Provisioned throughput can only be set for file systems that use provisioned throughput mode.",
            )),
            (other, _) => Err(bad(&format!("Invalid throughput mode '{other}'."))),
        }
    }

    fn mode(&self) -> &'static str {
        match self {
            Self::Bursting => "bursting",
            Self::Elastic => "elastic",
            Self::Provisioned(_) => "provisioned",
        }
    }

    fn mibps(&self) -> Option<f64> {
        match self {
            Self::Provisioned(mibps) => Some(*mibps),
            Self::Bursting | Self::Elastic => None,
        }
    }

    /// Whether EFS takes this change only once a day.
    fn is_limited_change(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::Provisioned(from), Self::Provisioned(to)) => to < from,
            _ => self.mode() != next.mode(),
        }
    }
}

pub(super) fn create(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let token = required(input, "CreationToken").map_err(|_| bad("CreationToken is required."))?;
    if token.len() > 64 {
        return Err(bad("CreationToken is longer than 64 characters."));
    }
    // The token alone decides, whatever else the call says, and it stays taken until the file system is gone.
    if let Some(found) = state.efs.file_systems.values().find(|found| found.token == token) {
        let words = format!(
            "File system '{}' already exists with creation token '{token}'",
            found.id
        );
        return Err(ApiError::conflict("FileSystemAlreadyExists", words).with("FileSystemId", found.id.clone()));
    }
    let performance = text(input, "PerformanceMode").unwrap_or("generalPurpose").to_owned();
    let zone = text(input, "AvailabilityZoneName").map(str::to_owned);
    let throughput = Throughput::read(input, &Throughput::Bursting)?;
    let encrypted = boolean(input, "Encrypted").unwrap_or(false);
    match (performance.as_str(), &throughput) {
        ("maxIO", Throughput::Elastic) => {
            return Err(bad(
                "Elastic throughput is not supported for file systems that use maxIO performance mode.",
            ));
        }
        ("maxIO", _) if zone.is_some() => {
            return Err(bad(
                "Max I/O performance mode is not supported for file systems using One Zone storage.",
            ));
        }
        ("generalPurpose" | "maxIO", _) => {}
        (other, _) => return Err(bad(&format!("Invalid performance mode '{other}'."))),
    }
    if zone
        .as_ref()
        .is_some_and(|zone| !zone.starts_with(&state.config.region))
    {
        return Err(bad("Invalid Availability Zone Name provided."));
    }
    if input.get("KmsKeyId").is_some() && !encrypted {
        return Err(bad(
            "The encrypted parameter must be set to true to create an encrypted file system.",
        ));
    }
    let kms_key = encrypted.then(|| key_arn(state, text(input, "KmsKeyId")));
    let tags = tags(input, "Tags");
    check_tags(&tags)?;
    let id = state.fresh_id("fs");
    let backup = boolean(input, "Backup").unwrap_or(zone.is_some());
    let file_system = FileSystem {
        id: id.clone(),
        token: token.to_owned(),
        created_at: state.now,
        life: Life::Creating(state.in_seconds(state.config.delays.file_system)),
        performance,
        encrypted,
        kms_key,
        throughput,
        zone,
        tags,
        policy: None,
        lifecycle: json!([]),
        backup: Backup {
            enabled: backup,
            settled_at: state.now,
        },
        overwrite_protection: true,
        throughput_changed_at: None,
        settings_changed_at: None,
    };
    state.efs.file_systems.insert(id.clone(), file_system);
    // A create answers before anything has happened, however short it takes.
    Ok(view(state, &state.efs.file_systems[&id]))
}

pub(super) fn describe(state: &State, input: &Value) -> Result<Value, ApiError> {
    let (id, token) = (text(input, "FileSystemId").map(id_of), text(input, "CreationToken"));
    if id.is_some() && token.is_some() {
        return Err(bad("Only one of FileSystemId and CreationToken can be given."));
    }
    if let Some(id) = id {
        let found = find(state, id)?;
        return Ok(json!({ "FileSystems": [view(state, found)] }));
    }
    let all = state
        .efs
        .file_systems
        .iter()
        .filter(|(_, found)| token.is_none_or(|token| found.token == token));
    let (found, next) = page(all, input, ("MaxItems", "Marker"), PAGE);
    let views: Vec<Value> = found.into_iter().map(|found| view(state, found)).collect();
    let mut answer = json!({ "FileSystems": views });
    if let Some(next) = next {
        answer["NextMarker"] = json!(next);
    }
    Ok(answer)
}

pub(super) fn update(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let (now, until) = (state.now, state.in_seconds(state.config.delays.file_system_update));
    let found = find_available(state, required(input, "FileSystemId")?)?;
    let next = Throughput::read(input, &found.throughput)?;
    if next == Throughput::Elastic && found.performance == "maxIO" {
        return Err(bad(
            "Elastic throughput is not supported for file systems that use maxIO performance mode.",
        ));
    }
    if found.throughput.is_limited_change(&next) {
        let early = found
            .throughput_changed_at
            .is_some_and(|at| seconds_between(at, now) < THROUGHPUT_CHANGE_S);
        if early {
            let words = "You don't wait at least 24 hours before either changing the throughput mode, or decreasing the Provisioned Throughput value.";
            return Err(ApiError::new(429, "TooManyRequests", words));
        }
        found.throughput_changed_at = Some(now);
    }
    if found.throughput != next {
        found.throughput = next;
        found.life = Life::Updating(until);
    }
    let id = found.id.clone();
    Ok(view(state, &state.efs.file_systems[&id]))
}

pub(super) fn delete(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let until = state.in_seconds(state.config.delays.file_system_delete);
    let id = find(state, required(input, "FileSystemId")?)?.id.clone();
    if state.efs.mount_targets.values().any(|target| target.file_system == id) {
        let words = format!(
            "The file system '{id}' cannot be deleted because it has mount targets. You must delete the mount targets, and then try again."
        );
        return Err(ApiError::conflict("FileSystemInUse", words));
    }
    find_available(state, &id)?.life = Life::Deleting(until);
    Ok(Value::Null)
}

/// The file system.
pub(super) fn find<'a>(state: &'a State, id: &str) -> Result<&'a FileSystem, ApiError> {
    let id = id_of(id);
    state.efs.file_systems.get(id).ok_or_else(|| unknown(id))
}

/// The file system, to be changed: in any state but `available` EFS refuses.
pub(super) fn find_available<'a>(state: &'a mut State, id: &str) -> Result<&'a mut FileSystem, ApiError> {
    let id = id_of(id);
    let found = state.efs.file_systems.get_mut(id).ok_or_else(|| unknown(id))?;
    if found.life == Life::Available {
        return Ok(found);
    }
    let words = format!(
        "The file system '{id}' is in the state '{}', but must be 'available'.",
        found.life.as_str()
    );
    Err(ApiError::conflict("IncorrectFileSystemLifeCycleState", words))
}

/// Ids may be given as ARNs.
pub(super) fn id_of(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// Refuses tags that EFS does not take.
pub(super) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if tags.len() > TAGS_MAX {
        return Err(bad("A resource can have at most 50 tags."));
    }
    match tags.keys().find(|key| key.starts_with("aws:")) {
        Some(key) => Err(bad(&format!(
            "The tag key '{key}' is reserved: keys cannot start with 'aws:'."
        ))),
        None => Ok(()),
    }
}

/// A request that EFS does not take.
pub(super) fn bad(words: &str) -> ApiError {
    ApiError::bad("BadRequest", words)
}

fn unknown(id: &str) -> ApiError {
    ApiError::missing("FileSystemNotFound", format!("File system '{id}' does not exist."))
}

/// AWS answers with the key's ARN, however the key was named.
fn key_arn(state: &State, key: Option<&str>) -> String {
    match key {
        Some(arn) if arn.starts_with("arn:") && arn.contains(":key/") => arn.to_owned(),
        Some(key) if !key.contains("alias/") => state.arn("kms", &format!("key/{key}")),
        Some(alias) => state.arn("kms", &format!("key/{}", uuid_for(alias))),
        None => state.arn("kms", &format!("key/{}", uuid_for("alias/aws/elasticfilesystem"))),
    }
}

/// A key id that is always the same for one alias.
fn uuid_for(alias: &str) -> String {
    let alias = alias.rsplit_once("alias/").map_or(alias, |(_, name)| name);
    let seed = alias
        .bytes()
        .fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    crate::ids::uuid(&mut fastrand::Rng::with_seed(seed))
}

fn view(state: &State, found: &FileSystem) -> Value {
    let targets = state
        .efs
        .mount_targets
        .values()
        .filter(|target| target.file_system == found.id)
        .count();
    let mut tags = found.tags.clone();
    if found.backup.enabled {
        tags.insert("aws:elasticfilesystem:default-backup".to_owned(), "enabled".to_owned());
    }
    let mut view = json!({
        "OwnerId": state.config.account, "CreationToken": found.token, "FileSystemId": found.id,
        "FileSystemArn": state.arn("elasticfilesystem", &format!("file-system/{}", found.id)),
        "CreationTime": epoch_seconds(found.created_at), "LifeCycleState": found.life.as_str(),
        "NumberOfMountTargets": targets,
        "SizeInBytes": {
            "Value": EMPTY_BYTES, "ValueInIA": 0, "ValueInStandard": EMPTY_BYTES, "ValueInArchive": 0,
        },
        "PerformanceMode": found.performance, "Encrypted": found.encrypted,
        "ThroughputMode": found.throughput.mode(), "Tags": tag_list(&tags, "Key", "Value"),
        "FileSystemProtection": {
            "ReplicationOverwriteProtection": if found.overwrite_protection { "ENABLED" } else { "DISABLED" },
        },
    });
    let optional = [
        ("Name", found.tags.get("Name").map(|name| json!(name))),
        ("KmsKeyId", found.kms_key.as_ref().map(|key| json!(key))),
        (
            "ProvisionedThroughputInMibps",
            found.throughput.mibps().map(|mibps| json!(mibps)),
        ),
        ("AvailabilityZoneName", found.zone.as_ref().map(|zone| json!(zone))),
    ];
    for (member, value) in optional {
        if let Some(value) = value {
            view[member] = value;
        }
    }
    view
}
