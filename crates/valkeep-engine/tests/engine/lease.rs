//! A lease in memory, and the wire of each one who looks at it.

use async_trait::async_trait;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use valkeep_store::{Expect, LeaseError, LeaseRecord, LeaseStore, LeaseUrl, StoredLease, Written};

#[derive(Default)]
pub(crate) struct LeaseState {
    pub(crate) object: Option<StoredLease>,
    /// Who wrote: the record's holder, with whether it was given up.
    pub(crate) written: Vec<(String, bool)>,
    pub(crate) reads: u64,
}

/// One object for all, and what is wrong with this one's way to it.
#[derive(Clone)]
pub(crate) struct MemoryLease {
    url: LeaseUrl,
    state: Arc<Mutex<LeaseState>>,
    wire: Arc<Mutex<Wire>>,
}

#[derive(Default)]
struct Wire {
    cut: bool,
    lose_answers: u32,
    denied: bool,
}

impl MemoryLease {
    pub(crate) fn new() -> Self {
        Self {
            url: "s3://docs/one-status/.lease".parse().expect("good"),
            state: Arc::default(),
            wire: Arc::default(),
        }
    }

    /// The same object over a wire of its own.
    pub(crate) fn another(&self) -> Self {
        Self {
            wire: Arc::default(),
            ..self.clone()
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, LeaseState> {
        self.state.lock().expect("no panic inside")
    }

    /// Who holds it.
    pub(crate) fn holder(&self) -> Option<String> {
        let record = self.state().object.clone()?.record?;
        (!record.released).then_some(record.holder)
    }

    /// Nothing arrives any more, or all does again.
    pub(crate) fn cut(&self, cut: bool) {
        self.wire.lock().expect("no panic inside").cut = cut;
    }

    /// So many writes are done and not answered.
    pub(crate) fn lose_answers(&self, answers: u32) {
        self.wire.lock().expect("no panic inside").lose_answers = answers;
    }

    pub(crate) fn deny(&self, denied: bool) {
        self.wire.lock().expect("no panic inside").denied = denied;
    }

    async fn call(&self, name: &str) -> Result<(), LeaseError> {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let (cut, denied) = {
            let wire = self.wire.lock().expect("no panic inside");
            (wire.cut, wire.denied)
        };
        if cut {
            std::future::pending::<()>().await;
        }
        if denied {
            return Err(LeaseError::Denied {
                call: name.to_owned(),
                url: self.url.clone(),
                message: "AccessDenied: scripted".to_owned(),
            });
        }
        Ok(())
    }
}

#[async_trait]
impl LeaseStore for MemoryLease {
    fn url(&self) -> &LeaseUrl {
        &self.url
    }

    async fn read(&self) -> Result<Option<StoredLease>, LeaseError> {
        self.call("s3:GetObject").await?;
        let mut state = self.state();
        state.reads += 1;
        Ok(state.object.clone())
    }

    async fn write(&self, record: &LeaseRecord, expect: &Expect) -> Result<Written, LeaseError> {
        self.call("s3:PutObject").await?;
        let written = {
            let mut state = self.state();
            let fits = match (expect, &state.object) {
                (Expect::Absent, None) => true,
                (Expect::Tag(tag), Some(object)) => *tag == object.tag,
                (Expect::Absent, Some(_)) | (Expect::Tag(_), None) => false,
            };
            if fits {
                state.written.push((record.holder.clone(), record.released));
                let tag = format!("t{}", state.written.len());
                state.object = Some(StoredLease {
                    tag: tag.clone(),
                    record: Some(record.clone()),
                });
                Written::Yes(tag)
            } else {
                Written::Conflict
            }
        };
        let lost = {
            let mut wire = self.wire.lock().expect("no panic inside");
            let lost = wire.lose_answers > 0;
            wire.lose_answers = wire.lose_answers.saturating_sub(1);
            lost
        };
        if lost {
            std::future::pending::<()>().await;
        }
        Ok(written)
    }
}
