//! Listings, and the few XML bodies that S3 takes.

use super::{Answer, Call, Object, bucket};
use crate::clock::iso;
use crate::error::ApiError;
use crate::state::State;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const PAGE_MAX: usize = 1000;
const KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/')
    .remove(b'*');

/// `ListObjects` and `ListObjectsV2`.
pub(super) fn objects(state: &State, call: &Call) -> Result<Answer, ApiError> {
    let bucket = bucket(state, &call.bucket)?;
    let second = call.parameter("list-type") == Some("2");
    let prefix = call.parameter("prefix").unwrap_or_default();
    let delimiter = call.parameter("delimiter");
    let limit = page_size(call)?;
    // Tokens are opaque to callers; here they are the last key of the page before.
    let token = call.parameter("continuation-token").map(untoken).transpose()?;
    let after = token
        .or(call
            .parameter(if second { "start-after" } else { "marker" })
            .map(str::to_owned))
        .unwrap_or_default();
    let mut contents = Vec::new();
    let mut prefixes = BTreeSet::new();
    let mut last = String::new();
    let mut truncated = false;
    for (key, object) in bucket.objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
        let Some((version, content)) = object.current() else {
            continue;
        };
        let common = delimiter.and_then(|delimiter| {
            key[prefix.len()..]
                .find(delimiter)
                .map(|at| key[..prefix.len() + at + delimiter.len()].to_owned())
        });
        let name = common.as_deref().unwrap_or(key);
        if name <= after.as_str() || prefixes.contains(name) {
            continue;
        }
        if contents.len() + prefixes.len() == limit {
            truncated = true;
            break;
        }
        name.clone_into(&mut last);
        match common {
            Some(common) => {
                prefixes.insert(common);
            }
            None => contents.push(json!({
                "Key": encoded(call, key), "LastModified": iso(version.modified_at), "ETag": content.etag,
                "Size": content.body.len(), "StorageClass": "STANDARD",
            })),
        }
    }
    let common: Vec<Value> = prefixes
        .iter()
        .map(|prefix| json!({ "Prefix": encoded(call, prefix) }))
        .collect();
    let mut view = json!({
        "Name": call.bucket, "Prefix": encoded(call, prefix), "MaxKeys": limit, "IsTruncated": truncated,
        "EncodingType": call.parameter("encoding-type"), "Delimiter": delimiter.map(|delimiter| encoded(call, delimiter)),
    });
    if second {
        view["KeyCount"] = json!(contents.len() + common.len());
        view["ContinuationToken"] = json!(call.parameter("continuation-token"));
        view["NextContinuationToken"] = json!(truncated.then(|| token_for(&last)));
        view["StartAfter"] = json!(call.parameter("start-after").map(|after| encoded(call, after)));
    } else {
        view["Marker"] = json!(encoded(call, call.parameter("marker").unwrap_or_default()));
        view["NextMarker"] = json!((truncated && delimiter.is_some()).then(|| encoded(call, &last)));
    }
    view["Contents"] = Value::Array(contents);
    view["CommonPrefixes"] = Value::Array(common);
    Ok(Answer::xml("ListBucketResult", &view))
}

/// `ListObjectVersions`: keys in order, versions of one key newest first.
pub(super) fn versions(state: &State, call: &Call) -> Result<Answer, ApiError> {
    let bucket = bucket(state, &call.bucket)?;
    let prefix = call.parameter("prefix").unwrap_or_default();
    let limit = page_size(call)?;
    let (key_marker, version_marker) = (call.parameter("key-marker"), call.parameter("version-id-marker"));
    let (mut found, mut markers) = (Vec::new(), Vec::new());
    let mut next: Option<(String, String)> = None;
    let mut truncated = false;
    'keys: for (key, object) in bucket.objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
        for version in behind(object, key, key_marker, version_marker) {
            if found.len() + markers.len() == limit {
                truncated = true;
                break 'keys;
            }
            let latest = object.versions.last().is_some_and(|last| last.id == version.id);
            let mut view = json!({
                "Key": encoded(call, key), "VersionId": version.id, "IsLatest": latest,
                "LastModified": iso(version.modified_at),
            });
            match &version.content {
                Some(content) => {
                    view["ETag"] = json!(content.etag);
                    view["Size"] = json!(content.body.len());
                    view["StorageClass"] = json!("STANDARD");
                    found.push(view);
                }
                None => markers.push(view),
            }
            next = Some((key.clone(), version.id.clone()));
        }
    }
    let next = next.filter(|_| truncated);
    let mut view = json!({
        "Name": call.bucket, "Prefix": encoded(call, prefix), "MaxKeys": limit, "IsTruncated": truncated,
        "KeyMarker": key_marker.map(|key| encoded(call, key)), "VersionIdMarker": version_marker,
        "EncodingType": call.parameter("encoding-type"),
        "NextKeyMarker": next.as_ref().map(|(key, _)| encoded(call, key)),
        "NextVersionIdMarker": next.as_ref().map(|(_, version)| version),
    });
    view["Version"] = Value::Array(found);
    view["DeleteMarker"] = Value::Array(markers);
    Ok(Answer::xml("ListVersionsResult", &view))
}

/// Versions of one key, newest first, that stand behind the markers.
fn behind<'a>(
    object: &'a Object,
    key: &str,
    key_marker: Option<&str>,
    version_marker: Option<&str>,
) -> impl Iterator<Item = &'a super::Version> {
    let count = match (key_marker, version_marker) {
        (Some(marker), _) if key < marker => 0,
        (Some(marker), None) if key == marker => 0,
        (Some(marker), Some(version)) if key == marker => {
            object.versions.iter().position(|kept| kept.id == version).unwrap_or(0)
        }
        _ => object.versions.len(),
    };
    object.versions[..count].iter().rev()
}

fn page_size(call: &Call) -> Result<usize, ApiError> {
    match call.parameter("max-keys") {
        None => Ok(PAGE_MAX),
        Some(text) => text.parse().map(|size: usize| size.min(PAGE_MAX)).map_err(|_| {
            ApiError::bad(
                "InvalidArgument",
                "Provided max-keys not an integer or within integer range",
            )
        }),
    }
}

fn encoded(call: &Call, text: &str) -> String {
    if call.parameter("encoding-type") == Some("url") {
        utf8_percent_encode(text, KEY).to_string()
    } else {
        text.to_owned()
    }
}

/// Hexadecimal, so that nobody reads a key out of it or puts one in.
fn token_for(key: &str) -> String {
    key.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn untoken(token: &str) -> Result<String, ApiError> {
    let wrong = || ApiError::bad("InvalidArgument", "The continuation token provided is incorrect");
    let pairs = token.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| {
            std::str::from_utf8(pair)
                .ok()
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        })
        .collect();
    String::from_utf8(bytes.ok_or_else(wrong)?).map_err(|_| wrong())
}

/// The insides of every element of this name, as written.
pub(super) fn raw_elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let start = rest.find(&open)? + open.len();
        let end = start + rest[start..].find(&close)?;
        let inside = &rest[start..end];
        rest = &rest[end + close.len()..];
        Some(inside)
    })
}

/// The text of every element of this name. Enough for the three small bodies that S3 takes here.
pub(super) fn elements(xml: &str, name: &str) -> impl Iterator<Item = String> {
    raw_elements(xml, name).map(|text| {
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&apos;", "'")
            .replace("&amp;", "&")
    })
}
