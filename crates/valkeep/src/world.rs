//! The outside as this process has it: the clock, AWS, Valkey.

use crate::cli::ScopeArgs;
use crate::error::CommandError;
use std::time::Duration;
use valkeep_aws::{Aws, Options};
use valkeep_core::ports::Clock;
use valkeep_core::{Failure, Limits, Scope, Timestamp};
use valkeep_valkey::Client;

/// The machine's own clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A server answers within milliseconds; one that cannot be reached must not hold up what is done on AWS.
const SERVER_TIMEOUT: Duration = Duration::from_secs(3);

/// AWS, with region, endpoint and credentials from the SDK's own chain. Nothing is called yet.
pub(crate) async fn aws() -> Aws {
    Aws::from_env(Options::default()).await
}

/// The same, at another part of AWS's rates.
pub(crate) async fn aws_at(share: f64) -> Aws {
    Aws::from_env(Options {
        share,
        ..Options::default()
    })
    .await
}

/// Asks and tells Valkey.
pub(crate) fn servers() -> Client {
    Client {
        timeout: SERVER_TIMEOUT,
    }
}

/// Where valkeep works and as whom.
pub(crate) async fn scope(aws: &Aws, args: &ScopeArgs, limits: &Limits) -> Result<Scope, CommandError> {
    look_up_scope(aws, args, limits).await?.map_err(no_scope)
}

/// The same, for whoever may try again.
pub(crate) async fn look_up_scope(
    aws: &Aws,
    args: &ScopeArgs,
    limits: &Limits,
) -> Result<Result<Scope, Failure>, CommandError> {
    let ScopeArgs {
        installation,
        dns_grace,
    } = args;
    let dns_grace_s = u32::try_from(dns_grace.as_secs())
        .map_err(|error| CommandError::usage(error).while_("--dns-grace is too long"))?;
    Ok(aws.scope(installation, dns_grace_s, limits.clone()).await)
}

/// Without account and region, nothing can be named.
pub(crate) fn no_scope(failure: Failure) -> CommandError {
    CommandError::from(failure).while_("cannot find out which AWS account and region this is")
}
