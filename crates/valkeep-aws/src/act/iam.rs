//! The inline policy of the task role.

use crate::clients::Inner;
use crate::convert::gone_or_done;
use crate::error::Named;
use serde_json::Value;
use valkeep_core::{Done, Failure};

/// Overwrites, so doing it twice is doing it once.
pub(super) async fn put_role_policy(aws: &Inner, role: &str, policy: &str, document: &Value) -> Result<Done, Failure> {
    aws.once
        .iam
        .put_role_policy()
        .role_name(role)
        .policy_name(policy)
        .policy_document(document.to_string())
        .send()
        .await
        .named("iam:PutRolePolicy")?;
    Ok(Done::Changed)
}

pub(super) async fn delete_role_policy(aws: &Inner, role: &str, policy: &str) -> Result<Done, Failure> {
    let gone = aws
        .once
        .iam
        .delete_role_policy()
        .role_name(role)
        .policy_name(policy)
        .send()
        .await
        .named("iam:DeleteRolePolicy");
    gone_or_done(gone)
}
