//! Tags of file systems and access points.

use super::access_points;
use super::file_systems::{check_tags, find, id_of};
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{required, strings, tag_list, tags};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn list(state: &State, input: &Value) -> Result<Value, ApiError> {
    let id = id_of(required(input, "ResourceId")?);
    let tags = if id.starts_with("fsap-") {
        &access_points::find(state, id)?.tags
    } else {
        &find(state, id)?.tags
    };
    // At most fifty, so that there is never a second page.
    Ok(json!({ "Tags": tag_list(tags, "Key", "Value") }))
}

pub(super) fn tag(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let added = tags(input, "Tags");
    let have = tags_mut(state, required(input, "ResourceId")?)?;
    let mut next = have.clone();
    next.extend(added);
    check_tags(&next)?;
    *have = next;
    Ok(Value::Null)
}

pub(super) fn untag(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let keys = strings(input, "TagKeys");
    tags_mut(state, required(input, "ResourceId")?)?.retain(|key, _| !keys.contains(key));
    Ok(Value::Null)
}

fn tags_mut<'a>(state: &'a mut State, id: &str) -> Result<&'a mut BTreeMap<String, String>, ApiError> {
    let id = id_of(id).to_owned();
    if id.starts_with("fsap-") {
        access_points::find(state, &id)?;
        return Ok(&mut state.efs.access_points.get_mut(&id).expect("it was just found").tags);
    }
    find(state, &id)?;
    Ok(&mut state.efs.file_systems.get_mut(&id).expect("it was just found").tags)
}
