//! Documents in one store, status in another of a different kind.

use async_trait::async_trait;
use std::sync::Arc;
use valkeep_store::{DocumentStore, Entry, Expect, StoreError, StoreUrl, StoredStatus, Written};

/// Two stores that act as one.
pub(super) struct Split {
    documents: Arc<dyn DocumentStore>,
    status: Arc<dyn DocumentStore>,
}

impl Split {
    pub(super) fn new(documents: Arc<dyn DocumentStore>, status: Arc<dyn DocumentStore>) -> Self {
        Self { documents, status }
    }
}

#[async_trait]
impl DocumentStore for Split {
    fn url(&self) -> &StoreUrl {
        self.documents.url()
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        self.documents.list().await
    }

    async fn fetch(&self, entry: &Entry) -> Result<Vec<u8>, StoreError> {
        self.documents.fetch(entry).await
    }

    async fn history(&self, entry: &Entry) -> Result<Vec<Entry>, StoreError> {
        self.documents.history(entry).await
    }

    async fn put(&self, stem: &str, body: &[u8], over: Option<&Entry>) -> Result<Entry, StoreError> {
        self.documents.put(stem, body, over).await
    }

    async fn read_status(&self, stem: &str) -> Result<Option<StoredStatus>, StoreError> {
        self.status.read_status(stem).await
    }

    async fn write_status(&self, stem: &str, body: &[u8], expect: &Expect) -> Result<Written, StoreError> {
        self.status.write_status(stem, body, expect).await
    }

    fn status_limit(&self) -> usize {
        self.status.status_limit()
    }
}
