//! Tags of whatever has an ARN.

use super::{invalid, tag_view};
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{required, strings, tags};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn tag(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let added = tags(input, "tags");
    find(state, required(input, "resourceArn")?)?.extend(added);
    Ok(json!({}))
}

pub(super) fn untag(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let keys = strings(input, "tagKeys");
    find(state, required(input, "resourceArn")?)?.retain(|key, _| !keys.contains(key));
    Ok(json!({}))
}

pub(super) fn list(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let tags = find(state, required(input, "resourceArn")?)?;
    Ok(json!({ "tags": tag_view(tags) }))
}

fn find<'a>(state: &'a mut State, arn: &str) -> Result<&'a mut BTreeMap<String, String>, ApiError> {
    let missing = || invalid(format!("The specified resource {arn} was not found."));
    let kind = arn
        .split(':')
        .nth(5)
        .and_then(|resource| resource.split('/').next())
        .unwrap_or_default();
    let ecs = &mut state.ecs;
    let tags = match kind {
        "cluster" => ecs
            .clusters
            .get_mut(super::last_part(arn))
            .map(|cluster| &mut cluster.tags),
        "service" => ecs.services.get_mut(arn).map(|service| &mut service.tags),
        "task" => ecs.tasks.get_mut(arn).map(|task| &mut task.tags),
        "task-definition" => ecs
            .definitions
            .values_mut()
            .flatten()
            .find(|found| found.arn == arn)
            .map(|definition| &mut definition.tags),
        _ => None,
    };
    tags.ok_or_else(missing)
}
