//! The status of one document in its store: read once, written when a reader could notice, by compare-and-swap.
//!
//! A store that cannot be read or written costs nothing but the status: the latest one is kept here, and the next try
//! writes it. It must not know what a status says.

use crate::mandate::Mandate;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};
use valkeep_document::status::Status;
use valkeep_store::{DocumentStore, Expect, StoreError, Written};

/// Somebody else writes the same status at the same time at most this often before we leave it to the next pass.
const TRIES: usize = 3;
/// No write is begun with less than this left of the lease.
const WRITE_ROOM: Duration = Duration::from_secs(1);
/// For one call of the store. A pass holds its place in the queue over two of them at most when the store hangs.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct StatusFile {
    name: Option<String>,
    tag: Tag,
    /// As stored, as far as we know.
    stored: Option<Status>,
    /// As built last, written or not.
    latest: Option<Arc<Status>>,
    /// Why the latest is not written.
    unwritten: Option<String>,
}

#[derive(Debug, Default)]
enum Tag {
    /// Not read yet, or in doubt since a write failed.
    #[default]
    Unknown,
    Absent,
    Is(String),
}

impl StatusFile {
    pub(crate) fn unwritten(&self) -> Option<&str> {
        self.unwritten.as_deref()
    }

    /// What was stored when we last looked, read now if it never was. For what only the status remembers: history and
    /// times of transitions. None where there is none, or it cannot be had now.
    pub(crate) async fn remembered(&mut self, store: &dyn DocumentStore, name: Option<&str>) -> Option<&Status> {
        self.call(name);
        if matches!(self.tag, Tag::Unknown)
            && let Some(name) = name
        {
            // An error is told when writing meets it, too.
            self.read(store, name).await.ok();
        }
        self.latest.as_deref().or(self.stored.as_ref())
    }

    /// Builds the status on what was there before, and writes it if a reader could notice.
    pub(crate) async fn write(
        &mut self,
        store: &dyn DocumentStore,
        mandate: &Mandate,
        name: Option<&str>,
        build: impl Fn(Option<&Status>) -> Status,
    ) -> Arc<Status> {
        self.call(name);
        let trouble = if let Some(name) = name {
            self.try_write(store, mandate, name, &build).await.err()
        } else {
            self.latest = Some(Arc::new(build(self.latest.as_deref())));
            Some("statuses of other documents have this one's name and stem; rename one of them".to_owned())
        };
        match (&self.unwritten, &trouble) {
            (None, Some(message)) => warn!(
                status = name,
                store = %store.url(),
                message,
                "the status cannot be written; what it tells about goes on, and it is tried again"
            ),
            (Some(_), None) => info!(status = name, "the status is written again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        self.unwritten = trouble;
        Arc::clone(self.latest.as_ref().expect("both ways above set it"))
    }

    async fn try_write(
        &mut self,
        store: &dyn DocumentStore,
        mandate: &Mandate,
        name: &str,
        build: &impl Fn(Option<&Status>) -> Status,
    ) -> Result<(), String> {
        // Ours knows more than the stored one, which may have been shortened; the stored one outlives us.
        let ours = self.latest.clone();
        for _ in 0..TRIES {
            let read = if matches!(self.tag, Tag::Unknown) {
                self.read(store, name).await
            } else {
                Ok(())
            };
            let status = build(ours.as_deref().or(self.stored.as_ref()));
            self.latest = Some(Arc::new(status.clone()));
            read.map_err(|error| error.to_string())?;
            if self
                .stored
                .as_ref()
                .is_some_and(|stored| !status.noticeable_difference(stored))
            {
                return Ok(());
            }
            let expect = match &self.tag {
                Tag::Is(tag) => Expect::Tag(tag.clone()),
                Tag::Absent | Tag::Unknown => Expect::Absent,
            };
            let body = status.clone().shorten(store.status_limit());
            let write = bounded(store, "write", store.write_status(name, &body, &expect));
            let Ok(written) = mandate.within(WRITE_ROOM, write).await else {
                self.tag = Tag::Unknown;
                return Err("the lease ended; whoever leads next writes it".to_owned());
            };
            match written {
                Ok(Written::Yes(tag)) => {
                    self.tag = Tag::Is(tag);
                    self.stored = Some(status);
                    return Ok(());
                }
                Ok(Written::Conflict) => self.tag = Tag::Unknown,
                Err(error) => {
                    // It may have been written all the same.
                    self.tag = Tag::Unknown;
                    return Err(error.to_string());
                }
            }
        }
        Err(format!(
            "somebody else wrote it {TRIES} times meanwhile; is another valkeep looking after the same documents?"
        ))
    }

    async fn read(&mut self, store: &dyn DocumentStore, name: &str) -> Result<(), StoreError> {
        let found = bounded(store, "read", store.read_status(name)).await?;
        // What is not a status is written over; nobody else has a place there.
        self.stored = found.as_ref().and_then(|found| Status::from_json(&found.body));
        self.tag = found.map_or(Tag::Absent, |found| Tag::Is(found.tag));
        Ok(())
    }

    /// Under another name it is another object.
    fn call(&mut self, name: Option<&str>) {
        if self.name.as_deref() != name {
            *self = Self {
                name: name.map(str::to_owned),
                latest: self.latest.take(),
                ..Self::default()
            };
        }
    }
}

async fn bounded<T>(
    store: &dyn DocumentStore,
    call: &str,
    work: impl Future<Output = Result<T, StoreError>> + Send,
) -> Result<T, StoreError> {
    tokio::time::timeout(CALL_TIMEOUT, work).await.unwrap_or_else(|_| {
        Err(StoreError::Failed {
            call: format!("{call} status"),
            what: store.url().to_string(),
            message: format!("no answer within {} s", CALL_TIMEOUT.as_secs()),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use valkeep_store::FolderStore;

    fn phase(phase: &str) -> impl Fn(Option<&Status>) -> Status {
        let phase = phase.to_owned();
        move |before| {
            let mut status = Status::new("a");
            status.history = before.map(|before| before.history.clone()).unwrap_or_default();
            status.remember(jiff::Timestamp::UNIX_EPOCH, "Phase", phase.clone());
            status.phase.clone_from(&phase);
            status
        }
    }

    fn stored(store: &FolderStore) -> Option<String> {
        let path = store_dir(store).join("a.json");
        let body = std::fs::read(path).ok()?;
        Some(Status::from_json(&body).expect("a status").phase)
    }

    fn store_dir(store: &FolderStore) -> std::path::PathBuf {
        match store.url() {
            valkeep_store::StoreUrl::File { dir } => dir.with_file_name("status"),
            other => panic!("{other}"),
        }
    }

    fn store() -> (tempfile::TempDir, FolderStore) {
        let root = tempfile::tempdir().expect("a temporary folder");
        let store = FolderStore::new(root.path().join("docs"), root.path().join("status"));
        (root, store)
    }

    #[tokio::test]
    async fn what_nobody_could_notice_is_not_written() {
        let (_root, store) = store();
        let mut file = StatusFile::default();
        let same = |_: Option<&Status>| {
            let mut status = Status::new("a");
            status.phase = "one".to_owned();
            status.last_updated = jiff::Timestamp::now();
            status
        };
        file.write(&store, &Mandate::Alone, Some("a"), same).await;
        let path = store_dir(&store).join("a.json");
        let first = std::fs::read(&path).expect("written");
        file.write(&store, &Mandate::Alone, Some("a"), same).await;
        assert_eq!(std::fs::read(&path).expect("there"), first);
        assert_eq!(file.unwritten(), None);
    }

    #[tokio::test]
    async fn a_status_that_vanished_is_written_again_when_there_is_news() {
        let (_root, store) = store();
        let mut file = StatusFile::default();
        file.write(&store, &Mandate::Alone, Some("a"), phase("one")).await;
        std::fs::remove_file(store_dir(&store).join("a.json")).expect("written");
        let status = file.write(&store, &Mandate::Alone, Some("a"), phase("two")).await;
        assert_eq!(stored(&store).as_deref(), Some("two"));
        assert_eq!(status.history.len(), 2, "what we knew is not lost with it");
    }

    #[tokio::test]
    async fn under_another_name_it_is_another_object() {
        let (_root, store) = store();
        let mut file = StatusFile::default();
        file.write(&store, &Mandate::Alone, Some("b"), phase("one")).await;
        file.write(&store, &Mandate::Alone, Some("a"), phase("two")).await;
        assert_eq!(stored(&store).as_deref(), Some("two"));
        file.write(&store, &Mandate::Alone, None, phase("three")).await;
        assert!(file.unwritten().is_some());
        assert_eq!(stored(&store).as_deref(), Some("two"));
    }
}
