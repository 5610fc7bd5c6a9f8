//! The lease as an S3 object. Knows how S3 compares and swaps, and neither when to write nor what it means.

use crate::clients::Aws;
use crate::error::Named;
use crate::store::{is_refused, read_object, unquoted};
use async_trait::async_trait;
use aws_sdk_s3::primitives::ByteStream;
use valkeep_core::failure::{Failure, FailureKind};
use valkeep_store::{Expect, LeaseError, LeaseRecord, LeaseStore, LeaseUrl, StoreError, StoredLease, Written};

/// The longest body that is read, in bytes; a record has some 300.
const RECORD_LIMIT: u64 = 16 * 1024;
const WRITE: &str = "s3:PutObject";

/// One object of a bucket.
pub(crate) struct S3Lease {
    aws: Aws,
    url: LeaseUrl,
}

impl S3Lease {
    pub(crate) fn new(aws: Aws, url: LeaseUrl) -> Self {
        Self { aws, url }
    }

    /// A write that failed, and not because something else was there.
    fn write_error(&self, failure: Failure) -> LeaseError {
        let Failure {
            call,
            kind,
            code,
            message,
        } = failure;
        let url = self.url.clone();
        let message = format!("{code}: {message}");
        match (code.as_str(), kind) {
            ("NoSuchBucket", _) => LeaseError::NoBucket { url },
            // Amazon S3 has all that this request asks for; a store that has not lacks the conditions.
            ("NotImplemented" | "Http501", _) => LeaseError::Unconditional { url, message },
            (_, FailureKind::AccessDenied) => LeaseError::Denied { call, url, message },
            _ => LeaseError::Failed { call, url, message },
        }
    }

    fn read_error(&self, error: StoreError) -> LeaseError {
        let url = self.url.clone();
        match error {
            StoreError::Missing { .. } => LeaseError::NoBucket { url },
            StoreError::Denied { call, message, .. } => LeaseError::Denied { call, url, message },
            StoreError::Failed { call, message, .. } => LeaseError::Failed { call, url, message },
            StoreError::Gone { .. } | StoreError::Changed { .. } | StoreError::TooLarge { .. } => LeaseError::Failed {
                call: "s3:GetObject".to_owned(),
                url,
                message: error.to_string(),
            },
        }
    }
}

#[async_trait]
impl LeaseStore for S3Lease {
    fn url(&self) -> &LeaseUrl {
        &self.url
    }

    async fn read(&self) -> Result<Option<StoredLease>, LeaseError> {
        match read_object(&self.aws, &self.url.bucket, &self.url.key, None, RECORD_LIMIT).await {
            Ok((body, tag)) => Ok(Some(StoredLease {
                tag,
                record: LeaseRecord::from_json(&body),
            })),
            Err(StoreError::Gone { .. }) => Ok(None),
            Err(error) => Err(self.read_error(error)),
        }
    }

    async fn write(&self, record: &LeaseRecord, expect: &Expect) -> Result<Written, LeaseError> {
        let request = self
            .aws
            .inner
            .once
            .s3
            .put_object()
            .bucket(&self.url.bucket)
            .key(&self.url.key)
            .content_type("application/json")
            .body(ByteStream::from(record.to_json()));
        let request = match expect {
            Expect::Absent => request.if_none_match("*"),
            Expect::Tag(tag) => request.if_match(format!("\"{tag}\"")),
        };
        match request.send().await.named(WRITE) {
            Ok(answer) => match answer.e_tag() {
                Some(tag) => Ok(Written::Yes(unquoted(tag))),
                // Without its tag it cannot be renewed; the next read shows it.
                None => Ok(Written::Conflict),
            },
            Err(failure) if is_refused(&failure) => Ok(Written::Conflict),
            Err(failure) => Err(self.write_error(failure)),
        }
    }
}
