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
    /// The last good version asks for its deletion, and the current one cannot be understood. Who changed it may have
    /// wanted to take that back, so nothing is done.
    Spare,
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

    /// Account and region of what a document means: what is slow for one of them is slow for all, and for no other.
    pub(crate) fn lane(&self, key: &DocumentKey) -> Arc<str> {
        let good = self.known.get(key).and_then(|known| known.good.as_ref());
        good.map_or(Arc::from(""), |good| {
            let Identity { account, region, .. } = &good.desired.identity;
            Arc::from(format!("{account} {region}"))
        })
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
                (None, Some(good)) if good.desired.deletion.is_some() && !matches!(known.current, Read::Valid(_)) => {
                    Work::Spare
                }
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
        for (directory, keys) in self.directories().into_iter().filter(|(_, keys)| keys.len() > 1) {
            let message = format!(
                "{} all mean {directory}, and two servers on one directory would take turns with one dump, so none of them is \
                 followed until one is left",
                places(&keys)
            );
            conflicts.extend(keys.into_iter().map(|key| (key.clone(), message.clone())));
        }
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

    /// Who means which directory, as far as the documents alone tell: by the access point that they take, or by a path on a
    /// file system that they take. Whatever else is shared is seen by the marks on AWS.
    fn directories(&self) -> BTreeMap<String, Vec<&DocumentKey>> {
        let mut directories: BTreeMap<String, Vec<&DocumentKey>> = BTreeMap::new();
        for (key, known) in &self.known {
            let Some(good) = &known.good else { continue };
            let (point, file_system) = (&good.desired.access_point, &good.desired.file_system);
            let directory = match (&point.taken, &file_system.taken) {
                (Some(id), _) => format!("the access point {id}"),
                (None, Some(id)) => format!("the directory {} of {id}", point.path),
                (None, None) => continue,
            };
            directories.entry(directory).or_default().push(key);
        }
        directories
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

#[cfg(test)]
mod tests {
    use super::*;
    use valkeep_core::Scope;

    fn key(key: &str) -> DocumentKey {
        DocumentKey {
            store: 0,
            key: Arc::from(key),
        }
    }

    fn good(name: &str, service: &str) -> Good {
        let text = format!(
            "apiVersion: valkeep.dev/v1alpha1\nkind: ValkeyPersistence\nmetadata: {{name: {name}}}\nspec:\n  cluster: c\n  \
             service: {{name: {service}, create: {{image: 'valkey/valkey:8.0', executionRoleArn: \
             'arn:aws:iam::123456789012:role/x'}}}}\n  taskRole: {{name: t}}\n  network: {{vpcId: vpc-0a1b2c3d4e5f67890, \
             subnetIds: [subnet-0aaaaaaaaaaaaaaa1], taskSecurityGroupIds: [sg-0cccccccccccccccc]}}\n"
        );
        let scope = Scope {
            partition: "aws".to_owned(),
            account: "123456789012".to_owned(),
            region: "eu-west-1".to_owned(),
            installation: "default".to_owned(),
            dns_grace_s: 90,
            limits: valkeep_core::Limits::default(),
        };
        let document = valkeep_document::read("test", text.as_bytes()).expect("valid");
        Good {
            revision: "v1".to_owned(),
            desired: Arc::new(document.desired(&scope, 1).expect("valid")),
        }
    }

    fn known(stem: &str, current: Read, good: Option<Good>) -> Known {
        Known {
            entry: Entry {
                key: stem.to_owned(),
                stem: stem.to_owned(),
                revision: "v1".to_owned(),
                generation: 1,
                historic: false,
            },
            current,
            good,
            history_done: true,
        }
    }

    fn valid(stem: &str, name: &str, service: &str) -> (DocumentKey, Known) {
        let good = good(name, service);
        let current = Read::Valid(Arc::clone(&good.desired));
        (key(stem), known(stem, current, Some(good)))
    }

    fn invalid(stem: &str, name: Option<&str>) -> (DocumentKey, Known) {
        let current = Read::Invalid {
            findings: Arc::new(Findings(Vec::new())),
            name: name.map(str::to_owned),
        };
        (key(stem), known(stem, current, None))
    }

    /// Takes over a listing of exactly these.
    fn update(table: &mut Table, documents: Vec<(DocumentKey, Known)>) -> Changes {
        let urls = ["s3://docs/x/".parse().expect("a store")];
        let present = documents.iter().map(|(key, _)| Arc::clone(&key.key)).collect();
        table.update(0, &urls, &present, documents)
    }

    fn names(table: &Table) -> Vec<(String, Option<String>)> {
        let keys = table.known.keys();
        keys.map(|key| (key.key.to_string(), table.view(key).expect("known").status_name))
            .collect()
    }

    #[test]
    fn what_is_not_listed_any_more_is_gone_and_nothing_else_is() {
        let mut table = Table::default();
        update(&mut table, vec![valid("a", "a", "a"), valid("b", "b", "b")]);
        let changes = update(&mut table, vec![valid("b", "b", "b")]);
        assert_eq!(changes.gone, [(key("a"), "a".to_owned())]);
        assert!(table.view(&key("b")).is_some());
    }

    #[test]
    fn another_stores_listing_says_nothing_of_this_ones() {
        let mut table = Table::default();
        update(&mut table, vec![valid("a", "a", "a")]);
        let changes = table.update(1, &[], &BTreeSet::new(), Vec::new());
        assert_eq!(changes, Changes::default());
    }

    #[test]
    fn a_conflict_concerns_all_of_its_documents_and_its_end_nudges_those_that_are_left() {
        let mut table = Table::default();
        update(
            &mut table,
            vec![valid("a", "a", "same"), valid("b", "b", "same"), valid("c", "c", "c")],
        );
        let is_held =
            |table: &Table, name: &str| matches!(table.view(&key(name)).expect("known").work, Work::Conflict(_));
        assert!(is_held(&table, "a") && is_held(&table, "b") && !is_held(&table, "c"));
        let present = [Arc::from("a"), Arc::from("c")].into();
        let changes = table.update(0, &[], &present, Vec::new());
        assert_eq!(changes.nudge, [key("a")].into());
        assert!(!is_held(&table, "a"));
    }

    #[test]
    fn no_two_statuses_have_one_name() {
        let mut table = Table::default();
        let documents = vec![
            valid("x", "cache", "one"),
            valid("y", "cache", "two"),
            invalid("cache", Some("cache")),
            invalid("z", None),
        ];
        update(&mut table, documents);
        let expected = [
            ("cache", None),
            ("x", Some("cache")),
            ("y", Some("y")),
            ("z", Some("z")),
        ];
        let expected = expected.map(|(key, name)| (key.to_owned(), name.map(str::to_owned)));
        assert_eq!(names(&table), expected);
    }

    #[test]
    fn only_the_current_version_can_ask_for_a_deletion() {
        let mut table = Table::default();
        let (key, mut document) = valid("a", "cache", "one");
        let mut asking = document.good.take().expect("good");
        Arc::make_mut(&mut asking.desired).deletion = Some(valkeep_core::desired::Deletion { without_backup: true });
        document.current = Read::Valid(Arc::clone(&asking.desired));
        document.good = Some(asking);
        update(&mut table, vec![(key.clone(), document.clone())]);
        assert!(matches!(table.view(&key).expect("known").work, Work::Converge(_)));
        for unclear in [invalid("a", None).1.current, Read::Unread("denied".to_owned())] {
            document.current = unclear;
            update(&mut table, vec![(key.clone(), document.clone())]);
            assert!(matches!(table.view(&key).expect("known").work, Work::Spare));
        }
    }

    #[test]
    fn an_invalid_version_keeps_the_name_of_the_one_in_force() {
        let mut table = Table::default();
        let (key, mut document) = valid("a", "cache", "one");
        document.current = invalid("a", Some("other")).1.current;
        update(&mut table, vec![(key.clone(), document)]);
        let view = table.view(&key).expect("known");
        assert_eq!(view.status_name.as_deref(), Some("cache"));
        assert!(matches!(
            (view.validity, view.work),
            (Validity::Invalid(_), Work::Converge(_))
        ));
    }
}
