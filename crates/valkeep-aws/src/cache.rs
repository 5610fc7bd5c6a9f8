//! What AWS never changes is read once per process: task-definition revisions, subnets, the VPC of a security group and
//! the file system of an access point.
//!
//! Only lookups; nothing iterates over these maps, so their order cannot leak into decisions.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use valkeep_core::ids::{AccessPointId, FileSystemId, SecurityGroupId, SubnetId, VpcId};
use valkeep_core::observed::{ObservedDefinition, Subnet};

/// Revisions kept. A revision takes about 3 KiB, so this is about 12 MiB: four revisions for each of 1,000 documents.
const DEFINITIONS_MAX: usize = 4_096;
/// Subnets kept; a VPC has at most 200 by default.
const SUBNETS_MAX: usize = 4_096;
/// Groups kept; a VPC has at most 2,500 by default.
const GROUPS_MAX: usize = 4_096;
/// Access points kept: one for each document that takes one by its id.
const ACCESS_POINTS_MAX: usize = 4_096;

/// Everything that is kept.
#[derive(Debug)]
pub(crate) struct Cache {
    /// Task definitions by ARN with revision. One for all places, so that it is bounded in all.
    pub(crate) definitions: Arc<Kept<String, ObservedDefinition>>,
    /// Subnets by id. Forgotten when AWS refuses one.
    pub(crate) subnets: Kept<SubnetId, Subnet>,
    /// The VPC of the groups that documents name. Forgotten when AWS refuses one.
    pub(crate) groups: Kept<SecurityGroupId, VpcId>,
    /// The file system of access points that documents name. Forgotten when it has no such access point any more.
    pub(crate) access_points: Kept<AccessPointId, FileSystemId>,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            definitions: Arc::new(Kept::new(DEFINITIONS_MAX)),
            subnets: Kept::new(SUBNETS_MAX),
            groups: Kept::new(GROUPS_MAX),
            access_points: Kept::new(ACCESS_POINTS_MAX),
        }
    }
}

impl Cache {
    /// A cache for another place. Zones have other names in other accounts, so subnets are not shared.
    pub(crate) fn beside(&self) -> Self {
        Self {
            definitions: Arc::clone(&self.definitions),
            subnets: Kept::new(SUBNETS_MAX),
            groups: Kept::new(GROUPS_MAX),
            access_points: Kept::new(ACCESS_POINTS_MAX),
        }
    }
}

/// A bounded map. When it is full it starts anew: that costs one more read each, and needs no bookkeeping.
#[derive(Debug)]
pub(crate) struct Kept<K, V> {
    map: Mutex<HashMap<K, V>>,
    most: usize,
}

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            map: Mutex::default(),
            most,
        }
    }

    /// What is kept under `key`.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.lock().get(key).cloned()
    }

    /// Keeps `value`.
    pub(crate) fn put(&self, key: K, value: V) {
        let mut map = self.lock();
        if map.len() >= self.most {
            map.clear();
        }
        map.insert(key, value);
    }

    /// Drops what is kept under `key`.
    pub(crate) fn forget(&self, key: &K) {
        self.lock().remove(key);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<K, V>> {
        // A panic elsewhere leaves the map whole: each change is one insert or remove.
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cache_starts_anew_and_stays_bounded() {
        let kept = Kept::new(2);
        for key in 0..5 {
            kept.put(key, key);
            assert_eq!(kept.get(&key), Some(key));
        }
        assert!(kept.lock().len() <= 2);
        kept.forget(&4);
        assert_eq!(kept.get(&4), None);
    }
}
