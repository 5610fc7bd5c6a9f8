//! Application Auto Scaling: which services' desired counts it may set. It sets none here.

use crate::clock::epoch_seconds;
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{number, required, strings, text, unknown_operation};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// All that Application Auto Scaling remembers.
#[derive(Debug, Default)]
pub(crate) struct Scaling {
    /// By namespace, resource id and dimension.
    targets: BTreeMap<(String, String, String), Target>,
}

#[derive(Debug)]
struct Target {
    min: i64,
    max: i64,
    made_at: Timestamp,
}

/// Answers one operation.
pub(crate) fn call(state: &mut State, operation: &str, input: &Value) -> Result<Value, ApiError> {
    match operation {
        "RegisterScalableTarget" => register(state, input),
        "DescribeScalableTargets" => describe(state, input),
        "DeregisterScalableTarget" => match state.scaling.targets.remove(&key(input)?) {
            Some(_) => Ok(json!({})),
            None => Err(ApiError::bad(
                "ObjectNotFoundException",
                format!("No scalable target found for {}", required(input, "ResourceId")?),
            )),
        },
        _ => Err(unknown_operation(operation)),
    }
}

fn key(input: &Value) -> Result<(String, String, String), ApiError> {
    let member = |name: &str| required(input, name).map(ToOwned::to_owned);
    Ok((
        member("ServiceNamespace")?,
        member("ResourceId")?,
        member("ScalableDimension")?,
    ))
}

fn register(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let made_at = state.now;
    let target = state.scaling.targets.entry(key(input)?).or_insert(Target {
        min: 0,
        max: 0,
        made_at,
    });
    target.min = number(input, "MinCapacity").unwrap_or(target.min);
    target.max = number(input, "MaxCapacity").unwrap_or(target.max);
    Ok(json!({}))
}

fn describe(state: &State, input: &Value) -> Result<Value, ApiError> {
    let namespace = required(input, "ServiceNamespace")?;
    let ids = strings(input, "ResourceIds");
    let dimension = text(input, "ScalableDimension");
    let found: Vec<Value> = state
        .scaling
        .targets
        .iter()
        .filter(|((of, id, what), _)| {
            of == namespace && (ids.is_empty() || ids.contains(id)) && dimension.is_none_or(|wanted| wanted == what)
        })
        .map(|((of, id, what), target)| {
            let role = format!(
                "arn:aws:iam::{}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService",
                state.config.account
            );
            json!({
                "ServiceNamespace": of, "ResourceId": id, "ScalableDimension": what,
                "MinCapacity": target.min, "MaxCapacity": target.max, "RoleARN": role,
                "CreationTime": epoch_seconds(target.made_at),
            })
        })
        .collect();
    Ok(json!({ "ScalableTargets": found }))
}
