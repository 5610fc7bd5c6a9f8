//! Where documents and their status live: one small interface. And the lease, by which one of several valkeeps leads.
//!
//! The folder store is here; the S3 and SSM stores are in `valkeep-aws`, the only crate that names the SDK.

mod folder;
mod lease;
mod url;

pub use folder::FolderStore;
pub use lease::{LeaseError, LeaseRecord, LeaseStore, LeaseUrl, LeaseUrlError, StoredLease};
pub use url::{StoreUrl, UrlError};

use async_trait::async_trait;

/// A store of documents with their status beside it. Reading documents never writes; documents and status never share
/// a prefix, so a status is never read as a document and a sync with delete cannot take it.
#[async_trait]
pub trait DocumentStore: Send + Sync {
    /// Where the documents are.
    fn url(&self) -> &StoreUrl;

    /// All documents, without their bodies. Cheap: one listing, no body is read. An error says nothing about any
    /// document; an empty listing is an answer.
    async fn list(&self) -> Result<Vec<Entry>, StoreError>;

    /// One version of one document. [`StoreError::Gone`] when it was removed meanwhile.
    async fn fetch(&self, entry: &Entry) -> Result<Vec<u8>, StoreError>;

    /// Versions of a document before the current one, newest first, at most ten, from the store's own history; empty
    /// where the store keeps none. Each can be fetched.
    async fn history(&self, entry: &Entry) -> Result<Vec<Entry>, StoreError>;

    /// Writes a document and tells its new entry. `over` is the version that it was made from: where another one is there by
    /// now, nothing is written, and [`StoreError::Changed`] says so. S3 compares and writes in one call; elsewhere it is looked at
    /// right before.
    async fn put(&self, stem: &str, body: &[u8], over: Option<&Entry>) -> Result<Entry, StoreError>;

    /// Reads a status; `None` where there is none.
    async fn read_status(&self, stem: &str) -> Result<Option<StoredStatus>, StoreError>;

    /// Writes a status by compare-and-swap where the store has one. A lost reply is looked into: finding our own bytes
    /// is success.
    async fn write_status(&self, stem: &str, body: &[u8], expect: &Expect) -> Result<Written, StoreError>;

    /// The longest status that can be written, in bytes.
    fn status_limit(&self) -> usize;
}

/// One version of one document.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The whole key, path or parameter name.
    pub key: String,
    /// The key without prefix, folders and ending: what a status is called when the document has no readable name.
    pub stem: String,
    /// S3 version or ETag, SSM version, or a digest: changes whenever the body may have changed.
    pub revision: String,
    /// A number that grows with each change and survives the loss of the status: SSM version, seconds of last
    /// modification elsewhere.
    pub generation: i64,
    /// Set by [`DocumentStore::history`]: this is not the current version.
    pub historic: bool,
}

/// A status as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredStatus {
    /// JSON.
    pub body: Vec<u8>,
    /// What [`Expect::Tag`] takes.
    pub tag: String,
}

/// What must be so for a status to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// No status is there.
    Absent,
    /// The status is still this one.
    Tag(String),
}

/// What came of writing a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is written, and this is its tag now.
    Yes(String),
    /// Somebody else wrote meanwhile; read again and decide anew.
    Conflict,
}

/// A store that could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The document is not there any more.
    #[error("{key} is not there any more")]
    Gone {
        /// Its key.
        key: String,
    },
    /// The document is not the version any more that was to be written over.
    #[error("{key} was changed meanwhile, so it was not written")]
    Changed {
        /// Its key.
        key: String,
    },
    /// No permission.
    #[error("{call} on {what} was denied: {message}")]
    Denied {
        /// The call in IAM's spelling, or the file operation.
        call: String,
        /// Bucket and key, parameter or path.
        what: String,
        /// The store's own words.
        message: String,
    },
    /// The bucket, path or folder does not exist.
    #[error("{what} does not exist")]
    Missing {
        /// Bucket or folder.
        what: String,
    },
    /// Anything else: throttled, unreachable, broken.
    #[error("{call} on {what} failed: {message}")]
    Failed {
        /// The call in IAM's spelling, or the file operation.
        call: String,
        /// Bucket and key, parameter or path.
        what: String,
        /// The store's own words.
        message: String,
    },
    /// The body is longer than the store or valkeep takes.
    #[error("{what} has {bytes} bytes, at most {limit} are taken")]
    TooLarge {
        /// Key.
        what: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
}

/// The longest document that is read. 1 MiB is about 500 times the example; larger ones are hostile or mistaken.
pub const DOCUMENT_LIMIT: u64 = 1024 * 1024;

/// Endings of documents; other keys in a store are not documents and are left alone.
pub const DOCUMENT_ENDINGS: [&str; 3] = [".yaml", ".yml", ".json"];
