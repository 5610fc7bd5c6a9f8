//! Document stores in AWS: S3 and the SSM Parameter Store.
//!
//! Knows keys, versions and conditions, not what a document means.

mod s3;
mod split;
mod ssm;

use crate::clients::Aws;
pub(crate) use s3::{is_refused, read_object, unquoted};

use s3::S3Store;
use split::Split;
use ssm::SsmStore;
use std::sync::Arc;
use valkeep_core::failure::{Failure, FailureKind};
use valkeep_store::{DOCUMENT_ENDINGS, DocumentStore, FolderStore, StoreError, StoreUrl};

/// Opens a store; nothing is read yet.
pub(crate) fn open(aws: &Aws, url: StoreUrl, status: StoreUrl) -> Arc<dyn DocumentStore> {
    match (url, status) {
        (
            StoreUrl::S3 { bucket, prefix },
            StoreUrl::S3 {
                bucket: status_bucket,
                prefix: status_prefix,
            },
        ) => Arc::new(S3Store::new(
            aws.clone(),
            (bucket, prefix),
            (status_bucket, status_prefix),
        )),
        (StoreUrl::Ssm { path }, StoreUrl::Ssm { path: status_path }) => {
            Arc::new(SsmStore::new(aws.clone(), path, status_path))
        }
        (StoreUrl::File { dir }, StoreUrl::File { dir: status_dir }) => Arc::new(FolderStore::new(dir, status_dir)),
        (url, status) => Arc::new(Split::new(
            open(aws, url.clone(), url),
            open(aws, status.clone(), status),
        )),
    }
}

/// The last part of a key, without its ending.
fn stem(key: &str) -> &str {
    let name = key.rsplit('/').next().unwrap_or(key);
    DOCUMENT_ENDINGS
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name)
}

/// A failed call on a document or status.
fn store_error(what: &str, failure: Failure) -> StoreError {
    let what = what.to_owned();
    match failure.kind {
        FailureKind::AccessDenied => StoreError::Denied {
            call: failure.call,
            what,
            message: format!("{}: {}", failure.code, failure.message),
        },
        _ => StoreError::Failed {
            call: failure.call,
            what,
            message: format!("{}: {}", failure.code, failure.message),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_lose_folders_and_ending() {
        for (key, expected) in [
            ("docs/team/a.yaml", "a"),
            ("docs/a.b.yml", "a.b"),
            ("/docs/a", "a"),
            ("a.json", "a"),
        ] {
            assert_eq!(stem(key), expected, "{key}");
        }
    }
}
