//! What the engine publishes: the state of every store and document, for whoever only looks.

use crate::report::PAUSED;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use valkeep_core::{ConditionType, Timestamp};
use valkeep_document::status::Status;
use valkeep_plan::assess::OBSERVING;
use valkeep_store::{LeaseUrl, StoreUrl};

/// One object in one store. Ordered by store as given, then by key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentKey {
    /// Index of the store, in the order in which stores were given.
    pub store: usize,
    /// The store's own key of the object.
    pub key: Arc<str>,
}

impl fmt::Display for DocumentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { store, key } = self;
        write!(f, "{store}:{key}")
    }
}

/// Everything there is to see, now.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Where several valkeeps share one; none for one that is alone.
    pub lease: Option<LeaseState>,
    /// In the order in which they were given.
    pub stores: Vec<StoreState>,
    /// Every document that is known.
    pub documents: BTreeMap<DocumentKey, Arc<DocumentState>>,
}

impl Snapshot {
    /// Whether this valkeep may change things.
    pub fn leads(&self) -> bool {
        self.lease.as_ref().is_none_or(|lease| lease.leadership.leads())
    }

    /// Whether every store was listed at the last try, and every document of theirs is ready or stalled.
    pub fn is_settled(&self) -> bool {
        self.stores
            .iter()
            .all(|store| store.listed_at.is_some() && store.trouble.is_none())
            && self
                .documents
                .values()
                .all(|document| document.standing != Standing::Working)
    }
}

/// The lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseState {
    /// Which.
    pub url: LeaseUrl,
    /// Who leads.
    pub leadership: Leadership,
    /// Why it cannot be used.
    pub trouble: Option<StoreTrouble>,
}

/// Who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leadership {
    /// Not known yet.
    Unknown,
    /// This valkeep.
    Leading {
        /// Since when.
        since: Timestamp,
    },
    /// Another one. Until that changes this one looks at nothing but the lease.
    Following {
        /// Its process.
        holder: String,
        /// Where it runs.
        host: String,
    },
}

impl Leadership {
    /// Whether it is this valkeep.
    pub fn leads(&self) -> bool {
        matches!(self, Leadership::Leading { .. })
    }
}

/// One store.
#[derive(Debug, Clone)]
pub struct StoreState {
    /// Which.
    pub url: StoreUrl,
    /// When it was last listed.
    pub listed_at: Option<Timestamp>,
    /// Documents in the last listing.
    pub documents: usize,
    /// Why the last try to list it failed; what was known before stays in force.
    pub trouble: Option<StoreTrouble>,
}

/// A store that cannot be listed, or a lease that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreTrouble {
    /// Since when.
    pub since: Timestamp,
    /// The last error.
    pub message: String,
}

/// One document.
#[derive(Debug, Clone)]
pub struct DocumentState {
    /// `metadata.name`, or the object's stem where there is no readable name.
    pub name: String,
    /// Where it lies.
    pub store: StoreUrl,
    /// The whole key in the store.
    pub key: Arc<str>,
    /// Of the current version.
    pub revision: String,
    /// Of the current version.
    pub generation: i64,
    /// In one word.
    pub standing: Standing,
    /// As it was built last; the store has the same unless [`DocumentState::unwritten`] says why not.
    pub status: Arc<Status>,
    /// Why the last status could not be written.
    pub unwritten: Option<String>,
}

/// How a document stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its current version is Ready, or deleted if it asks for that.
    Ready,
    /// A person is needed.
    Stalled,
    /// Its mode says that nothing is done: `Observe` with differences, or `Paused`.
    Idle,
    /// None of these, yet.
    Working,
}

impl Standing {
    /// By the status's own conditions.
    pub fn of(status: &Status) -> Self {
        if status.is(ConditionType::Stalled) {
            Standing::Stalled
        } else if status.is(ConditionType::Ready) || status.is(ConditionType::Deleted) {
            Standing::Ready
        } else if status
            .condition(ConditionType::Reconciling)
            .is_some_and(|condition| [OBSERVING, PAUSED].contains(&condition.reason.as_str()))
        {
            Standing::Idle
        } else {
            Standing::Working
        }
    }
}
