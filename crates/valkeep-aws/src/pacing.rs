//! The limiter under the SDK: a turn is taken for each attempt, and waited for before it is sent.
//!
//! The SDK's own limit of an attempt would count the wait, so the limit is kept here, around the exchange only.

use crate::limiter::{Limiter, TooBusy};
use crate::rates::{self, Bucket};
use aws_smithy_runtime::client::retries::classifiers::run_classifiers_on_ctx;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextMut, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, Metadata};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::retries::ErrorKind;
use aws_smithy_runtime_api::client::retries::classifiers::{RetryAction, RetryReason};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// Takes a turn for each attempt in one account and region, and hears whether AWS throttled it.
#[derive(Debug, Clone)]
pub(crate) struct Pacing {
    pub(crate) limiter: Limiter,
    pub(crate) account: Arc<str>,
    pub(crate) region: Arc<str>,
}

/// How long this attempt waits for its turn.
#[derive(Debug, Clone, Copy)]
struct Turn(Duration);

impl Intercept for Pacing {
    fn name(&self) -> &'static str {
        "valkeep's own rates"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(bucket) = bucket(config) {
            let wait = self.limiter.take(&bucket, &self.account, &self.region)?;
            context.request_mut().add_extension(Turn(wait));
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let action = run_classifiers_on_ctx(components.retry_classifiers(), context.inner());
        let throttled = matches!(
            action,
            RetryAction::RetryIndicated(RetryReason::RetryableError {
                kind: ErrorKind::ThrottlingError,
                ..
            })
        );
        if throttled && let Some(bucket) = bucket(config) {
            self.limiter.throttled(&bucket, &self.account, &self.region);
        }
        Ok(())
    }
}

fn bucket(config: &ConfigBag) -> Option<Bucket> {
    let call = config.load::<Metadata>()?;
    rates::of(call.service(), call.name())
}

/// Why a call was not made at all, if that is why it failed.
pub(crate) fn too_busy<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TooBusy> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// Sends when it is an attempt's turn, and gives up an exchange that takes too long.
#[derive(Debug, Clone)]
pub(crate) struct Patient {
    pub(crate) inner: SharedHttpClient,
    pub(crate) attempt_timeout: Duration,
}

impl HttpClient for Patient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(PatientConnector {
            inner: self.inner.http_connector(settings, components),
            attempt_timeout: self.attempt_timeout,
        })
    }
}

#[derive(Debug)]
struct PatientConnector {
    inner: SharedHttpConnector,
    attempt_timeout: Duration,
}

impl HttpConnector for PatientConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let turn = request.extension::<Turn>().map(|turn| turn.0).unwrap_or_default();
        let (inner, limit) = (self.inner.clone(), self.attempt_timeout);
        HttpConnectorFuture::new(async move {
            if !turn.is_zero() {
                tokio::time::sleep(turn).await;
            }
            match tokio::time::timeout(limit, inner.call(request)).await {
                Ok(answer) => answer,
                Err(late) => Err(ConnectorError::timeout(late.into())),
            }
        })
    }
}
