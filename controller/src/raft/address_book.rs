//! Under which address each controller of the membership is called. Pure: the time comes with each call.
//!
//! The membership names one address for each node id. A controller that came back under another one is not reached
//! there; it is looked for at the configured addresses, and called where it was found:
//!
//! ```text
//!   address of the membership ──(not reached for a while)──▶ lost ──(its node id answers elsewhere alone)──▶ found there
//!            ▲                                                                                                  │
//!            └──────────────(it answers at the membership's address, or is lost again and answers nowhere)──────┘
//! ```
//!
//! 1. **The membership first.** A node that answers at its address there is called there, wherever else its id answers; so
//!    one that is called elsewhere is asked for there again and again. No answer says little: it counts once it was missed
//!    [`ROUNDS`] times in a row.
//! 2. **By its own word alone.** Another address is used only once a node answered there with the wanted id; and every
//!    call names the node that it is meant for.
//! 3. **Two processes of one id** (a data folder was copied) are told, and the first rule chooses between them.
//! 4. **What was found counts for the address that it was found instead of.** Another address in the membership is newer:
//!    it is written only once the node answered there.

use std::collections::{BTreeMap, BTreeSet};

/// A controller that was not reached for this long is looked for, ms.
const LOOK_AFTER_MS: u64 = 1_000;
/// So many rounds of questions find nobody at the membership's address before another one is used.
const ROUNDS: u32 = 2;

/// A controller that answered at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// `host:port` that was asked.
    pub address: String,
    /// Raft id that it answered with.
    pub node_id: u64,
    /// Id of its process, random with each start; empty from a version that does not tell it.
    pub incarnation: Vec<u8>,
    /// Index of the last entry of its log.
    pub last_log: u64,
}

/// What a round of questions showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Learned {
    /// The node is called at another address than before.
    Moved {
        /// Raft id in the membership.
        node_id: u64,
        /// Address in the membership.
        listed: String,
        /// Where it is called from now on.
        address: String,
    },
    /// Different processes answer under one node id.
    Twice {
        /// Raft id in the membership.
        node_id: u64,
        /// Each address where one answers.
        addresses: Vec<String>,
    },
}

#[derive(Clone, Debug, Default)]
struct Entry {
    /// Address in the membership.
    listed: String,
    /// Where it was found, if that is another one.
    found: Option<String>,
    /// Since when no call reaches it, ms.
    unreached_since: Option<u64>,
    /// Rounds in a row in which it did not answer at the listed address.
    missed: u32,
    /// When a call reached it last at the listed address, ms.
    heard_listed: Option<u64>,
}

/// The addresses of the other controllers.
#[derive(Clone, Debug, Default)]
pub(super) struct AddressBook {
    entries: BTreeMap<u64, Entry>,
}

impl AddressBook {
    /// Takes over the membership: node ids with their addresses. Nodes that left it are forgotten.
    pub(super) fn follow(&mut self, members: &BTreeMap<u64, String>) {
        self.entries.retain(|id, _| members.contains_key(id));
        for (id, address) in members {
            self.list(*id, address);
        }
    }

    /// The membership names this address for the node.
    pub(super) fn list(&mut self, node_id: u64, address: &str) {
        let entry = self.entries.entry(node_id).or_default();
        if entry.listed != address {
            let unreached_since = entry.unreached_since;
            *entry = Entry { listed: address.to_owned(), unreached_since, ..Entry::default() };
        }
    }

    /// Where to call the node; `None` if it is not known.
    pub(super) fn address(&self, node_id: u64) -> Option<&str> {
        let entry = self.entries.get(&node_id)?;
        Some(entry.found.as_deref().unwrap_or(&entry.listed))
    }

    /// A call did not reach the node. True if the one before did.
    pub(super) fn failed(&mut self, node_id: u64, now_ms: u64) -> bool {
        let Some(entry) = self.entries.get_mut(&node_id) else { return false };
        let was_reached = entry.unreached_since.is_none();
        entry.unreached_since.get_or_insert(now_ms);
        was_reached
    }

    /// The node answered at this address. True if the call before did not reach it.
    pub(super) fn reached(&mut self, node_id: u64, address: &str, now_ms: u64) -> bool {
        let Some(entry) = self.entries.get_mut(&node_id) else { return false };
        if entry.listed == address {
            entry.missed = 0;
            entry.heard_listed = Some(now_ms);
        }
        entry.unreached_since.take().is_some()
    }

    /// When a call reached the node last at this address, if it is the membership's, ms; wherever it is called now.
    pub(super) fn heard_at(&self, node_id: u64, listed: &str) -> Option<u64> {
        self.entries.get(&node_id).filter(|entry| entry.listed == listed)?.heard_listed
    }

    /// The nodes that are lost.
    pub(super) fn lost(&self, now_ms: u64) -> BTreeSet<u64> {
        self.entries.iter().filter(|(_, entry)| is_lost(entry, now_ms)).map(|(id, _)| *id).collect()
    }

    /// The nodes to look for, with their addresses in the membership: those that are lost, and those that are called
    /// elsewhere. While another node leads (`led_by`) that one alone, for nobody else is called from here: it may have come
    /// back meanwhile, and is named to those who ask for it.
    pub(super) fn sought(&self, now_ms: u64, led_by: Option<u64>) -> BTreeMap<u64, String> {
        let is_sought = |id: &u64, entry: &Entry| match led_by {
            Some(leader) => *id == leader && entry.found.is_some(),
            None => entry.found.is_some() || is_lost(entry, now_ms),
        };
        let sought = self.entries.iter().filter(|(id, entry)| is_sought(id, entry));
        sought.map(|(id, entry)| (*id, entry.listed.clone())).collect()
    }

    /// Takes over who answered where in one round of questions, of the nodes that were `asked` for with their addresses in
    /// the membership, as far as they are still sought there.
    pub(super) fn learn(&mut self, asked: &BTreeMap<u64, String>, sightings: &[Sighting], now_ms: u64) -> Vec<Learned> {
        let mut learned = Vec::new();
        for (node_id, listed) in
            self.sought(now_ms, None).into_iter().filter(|(id, listed)| asked.get(id) == Some(listed))
        {
            let here: Vec<&Sighting> = sightings.iter().filter(|one| one.node_id == node_id).collect();
            let processes: BTreeSet<&Vec<u8>> = here.iter().map(|one| &one.incarnation).collect();
            if processes.len() > 1 {
                let addresses = here.iter().map(|one| one.address.clone()).collect();
                learned.push(Learned::Twice { node_id, addresses });
            }
            let is_listed = here.iter().any(|one| one.address == listed);
            let elsewhere = here.iter().map(|one| &one.address).min().filter(|_| !is_listed);
            let Some(entry) = self.entries.get_mut(&node_id) else { continue };
            entry.missed = if is_listed { 0 } else { entry.missed.saturating_add(1) };
            let stays = !is_listed && (!is_lost(entry, now_ms) || (elsewhere.is_some() && entry.missed < ROUNDS));
            if !stays && entry.found.as_ref() != elsewhere {
                entry.found = elsewhere.cloned();
                let address = entry.found.clone().unwrap_or_else(|| listed.clone());
                learned.push(Learned::Moved { node_id, listed, address });
            }
        }
        learned
    }
}

fn is_lost(entry: &Entry, now_ms: u64) -> bool {
    entry.unreached_since.is_some_and(|since| now_ms.saturating_sub(since) >= LOOK_AFTER_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> AddressBook {
        let mut book = AddressBook::default();
        book.follow(&BTreeMap::from([(2, "b".to_owned()), (3, "c".to_owned())]));
        book
    }

    fn sighting(address: &str, node_id: u64, process: u8) -> Sighting {
        Sighting { address: address.to_owned(), node_id, incarnation: vec![process], last_log: 0 }
    }

    /// A round that asked for all who were sought.
    fn learn(book: &mut AddressBook, sightings: &[Sighting], now_ms: u64) -> Vec<Learned> {
        let asked = book.sought(now_ms, None);
        book.learn(&asked, sightings, now_ms)
    }

    fn moved(node_id: u64, listed: &str, address: &str) -> Learned {
        Learned::Moved { node_id, listed: listed.to_owned(), address: address.to_owned() }
    }

    #[test]
    fn a_node_is_looked_for_only_once_it_was_not_reached_for_a_while() {
        let mut book = book();
        assert!(book.failed(3, 100) && !book.failed(3, 200), "the first failure is told apart");
        assert!(book.sought(100 + LOOK_AFTER_MS - 1, None).is_empty());
        assert_eq!(book.sought(100 + LOOK_AFTER_MS, None), BTreeMap::from([(3, "c".to_owned())]));
        assert!(book.reached(3, "c", 0) && !book.reached(3, "c", 0));
        assert!(book.sought(u64::MAX, None).is_empty());
        assert!(!book.failed(9, 0) && !book.reached(9, "c", 0), "a stranger");
    }

    /// Not reached, it answered at another address, and is called there.
    fn book_with_3_at_d() -> AddressBook {
        let mut book = book();
        book.failed(3, 0);
        let answers = [sighting("d", 3, 1), sighting("c", 2, 2)];
        assert_eq!(learn(&mut book, &answers, 5_000), [], "one answer that is missing may only be late");
        assert_eq!(learn(&mut book, &answers, 5_500), [moved(3, "c", "d")]);
        assert_eq!((book.address(3), book.address(2)), (Some("d"), Some("b")), "2 was not lost");
        book
    }

    #[test]
    fn a_node_is_called_where_its_id_answers_and_at_the_memberships_address_again_once_it_answers_there() {
        let mut book = book_with_3_at_d();
        assert_eq!(learn(&mut book, &[sighting("d", 3, 1)], 6_000), [], "nothing new");
        book.reached(3, "d", 6_000);
        assert_eq!(book.sought(u64::MAX, None).len(), 1, "it is reached, and still asked for where it should be");
        assert_eq!(learn(&mut book, &[], 7_000), [], "calls reach it");
        let both = [sighting("c", 3, 2), sighting("d", 3, 1)];
        let twice = Learned::Twice { node_id: 3, addresses: vec!["c".to_owned(), "d".to_owned()] };
        assert_eq!(learn(&mut book, &both, 8_000), [twice, moved(3, "c", "c")]);
        assert_eq!(book.address(3), Some("c"));
    }

    #[test]
    fn rounds_that_find_nobody_count_only_in_a_row() {
        let mut book = book();
        book.failed(3, 0);
        for (at, now) in [("d", 5_000), ("c", 6_000), ("d", 7_000)] {
            assert_eq!(learn(&mut book, &[sighting(at, 3, 1)], now), []);
        }
        assert_eq!(learn(&mut book, &[sighting("d", 3, 1)], 8_000), [moved(3, "c", "d")]);
    }

    #[test]
    fn what_was_missed_before_it_was_reached_or_listed_elsewhere_counts_no_more() {
        let mut book = book();
        for (reached, listed) in [(true, "c"), (false, "e")] {
            book.failed(3, 0);
            assert_eq!(learn(&mut book, &[sighting("d", 3, 1)], 5_000), []);
            if reached {
                book.reached(3, "c", 5_100);
            }
            book.list(3, listed);
            book.failed(3, 6_000);
            assert_eq!(learn(&mut book, &[sighting("d", 3, 1)], 8_000), [], "{reached} {listed}");
            book.reached(3, listed, 8_100);
        }
    }

    #[test]
    fn a_round_says_nothing_of_who_was_not_asked_for_in_it() {
        let mut book = book();
        book.failed(3, 0);
        for now in [5_000, 6_000] {
            assert_eq!(book.learn(&BTreeMap::new(), &[sighting("d", 3, 1)], now), []);
        }
        assert_eq!(book.lost(6_000), BTreeSet::from([3]));
    }

    #[test]
    fn one_that_answers_nowhere_is_called_at_the_memberships_address() {
        let mut book = book_with_3_at_d();
        assert_eq!(learn(&mut book, &[], 6_000), [moved(3, "c", "c")]);
        assert_eq!(book.address(3), Some("c"));
    }

    #[test]
    fn two_processes_of_one_id_are_told_and_the_membership_chooses() {
        let mut book = book();
        book.failed(3, 0);
        let both = [sighting("c", 3, 1), sighting("d", 3, 2)];
        let twice = Learned::Twice { node_id: 3, addresses: vec!["c".to_owned(), "d".to_owned()] };
        assert_eq!(learn(&mut book, &both, 5_000), [twice]);
        assert_eq!(book.address(3), Some("c"));
        let one_process = [sighting("c", 3, 1), sighting("d", 3, 1)];
        assert_eq!(learn(&mut book, &one_process, 5_000), []);
    }

    #[test]
    fn the_membership_is_followed() {
        let mut book = book_with_3_at_d();
        book.follow(&BTreeMap::from([(3, "d".to_owned())]));
        assert_eq!((book.address(2), book.address(3)), (None, Some("d")));
        book.list(3, "e");
        assert_eq!(book.address(3), Some("e"), "found at an address that was the membership's then");
    }

    #[test]
    fn another_address_in_the_membership_is_newer_than_what_was_found() {
        let mut book = book_with_3_at_d();
        book.list(3, "e");
        assert_eq!(book.address(3), Some("e"));
        assert_eq!(learn(&mut book, &[sighting("d", 3, 1)], 6_000), [], "and counts until it was missed there as well");
    }

    #[test]
    fn one_that_is_led_asks_where_its_leader_is_and_for_nobody_else() {
        let mut book = book_with_3_at_d();
        book.failed(2, 0);
        assert_eq!(book.sought(6_000, None).len(), 2);
        assert_eq!(book.sought(6_000, Some(2)), BTreeMap::new(), "the leader is where it should be");
        let asked = book.sought(6_000, Some(3));
        assert_eq!(asked, BTreeMap::from([(3, "c".to_owned())]));
        // It came back meanwhile.
        assert_eq!(book.learn(&asked, &[sighting("c", 3, 2)], 6_000), [moved(3, "c", "c")]);
        assert_eq!(book.sought(7_000, Some(3)), BTreeMap::new());
    }

    #[test]
    fn when_it_was_heard_at_the_memberships_address_is_known_wherever_it_is_called() {
        let mut book = book();
        assert_eq!(book.heard_at(3, "c"), None);
        book.reached(3, "c", 100);
        book.failed(3, 200);
        for now in [2_000, 2_500] {
            learn(&mut book, &[sighting("d", 3, 1)], now);
        }
        book.reached(3, "d", 3_000);
        assert_eq!((book.address(3), book.heard_at(3, "c")), (Some("d"), Some(100)));
        assert_eq!(book.heard_at(3, "d"), None, "not the membership's");
        book.list(3, "e");
        assert_eq!((book.heard_at(3, "e"), book.heard_at(3, "c")), (None, None));
    }
}
