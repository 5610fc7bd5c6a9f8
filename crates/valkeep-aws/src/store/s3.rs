//! Documents and status as S3 objects.
//!
//! A current document's revision is its ETag, which a listing gives for nothing; one from the bucket's history is
//! `version:` and its version id. ETags are opaque: with KMS they are no digest of anything.

use super::{stem, store_error};
use crate::clients::Aws;
use crate::error::Named;
use async_trait::async_trait;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{Object, ObjectVersion};
use valkeep_core::failure::{Failure, FailureKind};
use valkeep_store::{
    DOCUMENT_ENDINGS, DOCUMENT_LIMIT, DocumentStore, Entry, Expect, StoreError, StoreUrl, StoredStatus, Written,
};

/// Pages of one listing, 1,000 keys each: 100,000 objects. A prefix with more is not a store of documents.
const PAGES_MAX: usize = 100;
/// Pages of one key's versions. Versions of other keys that begin alike come after it.
const VERSION_PAGES_MAX: usize = 3;
/// Old versions of one document.
const HISTORY_MAX: usize = 10;
/// A status is some KiB; S3 itself would take far more.
const STATUS_LIMIT: usize = 256 * 1024;
/// Marks the revision of a historic entry.
const VERSION: &str = "version:";

/// A prefix of a bucket with documents, and another one with their status.
pub(super) struct S3Store {
    aws: Aws,
    url: StoreUrl,
    bucket: String,
    prefix: String,
    status_bucket: String,
    status_prefix: String,
}

impl S3Store {
    pub(super) fn new(aws: Aws, (bucket, prefix): (String, String), status: (String, String)) -> Self {
        Self {
            aws,
            url: StoreUrl::S3 {
                bucket: bucket.clone(),
                prefix: prefix.clone(),
            },
            bucket,
            prefix,
            status_bucket: status.0,
            status_prefix: status.1,
        }
    }

    fn client(&self) -> &aws_sdk_s3::Client {
        &self.aws.inner.s3
    }

    fn status_key(&self, stem: &str) -> String {
        format!("{}{stem}.json", self.status_prefix)
    }

    /// One object's body and ETag.
    async fn read(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        limit: u64,
    ) -> Result<(Vec<u8>, String), StoreError> {
        read_object(&self.aws, bucket, key, version, limit).await
    }

    /// Looks into a write whose outcome is not known. Our own bytes are our own write, whatever the answer said: an
    /// earlier try, whose answer was lost, may have got through.
    async fn settle(&self, stem: &str, body: &[u8]) -> Result<Written, StoreError> {
        Ok(match self.read_status(stem).await? {
            Some(found) if found.body == body => Written::Yes(found.tag),
            _ => Written::Conflict,
        })
    }
}

#[async_trait]
impl DocumentStore for S3Store {
    fn url(&self) -> &StoreUrl {
        &self.url
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        const CALL: &str = "s3:ListBucket";
        let mut entries = Vec::new();
        let mut page: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let answer = self
                .client()
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(&self.prefix)
                .set_continuation_token(page)
                .send()
                .await
                .named(CALL)
                .map_err(|failure| object_error(&self.bucket, &self.prefix, failure))?;
            entries.extend(answer.contents().iter().filter_map(entry));
            page = answer
                .next_continuation_token()
                .filter(|_| answer.is_truncated() == Some(true))
                .map(ToOwned::to_owned);
            if page.is_none() {
                return Ok(entries);
            }
        }
        Err(StoreError::Failed {
            call: CALL.to_owned(),
            what: self.url.to_string(),
            message: "more than 100,000 objects; is this the right prefix?".to_owned(),
        })
    }

    async fn fetch(&self, entry: &Entry) -> Result<Vec<u8>, StoreError> {
        let version = entry.revision.strip_prefix(VERSION);
        let (body, tag) = self.read(&self.bucket, &entry.key, version, DOCUMENT_LIMIT).await?;
        if version.is_none() && tag != entry.revision {
            return Err(StoreError::Failed {
                call: "s3:GetObject".to_owned(),
                what: format!("s3://{}/{}", self.bucket, entry.key),
                message: "it changed between listing and reading; the next listing has the new one".to_owned(),
            });
        }
        Ok(body)
    }

    async fn history(&self, entry: &Entry) -> Result<Vec<Entry>, StoreError> {
        let mut old = Vec::new();
        let (mut key_marker, mut version_marker) = (None, None);
        for _ in 0..VERSION_PAGES_MAX {
            let answer = self
                .client()
                .list_object_versions()
                .bucket(&self.bucket)
                .prefix(&entry.key)
                .set_key_marker(key_marker)
                .set_version_id_marker(version_marker)
                .send()
                .await
                .named("s3:ListBucketVersions")
                .map_err(|failure| object_error(&self.bucket, &entry.key, failure))?;
            // Delete markers are a list of their own and never old documents.
            old.extend(answer.versions().iter().filter_map(|found| version(&entry.key, found)));
            key_marker = answer.next_key_marker().map(ToOwned::to_owned);
            version_marker = answer.next_version_id_marker().map(ToOwned::to_owned);
            let past = key_marker.as_deref().is_some_and(|key| key > entry.key.as_str());
            if answer.is_truncated() != Some(true) || old.len() >= HISTORY_MAX || past {
                break;
            }
        }
        // S3 lists a key's versions newest first; a stable sort keeps that within one second.
        old.sort_by_key(|entry: &Entry| std::cmp::Reverse(entry.generation));
        old.truncate(HISTORY_MAX);
        Ok(old)
    }

    async fn put(&self, stem: &str, body: &[u8], over: Option<&Entry>) -> Result<Entry, StoreError> {
        // A document that is there already keeps its key, whatever folder and ending it has.
        let there: Vec<Entry> = self
            .list()
            .await?
            .into_iter()
            .filter(|entry| entry.stem == stem)
            .collect();
        let key = match &there[..] {
            [] => format!("{}{stem}.yaml", self.prefix),
            [one] => one.key.clone(),
            [one, two, ..] => {
                return Err(StoreError::Failed {
                    call: "s3:PutObject".to_owned(),
                    what: self.url.to_string(),
                    message: format!("both {} and {} are `{stem}`; remove one", one.key, two.key),
                });
            }
        };
        if over.is_some_and(|over| there.first() != Some(over)) {
            return Err(StoreError::Changed { key });
        }
        let put = self
            .client()
            .put_object()
            .bucket(&self.bucket)
            .key(&key)
            .content_type(content_type(&key))
            .set_if_match(over.map(|over| format!("\"{}\"", over.revision)))
            .body(ByteStream::from(body.to_vec()))
            .send()
            .await
            .named("s3:PutObject");
        let tag = match put {
            Ok(put) => put.e_tag().map(unquoted),
            // Our own bytes are our own write: an earlier try, whose answer was lost, may have got through.
            Err(failure) if over.is_some() && is_refused(&failure) => {
                match self.read(&self.bucket, &key, None, DOCUMENT_LIMIT).await? {
                    (found, tag) if found == body => Some(tag),
                    _ => return Err(StoreError::Changed { key }),
                }
            }
            Err(failure) => return Err(object_error(&self.bucket, &key, failure)),
        };
        let head = self
            .client()
            .head_object()
            .bucket(&self.bucket)
            .key(&key)
            .send()
            .await
            .named("s3:GetObject")
            .map_err(|failure| object_error(&self.bucket, &key, failure))?;
        let tag = tag.or_else(|| head.e_tag().map(unquoted));
        Ok(Entry {
            stem: stem.to_owned(),
            revision: tag.unwrap_or_default(),
            generation: head.last_modified().map_or(0, DateTime::secs),
            historic: false,
            key,
        })
    }

    async fn read_status(&self, stem: &str) -> Result<Option<StoredStatus>, StoreError> {
        let key = self.status_key(stem);
        match self.read(&self.status_bucket, &key, None, DOCUMENT_LIMIT).await {
            Ok((body, tag)) => Ok(Some(StoredStatus { body, tag })),
            Err(StoreError::Gone { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn write_status(&self, stem: &str, body: &[u8], expect: &Expect) -> Result<Written, StoreError> {
        let key = self.status_key(stem);
        let request = self
            .aws
            .inner
            .once
            .s3
            .put_object()
            .bucket(&self.status_bucket)
            .key(&key)
            .content_type("application/json")
            .body(ByteStream::from(body.to_vec()));
        let request = match expect {
            Expect::Absent => request.if_none_match("*"),
            Expect::Tag(tag) => request.if_match(format!("\"{tag}\"")),
        };
        let failure = match request.send().await.named("s3:PutObject") {
            Ok(answer) => return Ok(Written::Yes(unquoted(answer.e_tag().unwrap_or_default()))),
            Err(failure) => failure,
        };
        if is_refused(&failure) {
            return self.settle(stem, body).await;
        }
        if failure.kind == FailureKind::NoAnswer
            && let Ok(Written::Yes(tag)) = self.settle(stem, body).await
        {
            return Ok(Written::Yes(tag));
        }
        Err(match object_error(&self.status_bucket, &key, failure) {
            // A write that finds nothing to write to is no removed document.
            StoreError::Gone { key } => StoreError::Missing { what: key },
            error => error,
        })
    }

    fn status_limit(&self) -> usize {
        STATUS_LIMIT
    }
}

/// One object's body and ETag, bounded in size and time.
pub(crate) async fn read_object(
    aws: &Aws,
    bucket: &str,
    key: &str,
    version: Option<&str>,
    limit: u64,
) -> Result<(Vec<u8>, String), StoreError> {
    let call = if version.is_some() {
        "s3:GetObjectVersion"
    } else {
        "s3:GetObject"
    };
    let answer = aws
        .inner
        .s3
        .get_object()
        .bucket(bucket)
        .key(key)
        .set_version_id(version.map(ToOwned::to_owned))
        .send()
        .await
        .named(call)
        .map_err(|failure| object_error(bucket, key, failure))?;
    let tag = unquoted(answer.e_tag().unwrap_or_default());
    let too_large = |bytes| StoreError::TooLarge {
        what: key.to_owned(),
        bytes,
        limit,
    };
    if let Some(bytes) = answer.content_length().and_then(|bytes| u64::try_from(bytes).ok())
        && bytes > limit
    {
        return Err(too_large(bytes));
    }
    // The SDK's time limits end with the headers.
    let body = tokio::time::timeout(aws.body_timeout(), collect(answer.body, limit)).await;
    let failed = |message: String| StoreError::Failed {
        call: call.to_owned(),
        what: format!("s3://{bucket}/{key}"),
        message,
    };
    match body {
        Err(_) => Err(failed("the body did not arrive in time".to_owned())),
        Ok(Err(message)) => Err(failed(message)),
        Ok(Ok(None)) => Err(too_large(limit + 1)),
        Ok(Ok(Some(body))) => Ok((body, tag)),
    }
}

/// Maps a failure on `key` of `bucket`.
fn object_error(bucket: &str, key: &str, failure: Failure) -> StoreError {
    match failure.code.as_str() {
        "NoSuchBucket" => StoreError::Missing {
            what: format!("s3://{bucket}"),
        },
        "NoSuchKey" | "NoSuchVersion" | "NotFound" => StoreError::Gone { key: key.to_owned() },
        _ => store_error(&format!("s3://{bucket}/{key}"), failure),
    }
}

/// Whether S3 did not write because something else is there than was expected, or is being written right now.
pub(crate) fn is_refused(failure: &Failure) -> bool {
    matches!(
        failure.code.as_str(),
        "PreconditionFailed" | "Http412" | "ConditionalRequestConflict" | "OperationAborted" | "Http409" | "NoSuchKey"
    )
}

/// Collects a body; none when it is longer than `limit`.
async fn collect(mut body: ByteStream, limit: u64) -> Result<Option<Vec<u8>>, String> {
    let mut bytes = Vec::new();
    while let Some(part) = body
        .try_next()
        .await
        .map_err(|error| format!("the body broke off: {error}"))?
    {
        bytes.extend_from_slice(&part);
        if bytes.len() as u64 > limit {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

fn content_type(key: &str) -> &'static str {
    if key.strip_suffix(".json").is_some() {
        "application/json"
    } else {
        "application/yaml"
    }
}

pub(crate) fn unquoted(tag: &str) -> String {
    tag.trim_matches('"').to_owned()
}

/// A listed object, if it is a document.
fn entry(found: &Object) -> Option<Entry> {
    let key = found.key()?;
    DOCUMENT_ENDINGS
        .iter()
        .any(|ending| key.ends_with(ending))
        .then(|| Entry {
            key: key.to_owned(),
            stem: stem(key).to_owned(),
            revision: unquoted(found.e_tag().unwrap_or_default()),
            generation: found.last_modified().map_or(0, DateTime::secs),
            historic: false,
        })
}

/// A version of exactly `key` that is not the current one.
fn version(key: &str, found: &ObjectVersion) -> Option<Entry> {
    if found.key() != Some(key) || found.is_latest() == Some(true) {
        return None;
    }
    Some(Entry {
        key: key.to_owned(),
        stem: stem(key).to_owned(),
        revision: format!("{VERSION}{}", found.version_id()?),
        generation: found.last_modified().map_or(0, DateTime::secs),
        historic: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_documents_are_listed() {
        let object = |key: &str| {
            Object::builder()
                .key(key)
                .e_tag("\"e1\"")
                .last_modified(DateTime::from_secs(1_795_400_000))
                .build()
        };
        let found = entry(&object("docs/team/a.yaml")).expect("a document");
        assert_eq!((found.stem.as_str(), found.revision.as_str()), ("a", "e1"));
        assert_eq!(found.generation, 1_795_400_000);
        for key in ["docs/", "docs/README.md", "docs/a.yaml.bak"] {
            assert_eq!(entry(&object(key)), None, "{key}");
        }
    }

    #[test]
    fn history_is_of_this_key_only_and_without_the_current_version() {
        let object = |key: &str, latest| {
            ObjectVersion::builder()
                .key(key)
                .version_id("v1")
                .is_latest(latest)
                .build()
        };
        assert_eq!(version("a.yaml", &object("a.yaml", true)), None);
        assert_eq!(version("a.yaml", &object("a.yaml.yaml", false)), None);
        let old = version("a.yaml", &object("a.yaml", false)).expect("an old version");
        assert_eq!((old.revision.as_str(), old.historic), ("version:v1", true));
    }
}
