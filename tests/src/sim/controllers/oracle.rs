//! What the controllers promised: an entry that was committed stays, and one leads at a time.
//!
//! A recovery begins an era of its own: what the controller held that was gone on with counts as committed in it, and what it
//! lacks is lost in the open. Those that were given up and never hear of it stay in theirs.

use std::collections::BTreeMap;

use holdfast_proto::refusal::Recovered;

use super::log::{Entry, LeaderId, Members, members_of, recovered_of};

/// All that was promised so far.
#[derive(Debug, Default)]
pub struct Oracle {
    /// By era: each committed entry, and the leadership in which it was.
    committed: BTreeMap<Recovered, Vec<(Entry, LeaderId)>>,
    /// Which start led under which id.
    leaders: BTreeMap<LeaderId, u64>,
    /// How far what a start told was compared.
    compared: BTreeMap<u64, usize>,
}

impl Oracle {
    /// A log is committed as it stands: the first one, or that of the controller that goes on.
    pub fn begins(&mut self, log: &[Entry]) {
        let era = recovered_of(log).expect("a log that is gone on with is not empty");
        let entries = log.iter().map(|entry| (entry.clone(), entry.by)).collect();
        assert!(self.committed.insert(era, entries).is_none(), "two recoveries are one");
    }

    /// An era in which nothing was decided: who was to begin it gave way.
    pub fn never_was(&mut self, era: Recovered) {
        self.committed.remove(&era);
    }

    /// The last era that was begun.
    pub fn era(&self) -> Option<Recovered> {
        self.committed.keys().next_back().copied()
    }

    /// Entries that are committed in the last era.
    pub fn end(&self) -> usize {
        self.committed.values().next_back().map_or(0, Vec::len)
    }

    /// The committed entries of the last era.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.committed.values().next_back().into_iter().flatten().map(|(entry, _)| entry)
    }

    /// Who takes part in the last era.
    pub fn members(&self) -> Members {
        let entries: Vec<Entry> = self.entries().cloned().collect();
        members_of(&entries).1.clone()
    }

    /// A start leads, with this log.
    pub fn leads(&mut self, leader: LeaderId, start: u64, log: &[Entry]) {
        let before = *self.leaders.entry(leader).or_insert(start);
        assert!(before == start, "two processes lead as controller {} in term {}", leader.node, leader.term);
        let Some(committed) = recovered_of(log).and_then(|era| self.committed.get(&era)) else { return };
        for (index, (entry, by)) in committed.iter().enumerate() {
            assert!(
                *by >= leader || log.get(index) == Some(entry),
                "controller {} leads in term {} without entry {index}, which was committed in term {}",
                leader.node,
                leader.term,
                by.term
            );
        }
    }

    /// A start says that so much of its log is committed, in this leadership or one before.
    pub fn committed(&mut self, start: u64, vote: LeaderId, log: &[Entry], end: u64) {
        let told = &log[..end as usize];
        let Some(record) = recovered_of(told).and_then(|era| self.committed.get_mut(&era)) else { return };
        let compared = self.compared.entry(start).or_default();
        for (index, entry) in told.iter().enumerate().skip(*compared) {
            match record.get(index) {
                Some((known, _)) => {
                    assert!(known == entry, "entry {index} was committed as {known:?} and is committed as {entry:?}");
                }
                None => record.push((entry.clone(), vote)),
            }
        }
        *compared = told.len();
    }

    /// A start cuts its log, of which so much was committed.
    pub fn cuts(&self, node: u64, from: u64, committed: u64) {
        assert!(from >= committed, "controller {node} cuts its log at {from}; it is committed up to {committed}");
    }
}
