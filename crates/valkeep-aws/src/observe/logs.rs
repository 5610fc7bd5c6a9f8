//! The log group.

use super::PAGES_MAX;
use crate::clients::Inner;
use crate::convert::{count, fact, tags as pairs, unexpected};
use crate::error::Named;
use valkeep_core::failure::Failure;
use valkeep_core::observed::LogGroup;
use valkeep_core::{Desired, Fact, Tags};

/// The group; its tags are read only where the retention differs, because only then does it matter who made it.
pub(super) async fn log_group(aws: &Inner, desired: &Desired) -> Fact<LogGroup> {
    let Some(created) = desired.created() else {
        return Fact::not_looked("logs:DescribeLogGroups");
    };
    let wanted = &created.log_group;
    let mut found = match find(aws, &wanted.name).await {
        Ok(Some(found)) if found.retention_days != Some(wanted.retention_days) => found,
        looked => return fact(looked),
    };
    match tags(aws, desired, &found.name).await {
        Ok(tags) => {
            found.tags = tags;
            Fact::Present(found)
        }
        // Without tags the group is not known to be ours, and so is used as it is.
        Err(failure) => {
            tracing::debug!(%failure, "tags of the log group are not readable");
            Fact::Present(found)
        }
    }
}

/// The log group of exactly this name, without its tags. Groups are listed by prefix, in order of their names, so the
/// exact one comes first.
pub(crate) async fn find(aws: &Inner, name: &str) -> Result<Option<LogGroup>, Failure> {
    const CALL: &str = "logs:DescribeLogGroups";
    let mut page: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let answer = aws
            .logs
            .describe_log_groups()
            .log_group_name_prefix(name)
            .set_next_token(page)
            .send()
            .await
            .named(CALL)?;
        let found = answer
            .log_groups()
            .iter()
            .find(|group| group.log_group_name() == Some(name));
        if let Some(found) = found {
            return Ok(Some(LogGroup {
                name: name.to_owned(),
                retention_days: found.retention_in_days().map(count),
                tags: Tags::new(),
            }));
        }
        page = answer
            .next_token()
            .filter(|token| !token.is_empty())
            .map(ToOwned::to_owned);
        if page.is_none() {
            return Ok(None);
        }
    }
    Err(unexpected(CALL, "the listing does not end"))
}

/// Tags of the log group.
pub(crate) async fn tags(aws: &Inner, desired: &Desired, name: &str) -> Result<Tags, Failure> {
    let answer = aws
        .logs
        .list_tags_for_resource()
        .resource_arn(arn(desired, name))
        .send()
        .await
        .named("logs:ListTagsForResource")?;
    let found = answer.tags().into_iter().flatten();
    Ok(pairs(
        found.map(|(key, value)| (Some(key.as_str()), Some(value.as_str()))),
    ))
}

/// ARN of a log group as the tagging calls take it: without `:*` at its end.
pub(crate) fn arn(desired: &Desired, name: &str) -> String {
    let identity = &desired.identity;
    format!(
        "arn:{}:logs:{}:{}:log-group:{name}",
        desired.partition, identity.region, identity.account
    )
}
