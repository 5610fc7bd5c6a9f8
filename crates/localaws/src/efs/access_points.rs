//! Access points. Only their tags can be changed.

use super::file_systems::{bad, check_tags, find as find_file_system, find_available, id_of};
use super::{Life, page};
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{list, number, required, tag_list, tags, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PAGE: usize = 100;
const PATH_LENGTH_MAX: usize = 100;
const PATH_DEPTH_MAX: usize = 4;

/// An access point.
#[derive(Debug, Clone)]
pub(crate) struct AccessPoint {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) file_system: String,
    pub(crate) life: Life,
    /// The user that all clients become.
    pub(crate) posix_user: Option<PosixUser>,
    pub(crate) path: String,
    /// With what the directory is made at the first mount; without it a missing directory fails the mount.
    pub(crate) creation: Option<CreationInfo>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// The user that all clients of an access point become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PosixUser {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) secondary_gids: Vec<u32>,
}

/// How an access point's directory is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreationInfo {
    pub(crate) owner_uid: u32,
    pub(crate) owner_gid: u32,
    /// Octal, three or four digits.
    pub(crate) permissions: String,
}

pub(super) fn create(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let token = required(input, "ClientToken").map_err(|_| bad("ClientToken is required."))?;
    if token.len() > 64 {
        return Err(bad("ClientToken is longer than 64 characters."));
    }
    // A token belongs to the account and region, whatever the file system.
    if let Some(found) = state.efs.access_points.values().find(|found| found.token == token) {
        if state.config.knobs.replay_access_point {
            return Ok(view(state, found));
        }
        let words = format!("Access point '{}' already exists with client token '{token}'", found.id);
        return Err(ApiError::conflict("AccessPointAlreadyExists", words).with("AccessPointId", found.id.clone()));
    }
    let file_system = find_available(state, required(input, "FileSystemId")?)?.id.clone();
    let posix_user = input.get("PosixUser").map(read_user).transpose()?;
    let (path, creation) = match input.get("RootDirectory") {
        Some(root) => (
            text(root, "Path").unwrap_or("/"),
            root.get("CreationInfo").map(read_creation).transpose()?,
        ),
        None => ("/", None),
    };
    let depth = path.split('/').filter(|part| !part.is_empty()).count();
    if !path.starts_with('/') || path.len() > PATH_LENGTH_MAX || depth > PATH_DEPTH_MAX || path.contains("//") {
        return Err(bad(
            "Path must start with '/', have at most 100 characters and at most four subdirectories.",
        ));
    }
    let tags = tags(input, "Tags");
    check_tags(&tags)?;
    let id = state.fresh_id("fsap");
    let point = AccessPoint {
        id: id.clone(),
        token: token.to_owned(),
        file_system,
        life: Life::Creating(state.in_seconds(state.config.delays.access_point)),
        posix_user,
        path: path.to_owned(),
        creation,
        tags,
    };
    state.efs.access_points.insert(id.clone(), point);
    Ok(view(state, &state.efs.access_points[&id]))
}

pub(super) fn describe(state: &State, input: &Value) -> Result<Value, ApiError> {
    let file_system = match (text(input, "AccessPointId"), text(input, "FileSystemId")) {
        (Some(_), Some(_)) => return Err(bad("Only one of AccessPointId and FileSystemId can be given.")),
        (Some(id), None) => {
            let found = find(state, id_of(id))?;
            return Ok(json!({ "AccessPoints": [view(state, found)] }));
        }
        (None, Some(id)) => Some(find_file_system(state, id)?.id.clone()),
        (None, None) => None,
    };
    let all = state.efs.access_points.iter();
    let all = all.filter(|(_, point)| file_system.as_ref().is_none_or(|id| point.file_system == *id));
    let (found, next) = page(all, input, ("MaxResults", "NextToken"), PAGE);
    let views: Vec<Value> = found.into_iter().map(|point| view(state, point)).collect();
    let mut answer = json!({ "AccessPoints": views });
    if let Some(next) = next {
        answer["NextToken"] = json!(next);
    }
    Ok(answer)
}

pub(super) fn delete(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let until = state.in_seconds(state.config.delays.access_point);
    let id = find(state, id_of(required(input, "AccessPointId")?))?.id.clone();
    let point = state.efs.access_points.get_mut(&id).expect("it was just found");
    if !matches!(point.life, Life::Deleting(_)) {
        point.life = Life::Deleting(until);
    }
    Ok(Value::Null)
}

/// The access point.
pub(super) fn find<'a>(state: &'a State, id: &str) -> Result<&'a AccessPoint, ApiError> {
    state
        .efs
        .access_points
        .get(id)
        .ok_or_else(|| ApiError::missing("AccessPointNotFound", format!("Access point '{id}' does not exist.")))
}

fn read_user(user: &Value) -> Result<PosixUser, ApiError> {
    let secondary = list(user, "SecondaryGids").iter().filter_map(Value::as_u64);
    let secondary_gids: Vec<u32> = secondary.filter_map(|gid| u32::try_from(gid).ok()).collect();
    if secondary_gids.len() > 16 {
        return Err(bad("SecondaryGids has more than 16 entries."));
    }
    Ok(PosixUser {
        uid: posix_id(user, "Uid")?,
        gid: posix_id(user, "Gid")?,
        secondary_gids,
    })
}

fn read_creation(info: &Value) -> Result<CreationInfo, ApiError> {
    let permissions = text(info, "Permissions").unwrap_or_default();
    let octal = matches!(permissions.len(), 3 | 4) && permissions.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    if !octal {
        return Err(bad("Permissions must be an octal number of three or four digits."));
    }
    Ok(CreationInfo {
        owner_uid: posix_id(info, "OwnerUid")?,
        owner_gid: posix_id(info, "OwnerGid")?,
        permissions: permissions.to_owned(),
    })
}

fn posix_id(value: &Value, member: &str) -> Result<u32, ApiError> {
    let id = number(value, member).and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| bad(&format!("{member} must be a number from 0 to 4294967295.")))
}

fn view(state: &State, point: &AccessPoint) -> Value {
    let mut root = json!({ "Path": point.path });
    if let Some(CreationInfo {
        owner_uid,
        owner_gid,
        permissions,
    }) = &point.creation
    {
        root["CreationInfo"] = json!({ "OwnerUid": owner_uid, "OwnerGid": owner_gid, "Permissions": permissions });
    }
    let mut view = json!({
        "ClientToken": point.token, "AccessPointId": point.id,
        "AccessPointArn": state.arn("elasticfilesystem", &format!("access-point/{}", point.id)),
        "FileSystemId": point.file_system, "RootDirectory": root, "OwnerId": state.config.account,
        "LifeCycleState": point.life.as_str(), "Tags": tag_list(&point.tags, "Key", "Value"),
    });
    if let Some(name) = point.tags.get("Name") {
        view["Name"] = json!(name);
    }
    if let Some(PosixUser {
        uid,
        gid,
        secondary_gids,
    }) = &point.posix_user
    {
        view["PosixUser"] = json!({ "Uid": uid, "Gid": gid });
        if !secondary_gids.is_empty() {
            view["PosixUser"]["SecondaryGids"] = json!(secondary_gids);
        }
    }
    view
}
