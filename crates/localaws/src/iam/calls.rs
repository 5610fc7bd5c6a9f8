//! The operations of IAM.

use super::Role;
use crate::clock::{iso, later};
use crate::error::ApiError;
use crate::ids;
use crate::state::State;
use crate::wire::{number, required, strings, tag_list, tags, text, unknown_operation};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Inline policies of one role together, white space not counted.
const INLINE_LENGTH_MAX: usize = 10_240;
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Answers one operation.
pub(crate) fn call(state: &mut State, operation: &str, input: &Value) -> Result<Value, ApiError> {
    match operation {
        "CreateRole" => create_role(state, input),
        "GetRole" => Ok(json!({ "Role": role_view(role(state, input)?) })),
        "ListRoles" => Ok(list_roles(state, input)),
        "DeleteRole" => delete_role(state, input),
        "UpdateAssumeRolePolicy" => update_trust(state, input),
        "PutRolePolicy" => put_policy(state, input),
        "GetRolePolicy" => get_policy(state, input),
        "ListRolePolicies" => {
            let names: Vec<&String> = role(state, input)?.policy_names().collect();
            Ok(json!({ "PolicyNames": names, "IsTruncated": false }))
        }
        "ListAttachedRolePolicies" => {
            role(state, input)?;
            Ok(json!({ "AttachedPolicies": [], "IsTruncated": false }))
        }
        "DeleteRolePolicy" => delete_policy(state, input),
        "TagRole" => {
            let added = tags(input, "Tags");
            role_mut(state, input)?.tags.extend(added);
            Ok(Value::Null)
        }
        "UntagRole" => {
            let keys = strings(input, "TagKeys");
            role_mut(state, input)?.tags.retain(|key, _| !keys.contains(key));
            Ok(Value::Null)
        }
        "ListRoleTags" => {
            let tags = tag_list(&role(state, input)?.tags, "Key", "Value");
            Ok(json!({ "Tags": tags, "IsTruncated": false }))
        }
        _ => Err(unknown_operation(operation)),
    }
}

impl Role {
    fn policy_names(&self) -> impl Iterator<Item = &String> {
        self.policies
            .iter()
            .filter(|(_, policy)| policy.current().is_some())
            .map(|(name, _)| name)
    }
}

/// Adds a role that is usable at once.
pub(crate) fn add_role(state: &mut State, name: &str, trust: Value) {
    let role = Role {
        name: name.to_owned(),
        arn: format!("arn:aws:iam::{}:role/{name}", state.config.account),
        path: "/".to_owned(),
        id: ids::iam(&mut state.rng, "AROA"),
        created_at: state.now,
        usable_at: state.now,
        trust,
        description: None,
        tags: BTreeMap::new(),
        policies: BTreeMap::new(),
    };
    state.iam.roles.insert(name.to_owned(), role);
}

fn create_role(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let name = required(input, "RoleName")?;
    let trust = document(required(input, "AssumeRolePolicyDocument")?)?;
    let valid = name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c));
    if !valid {
        let words = "The specified value for roleName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-";
        return Err(ApiError::bad("ValidationError", words));
    }
    if state.iam.roles.contains_key(name) {
        return Err(ApiError::conflict(
            "EntityAlreadyExists",
            format!("Role with name {name} already exists."),
        ));
    }
    let path = text(input, "Path").unwrap_or("/").to_owned();
    let usable_at = later(state.now, state.config.delays.iam_propagation);
    add_role(state, name, trust);
    let arn = format!("arn:aws:iam::{}:role{path}{name}", state.config.account);
    let role = state.iam.roles.get_mut(name).expect("it was just added");
    (role.path, role.arn, role.usable_at) = (path, arn, usable_at);
    role.description = text(input, "Description").map(str::to_owned);
    role.tags = tags(input, "Tags");
    Ok(json!({ "Role": role_view(role) }))
}

fn list_roles(state: &State, input: &Value) -> Value {
    let prefix = text(input, "PathPrefix").unwrap_or("/");
    let after = text(input, "Marker").unwrap_or_default();
    let limit = usize::try_from(number(input, "MaxItems").unwrap_or(100).clamp(1, 1000)).unwrap_or(100);
    let mut roles = state
        .iam
        .roles
        .values()
        .filter(|role| role.path.starts_with(prefix) && role.name.as_str() > after);
    let page: Vec<&Role> = roles.by_ref().take(limit).collect();
    let marker = roles.next().and(page.last()).map(|role| role.name.clone());
    let views: Vec<Value> = page.into_iter().map(role_view).collect();
    json!({ "Roles": views, "IsTruncated": marker.is_some(), "Marker": marker })
}

fn delete_role(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let found = role(state, input)?;
    if found.policy_names().next().is_some() {
        return Err(ApiError::conflict(
            "DeleteConflict",
            "Cannot delete entity, must delete policies first.",
        ));
    }
    let name = found.name.clone();
    state.iam.roles.remove(&name);
    Ok(Value::Null)
}

fn update_trust(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let trust = document(required(input, "PolicyDocument")?)?;
    role_mut(state, input)?.trust = trust;
    Ok(Value::Null)
}

fn put_policy(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let name = required(input, "PolicyName")?.to_owned();
    let text = required(input, "PolicyDocument")?.to_owned();
    let parsed = document(&text)?;
    if parsed.get("Statement").is_none() {
        return Err(malformed("Syntax errors in policy."));
    }
    let (now, at) = (state.now, later(state.now, state.config.delays.iam_propagation));
    let role = role_mut(state, input)?;
    let length = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
    let others: usize = role
        .policies
        .iter()
        .filter(|(other, _)| **other != name)
        .filter_map(|(_, p)| p.current())
        .map(|text| length(text))
        .sum();
    if others + length(&text) > INLINE_LENGTH_MAX {
        let words = format!(
            "Maximum policy size of {INLINE_LENGTH_MAX} bytes exceeded for role {}",
            role.name
        );
        return Err(ApiError::conflict("LimitExceeded", words));
    }
    role.policies.entry(name).or_default().set(now, at, Some(text));
    Ok(Value::Null)
}

fn get_policy(state: &State, input: &Value) -> Result<Value, ApiError> {
    let name = required(input, "PolicyName")?;
    let role = role(state, input)?;
    let text = role
        .policies
        .get(name)
        .and_then(|policy| policy.current())
        .ok_or_else(|| unknown_policy(name))?;
    let encoded = utf8_percent_encode(text, UNRESERVED).to_string();
    Ok(json!({ "RoleName": role.name, "PolicyName": name, "PolicyDocument": encoded }))
}

fn delete_policy(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let name = required(input, "PolicyName")?;
    let (now, at) = (state.now, later(state.now, state.config.delays.iam_propagation));
    let policy = role_mut(state, input)?
        .policies
        .get_mut(name)
        .filter(|policy| policy.current().is_some());
    policy.ok_or_else(|| unknown_policy(name))?.set(now, at, None);
    Ok(Value::Null)
}

fn role<'a>(state: &'a State, input: &Value) -> Result<&'a Role, ApiError> {
    let name = required(input, "RoleName")?;
    state.iam.roles.get(name).ok_or_else(|| unknown_role(name))
}

fn role_mut<'a>(state: &'a mut State, input: &Value) -> Result<&'a mut Role, ApiError> {
    let name = required(input, "RoleName")?;
    state.iam.roles.get_mut(name).ok_or_else(|| unknown_role(name))
}

fn unknown_role(name: &str) -> ApiError {
    ApiError::missing("NoSuchEntity", format!("The role with name {name} cannot be found."))
}

fn unknown_policy(name: &str) -> ApiError {
    ApiError::missing(
        "NoSuchEntity",
        format!("The role policy with name {name} cannot be found."),
    )
}

fn malformed(words: &str) -> ApiError {
    ApiError::bad("MalformedPolicyDocument", words)
}

fn document(text: &str) -> Result<Value, ApiError> {
    match serde_json::from_str(text) {
        Ok(Value::Object(document)) => Ok(Value::Object(document)),
        _ => Err(malformed("This policy contains invalid Json")),
    }
}

fn role_view(role: &Role) -> Value {
    json!({
        "Path": role.path, "RoleName": role.name, "RoleId": role.id, "Arn": role.arn,
        "CreateDate": iso(role.created_at),
        "AssumeRolePolicyDocument": utf8_percent_encode(&role.trust.to_string(), UNRESERVED).to_string(),
        "Description": role.description, "MaxSessionDuration": 3600,
        "Tags": tag_list(&role.tags, "Key", "Value"),
    })
}

/// The trust policy that lets a service assume a role.
pub(crate) fn trust_of(service: &str) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "Service": service }, "Action": "sts:AssumeRole",
    }] })
}
