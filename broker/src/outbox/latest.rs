//! The latest word about each key, in the order in which the keys came. Pure.
//!
//! Place: all that waits for another node is kept in it: `positions`, `answers` and `proposals`.
//!
//! Invariants: (1) one value a key: a newer one takes the place of the older one in the line, so that a key whose value
//! changes often is served as soon as any other; (2) so the size is bounded by the number of keys, however slow the peer.

use std::collections::{BTreeMap, VecDeque, btree_map::Entry};

/// Values that wait, one a key.
#[derive(Clone, Debug)]
pub struct Latest<K, V> {
    /// The keys of `values`, each once, oldest first.
    order: VecDeque<K>,
    values: BTreeMap<K, V>,
}

impl<K, V> Default for Latest<K, V> {
    fn default() -> Self {
        Self { order: VecDeque::new(), values: BTreeMap::new() }
    }
}

impl<K: Copy + Ord, V> Latest<K, V> {
    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Puts a value in, in place of an older one of its key.
    pub fn put(&mut self, key: K, value: V) {
        self.merge(key, value, |waiting, newer| *waiting = newer);
    }

    /// Puts a value in; `merge` decides what becomes of an older one of its key.
    pub fn merge(&mut self, key: K, value: V, merge: impl FnOnce(&mut V, V)) {
        match self.values.entry(key) {
            Entry::Occupied(mut waiting) => merge(waiting.get_mut(), value),
            Entry::Vacant(place) => {
                place.insert(value);
                self.order.push_back(key);
            }
        }
    }

    /// Takes values from the oldest key on, as long as `fits` says so.
    pub fn take_while(&mut self, mut fits: impl FnMut(&V) -> bool) -> Vec<(K, V)> {
        let mut taken = Vec::new();
        while let Some(key) = self.order.front().copied() {
            let Entry::Occupied(waiting) = self.values.entry(key) else { break };
            if !fits(waiting.get()) {
                break;
            }
            taken.push((key, waiting.remove()));
            self.order.pop_front();
        }
        taken
    }

    /// Takes everything, in the order of the keys.
    pub fn take_all(&mut self) -> BTreeMap<K, V> {
        self.order.clear();
        std::mem::take(&mut self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_value_takes_the_place_of_the_older_one_in_the_line() {
        let mut latest = Latest::default();
        for (key, value) in [(3, "a"), (1, "b"), (3, "c"), (2, "d")] {
            latest.put(key, value);
        }
        let mut left = 2;
        let two = latest.take_while(|_| {
            left -= 1;
            left >= 0
        });
        assert_eq!(two, [(3, "c"), (1, "b")]);
        latest.put(3, "e");
        assert_eq!(latest.take_while(|_| true), [(2, "d"), (3, "e")]);
        assert!(latest.is_empty());
    }

    #[test]
    fn what_is_taken_all_at_once_leaves_nothing_in_the_line() {
        let mut latest = Latest::default();
        latest.put(2, 10);
        latest.put(1, 20);
        latest.merge(2, 5, |waiting, newer| *waiting += newer);
        assert_eq!(latest.take_all(), BTreeMap::from([(1, 20), (2, 15)]));
        latest.put(1, 30);
        assert_eq!(latest.take_while(|_| true), [(1, 30)]);
    }
}
