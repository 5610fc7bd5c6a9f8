//! Tags of everything in EC2.

use super::filter::Filters;
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{list, required_strings, tags, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The tags that a create call gives to a resource of this kind.
pub(super) fn specified(input: &Value, kind: &str) -> BTreeMap<String, String> {
    let specification = if input.get("TagSpecification").is_some() {
        "TagSpecification"
    } else {
        "TagSpecifications"
    };
    list(input, specification)
        .iter()
        .filter(|specification| text(specification, "ResourceType") == Some(kind))
        .flat_map(|specification| {
            tags(
                specification,
                if specification.get("Tag").is_some() {
                    "Tag"
                } else {
                    "Tags"
                },
            )
        })
        .collect()
}

pub(super) fn create(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let ids = required_strings(input, "ResourceId")?;
    let added = tags(input, "Tag");
    for id in &ids {
        tags_of(state, id)?;
    }
    for id in &ids {
        tags_of(state, id)?.extend(added.clone());
    }
    Ok(json!({ "return": true }))
}

pub(super) fn delete(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let ids = required_strings(input, "ResourceId")?;
    let unwanted = list(input, "Tag");
    for id in &ids {
        let tags = tags_of(state, id)?;
        if unwanted.is_empty() {
            tags.retain(|key, _| key.starts_with("aws:"));
        }
        for tag in unwanted {
            let key = text(tag, "Key").unwrap_or_default();
            // With a value, only a tag that has this value goes.
            let goes = tag
                .get("Value")
                .and_then(Value::as_str)
                .is_none_or(|value| tags.get(key).is_some_and(|has| has == value));
            if goes {
                tags.remove(key);
            }
        }
    }
    Ok(json!({ "return": true }))
}

pub(super) fn describe(state: &State, input: &Value) -> Value {
    let filters = Filters::read(input);
    let groups = state
        .ec2
        .groups
        .values()
        .map(|group| ("security-group", &group.id, &group.tags));
    let vpcs = state.ec2.vpcs.values().map(|vpc| ("vpc", &vpc.id, &vpc.tags));
    let subnets = state
        .ec2
        .subnets
        .values()
        .map(|subnet| ("subnet", &subnet.id, &subnet.tags));
    let none = BTreeMap::new();
    let mut views = Vec::new();
    for (kind, id, tags) in groups.chain(vpcs).chain(subnets) {
        for (key, value) in tags {
            let accepted = filters.accept(&none, |name| match name {
                "resource-id" => Some(vec![id.clone()]),
                "resource-type" => Some(vec![kind.to_owned()]),
                "key" => Some(vec![key.clone()]),
                "value" => Some(vec![value.clone()]),
                _ => None,
            });
            if accepted {
                views.push(json!({ "resourceId": id, "resourceType": kind, "key": key, "value": value }));
            }
        }
    }
    json!({ "tagSet": views })
}

fn tags_of<'a>(state: &'a mut State, id: &str) -> Result<&'a mut BTreeMap<String, String>, ApiError> {
    let ec2 = &mut state.ec2;
    let unknown = |code: &'static str, kind: &str| ApiError::bad(code, format!("The {kind} '{id}' does not exist"));
    match id.split_once('-').map(|(prefix, _)| prefix) {
        Some("sg") => ec2
            .groups
            .get_mut(id)
            .map(|group| &mut group.tags)
            .ok_or_else(|| unknown("InvalidGroup.NotFound", "security group")),
        Some("vpc") => ec2
            .vpcs
            .get_mut(id)
            .map(|vpc| &mut vpc.tags)
            .ok_or_else(|| unknown("InvalidVpcID.NotFound", "vpc ID")),
        Some("subnet") => ec2
            .subnets
            .get_mut(id)
            .map(|subnet| &mut subnet.tags)
            .ok_or_else(|| unknown("InvalidSubnetID.NotFound", "subnet ID")),
        Some("sgr") => ec2
            .groups
            .values_mut()
            .flat_map(|group| group.ingress.iter_mut().chain(&mut group.egress))
            .find(|rule| rule.id == id)
            .map(|rule| &mut rule.tags)
            .ok_or_else(|| unknown("InvalidSecurityGroupRuleId.NotFound", "security group rule ID")),
        _ => Err(unknown("InvalidID", "ID")),
    }
}
