//! Buckets.

use super::{Answer, Bucket, Call, Versioning, bucket, bucket_mut};
use crate::clock::iso;
use crate::error::ApiError;
use crate::state::State;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn list(state: &State) -> Answer {
    let views: Vec<Value> = state
        .s3
        .buckets
        .iter()
        .map(|(name, bucket)| json!({ "Name": name, "CreationDate": iso(bucket.created_at) }))
        .collect();
    let owner = json!({ "ID": "localaws", "DisplayName": "localaws" });
    Answer::xml(
        "ListAllMyBucketsResult",
        &json!({ "Owner": owner, "Buckets": { "Bucket": views } }),
    )
}

pub(super) fn create(state: &mut State, call: &Call) -> Result<Answer, ApiError> {
    let name = &call.bucket;
    let valid = (3..=63).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'));
    if !valid {
        let words = "The specified bucket is not valid.";
        return Err(ApiError::bad("InvalidBucketName", words).with("BucketName", name.as_str()));
    }
    if state.s3.buckets.contains_key(name) {
        let words = "Your previous request to create the named bucket succeeded and you already own it.";
        return Err(ApiError::conflict("BucketAlreadyOwnedByYou", words).with("BucketName", name.as_str()));
    }
    add(state, name);
    Ok(Answer::empty(200).header("location", format!("/{name}")))
}

/// Adds a bucket.
pub(super) fn add(state: &mut State, name: &str) {
    let bucket = Bucket {
        created_at: state.now,
        versioning: Versioning::Off,
        objects: BTreeMap::new(),
    };
    state.s3.buckets.insert(name.to_owned(), bucket);
}

pub(super) fn head(state: &State, call: &Call) -> Result<Answer, ApiError> {
    bucket(state, &call.bucket)?;
    Ok(Answer::empty(200).header("x-amz-bucket-region", state.config.region.clone()))
}

pub(super) fn delete(state: &mut State, call: &Call) -> Result<Answer, ApiError> {
    if !bucket(state, &call.bucket)?.objects.is_empty() {
        let words = "The bucket you tried to delete is not empty";
        return Err(ApiError::conflict("BucketNotEmpty", words).with("BucketName", call.bucket.as_str()));
    }
    state.s3.buckets.remove(&call.bucket);
    Ok(Answer::empty(204))
}

pub(super) fn location(state: &State, call: &Call) -> Result<Answer, ApiError> {
    bucket(state, &call.bucket)?;
    // The first region has no name here.
    let region = Some(state.config.region.as_str()).filter(|region| *region != "us-east-1");
    Ok(Answer::xml("LocationConstraint", &json!(region)))
}

pub(super) fn versioning(state: &State, call: &Call) -> Result<Answer, ApiError> {
    let status = match bucket(state, &call.bucket)?.versioning {
        Versioning::Off => None,
        Versioning::Enabled => Some("Enabled"),
        Versioning::Suspended => Some("Suspended"),
    };
    Ok(Answer::xml("VersioningConfiguration", &json!({ "Status": status })))
}

pub(super) fn set_versioning(state: &mut State, call: &Call) -> Result<Answer, ApiError> {
    let body = String::from_utf8_lossy(&call.body);
    let wanted = super::listing::elements(&body, "Status").next();
    let versioning = match wanted.as_deref() {
        Some("Enabled") => Versioning::Enabled,
        Some("Suspended") => Versioning::Suspended,
        _ => {
            return Err(ApiError::bad(
                "MalformedXML",
                "The XML you provided was not well-formed",
            ));
        }
    };
    bucket_mut(state, &call.bucket)?.versioning = versioning;
    Ok(Answer::empty(200))
}
