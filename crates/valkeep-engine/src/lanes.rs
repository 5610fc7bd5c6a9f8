//! Who is next: ready keys by lane, so that a lane in which everything is slow cannot take every place.
//!
//! A lane is an AWS account and region: what is throttled there is throttled for all of its documents and for no other's.
//! Within a lane it is first in, first out. Pure bookkeeping: it knows keys and lanes, and runs nothing.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use tokio::time::Instant;

/// See the module.
#[derive(Debug)]
pub(crate) struct Lanes<K> {
    lanes: BTreeMap<Arc<str>, Lane<K>>,
    of: HashMap<K, Arc<str>>,
}

#[derive(Debug)]
struct Lane<K> {
    ready: VecDeque<(K, Instant)>,
    running: usize,
    /// Keys that are known, whatever they do. A lane without any is forgotten.
    members: usize,
    /// The run that ended last failed.
    fails: bool,
}

impl<K> Default for Lanes<K> {
    fn default() -> Self {
        Self {
            lanes: BTreeMap::new(),
            of: HashMap::new(),
        }
    }
}

impl<K> Default for Lane<K> {
    fn default() -> Self {
        Self {
            ready: VecDeque::new(),
            running: 0,
            members: 0,
            fails: false,
        }
    }
}

impl<K: Hash + Eq + Clone> Lanes<K> {
    /// To the tail of its lane. A key that runs must have ended before.
    pub(crate) fn push(&mut self, key: K, lane: Arc<str>, now: Instant) {
        if self.of.get(&key) != Some(&lane) {
            self.forget(&key);
            self.of.insert(key.clone(), Arc::clone(&lane));
            self.lanes.entry(Arc::clone(&lane)).or_default().members += 1;
        }
        self.lanes.entry(lane).or_default().ready.push_back((key, now));
    }

    /// The next to start: of the lane that runs fewest, the oldest first among equals. None when nothing may start.
    pub(crate) fn pop(&mut self, concurrency: usize) -> Option<K> {
        let running: usize = self.lanes.values().map(|lane| lane.running).sum();
        if running >= concurrency {
            return None;
        }
        let alone = self.lanes.len() < 2;
        let next = self
            .lanes
            .values_mut()
            .filter(|lane| alone || lane.running < lane.most(concurrency))
            .filter_map(|lane| Some(((lane.running, lane.ready.front()?.1), lane)))
            .min_by_key(|(rank, _)| *rank);
        let (_, lane) = next?;
        lane.running += 1;
        lane.ready.pop_front().map(|(key, _)| key)
    }

    /// A key that was popped has run.
    pub(crate) fn ended(&mut self, key: &K, failed: bool) {
        if let Some(lane) = self.of.get(key).and_then(|lane| self.lanes.get_mut(lane)) {
            lane.running -= 1;
            lane.fails = failed;
        }
    }

    /// A key that is not ready and does not run will not come again.
    pub(crate) fn forget(&mut self, key: &K) {
        let Some(name) = self.of.remove(key) else { return };
        if let Some(lane) = self.lanes.get_mut(&name) {
            lane.members -= 1;
            if lane.members == 0 {
                self.lanes.remove(&name);
            }
        }
    }

    /// Ready keys.
    pub(crate) fn len(&self) -> usize {
        self.lanes.values().map(|lane| lane.ready.len()).sum()
    }

    /// Drops every ready key.
    pub(crate) fn clear(&mut self) {
        self.lanes.values_mut().for_each(|lane| lane.ready.clear());
    }

    /// Since when the oldest ready key waits.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.lanes.values().filter_map(|lane| Some(lane.ready.front()?.1)).min()
    }
}

impl<K> Lane<K> {
    /// The most runs of a lane while there are others: of eight, six, and one where the last one failed, which is how it
    /// looks where AWS throttles, denies or does not answer. So one slow account leaves two places at once and seven soon.
    fn most(&self, concurrency: usize) -> usize {
        let most = if self.fails {
            concurrency / 8
        } else {
            concurrency - (concurrency / 4).max(1).min(concurrency)
        };
        most.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(ready: &[(&'static str, &str)]) -> Lanes<&'static str> {
        let mut lanes = Lanes::default();
        for (key, lane) in ready {
            lanes.push(*key, Arc::from(*lane), Instant::now());
        }
        lanes
    }

    fn start(lanes: &mut Lanes<&'static str>, concurrency: usize) -> Vec<&'static str> {
        std::iter::from_fn(|| lanes.pop(concurrency)).collect()
    }

    #[test]
    fn a_lane_alone_takes_every_place() {
        let mut lanes = lanes(&[("a1", "a"), ("a2", "a"), ("a3", "a")]);
        assert_eq!(start(&mut lanes, 2), ["a1", "a2"]);
        lanes.ended(&"a1", true);
        assert_eq!(start(&mut lanes, 2), ["a3"]);
    }

    #[test]
    fn lanes_take_turns() {
        let mut lanes = lanes(&[("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c")]);
        assert_eq!(start(&mut lanes, 4), ["a1", "b1", "c1", "a2"]);
    }

    #[test]
    fn a_lane_leaves_places_for_the_others_that_there_are() {
        let keys: Vec<&'static str> = vec!["1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let mut lanes = lanes(&[("b1", "b")]);
        assert_eq!(start(&mut lanes, 8), ["b1"]);
        lanes.ended(&"b1", false);
        for key in keys {
            lanes.push(key, Arc::from("a"), Instant::now());
        }
        assert_eq!(
            start(&mut lanes, 8).len(),
            6,
            "b has nothing to do, and could have at any time"
        );
        lanes.forget(&"b1");
        assert_eq!(start(&mut lanes, 8).len(), 2, "now a is alone");
    }

    #[test]
    fn a_lane_that_fails_runs_one_at_a_time_until_one_succeeds() {
        let mut lanes = lanes(&[("a1", "a"), ("b1", "b"), ("a2", "a"), ("a3", "a"), ("a4", "a")]);
        assert_eq!(lanes.pop(2), Some("a1"));
        lanes.ended(&"a1", true);
        assert_eq!(start(&mut lanes, 8), ["b1", "a2"]);
        lanes.ended(&"a2", false);
        assert_eq!(start(&mut lanes, 8), ["a3", "a4"]);
    }

    #[test]
    fn a_key_may_change_its_lane() {
        let mut lanes = lanes(&[("a1", "a")]);
        assert_eq!(lanes.pop(8), Some("a1"));
        lanes.ended(&"a1", false);
        lanes.push("a1", Arc::from("b"), Instant::now());
        assert_eq!(lanes.lanes.len(), 1);
        assert_eq!((lanes.pop(8), lanes.len()), (Some("a1"), 0));
    }
}
