//! STS: who is calling.

use crate::clock::{iso, later};
use crate::error::ApiError;
use crate::iam::policy::{Question, Verdict, resource_verdict};
use crate::wire::{number, required, text, unknown_operation};
use crate::{LocalAws, ids};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Access keys handed out, with the ARN and user id of the session.
#[derive(Debug, Default)]
pub(crate) struct Sessions(BTreeMap<String, (String, String)>);

impl Sessions {
    /// The account of whoever signs with this key, if it was handed out here.
    pub(crate) fn account_of(&self, access_key: &str) -> Option<String> {
        let (arn, _) = self.0.get(access_key)?;
        arn.split(':').nth(4).map(str::to_owned)
    }
}

/// Answers one operation.
pub(crate) fn call(aws: &LocalAws, operation: &str, input: &Value, access_key: &str) -> Result<Value, ApiError> {
    match operation {
        "GetCallerIdentity" => {
            let (arn, user) = caller(aws, access_key);
            Ok(json!({ "Account": arn.split(':').nth(4), "Arn": arn, "UserId": user }))
        }
        "AssumeRole" => assume_role(aws, input, access_key),
        _ => Err(unknown_operation(operation)),
    }
}

/// ARN and user id. Whoever did not assume a role is a user of home.
fn caller(aws: &LocalAws, access_key: &str) -> (String, String) {
    let session = aws.shared.sessions().0.get(access_key).cloned();
    session.unwrap_or_else(|| {
        let account = &aws.home().inner.config.account;
        (
            format!("arn:aws:iam::{account}:user/localaws"),
            "AIDALOCALAWSLOCALAWS1".to_owned(),
        )
    })
}

/// A role of an account that nothing is known of is taken to be there and to trust. Others must be there, and their trust
/// policy must name the caller or its account, with the external id if it asks for one; a `NoSuchEntity` would tell
/// strangers which roles there are, so AWS always says `AccessDenied`.
fn assume_role(aws: &LocalAws, input: &Value, access_key: &str) -> Result<Value, ApiError> {
    let role = required(input, "RoleArn")?;
    let session = required(input, "RoleSessionName")?;
    let account = role.split(':').nth(4).unwrap_or_default().to_owned();
    let name = role.rsplit('/').next().unwrap_or_default();
    let (principal, _) = caller(aws, access_key);
    let is_stranger = !aws.knows(&account);
    let there = aws.at(&account, &aws.inner.config.region);
    let state = &mut *there.state();
    let known = state
        .iam
        .roles
        .get(name)
        .filter(|found| found.arn == role && found.usable_at <= state.now);
    let external_id = text(input, "ExternalId").map(|id| ("sts:externalid".to_owned(), id.to_owned()));
    let question = Question {
        principal: Some(&principal),
        action: "sts:AssumeRole",
        resource: role,
        context: external_id.into_iter().collect(),
    };
    let trusts = known.is_some_and(|found| resource_verdict(&found.trust, &question) == Verdict::Allowed);
    if !trusts && !is_stranger {
        let words = format!("User: {principal} is not authorized to perform: sts:AssumeRole on resource: {role}");
        return Err(ApiError::new(403, "AccessDenied", words));
    }
    let role_id = known.map_or_else(|| "AROALOCALAWSLOCALAWS1".to_owned(), |found| found.id.clone());
    let key = ids::iam(&mut state.rng, "ASIA");
    let secret = ids::hex(&mut state.rng, 40);
    let token = ids::hex(&mut state.rng, 64);
    let arn = format!("arn:aws:sts::{account}:assumed-role/{name}/{session}");
    let user = format!("{role_id}:{session}");
    let mut sessions = aws.shared.sessions();
    sessions.0.insert(key.clone(), (arn.clone(), user.clone()));
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
