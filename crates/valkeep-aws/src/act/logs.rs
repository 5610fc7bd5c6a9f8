//! The log group.

use crate::clients::Inner;
use crate::convert::int;
use crate::error::Named;
use crate::observe::{find_log_group, log_group_arn, log_group_tags};
use std::collections::HashMap;
use valkeep_core::observed::LogGroup;
use valkeep_core::{Desired, Done, Failure, Tags};

fn map(tags: &Tags) -> HashMap<String, String> {
    tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Makes the group and then sets its retention. A group that is there already is used as it is; but where the retry of
/// a lost answer meets our own new group, its retention is still to be set.
pub(super) async fn create(
    aws: &Inner,
    desired: &Desired,
    name: &str,
    retention_days: u32,
    tags: &Tags,
) -> Result<Done, Failure> {
    let made = aws
        .once
        .logs
        .create_log_group()
        .log_group_name(name)
        .set_tags(Some(map(tags)))
        .send()
        .await
        .named("logs:CreateLogGroup");
    if let Err(failure) = made {
        if failure.code != "ResourceAlreadyExistsException" {
            return Err(failure);
        }
        let found = find_log_group(aws, name).await?.unwrap_or(LogGroup {
            name: name.to_owned(),
            retention_days: None,
            tags: Tags::new(),
        });
        let tags = log_group_tags(aws, desired, name).await?;
        if found.retention_days.is_some() || !desired.identity.owns(&tags) {
            return Ok(Done::LogGroup(LogGroup { tags, ..found }));
        }
    }
    put_retention(aws, name, retention_days).await?;
    Ok(Done::LogGroup(LogGroup {
        name: name.to_owned(),
        retention_days: Some(retention_days),
        tags: tags.clone(),
    }))
}

pub(super) async fn put_retention(aws: &Inner, name: &str, days: u32) -> Result<Done, Failure> {
    aws.once
        .logs
        .put_retention_policy()
        .log_group_name(name)
        .retention_in_days(int(days))
        .send()
        .await
        .named("logs:PutRetentionPolicy")?;
    Ok(Done::Changed)
}

/// `name` is the group's name or its ARN.
pub(super) async fn tag(aws: &Inner, desired: &Desired, name: &str, set: &Tags) -> Result<(), Failure> {
    let arn = if name.starts_with("arn:") {
        name.to_owned()
    } else {
        log_group_arn(desired, name)
    };
    aws.once
        .logs
        .tag_resource()
        .resource_arn(&arn)
        .set_tags(Some(map(set)))
        .send()
        .await
        .named("logs:TagResource")
        .map(|_| ())
}
