//! Objects and their versions.

use super::{Answer, Bucket, Call, Versioning, bucket, bucket_mut, listing};
use crate::error::ApiError;
use crate::ids;
use crate::state::State;
use bytes::Bytes;
use jiff::Timestamp;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is kept under a key: versions, oldest first, never none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object {
    pub(crate) versions: Vec<Version>,
}

/// One version.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// `null` in a bucket without versions.
    pub(crate) id: String,
    pub(crate) modified_at: Timestamp,
    /// None is a delete marker.
    pub(crate) content: Option<Content>,
}

/// The bytes of a version, and what was said about them.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) body: Bytes,
    /// Quoted.
    pub(crate) etag: String,
    pub(crate) media_type: String,
    /// `x-amz-meta-...`
    metadata: BTreeMap<String, String>,
}

impl Object {
    /// The latest version, unless it is a delete marker.
    pub(crate) fn current(&self) -> Option<(&Version, &Content)> {
        let version = self.versions.last()?;
        Some((version, version.content.as_ref()?))
    }
}

/// Puts an object; the version id and ETag of what was written.
pub(crate) fn put(state: &mut State, bucket: &str, key: &str, body: Bytes) -> Result<(String, String), ApiError> {
    write(
        state,
        bucket,
        key,
        body,
        "binary/octet-stream".to_owned(),
        BTreeMap::new(),
    )
}

/// Deletes what is current under a key.
pub(crate) fn delete(state: &mut State, bucket: &str, key: &str) -> Result<(), ApiError> {
    remove(state, bucket, key, None).map(|_| ())
}

/// The bytes under a key.
pub(crate) fn content_of(state: &State, bucket: &str, key: &str) -> Option<Bytes> {
    let object = state.s3.buckets.get(bucket)?.objects.get(key)?;
    object.current().map(|(_, content)| content.body.clone())
}

fn write(
    state: &mut State,
    bucket: &str,
    key: &str,
    body: Bytes,
    media_type: String,
    metadata: BTreeMap<String, String>,
) -> Result<(String, String), ApiError> {
    let digest: String = Md5::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
    let etag = format!("\"{digest}\"");
    let content = Content {
        body,
        etag: etag.clone(),
        media_type,
        metadata,
    };
    let id = append(state, bucket, key, Some(content))?;
    Ok((id, etag))
}

/// Adds a version; its id.
fn append(state: &mut State, bucket: &str, key: &str, content: Option<Content>) -> Result<String, ApiError> {
    let (now, fresh) = (state.now, ids::hex(&mut state.rng, 32));
    let bucket = bucket_mut(state, bucket)?;
    let id = if bucket.versioning == Versioning::Enabled {
        fresh
    } else {
        "null".to_owned()
    };
    let object = bucket.objects.entry(key.to_owned()).or_default();
    // There is one null version at most; where nothing is kept it is the only one.
    if id == "null" {
        object.versions.retain(|version| version.id != "null");
    }
    object.versions.push(Version {
        id: id.clone(),
        modified_at: now,
        content,
    });
    Ok(id)
}

pub(super) fn put_object(state: &mut State, call: &Call) -> Result<Answer, ApiError> {
    let found = bucket(state, &call.bucket)?;
    let versioned = found.versioning != Versioning::Off;
    let current = found
        .objects
        .get(&call.key)
        .and_then(Object::current)
        .map(|(_, content)| content.etag.clone());
    if let Some(condition) = call.header("if-none-match") {
        if condition != "*" {
            return Err(ApiError::new(
                501,
                "NotImplemented",
                "A header you provided implies functionality that is not implemented",
            ));
        }
        if current.is_some() {
            return Err(precondition("If-None-Match"));
        }
    }
    if let Some(condition) = call.header("if-match") {
        match &current {
            None => return Err(no_key(&call.key)),
            Some(etag) if !is_match(condition, etag) => return Err(precondition("If-Match")),
            Some(_) => {}
        }
    }
    let content_type = call.header("content-type").unwrap_or("binary/octet-stream").to_owned();
    let metadata = call
        .headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-amz-meta-"))
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let (id, etag) = write(
        state,
        &call.bucket,
        &call.key,
        call.body.clone(),
        content_type,
        metadata,
    )?;
    let answer = Answer::empty(200)
        .header("etag", etag)
        .header("x-amz-server-side-encryption", "AES256");
    Ok(if versioned {
        answer.header("x-amz-version-id", id)
    } else {
        answer
    })
}

pub(super) fn get_object(state: &State, call: &Call) -> Result<Answer, ApiError> {
    let (bucket, version, content) = find(state, call)?;
    if call
        .header("if-match")
        .is_some_and(|condition| !is_match(condition, &content.etag))
    {
        return Err(precondition("If-Match"));
    }
    if call
        .header("if-none-match")
        .is_some_and(|condition| is_match(condition, &content.etag))
    {
        return Err(ApiError::new(304, "NotModified", "Not Modified").with("ETag", content.etag.clone()));
    }
    let mut answer = Answer::empty(200)
        .header("etag", content.etag.clone())
        .header("accept-ranges", "bytes")
        .header("x-amz-server-side-encryption", "AES256")
        .modified(version.modified_at);
    if bucket.versioning != Versioning::Off {
        answer = answer.header("x-amz-version-id", version.id.clone());
    }
    answer.content_type.clone_from(&content.media_type);
    answer.body = content.body.clone();
    answer.headers.extend(content.metadata.clone());
    if let Some((first, last)) = call
        .header("range")
        .map(|range| read_range(range, content.body.len()))
        .transpose()?
        .flatten()
    {
        answer.status = 206;
        answer.body = content.body.slice(first..=last);
        answer = answer.header("content-range", format!("bytes {first}-{last}/{}", content.body.len()));
    }
    // A server would add it, and there may be none.
    let length = answer.body.len().to_string();
    Ok(answer.header("content-length", length))
}

pub(super) fn head_object(state: &State, call: &Call) -> Result<Answer, ApiError> {
    let answer = get_object(state, call)?;
    let content_type = answer.content_type.clone();
    let answer = Answer {
        body: Bytes::new(),
        ..answer
    };
    Ok(answer.header("content-type", content_type))
}

pub(super) fn delete_object(state: &mut State, call: &Call) -> Result<Answer, ApiError> {
    let found = bucket(state, &call.bucket)?;
    if let Some(condition) = call.header("if-match") {
        match found.objects.get(&call.key).and_then(Object::current) {
            None => return Err(no_key(&call.key)),
            Some((_, content)) if !is_match(condition, &content.etag) => return Err(precondition("If-Match")),
            Some(_) => {}
        }
    }
    let Removed { version, marker } = remove(state, &call.bucket, &call.key, call.parameter("versionId"))?;
    let mut answer = Answer::empty(204);
    if marker {
        answer = answer.header("x-amz-delete-marker", "true");
    }
    Ok(match version {
        Some(version) => answer.header("x-amz-version-id", version),
        None => answer,
    })
}

pub(super) fn delete_objects(state: &mut State, call: &Call) -> Result<Answer, ApiError> {
    bucket(state, &call.bucket)?;
    let body = String::from_utf8_lossy(&call.body).into_owned();
    let quiet = listing::elements(&body, "Quiet").next().as_deref() == Some("true");
    let mut deleted = Vec::new();
    for object in listing::raw_elements(&body, "Object") {
        let Some(key) = listing::elements(object, "Key").next() else {
            continue;
        };
        let wanted = listing::elements(object, "VersionId").next();
        let Removed { version, marker } = remove(state, &call.bucket, &key, wanted.as_deref())?;
        let mut view = json!({ "Key": key, "VersionId": wanted });
        if marker {
            view["DeleteMarker"] = json!(true);
            view["DeleteMarkerVersionId"] = json!(version);
        }
        deleted.push(view);
    }
    Ok(Answer::xml(
        "DeleteResult",
        &json!({ "Deleted": if quiet { Value::Null } else { Value::Array(deleted) } }),
    ))
}

struct Removed {
    /// Of the marker that was made, or of what was removed.
    version: Option<String>,
    /// Whether that is a delete marker.
    marker: bool,
}

/// Without a version: a delete marker where versions are kept, else the object. A key that is not there is fine.
fn remove(state: &mut State, name: &str, key: &str, version: Option<&str>) -> Result<Removed, ApiError> {
    let versioned = bucket(state, name)?.versioning != Versioning::Off;
    if version.is_none() && versioned {
        let id = append(state, name, key, None)?;
        return Ok(Removed {
            version: Some(id),
            marker: true,
        });
    }
    let bucket = bucket_mut(state, name)?;
    let Some(version) = version else {
        bucket.objects.remove(key);
        return Ok(Removed {
            version: None,
            marker: false,
        });
    };
    let mut marker = false;
    if let Some(object) = bucket.objects.get_mut(key) {
        marker = object
            .versions
            .iter()
            .any(|kept| kept.id == version && kept.content.is_none());
        object.versions.retain(|kept| kept.id != version);
        if object.versions.is_empty() {
            bucket.objects.remove(key);
        }
    }
    Ok(Removed {
        version: Some(version.to_owned()),
        marker,
    })
}

fn find<'a>(state: &'a State, call: &Call) -> Result<(&'a Bucket, &'a Version, &'a Content), ApiError> {
    let bucket = bucket(state, &call.bucket)?;
    let object = bucket.objects.get(&call.key);
    let version = match call.parameter("versionId") {
        Some(wanted) => {
            let found = object.and_then(|object| object.versions.iter().find(|version| version.id == wanted));
            found.ok_or_else(|| {
                let words = "The specified version does not exist.";
                ApiError::missing("NoSuchVersion", words)
                    .with("Key", call.key.as_str())
                    .with("VersionId", wanted)
            })?
        }
        None => object
            .and_then(|object| object.versions.last())
            .ok_or_else(|| no_key(&call.key))?,
    };
    match &version.content {
        Some(content) => Ok((bucket, version, content)),
        None if call.parameter("versionId").is_some() => {
            let words = "The specified method is not allowed against this resource.";
            Err(ApiError::new(405, "MethodNotAllowed", words).with("DeleteMarker", true))
        }
        None => Err(no_key(&call.key)),
    }
}

fn no_key(key: &str) -> ApiError {
    ApiError::missing("NoSuchKey", "The specified key does not exist.").with("Key", key)
}

fn precondition(condition: &str) -> ApiError {
    let words = "At least one of the pre-conditions you specified did not hold";
    ApiError::new(412, "PreconditionFailed", words).with("Condition", condition)
}

/// `*`, or one of the listed ETags, with or without quotes.
fn is_match(condition: &str, etag: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned();
    condition.trim() == "*" || condition.split(',').any(|tag| bare(tag) == bare(etag))
}

/// `bytes=first-last`, `bytes=first-`, `bytes=-suffix`; anything else is ignored, as HTTP wants it.
fn read_range(range: &str, length: usize) -> Result<Option<(usize, usize)>, ApiError> {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Ok(None);
    };
    let bounds = match (first.parse::<usize>().ok(), last.parse::<usize>().ok()) {
        (Some(first), Some(last)) if first <= last => (first, last.min(length.saturating_sub(1))),
        (Some(first), None) if last.is_empty() => (first, length.saturating_sub(1)),
        (None, Some(suffix)) if first.is_empty() && suffix > 0 => {
            (length.saturating_sub(suffix), length.saturating_sub(1))
        }
        _ => return Ok(None),
    };
    if bounds.0 >= length {
        return Err(ApiError::new(
            416,
            "InvalidRange",
            "The requested range is not satisfiable",
        ));
    }
    Ok(Some(bounds))
}
