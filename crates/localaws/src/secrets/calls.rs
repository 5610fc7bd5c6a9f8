//! The operations of Secrets Manager: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/>.

use super::{Secret, Version};
use crate::clock::epoch_seconds;
use crate::error::ApiError;
use crate::ids;
use crate::state::State;
use crate::wire::{required, text, unknown_operation};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";

/// Answers one operation.
pub(crate) fn call(state: &mut State, operation: &str, input: &Value) -> Result<Value, ApiError> {
    match operation {
        "CreateSecret" => create(state, input),
        "PutSecretValue" => put(state, input),
        "GetSecretValue" => get(state, input),
        _ => Err(unknown_operation(operation)),
    }
}

fn create(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let name = required(input, "Name")?.to_owned();
    if state.secrets.secrets.contains_key(&name) {
        let words = format!("The operation failed because the secret {name} already exists.");
        return Err(ApiError::bad("ResourceExistsException", words));
    }
    let version = version(state, input)?;
    // Six letters after the name, so that a new secret of an old name is another one.
    let tail = ids::hex(&mut state.rng, 6);
    let arn = state.arn("secretsmanager", &format!("secret:{name}-{tail}"));
    let answer = json!({"ARN": arn, "Name": name, "VersionId": version.id});
    let versions = BTreeMap::from([(CURRENT.to_owned(), version)]);
    state.secrets.secrets.insert(name, Secret { arn, versions });
    Ok(answer)
}

fn put(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let version = version(state, input)?;
    let (name, secret) = state
        .secrets
        .secrets
        .iter_mut()
        .find(|(name, secret)| is(name, secret, required(input, "SecretId").unwrap_or_default()))
        .ok_or_else(missing)?;
    let answer = json!({"ARN": secret.arn, "Name": name, "VersionId": version.id, "VersionStages": [CURRENT]});
    if let Some(before) = secret.versions.insert(CURRENT.to_owned(), version) {
        secret.versions.insert(PREVIOUS.to_owned(), before);
    }
    Ok(answer)
}

fn get(state: &State, input: &Value) -> Result<Value, ApiError> {
    let id = required(input, "SecretId")?;
    let (name, secret) = state
        .secrets
        .secrets
        .iter()
        .find(|(name, secret)| is(name, secret, id))
        .ok_or_else(missing)?;
    let asked = text(input, "VersionStage");
    let wanted = text(input, "VersionId");
    let found = secret.versions.iter().find(|(at, version)| match wanted {
        Some(wanted) => version.id == wanted && asked.is_none_or(|asked| asked == *at),
        None => *at == asked.unwrap_or(CURRENT),
    });
    let Some((label, version)) = found else {
        let words = format!(
            "Secrets Manager can't find the specified secret value for staging label: {}",
            asked.unwrap_or(CURRENT)
        );
        return Err(ApiError::bad("ResourceNotFoundException", words));
    };
    let mut answer = json!({
        "ARN": secret.arn, "Name": name, "VersionId": version.id, "VersionStages": [label],
        "CreatedDate": epoch_seconds(version.created_at),
    });
    answer[version.member] = json!(version.value);
    Ok(answer)
}

/// The text of a secret, as the `valueFrom` of a container names it: an ARN that may go on with key, stage and version.
pub(crate) fn value(state: &State, from: &str) -> Result<String, String> {
    let parts: Vec<&str> = from.split(':').collect();
    let part = |at: usize| parts.get(at).copied().filter(|part| !part.is_empty());
    let arn = parts[..parts.len().min(7)].join(":");
    let mut input = json!({ "SecretId": arn });
    for (member, at) in [("VersionStage", 8), ("VersionId", 9)] {
        if let Some(wanted) = part(at) {
            input[member] = json!(wanted);
        }
    }
    let answer = get(state, &input).map_err(|error| error.message)?;
    let whole = text(&answer, "SecretString").ok_or("the secret is binary")?;
    let Some(key) = part(7) else {
        return Ok(whole.to_owned());
    };
    let object: Value = serde_json::from_str(whole).map_err(|_| "invalid character in the secret's JSON")?;
    match &object[key] {
        Value::Null => Err(format!(
            "retrieved secret from Secrets Manager did not contain json key {key}"
        )),
        Value::String(value) => Ok(value.clone()),
        other => Ok(other.to_string()),
    }
}

/// By name, by ARN, or by ARN without the six letters.
fn is(name: &str, secret: &Secret, id: &str) -> bool {
    let short = secret.arn.rsplit_once('-').map_or("", |(short, _)| short);
    id == name || id == secret.arn || id == short
}

fn version(state: &mut State, input: &Value) -> Result<Version, ApiError> {
    let member = ["SecretString", "SecretBinary"]
        .into_iter()
        .find(|member| text(input, member).is_some())
        .ok_or_else(|| {
            ApiError::bad(
                "InvalidRequestException",
                "You must provide either SecretString or SecretBinary.",
            )
        })?;
    Ok(Version {
        id: ids::uuid(&mut state.rng),
        member,
        value: required(input, member)?.to_owned(),
        created_at: state.now,
    })
}

fn missing() -> ApiError {
    let words = "Secrets Manager can't find the specified secret.";
    ApiError::bad("ResourceNotFoundException", words)
}

#[cfg(test)]
mod tests {
    use crate::{Config, LocalAws, Service};
    use serde_json::{Value, json};

    fn ask(aws: &LocalAws, operation: &str, input: &Value) -> Result<Value, crate::ApiError> {
        aws.call(Service::Secrets, operation, input)
    }

    #[test]
    fn a_secret_is_found_by_name_and_arn_and_has_the_version_before() {
        let aws = LocalAws::new(Config::default());
        let made = ask(&aws, "CreateSecret", &json!({"Name": "cache", "SecretString": "one"})).unwrap();
        let first = made["VersionId"].clone();
        ask(
            &aws,
            "PutSecretValue",
            &json!({"SecretId": "cache", "SecretString": "two"}),
        )
        .unwrap();
        for id in [json!("cache"), made["ARN"].clone()] {
            let found = ask(&aws, "GetSecretValue", &json!({"SecretId": id})).unwrap();
            assert_eq!(found["SecretString"], "two");
        }
        for more in [json!({"VersionStage": "AWSPREVIOUS"}), json!({ "VersionId": first })] {
            let mut input = json!({"SecretId": "cache"});
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            assert_eq!(ask(&aws, "GetSecretValue", &input).unwrap()["SecretString"], "one");
        }
        for wrong in [
            json!({"SecretId": "cash"}),
            json!({"SecretId": "cache", "VersionStage": "NEXT"}),
        ] {
            let error = ask(&aws, "GetSecretValue", &wrong).unwrap_err();
            assert_eq!(error.code, "ResourceNotFoundException");
        }
    }
}
