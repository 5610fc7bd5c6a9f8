//! A store in memory with versions and faults.

use async_trait::async_trait;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard};
use valkeep_document::status::Status;
use valkeep_store::{DOCUMENT_LIMIT, DocumentStore, Entry, Expect, StoreError, StoreUrl, StoredStatus, Written};

#[derive(Default)]
pub(crate) struct StoreState {
    /// Versions of each key, oldest first; the last one is current.
    pub(crate) documents: BTreeMap<String, Vec<Vec<u8>>>,
    pub(crate) statuses: BTreeMap<String, (u64, Vec<u8>)>,
    pub(crate) writes: u64,
    pub(crate) fetches: u64,
    pub(crate) list_fails: bool,
    pub(crate) status_fails: bool,
    pub(crate) status_hangs: bool,
    /// Bodies that cannot be read.
    pub(crate) denied: Vec<String>,
    /// The revision is made from the content, as an `ETag` of S3 is, instead of counted.
    pub(crate) has_etags: bool,
    /// Versions are kept for [`DocumentStore::history`].
    pub(crate) keeps_history: bool,
    /// Another writer gets in between this many times.
    pub(crate) rivals: u32,
}

pub(crate) struct MemoryStore {
    url: StoreUrl,
    state: Mutex<StoreState>,
}

impl MemoryStore {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            url: url.parse().expect("a store"),
            state: Mutex::new(StoreState {
                keeps_history: true,
                ..StoreState::default()
            }),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, StoreState> {
        self.state.lock().expect("no panic inside")
    }

    pub(crate) fn write(&self, key: &str, body: &str) {
        let mut state = self.state();
        state.documents.entry(key.to_owned()).or_default().push(body.into());
    }

    pub(crate) fn remove(&self, key: &str) {
        self.state().documents.remove(key);
    }

    pub(crate) fn status(&self, name: &str) -> Option<Status> {
        let body = self.state().statuses.get(name)?.1.clone();
        Some(Status::from_json(&body).expect("a status"))
    }

    pub(crate) fn writes(&self) -> u64 {
        self.state().writes
    }

    async fn hang(&self) {
        let hangs = self.state().status_hangs;
        if hangs {
            std::future::pending::<()>().await;
        }
    }

    fn fail(&self, call: &str) -> StoreError {
        StoreError::Failed {
            call: call.to_owned(),
            what: self.url.to_string(),
            message: "scripted".to_owned(),
        }
    }
}

fn entry(key: &str, version: usize, historic: bool) -> Entry {
    let name = key.rsplit('/').next().expect("never empty");
    Entry {
        key: key.to_owned(),
        stem: name.trim_end_matches(".yaml").to_owned(),
        revision: format!("v{version}"),
        generation: i64::try_from(version).expect("small"),
        historic,
    }
}

#[async_trait]
impl DocumentStore for MemoryStore {
    fn url(&self) -> &StoreUrl {
        &self.url
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let state = self.state();
        if state.list_fails {
            return Err(self.fail("list"));
        }
        let documents = state.documents.iter();
        Ok(documents
            .map(|(key, versions)| {
                let mut entry = entry(key, versions.len(), false);
                if state.has_etags {
                    let mut hash = DefaultHasher::new();
                    versions.last().hash(&mut hash);
                    entry.revision = format!("{:016x}", hash.finish());
                }
                entry
            })
            .collect())
    }

    async fn fetch(&self, entry: &Entry) -> Result<Vec<u8>, StoreError> {
        let mut state = self.state();
        state.fetches += 1;
        if state.denied.contains(&entry.key) {
            return Err(StoreError::Denied {
                call: "s3:GetObject".to_owned(),
                what: entry.key.clone(),
                message: "scripted".to_owned(),
            });
        }
        let gone = || StoreError::Gone { key: entry.key.clone() };
        let versions = state.documents.get(&entry.key).ok_or_else(gone)?;
        let number = usize::try_from(entry.generation).expect("small") - 1;
        let body = versions.get(number).cloned().ok_or_else(gone)?;
        if body.len() as u64 > DOCUMENT_LIMIT {
            return Err(StoreError::TooLarge {
                what: entry.key.clone(),
                bytes: body.len() as u64,
                limit: DOCUMENT_LIMIT,
            });
        }
        Ok(body)
    }

    async fn history(&self, current: &Entry) -> Result<Vec<Entry>, StoreError> {
        let state = self.state();
        let number = usize::try_from(current.generation).expect("small");
        let older = if state.keeps_history { 1..number } else { 1..1 };
        Ok(older.rev().map(|version| entry(&current.key, version, true)).collect())
    }

    async fn put(&self, stem: &str, body: &[u8], _over: Option<&Entry>) -> Result<Entry, StoreError> {
        let key = format!("{stem}.yaml");
        self.write(&key, std::str::from_utf8(body).expect("text"));
        let versions = self.state().documents[&key].len();
        Ok(entry(&key, versions, false))
    }

    async fn read_status(&self, stem: &str) -> Result<Option<StoredStatus>, StoreError> {
        self.hang().await;
        let state = self.state();
        if state.status_fails {
            return Err(self.fail("read status"));
        }
        Ok(state.statuses.get(stem).map(|(version, body)| StoredStatus {
            body: body.clone(),
            tag: version.to_string(),
        }))
    }

    async fn write_status(&self, stem: &str, body: &[u8], expect: &Expect) -> Result<Written, StoreError> {
        self.hang().await;
        let mut state = self.state();
        if state.status_fails {
            return Err(self.fail("write status"));
        }
        if state.rivals > 0 {
            state.rivals -= 1;
            let slot = state.statuses.entry(stem.to_owned()).or_insert((0, b"{}".to_vec()));
            slot.0 += 100;
        }
        let now = state.statuses.get(stem).map(|(version, _)| *version);
        let fits = match expect {
            Expect::Absent => now.is_none(),
            Expect::Tag(tag) => now.is_some_and(|now| now.to_string() == *tag),
        };
        if !fits {
            return Ok(Written::Conflict);
        }
        let version = now.unwrap_or(0) + 1;
        state.statuses.insert(stem.to_owned(), (version, body.to_vec()));
        state.writes += 1;
        Ok(Written::Yes(version.to_string()))
    }

    fn status_limit(&self) -> usize {
        64 * 1024
    }
}
