//! STS: who is calling.

use crate::clock::{iso, later};
use crate::error::ApiError;
use crate::ids;
use crate::state::State;
use crate::wire::{number, required, unknown_operation};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// All that STS remembers.
#[derive(Debug, Default)]
pub(crate) struct Sts {
    /// Access keys handed out, with the ARN and user id of the session.
    sessions: BTreeMap<String, (String, String)>,
}

impl Sts {
    /// The account of whoever signs with this key.
    pub(crate) fn account_of(&self, access_key: &str, usual: &str) -> String {
        let account = self.sessions.get(access_key).and_then(|(arn, _)| arn.split(':').nth(4));
        account.unwrap_or(usual).to_owned()
    }
}

/// Answers one operation.
pub(crate) fn call(state: &mut State, operation: &str, input: &Value, access_key: &str) -> Result<Value, ApiError> {
    match operation {
        "GetCallerIdentity" => {
            let account = state.sts.account_of(access_key, &state.config.account);
            let usual = || {
                (
                    format!("arn:aws:iam::{account}:user/localaws"),
                    "AIDALOCALAWSLOCALAWS1".to_owned(),
                )
            };
            let (arn, user) = state.sts.sessions.get(access_key).cloned().unwrap_or_else(usual);
            Ok(json!({ "Arn": arn, "UserId": user, "Account": account }))
        }
        "AssumeRole" => assume_role(state, input),
        _ => Err(unknown_operation(operation)),
    }
}

/// A role of another account is taken to be there.
fn assume_role(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let role = required(input, "RoleArn")?;
    let session = required(input, "RoleSessionName")?;
    let account = role.split(':').nth(4).unwrap_or_default().to_owned();
    let name = role.rsplit('/').next().unwrap_or_default();
    let known = state
        .iam
        .roles
        .get(name)
        .filter(|found| found.arn == role && found.usable_at <= state.now);
    if account == state.config.account && known.is_none() {
        let words = format!("User is not authorized to perform: sts:AssumeRole on resource: {role}");
        return Err(ApiError::new(403, "AccessDenied", words));
    }
    let role_id = known.map_or_else(|| "AROALOCALAWSLOCALAWS1".to_owned(), |found| found.id.clone());
    let key = ids::iam(&mut state.rng, "ASIA");
    let secret = ids::hex(&mut state.rng, 40);
    let token = ids::hex(&mut state.rng, 64);
    let arn = format!("arn:aws:sts::{account}:assumed-role/{name}/{session}");
    let user = format!("{role_id}:{session}");
    state.sts.sessions.insert(key.clone(), (arn.clone(), user.clone()));
    #[expect(clippy::cast_precision_loss, reason = "a duration of hours")]
    let seconds = number(input, "DurationSeconds").unwrap_or(3600) as f64;
    Ok(json!({
        "AssumedRoleUser": { "AssumedRoleId": user, "Arn": arn },
        "Credentials": {
            "AccessKeyId": key, "SecretAccessKey": secret, "SessionToken": token,
            "Expiration": iso(later(state.now, seconds)),
        },
    }))
}
