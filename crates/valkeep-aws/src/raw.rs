//! Task definitions past the SDK's types, which drop every key that they do not know.
//!
//! The SDK still signs, sends, retries and maps errors; only the body of a request is put in whole and the body of an
//! answer is kept whole.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use valkeep_core::RawDefinition;

/// Keeps the body of the last answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeptBody(Arc<Mutex<Option<Vec<u8>>>>);

impl KeptBody {
    /// The definition in the answer; none where the answer was no JSON or had none.
    pub(crate) fn definition(&self) -> Option<RawDefinition> {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let mut answer: Value = serde_json::from_slice(&body).ok()?;
        RawDefinition::new(answer.get_mut("taskDefinition")?.take())
    }
}

impl Intercept for KeptBody {
    fn name(&self) -> &'static str {
        "KeptBody"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().map(ToOwned::to_owned);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = body;
        Ok(())
    }
}

/// Puts `body` in place of what the SDK would send; before signing, so that the signature is of this one.
pub(crate) fn send_instead(body: String) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
    move |request| {
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = SdkBody::from(body.clone());
    }
}
