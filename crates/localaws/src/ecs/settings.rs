//! What a service is configured with: defaults, merging, and what is refused.

use super::{invalid, set_some};
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{list, number, strings, text};
use crate::{discovery, ec2};
use serde_json::{Map, Value, json};

const SUBNETS_MAX: usize = 16;
const GROUPS_MAX: usize = 5;

/// The deployment configuration of a bare service, as it reads back.
fn bare_deployment_configuration() -> Value {
    json!({
        "deploymentCircuitBreaker": {
            "enable": false, "rollback": false, "resetOnHealthyTask": true,
            "thresholdConfiguration": { "type": "BOUNDED_PERCENT", "value": 50 },
        },
        "maximumPercent": 200, "minimumHealthyPercent": 100,
        "alarms": { "alarmNames": [], "enable": false, "rollback": false },
        "strategy": "ROLLING", "bakeTimeInMinutes": 0,
    })
}

/// `given` over what is there: an absent member keeps its value, also within the circuit breaker, except that an
/// absent `rollback` there becomes false.
pub(super) fn deployment_configuration(old: Option<&Value>, given: Option<&Value>) -> Result<Value, ApiError> {
    let mut merged = old.cloned().unwrap_or_else(bare_deployment_configuration);
    let given = given
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null());
    for (name, value) in given {
        if name == "deploymentCircuitBreaker" {
            let breaker = merged.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
            set_some(&mut merged, name, Some(circuit_breaker(breaker, value)));
        } else {
            set_some(&mut merged, name, Some(value.clone()));
        }
    }
    let (most, least) = percents(&merged);
    match (most, least) {
        (..100, _) => Err(invalid("maximumPercent must be at least 100")),
        (201.., _) => Err(invalid("maximumPercent must be at most 200")),
        (_, ..0) => Err(invalid("minimumHealthyPercent must be at least 0")),
        (_, 101..) => Err(invalid("minimumHealthyPercent must be at most 100")),
        _ => Ok(merged),
    }
}

fn circuit_breaker(mut old: Map<String, Value>, given: &Value) -> Value {
    old.insert("rollback".to_owned(), json!(false));
    old.extend(
        given
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    Value::Object(old)
}

/// Maximum and minimum healthy percent.
pub(super) fn percents(configuration: &Value) -> (i64, i64) {
    let percent = |name, usual| number(configuration, name).unwrap_or(usual);
    (percent("maximumPercent", 200), percent("minimumHealthyPercent", 100))
}

/// `ENABLED` or `DISABLED` of a new service.
pub(super) fn new_rebalancing(given: Option<&str>, configuration: &Value) -> Result<String, ApiError> {
    let possible = percents(configuration).0 > 100;
    match given {
        Some("ENABLED") if !possible => Err(no_rebalancing("created")),
        Some(given) => Ok(given.to_owned()),
        None => Ok(if possible { "ENABLED" } else { "DISABLED" }.to_owned()),
    }
}

/// `ENABLED` or `DISABLED` after an update: absent keeps it, even where that makes the update impossible.
pub(super) fn updated_rebalancing(old: &str, given: Option<&str>, configuration: &Value) -> Result<String, ApiError> {
    let wanted = given.unwrap_or(old);
    if wanted == "ENABLED" && percents(configuration).0 <= 100 {
        return Err(no_rebalancing("updated"));
    }
    Ok(wanted.to_owned())
}

fn no_rebalancing(done: &str) -> ApiError {
    invalid(format!(
        "The service couldn't be {done} because Availability Zone Rebalancing does not support maximumPercent <= 100 % as deployment configuration."
    ))
}

/// The network configuration as it reads back, if it fits the network mode and everything it names exists.
pub(super) fn network(state: &State, given: Option<&Value>, awsvpc: bool) -> Result<Option<Value>, ApiError> {
    let vpc = given
        .and_then(|given| given.get("awsvpcConfiguration"))
        .filter(|vpc| vpc.is_object());
    let vpc = match (vpc, awsvpc) {
        (None, true) => {
            return Err(invalid(
                "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
            ));
        }
        (Some(_), false) => {
            return Err(invalid(
                "Network Configuration is not valid for the given networkMode of this task definition.",
            ));
        }
        (None, false) => return Ok(None),
        (Some(vpc), true) => vpc,
    };
    let (subnets, groups) = (strings(vpc, "subnets"), strings(vpc, "securityGroups"));
    if subnets.is_empty() {
        return Err(invalid("subnets can not be empty."));
    }
    if subnets.len() > SUBNETS_MAX {
        return Err(invalid(format!("subnets can have at most {SUBNETS_MAX} items.")));
    }
    if groups.len() > GROUPS_MAX {
        return Err(invalid(format!("securityGroups can have at most {GROUPS_MAX} items.")));
    }
    if let Some(missing) = subnets.iter().find(|id| ec2::subnet(state, id).is_none()) {
        return Err(invalid(format!(
            "Error retrieving subnet information for [{missing}]: The subnet ID '{missing}' does not exist (ErrorCode: InvalidSubnetID.NotFound)"
        )));
    }
    if let Some(missing) = groups.iter().find(|id| !state.ec2.groups.contains_key(*id)) {
        return Err(invalid(format!(
            "Error retrieving security group information for [{missing}]: The security group '{missing}' does not exist (ErrorCode: InvalidGroup.NotFound)"
        )));
    }
    let public = text(vpc, "assignPublicIp").unwrap_or("DISABLED");
    Ok(Some(json!({ "awsvpcConfiguration": {
        "subnets": subnets, "securityGroups": groups, "assignPublicIp": public,
    } })))
}

/// The Cloud Map registry: one at most, and it must exist.
pub(super) fn registries(state: &State, input: &Value) -> Result<Value, ApiError> {
    let registries = list(input, "serviceRegistries");
    if registries.len() > 1 {
        return Err(invalid("serviceRegistries can have at most 1 items."));
    }
    for arn in registries.iter().filter_map(|registry| text(registry, "registryArn")) {
        if !discovery::service_exists(state, arn) {
            return Err(invalid(format!("The service registry {arn} could not be found.")));
        }
    }
    Ok(Value::Array(registries.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_merges_but_forgets_rollback() {
        let first = json!({ "maximumPercent": 100, "minimumHealthyPercent": 0,
            "deploymentCircuitBreaker": { "enable": true, "rollback": true } });
        let first = deployment_configuration(None, Some(&first)).unwrap();
        let second = json!({ "deploymentCircuitBreaker": { "enable": true } });
        let second = deployment_configuration(Some(&first), Some(&second)).unwrap();
        assert_eq!(percents(&second), (100, 0));
        let breaker = &second["deploymentCircuitBreaker"];
        assert_eq!(
            (&breaker["rollback"], &breaker["resetOnHealthyTask"]),
            (&json!(false), &json!(true))
        );
    }

    #[test]
    fn percents_have_bounds() {
        let error = |given| deployment_configuration(None, Some(&given)).unwrap_err().message;
        assert_eq!(
            error(json!({ "maximumPercent": 99 })),
            "maximumPercent must be at least 100"
        );
        assert_eq!(
            error(json!({ "minimumHealthyPercent": 101 })),
            "minimumHealthyPercent must be at most 100"
        );
    }
}
