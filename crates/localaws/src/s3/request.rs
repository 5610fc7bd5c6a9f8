//! What an S3 request asks for, from its method, path, query and headers.

use super::body;
use crate::error::ApiError;
use crate::wire::unknown_operation;
use bytes::Bytes;
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;

/// The input of an operation.
#[derive(Debug)]
pub(crate) struct Call {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Call {
    /// Bucket and key.
    pub(crate) fn object(&self) -> String {
        format!("{}/{}", self.bucket, self.key)
    }

    /// A query parameter; empty ones count as absent.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Operation and input. The bucket is the first part of the path, or of the host when that has one more name in front.
pub(crate) fn read(request: &http::Request<Bytes>) -> Result<(String, Call), ApiError> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let path = request.uri().path().trim_start_matches('/');
    let (bucket, key) = match bucket_of_host(request) {
        Some(bucket) => (bucket, decode(path)),
        None => match path.split_once('/') {
            Some((bucket, key)) => (decode(bucket), decode(key)),
            None => (decode(path), String::new()),
        },
    };
    let query: BTreeMap<String, String> = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    let headers = request.headers().clone();
    let body = body::decode(&headers, request.body())?;
    let call = Call {
        bucket,
        key,
        query,
        headers,
        body,
    };
    let operation = operation(request.method().as_str(), &call)
        .ok_or_else(|| unknown_operation(&format!("S3 {} {}", request.method(), request.uri())))?;
    Ok((operation.to_owned(), call))
}

/// `bucket.s3.eu-west-1.amazonaws.com`, `bucket.localhost:4566`.
fn bucket_of_host(request: &http::Request<Bytes>) -> Option<String> {
    let host = request
        .headers()
        .get("host")
        .and_then(|host| host.to_str().ok())
        .or(request.uri().host())?;
    let host = host.split(':').next()?;
    let found = match host.strip_suffix(".localhost") {
        Some(bucket) => bucket,
        None => {
            host.strip_suffix(".amazonaws.com")?
                .rsplit_once(".s3")
                .filter(|(_, rest)| !rest.contains("s3"))?
                .0
        }
    };
    (!found.is_empty()).then(|| found.to_owned())
}

fn operation(method: &str, call: &Call) -> Option<&'static str> {
    let asks = |name: &str| call.query.contains_key(name);
    if call.bucket.is_empty() {
        return (method == "GET").then_some("ListBuckets");
    }
    if call.key.is_empty() {
        return match method {
            "GET" if asks("location") => Some("GetBucketLocation"),
            "GET" if asks("versioning") => Some("GetBucketVersioning"),
            "GET" if asks("versions") => Some("ListObjectVersions"),
            "GET" if call.parameter("list-type") == Some("2") => Some("ListObjectsV2"),
            // Sub-resources that are not known must not be answered with a listing.
            "GET" if call.query.keys().all(|name| is_of_listing(name)) => Some("ListObjects"),
            "HEAD" => Some("HeadBucket"),
            "PUT" if asks("versioning") => Some("PutBucketVersioning"),
            "PUT" if call.query.keys().all(|name| name == "x-id") => Some("CreateBucket"),
            "DELETE" if call.query.keys().all(|name| name == "x-id") => Some("DeleteBucket"),
            "POST" if asks("delete") => Some("DeleteObjects"),
            _ => None,
        };
    }
    let plain = call.query.keys().all(|name| is_of_object(name));
    match method {
        "GET" if plain => Some("GetObject"),
        "HEAD" if plain => Some("HeadObject"),
        "PUT" if plain && call.header("x-amz-copy-source").is_none() => Some("PutObject"),
        "DELETE" if plain => Some("DeleteObject"),
        _ => None,
    }
}

fn is_of_listing(name: &str) -> bool {
    matches!(name, "prefix" | "delimiter" | "marker" | "max-keys" | "encoding-type") || is_of_object(name)
}

/// Presigned requests carry their signature here.
fn is_of_object(name: &str) -> bool {
    matches!(name, "x-id" | "versionId") || name.to_ascii_lowercase().starts_with("x-amz-")
}
