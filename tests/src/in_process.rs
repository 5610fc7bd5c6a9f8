//! localaws as the SDK's own HTTP client: the whole SDK runs, no socket does, and time may be paused.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;
use localaws::LocalAws;
use std::time::{Duration, SystemTime};

/// An SDK configuration whose every call ends in `aws`.
pub fn sdk_config(aws: &LocalAws, region: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "AKIDTEST", "secret", None, None, "tests",
        )))
        .http_client(InProcess(aws.clone()))
        .time_source(VirtualTime(aws.clone()))
        .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
        // Polling an upload that never stalls costs more than the call itself under a paused clock.
        .stalled_stream_protection(aws_config::stalled_stream_protection::StalledStreamProtectionConfig::disabled())
        .build()
}

#[derive(Debug, Clone)]
struct InProcess(LocalAws);

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let aws = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request
                .try_into_http1x()
                .map_err(|error| ConnectorError::user(error.into()))?;
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(ConnectorError::user)?.to_bytes();
            let response = aws
                .handle(http::Request::from_parts(parts, body))
                .await
                .map_err(|lost| ConnectorError::io(format!("{lost:?}").into()))?;
            let (parts, body) = response.into_parts();
            let response = http::Response::from_parts(parts, SdkBody::from(body));
            HttpResponse::try_from(response).map_err(|error| ConnectorError::user(error.into()))
        })
    }
}

#[derive(Debug, Clone)]
struct VirtualTime(LocalAws);

impl TimeSource for VirtualTime {
    fn now(&self) -> SystemTime {
        let since = self.0.now().as_nanosecond();
        SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(since).expect("after 1970 and before 2554"))
    }
}
