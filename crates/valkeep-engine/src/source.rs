//! Polls one store: what is listed, what changed, what it means.
//!
//! A listing that fails says nothing about any document: everything known stays in force. A body that cannot be read
//! concerns that document only. It must not know what converging means.

use crate::settings::DOCUMENTS_MAX;
use crate::snapshot::DocumentKey;
use crate::table::{Good, Known, Read, Table};
use futures_util::StreamExt;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::{debug, info, warn};
use valkeep_core::Scope;
use valkeep_document::{Finding, Findings, read, readable_name};
use valkeep_store::{DocumentStore, Entry, StoreError};

/// Bodies read at the same time: 16 of 1 MiB at most.
const FETCHES: usize = 16;
/// For one call of a store. A listing of 10,000 keys is ten calls of S3 behind it, each with its own shorter bounds.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Versions looked through for a good one, as many as a store's history tells.
const HISTORY_MAX: usize = 10;

/// One store, polled.
pub(crate) struct Source {
    pub(crate) index: usize,
    pub(crate) store: Arc<dyn DocumentStore>,
    pub(crate) scope: Arc<Scope>,
}

/// What one poll brought, to be taken over by [`Table::update`].
#[derive(Debug)]
pub(crate) struct Polled {
    pub(crate) present: BTreeSet<Arc<str>>,
    pub(crate) read: Vec<(DocumentKey, Known)>,
}

impl Source {
    /// Lists the store and reads what changed since `table`. Fails only as a whole, when the listing does.
    pub(crate) async fn poll(&self, table: &Mutex<Table>) -> Result<Polled, StoreError> {
        let mut entries = self.bounded("list", self.store.list()).await?;
        entries.sort_by(|one, two| one.key.cmp(&two.key));
        entries.dedup_by(|one, two| one.key == two.key);
        if entries.len() > DOCUMENTS_MAX {
            warn!(
                store = %self.store.url(),
                documents = entries.len(),
                left_alone = entries.len() - DOCUMENTS_MAX,
                first_left_alone = entries[DOCUMENTS_MAX].key,
                "the store holds more documents than are looked after"
            );
        }
        // Those beyond the bound are present all the same: going over it must not look like their removal.
        let present: BTreeSet<Arc<str>> = entries.iter().map(|entry| Arc::from(entry.key.as_str())).collect();
        entries.truncate(DOCUMENTS_MAX);
        let todo: Vec<(DocumentKey, Entry, Option<Known>)> = {
            let table = table.lock().unwrap_or_else(PoisonError::into_inner);
            entries
                .into_iter()
                .filter_map(|entry| {
                    let key = DocumentKey {
                        store: self.index,
                        key: Arc::from(entry.key.as_str()),
                    };
                    let before = table.get(&key).cloned();
                    let as_before = before.as_ref().is_some_and(|known| is_as_before(known, &entry));
                    (!as_before).then_some((key, entry, before))
                })
                .collect()
        };
        let read = futures_util::stream::iter(todo)
            .map(|(key, entry, before)| async move { self.look(key, entry, before).await })
            .buffer_unordered(FETCHES)
            .filter_map(|read| async move { read })
            .collect()
            .await;
        Ok(Polled { present, read })
    }

    /// Reads one document; none when that brought nothing new.
    async fn look(&self, key: DocumentKey, entry: Entry, before: Option<Known>) -> Option<(DocumentKey, Known)> {
        let same = before.as_ref().filter(|known| known.entry.revision == entry.revision);
        // Read already, and only the history could not be looked at.
        let current = match same.map(|known| known.current.clone()) {
            Some(current @ Read::Invalid { .. }) => current,
            _ => match self.bounded("fetch", self.store.fetch(&entry)).await {
                Ok(body) => self.interpret(&entry, body).await,
                Err(StoreError::Gone { .. }) => {
                    debug!(%key, "removed between listing and reading; the next listing tells");
                    return None;
                }
                // Trying again does not make it shorter: somebody has to.
                Err(StoreError::TooLarge { bytes, limit, .. }) => too_large(&entry, bytes, limit),
                Err(error) => Read::Unread(error.to_string()),
            },
        };
        let (good, history_done) = match &current {
            Read::Valid(desired) => (
                Some(Good {
                    revision: entry.revision.clone(),
                    desired: Arc::clone(desired),
                }),
                true,
            ),
            Read::Invalid { .. } => match before.as_ref().and_then(|known| known.good.clone()) {
                Some(good) => (Some(good), true),
                None => match self.last_good(&entry).await {
                    Ok(good) => (good, true),
                    Err(error) => {
                        warn!(%key, %error, "the document is not valid and its history cannot be read; it is tried again");
                        (None, false)
                    }
                },
            },
            Read::Unread(_) => (before.as_ref().and_then(|known| known.good.clone()), true),
        };
        let news = match (same.map(|known| &known.current), &current) {
            (Some(Read::Unread(old)), Read::Unread(new)) => old != new,
            (Some(Read::Invalid { .. }), Read::Invalid { .. }) => good.is_some() || history_done,
            _ => true,
        };
        if !news {
            return None;
        }
        tell(&key, &entry, &current, good.as_ref());
        let known = Known {
            entry,
            current,
            good,
            history_done,
        };
        Some((key, known))
    }

    /// The newest version before `entry` that is good.
    async fn last_good(&self, entry: &Entry) -> Result<Option<Good>, StoreError> {
        let history = self.bounded("history", self.store.history(entry)).await?;
        for older in history.into_iter().take(HISTORY_MAX) {
            let body = match self.bounded("fetch", self.store.fetch(&older)).await {
                Ok(body) => body,
                Err(StoreError::Gone { .. } | StoreError::TooLarge { .. }) => continue,
                Err(error) => return Err(error),
            };
            if let Read::Valid(desired) = self.interpret(&older, body).await {
                return Ok(Some(Good {
                    revision: older.revision,
                    desired,
                }));
            }
        }
        Ok(None)
    }

    /// Parsing 1 MiB of hostile YAML may take a second of one core: not on the loop's threads. A panic in it is a bug of
    /// ours that concerns this one document.
    async fn interpret(&self, entry: &Entry, body: Vec<u8>) -> Read {
        let scope = Arc::clone(&self.scope);
        let (file, generation) = (entry.key.clone(), entry.generation);
        let parsed = tokio::task::spawn_blocking(move || {
            match read(&file, &body).and_then(|document| document.desired(&scope, generation)) {
                Ok(desired) => Read::Valid(Arc::new(desired)),
                Err(findings) => Read::Invalid {
                    findings: Arc::new(findings),
                    name: readable_name(&body),
                },
            }
        });
        parsed.await.unwrap_or_else(|error| {
            tracing::error!(key = entry.key, %error, "reading the document panicked: a bug of valkeep");
            Read::Unread("reading it ended in a bug of valkeep; its log says more".to_owned())
        })
    }

    async fn bounded<T>(
        &self,
        call: &str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        tokio::time::timeout(CALL_TIMEOUT, work).await.unwrap_or_else(|_| {
            Err(StoreError::Failed {
                call: call.to_owned(),
                what: self.store.url().to_string(),
                message: format!("no answer within {} s", CALL_TIMEOUT.as_secs()),
            })
        })
    }
}

/// Nothing to read: the same version, read with success, and its history looked at where that was needed.
fn is_as_before(known: &Known, entry: &Entry) -> bool {
    known.entry.revision == entry.revision && known.history_done && !matches!(known.current, Read::Unread(_))
}

fn too_large(entry: &Entry, bytes: u64, limit: u64) -> Read {
    Read::Invalid {
        findings: Arc::new(Findings(vec![Finding {
            file: entry.key.clone(),
            line: 0,
            column: 0,
            path: String::new(),
            problem: format!("has {bytes} bytes, at most {limit} are taken"),
            instead: Some("a document is a few KB; check that this is one".to_owned()),
        }])),
        name: None,
    }
}

fn tell(key: &DocumentKey, entry: &Entry, current: &Read, good: Option<&Good>) {
    let (generation, revision) = (entry.generation, entry.revision.as_str());
    let in_force = good.map_or("nothing", |good| good.revision.as_str());
    match current {
        Read::Valid(desired) => info!(%key, document = desired.document, generation, revision, "document read"),
        Read::Invalid { findings, name } => warn!(
            %key,
            document = name.as_deref().unwrap_or(&entry.stem),
            generation,
            revision,
            in_force,
            findings = findings.0.len(),
            first = findings.0.first().map(ToString::to_string),
            "document is not valid"
        ),
        Read::Unread(error) => {
            warn!(%key, generation, revision, in_force, error, "document cannot be read; it is tried again");
        }
    }
}
