//! Credentials of a role that is assumed, and in clear words why there are none.
//!
//! The SDK keeps them and asks again before they expire.

use crate::error::failure;
use aws_config::SdkConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::Credentials;
use aws_credential_types::attributes::AccountId;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Future;
use aws_credential_types::provider::{ProvideCredentials, Result as Provided};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use valkeep_core::failure::{Failure, FailureKind};
use valkeep_core::{AssumedRole, RoleArn};

const CALL: &str = "sts:AssumeRole";
/// A refusal counts for all calls of this time: a pass makes a dozen, and STS need not refuse each of them.
const REFUSAL_KEPT: Duration = Duration::from_secs(3);
/// STS takes session names of 64 characters.
const SESSION_NAME_MAX: usize = 64;

/// Assumes one role with the credentials of home.
#[derive(Debug)]
pub(crate) struct Assumed {
    provider: AssumeRoleProvider,
    arn: RoleArn,
    refused: Mutex<Option<(Instant, Failure)>>,
}

/// No credentials, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot assume {arn}")]
struct NotAssumed {
    arn: RoleArn,
    #[source]
    failure: Failure,
}

impl Assumed {
    /// `home` has valkeep's own credentials. The session is named after the installation, so that CloudTrail tells which
    /// valkeep it was.
    pub(crate) async fn new(home: &SdkConfig, role: &AssumedRole, installation: &str) -> Self {
        let AssumedRole { arn, external_id } = role;
        let mut provider = AssumeRoleProvider::builder(arn.as_str())
            .configure(home)
            .session_name(session_name(installation));
        if let Some(id) = external_id {
            provider = provider.external_id(id);
        }
        Self {
            provider: provider.build().await,
            arn: arn.clone(),
            refused: Mutex::new(None),
        }
    }

    async fn assume(&self) -> Provided {
        if let Some(failure) = self.recent_refusal() {
            return Err(self.not_assumed(failure));
        }
        match self
            .provider
            .provide_credentials()
            .await
            .map_err(|error| read(&error))
            .and_then(|found| self.check(found))
        {
            Ok(credentials) => Ok(credentials),
            Err(failure) => {
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), failure.clone()));
                Err(self.not_assumed(failure))
            }
        }
    }

    /// Names and tags are of the account in the ARN; credentials of another one would make a second of everything there.
    fn check(&self, credentials: Credentials) -> Result<Credentials, Failure> {
        let account = credentials.account_id().map(AccountId::as_str);
        if account == Some(self.arn.account()) {
            return Ok(credentials);
        }
        Err(Failure {
            call: CALL.to_owned(),
            kind: FailureKind::Other,
            code: "WrongAccount".to_owned(),
            message: format!(
                "the session of {} is of account {}, not of {}",
                self.arn,
                account.unwrap_or("unknown"),
                self.arn.account()
            ),
        })
    }

    fn recent_refusal(&self) -> Option<Failure> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, failure) = refused.as_ref()?;
        (at.elapsed() < REFUSAL_KEPT).then(|| failure.clone())
    }

    fn not_assumed(&self, failure: Failure) -> CredentialsError {
        CredentialsError::provider_error(NotAssumed {
            arn: self.arn.clone(),
            failure,
        })
    }
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> Future<'a>
    where
        Self: 'a,
    {
        Future::new(self.assume())
    }
}

/// STS's own words, out of the provider's error.
fn read(error: &CredentialsError) -> Failure {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>() {
            return failure(CALL, error);
        }
        cause = error.source();
    }
    Failure {
        call: CALL.to_owned(),
        kind: FailureKind::Other,
        code: "NoCredentials".to_owned(),
        message: error.to_string(),
    }
}

/// Why a call failed before it was made, if there were no credentials for it.
pub(crate) fn not_assumed<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Failure> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<NotAssumed>() {
            return Some(&found.failure);
        }
        cause = error.source();
    }
    None
}

/// `valkeep-` and the installation, in the letters that STS takes.
fn session_name(installation: &str) -> String {
    format!("valkeep-{installation}")
        .chars()
        .map(|letter| match letter {
            letter if letter.is_ascii_alphanumeric() || "_=,.@-".contains(letter) => letter,
            _ => '-',
        })
        .take(SESSION_NAME_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_a_name_that_sts_takes() {
        assert_eq!(session_name("default"), "valkeep-default");
        assert_eq!(session_name("blau/grün x"), "valkeep-blau-gr-n-x");
        assert_eq!(session_name(&"x".repeat(100)).len(), SESSION_NAME_MAX);
    }
}
