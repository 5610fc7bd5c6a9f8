//! The table of documents: which version of each is current, which is in force, and who is in whose way.
//!
//! Pure bookkeeping under one short lock; it must not know how documents are read or what converging means.

use crate::snapshot::DocumentKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use valkeep_core::{Desired, Identity};
use valkeep_document::Findings;
use valkeep_store::{Entry, StoreUrl};

/// What reading one version of a document brought.
#[derive(Debug, Clone)]
pub(crate) enum Read {
    /// A document without findings.
    Valid(Arc<Desired>),
    /// Something is wrong with it.
    Invalid {
        findings: Arc<Findings>,
        /// `metadata.name`, as far as it can be read.
        name: Option<String>,
    },
    /// The body could not be had.
    Unread(String),
}

/// A version without findings.
#[derive(Debug, Clone)]
pub(crate) struct Good {
    pub(crate) revision: String,
    pub(crate) desired: Arc<Desired>,
}

/// What is known of one document.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// The current version.
    pub(crate) entry: Entry,
    pub(crate) current: Read,
    /// The newest good version that was seen: the current one, if that is good.
    pub(crate) good: Option<Good>,
    /// The store's history needs no more looking at for this version.
    pub(crate) history_done: bool,
}

/// What a pass works on.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) entry: Entry,
    /// `metadata.name`, or the stem.
    pub(crate) name: String,
    /// What its status is called; none where another document's status has both of its names.
    pub(crate) status_name: Option<String>,
    pub(crate) validity: Validity,
    pub(crate) work: Work,
}

impl View {
    /// Whether what was said on `other` can be said on this.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        let kinds = |view: &Self| {
            (
                std::mem::discriminant(&view.work),
                std::mem::discriminant(&view.validity),
            )
        };
        self.entry.revision == other.entry.revision
            && self.status_name == other.status_name
            && kinds(self) == kinds(other)
    }
}

/// Whether the current version is a good one.
#[derive(Debug, Clone)]
pub(crate) enum Validity {
    Valid,
    Invalid(Arc<Findings>),
    Unread(String),
}

/// What is to be done for a document.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// Keep this version true.
    Converge(Good),
    /// Nothing may be touched, because another document wants the same.
    Conflict(String),
    /// Nothing can be done: there is no good version.
    Nothing,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Table {
    known: BTreeMap<DocumentKey, Known>,
    conflicts: BTreeMap<DocumentKey, String>,
    status_names: BTreeMap<DocumentKey, String>,
}

/// Which keys are to be looked at, and which went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) nudge: BTreeSet<DocumentKey>,
    pub(crate) gone: Vec<(DocumentKey, String)>,
}

impl Table {
    pub(crate) fn get(&self, key: &DocumentKey) -> Option<&Known> {
        self.known.get(key)
    }

    /// Takes over one listing of one store: `present` are all keys listed, `read` what was read of those that changed.
    pub(crate) fn update(
        &mut self,
        store: usize,
        urls: &[StoreUrl],
        present: &BTreeSet<Arc<str>>,
        read: Vec<(DocumentKey, Known)>,
    ) -> Changes {
        let mut changes = Changes::default();
        let gone: Vec<DocumentKey> = self
            .known
            .keys()
            .filter(|key| key.store == store && !present.contains(&key.key))
            .cloned()
            .collect();
        for key in gone {
            if let Some(known) = self.known.remove(&key) {
                let name = name(&known);
                changes.gone.push((key, name));
            }
        }
        for (key, known) in read {
            changes.nudge.insert(key.clone());
            self.known.insert(key, known);
        }
        let conflicts = self.find_conflicts(urls);
        for key in self.known.keys() {
            if conflicts.get(key) != self.conflicts.get(key) {
                changes.nudge.insert(key.clone());
            }
        }
        self.conflicts = conflicts;
        self.status_names = self.assign_status_names();
        changes
    }

    /// What a pass of this document works on; none when it is not there any more.
    pub(crate) fn view(&self, key: &DocumentKey) -> Option<View> {
        let known = self.known.get(key)?;
        Some(View {
            entry: known.entry.clone(),
            name: name(known),
            status_name: self.status_names.get(key).cloned(),
            validity: match &known.current {
                Read::Valid(_) => Validity::Valid,
                Read::Invalid { findings, .. } => Validity::Invalid(Arc::clone(findings)),
                Read::Unread(message) => Validity::Unread(message.clone()),
            },
            work: match (self.conflicts.get(key), &known.good) {
                (Some(message), _) => Work::Conflict(message.clone()),
                (None, Some(good)) => Work::Converge(good.clone()),
                (None, None) => Work::Nothing,
            },
        })
    }

    /// Only versions in force count: what is not in force touches nothing and must not disturb others.
    fn find_conflicts(&self, urls: &[StoreUrl]) -> BTreeMap<DocumentKey, String> {
        let mut names: BTreeMap<&str, Vec<&DocumentKey>> = BTreeMap::new();
        let mut targets: BTreeMap<&Identity, Vec<&DocumentKey>> = BTreeMap::new();
        for (key, known) in &self.known {
            if let Some(good) = &known.good {
                names.entry(&good.desired.document).or_default().push(key);
                targets.entry(&good.desired.identity).or_default().push(key);
            }
        }
        let places = |keys: &[&DocumentKey]| {
            keys.iter()
                .map(|key| match urls.get(key.store) {
                    Some(url) => format!("{} in {url}", key.key),
                    None => key.key.to_string(),
                })
                .collect::<Vec<_>>()
                .join(" and ")
        };
        let mut conflicts = BTreeMap::new();
        for (target, keys) in targets.into_iter().filter(|(_, keys)| keys.len() > 1) {
            let message = format!(
                "{} all mean the service {}/{}, so none of them is followed until one is left",
                places(&keys),
                target.cluster,
                target.service
            );
            conflicts.extend(keys.into_iter().map(|key| (key.clone(), message.clone())));
        }
        for (name, keys) in names.into_iter().filter(|(_, keys)| keys.len() > 1) {
            let message = format!(
                "{} all have the name `{name}`, so none of them is followed until one is left",
                places(&keys)
            );
            // The target is the graver one and said first.
            for key in keys {
                conflicts.entry(key.clone()).or_insert_with(|| message.clone());
            }
        }
        conflicts
    }

    /// A status is called as its document; where two claim one name, what is in force goes first, and the other's is
    /// called by its stem. No two statuses of one store ever have one name.
    fn assign_status_names(&self) -> BTreeMap<DocumentKey, String> {
        let mut taken: BTreeSet<(usize, String)> = BTreeSet::new();
        let mut names = BTreeMap::new();
        let in_force = self.known.iter().filter(|(_, known)| known.good.is_some());
        let others = self.known.iter().filter(|(_, known)| known.good.is_none());
        let by_name = in_force.chain(others);
        for (key, known) in by_name.clone() {
            let name = name(known);
            if taken.insert((key.store, name.clone())) {
                names.insert(key.clone(), name);
            }
        }
        for (key, known) in by_name {
            let stem = known.entry.stem.clone();
            if !names.contains_key(key) && taken.insert((key.store, stem.clone())) {
                names.insert(key.clone(), stem);
            }
        }
        names
    }
}

/// Its own name where one can be read, else the stem. What is in force keeps its name, so that its status stays where
/// readers look for it.
fn name(known: &Known) -> String {
    let own = match (&known.good, &known.current) {
        (Some(good), _) => Some(good.desired.document.clone()),
        (None, Read::Invalid { name, .. }) => name.clone(),
        (None, Read::Valid(desired)) => Some(desired.document.clone()),
        (None, Read::Unread(_)) => None,
    };
    own.unwrap_or_else(|| known.entry.stem.clone())
}
