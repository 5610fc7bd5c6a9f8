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
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

/// An SDK configuration whose every call ends in `aws`.
pub fn sdk_config(aws: &LocalAws, region: &str) -> SdkConfig {
    sdk_config_of(aws, region, "AKIDTEST", &Cable::default())
}

/// The same with an access key and a cable of one's own.
pub fn sdk_config_of(aws: &LocalAws, region: &str, access_key: &str, cable: &Cable) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            access_key, "secret", None, None, "tests",
        )))
        .http_client(InProcess {
            aws: aws.clone(),
            cable: cable.clone(),
        })
        .time_source(VirtualTime(aws.clone()))
        .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
        // Polling an upload that never stalls costs more than the call itself under a paused clock.
        .stalled_stream_protection(aws_config::stalled_stream_protection::StalledStreamProtectionConfig::disabled())
        .build()
}

/// What lies between a process and AWS. While it is cut, nothing arrives and no answer comes back.
#[derive(Debug, Clone, Default)]
pub struct Cable(Arc<AtomicBool>);

impl Cable {
    /// Cuts it, or mends it again.
    pub fn cut(&self, cut: bool) {
        self.0.store(cut, Ordering::SeqCst);
    }

    async fn passes(&self) {
        if self.0.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

#[derive(Debug, Clone)]
struct InProcess {
    aws: LocalAws,
    cable: Cable,
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { aws, cable } = self.clone();
        HttpConnectorFuture::new(async move {
            let request = request
                .try_into_http1x()
                .map_err(|error| ConnectorError::user(error.into()))?;
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(ConnectorError::user)?.to_bytes();
            cable.passes().await;
            let response = aws
                .handle(http::Request::from_parts(parts, body))
                .await
                .map_err(|lost| ConnectorError::io(format!("{lost:?}").into()))?;
            cable.passes().await;
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
