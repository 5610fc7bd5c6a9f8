//! Requests as SDKs make them, without an SDK.

use bytes::Bytes;
use http::{Request, Response};
use localaws::{Config, Delays, LocalAws, world};
use serde_json::Value;
use std::time::Duration;

/// A caller of one local AWS.
pub(crate) struct Client {
    pub(crate) aws: LocalAws,
}

/// Status and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer<T> {
    pub(crate) status: u16,
    pub(crate) body: T,
}

/// The example's world, where nothing takes time.
pub(crate) fn instant() -> Client {
    client(Config {
        delays: Delays::zero(),
        ..Config::default()
    })
}

/// The example's world, where things take as long as on AWS.
pub(crate) fn slow() -> Client {
    client(Config {
        delays: Delays::aws(),
        ..Config::default()
    })
}

/// The example's world.
pub(crate) fn client(config: Config) -> Client {
    let aws = LocalAws::new(config);
    world::trigpointing(&aws);
    Client { aws }
}

/// Lets time pass.
pub(crate) async fn pass(seconds: f64) {
    tokio::time::advance(Duration::from_secs_f64(seconds)).await;
}

/// The text of the first element of this name.
pub(crate) fn text<'a>(xml: &'a str, name: &str) -> &'a str {
    texts(xml, name).into_iter().next().unwrap_or_default()
}

/// The texts of all elements of this name.
pub(crate) fn texts<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open)
        .skip(1)
        .filter_map(|rest| rest.split_once(&close))
        .map(|(text, _)| text)
        .collect()
}

impl Client {
    /// Any request, signed for a service.
    pub(crate) async fn send(
        &self,
        service: &str,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Bytes> {
        self.aws
            .handle(request(service, method, uri, headers, body.into()))
            .await
            .expect("no reply is lost")
    }

    /// JSON 1.1.
    pub(crate) async fn json(&self, service: &str, operation: &str, input: Value) -> Answer<Value> {
        let target = format!("Any.{operation}");
        let headers = [
            ("x-amz-target", target.as_str()),
            ("content-type", "application/x-amz-json-1.1"),
        ];
        parsed(&self.send(service, "POST", "/", &headers, input.to_string()).await)
    }

    /// The query protocols.
    pub(crate) async fn query(&self, service: &str, operation: &str, form: &str) -> Answer<String> {
        let body = format!("Action={operation}&Version=2016-11-15&{form}");
        let response = self.send(service, "POST", "/", &[], body).await;
        Answer {
            status: response.status().as_u16(),
            body: String::from_utf8_lossy(response.body()).into_owned(),
        }
    }

    /// EFS.
    pub(crate) async fn efs(&self, method: &str, path: &str, input: Value) -> Answer<Value> {
        let body = if input.is_null() {
            String::new()
        } else {
            input.to_string()
        };
        let uri = format!("/2015-02-01/{path}");
        parsed(&self.send("elasticfilesystem", method, &uri, &[], body).await)
    }

    /// S3, path style.
    pub(crate) async fn s3(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response<Bytes> {
        self.send("s3", method, path, headers, body.to_owned()).await
    }
}

/// A request signed for a service; the signature is none, and nobody looks at it.
pub(crate) fn request(service: &str, method: &str, uri: &str, headers: &[(&str, &str)], body: Bytes) -> Request<Bytes> {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDTEST/20261123/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .header("authorization", authorization);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).expect("the request is well formed")
}

fn parsed(response: &Response<Bytes>) -> Answer<Value> {
    let body = if response.body().is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(response.body()).expect("the body is JSON")
    };
    Answer {
        status: response.status().as_u16(),
        body,
    }
}
