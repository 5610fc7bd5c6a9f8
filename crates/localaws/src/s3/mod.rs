//! S3: buckets, objects with their versions, conditional writes.

mod body;
mod buckets;
mod listing;
mod objects;
mod request;

pub(crate) use objects::{Object, Version, content_of, delete, put};
pub(crate) use request::{Call, read};

use crate::clock::http_date;
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{self, Reply, unknown_operation, xml};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use xml::Lists;

const XML: &str = "application/xml";
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// All that S3 remembers.
#[derive(Debug, Default)]
pub(crate) struct S3 {
    pub(crate) buckets: BTreeMap<String, Bucket>,
}

/// A bucket.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pub(crate) created_at: Timestamp,
    pub(crate) versioning: Versioning,
    /// By key. A key without any version is not kept.
    pub(crate) objects: BTreeMap<String, Object>,
}

/// Whether a bucket keeps what is overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Versioning {
    /// Never asked for.
    Off,
    /// Each write is a version.
    Enabled,
    /// Kept versions stay, writes replace the null version.
    Suspended,
}

/// The answer of an operation.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    content_type: String,
    body: Bytes,
}

impl Answer {
    /// Nothing but a status.
    fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content_type: String::new(),
            body: Bytes::new(),
        }
    }

    /// Members as XML.
    fn xml(root: &str, members: &Value) -> Self {
        let mut body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{NAMESPACE}\">");
        xml::members(&mut body, members, Lists::Flat);
        body.push_str("</");
        body.push_str(root);
        body.push('>');
        Self {
            status: 200,
            headers: Vec::new(),
            content_type: XML.to_owned(),
            body: Bytes::from(body),
        }
    }

    fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn modified(self, at: Timestamp) -> Self {
        self.header("last-modified", http_date(at))
    }

    /// Gives it the form of HTTP.
    pub(crate) fn into_http(self, request_id: &str) -> http::Response<Bytes> {
        let Self {
            status,
            headers,
            content_type,
            body,
        } = self;
        let mut response = wire::response(status, &content_type, body, request_id);
        wire::insert(response.headers_mut(), "x-amz-request-id", request_id);
        for (name, value) in headers {
            wire::insert(response.headers_mut(), &name, &value);
        }
        response
    }
}

/// A refusal in S3's form.
pub(crate) fn error(error: &ApiError, request_id: &str) -> http::Response<Bytes> {
    let ApiError {
        status,
        code,
        message,
        extra,
    } = error;
    // What says nothing but "not changed" has no body.
    if *status == 304 {
        let mut answer = Answer::empty(304);
        if let Some(tag) = extra.get("ETag").and_then(Value::as_str) {
            answer = answer.header("etag", tag);
        }
        return answer.into_http(request_id);
    }
    let mut members = serde_json::json!({ "Code": code, "Message": message });
    for (name, value) in extra.iter() {
        members[name] = value.clone();
    }
    members["RequestId"] = Value::from(request_id);
    let mut body = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml::element(&mut body, "Error", &members, Lists::Flat);
    let mut response = wire::response(*status, XML, body, request_id);
    wire::insert(response.headers_mut(), "x-amz-request-id", request_id);
    if extra.contains_key("DeleteMarker") {
        wire::insert(response.headers_mut(), "x-amz-delete-marker", "true");
    }
    response
}

/// Answers one operation.
pub(crate) fn call(state: &mut State, operation: &str, call: &Call) -> Result<Reply, ApiError> {
    let answer = match operation {
        "ListBuckets" => Ok(buckets::list(state)),
        "CreateBucket" => buckets::create(state, call),
        "HeadBucket" => buckets::head(state, call),
        "DeleteBucket" => buckets::delete(state, call),
        "GetBucketLocation" => buckets::location(state, call),
        "GetBucketVersioning" => buckets::versioning(state, call),
        "PutBucketVersioning" => buckets::set_versioning(state, call),
        "ListObjects" | "ListObjectsV2" => listing::objects(state, call),
        "ListObjectVersions" => listing::versions(state, call),
        "PutObject" => objects::put_object(state, call),
        "GetObject" => objects::get_object(state, call),
        "HeadObject" => objects::head_object(state, call),
        "DeleteObject" => objects::delete_object(state, call),
        "DeleteObjects" => objects::delete_objects(state, call),
        _ => Err(unknown_operation(operation)),
    };
    answer.map(Reply::S3)
}

/// The bucket.
fn bucket<'a>(state: &'a State, name: &str) -> Result<&'a Bucket, ApiError> {
    state.s3.buckets.get(name).ok_or_else(|| no_bucket(name))
}

fn bucket_mut<'a>(state: &'a mut State, name: &str) -> Result<&'a mut Bucket, ApiError> {
    state.s3.buckets.get_mut(name).ok_or_else(|| no_bucket(name))
}

fn no_bucket(name: &str) -> ApiError {
    ApiError::missing("NoSuchBucket", "The specified bucket does not exist").with("BucketName", name)
}

/// Adds a bucket unless it is there.
pub(crate) fn ensure_bucket(state: &mut State, name: &str) {
    if !state.s3.buckets.contains_key(name) {
        buckets::add(state, name);
    }
}
