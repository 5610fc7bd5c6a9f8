//! File-system policies.

use super::file_systems::find;
use super::settings::change;
use crate::error::ApiError;
use crate::iam;
use crate::state::State;
use crate::wire::required;
use serde_json::{Map, Value, json};

const POLICY_LENGTH_MAX: usize = 20_000;

pub(super) fn describe(state: &State, input: &Value) -> Result<Value, ApiError> {
    let found = find(state, required(input, "FileSystemId")?)?;
    let policy = found.policy.as_ref().ok_or_else(|| {
        let words = format!("Policy does not exist for file system '{}'.", found.id);
        ApiError::missing("PolicyNotFound", words)
    })?;
    Ok(json!({ "FileSystemId": found.id, "Policy": with_names(state, policy).to_string() }))
}

pub(super) fn put(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let text = required(input, "Policy").map_err(|_| invalid("Policy is required."))?;
    if text.len() > POLICY_LENGTH_MAX {
        return Err(invalid("Policy is longer than 20000 characters."));
    }
    let Ok(Value::Object(policy)) = serde_json::from_str(text) else {
        return Err(invalid("This policy contains invalid Json"));
    };
    let id = find(state, required(input, "FileSystemId")?)?.id.clone();
    let policy = normalise(state, &id, &policy)?;
    let kept = with_ids(state, &policy);
    change(state, input)?.policy = Some(kept);
    Ok(json!({ "FileSystemId": id, "Policy": policy.to_string() }))
}

pub(super) fn delete(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    change(state, input)?.policy = None;
    Ok(Value::Null)
}

/// As EFS gives it back: `Resource` filled in, lists of one written as scalars, other order of members.
fn normalise(state: &State, id: &str, policy: &Map<String, Value>) -> Result<Value, ApiError> {
    let arn = state.arn("elasticfilesystem", &format!("file-system/{id}"));
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.clone(),
        Some(single @ Value::Object(_)) => vec![single.clone()],
        _ => return Err(invalid("Policy contains no statements")),
    };
    let mut normal = Vec::new();
    for (index, statement) in statements.iter().enumerate() {
        let Some(statement) = statement.as_object() else {
            return Err(invalid("Policy contains an invalid statement"));
        };
        if !matches!(statement.get("Effect").and_then(Value::as_str), Some("Allow" | "Deny")) {
            return Err(invalid("Policy contains an invalid Effect"));
        }
        let principal = statement
            .get("Principal")
            .ok_or_else(|| invalid("Policy contains invalid Principal block"))?;
        check_principal(state, principal)?;
        let resource = statement.get("Resource").map_or_else(|| json!(arn), scalar);
        if !(resource == json!(arn) || resource == json!("*")) {
            return Err(invalid("Policy contains an invalid resource"));
        }
        let mut view = Map::new();
        let sid = statement
            .get("Sid")
            .cloned()
            .unwrap_or_else(|| json!(format!("efs-statement-{index}")));
        view.insert("Sid".to_owned(), sid);
        view.insert("Effect".to_owned(), statement["Effect"].clone());
        view.insert("Principal".to_owned(), principal_view(principal));
        let action = statement
            .get("Action")
            .ok_or_else(|| invalid("Policy contains no Action"))?;
        view.insert("Action".to_owned(), scalar(action));
        view.insert("Resource".to_owned(), resource);
        if let Some(condition) = statement.get("Condition") {
            view.insert("Condition".to_owned(), condition_view(condition));
        }
        normal.push(Value::Object(view));
    }
    let version = policy.get("Version").cloned().unwrap_or_else(|| json!("2008-10-17"));
    Ok(
        json!({ "Version": version, "Id": policy.get("Id").cloned().unwrap_or_else(|| json!(format!("efs-policy-{id}"))), "Statement": normal }),
    )
}

/// Roles are kept by their unique ids, so that one that is deleted and made again is another.
fn with_ids(state: &State, policy: &Value) -> Value {
    with_principals(policy, |name| iam::role(state, name).map(|role| role.id.clone()))
}

/// As it reads back and counts: ids of roles that are there as their ARNs, others as the ids that they are.
pub(super) fn with_names(state: &State, policy: &Value) -> Value {
    with_principals(policy, |id| {
        let mut roles = state.iam.roles.values();
        roles.find(|role| role.id == id).map(|role| role.arn.clone())
    })
}

fn with_principals(policy: &Value, other: impl Fn(&str) -> Option<String>) -> Value {
    let replace = |name: &mut Value| {
        if let Some(replacement) = name.as_str().and_then(&other) {
            *name = Value::String(replacement);
        }
    };
    let mut policy = policy.clone();
    let statements = policy.get_mut("Statement").and_then(Value::as_array_mut);
    for statement in statements.into_iter().flatten() {
        match statement.pointer_mut("/Principal/AWS") {
            Some(Value::Array(names)) => names.iter_mut().for_each(replace),
            Some(name) => replace(name),
            None => {}
        }
    }
    policy
}

/// A role that is named must be there, and for long enough that EFS has heard of it.
fn check_principal(state: &State, principal: &Value) -> Result<(), ApiError> {
    let names = match principal.get("AWS") {
        Some(Value::Array(names)) => names.clone(),
        Some(name) => vec![name.clone()],
        None => Vec::new(),
    };
    let unknown = names.iter().filter_map(Value::as_str).any(|name| {
        let ours = name.starts_with(&format!("arn:aws:iam::{}:role/", state.config.account));
        ours && !iam::is_usable(state, name)
    });
    if unknown {
        Err(invalid("Policy contains invalid Principal block"))
    } else {
        Ok(())
    }
}

fn principal_view(principal: &Value) -> Value {
    match principal {
        Value::String(everyone) if everyone == "*" => json!({ "AWS": "*" }),
        Value::Object(kinds) => kinds
            .iter()
            .map(|(kind, names)| (kind.clone(), scalar(names)))
            .collect(),
        other => other.clone(),
    }
}

fn condition_view(condition: &Value) -> Value {
    let Some(operators) = condition.as_object() else {
        return condition.clone();
    };
    let operators = operators.iter().map(|(operator, keys)| {
        let keys = keys
            .as_object()
            .map(|keys| keys.iter().map(|(key, value)| (key.clone(), scalar(value))).collect());
        (operator.clone(), keys.map_or(Value::Null, Value::Object))
    });
    Value::Object(operators.collect())
}

/// A list of one as its only entry.
fn scalar(value: &Value) -> Value {
    match value {
        Value::Array(values) if values.len() == 1 => values[0].clone(),
        Value::Bool(value) => json!(value.to_string()),
        other => other.clone(),
    }
}

fn invalid(words: &str) -> ApiError {
    ApiError::bad("InvalidPolicyException", words)
}
