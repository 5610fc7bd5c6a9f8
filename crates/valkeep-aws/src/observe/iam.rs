//! The task role and our inline policy on it.

use crate::clients::Inner;
use crate::convert::{fact, some, unexpected};
use crate::error::Named;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use valkeep_core::failure::{Failure, FailureKind};
use valkeep_core::observed::Role;
use valkeep_core::{Desired, Fact};

pub(super) async fn role(aws: &Inner, desired: &Desired) -> (Fact<Role>, Fact<Value>) {
    let (role, policy) = tokio::join!(get_role(aws, desired), get_policy(aws, desired));
    (fact(role), fact(policy))
}

async fn get_role(aws: &Inner, desired: &Desired) -> Result<Option<Role>, Failure> {
    const CALL: &str = "iam:GetRole";
    let answer = aws
        .iam
        .get_role()
        .role_name(&desired.task_role.name)
        .send()
        .await
        .named(CALL);
    match answer {
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(None),
        answer => {
            let answer = answer?;
            let role = some(CALL, "role", answer.role())?;
            Ok(Some(Role {
                arn: role.arn().to_owned(),
            }))
        }
    }
}

async fn get_policy(aws: &Inner, desired: &Desired) -> Result<Option<Value>, Failure> {
    const CALL: &str = "iam:GetRolePolicy";
    let answer = aws
        .iam
        .get_role_policy()
        .role_name(&desired.task_role.name)
        .policy_name(&desired.names.role_policy)
        .send()
        .await
        .named(CALL);
    match answer {
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(None),
        answer => decode(answer?.policy_document())
            .map(Some)
            .map_err(|problem| unexpected(CALL, &problem)),
    }
}

/// IAM percent-encodes policy documents, and the SDK leaves them so.
fn decode(document: &str) -> Result<Value, String> {
    let text = percent_decode_str(document)
        .decode_utf8()
        .map_err(|error| format!("the policy is not UTF-8: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("the policy is not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_policy_document_is_percent_decoded() {
        let encoded = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%5D%7D";
        assert_eq!(decode(encoded), Ok(json!({"Version": "2012-10-17", "Statement": []})));
        assert!(decode("%7B").is_err());
    }
}
