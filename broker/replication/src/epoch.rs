//! The leader-epoch cache: which leadership wrote which part of a log (KIP-101, KIP-279, KIP-595).
//!
//! Place: owned by [`crate::Replica`], mirrored by the log's `leader-epoch-checkpoint`. Leaders answer divergence
//! questions from it, followers find their truncation point in it.
//!
//! ```text
//! entries   (2, 0)        (3, 7)     (6, 12)                 LEO = 20
//! log       [0 .. 7) e2   [7 .. 12) e3   [12 .. 20) e6
//! ```
//!
//! Invariants:
//! 1. Epochs and start offsets both strictly increase; so no entry but the last can be empty.
//! 2. The last entry may be empty (it starts at the LEO): a leadership that has written nothing yet.
//! 3. An epoch that was begun here is forgotten only when a later record replaces it: a restarted replica knows that
//!    it has led an epoch, even when none of its records survived.

use holdfast_proto::ids::{LeaderEpoch, Offset};

/// One leadership: its epoch and the offset of its first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    /// The epoch.
    pub leader_epoch: LeaderEpoch,
    /// Where it starts.
    pub start_offset: Offset,
}

/// The leaderships of one log, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochChain {
    entries: Vec<EpochEntry>,
}

impl EpochChain {
    /// A chain without entries: that of a new log.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Builds a chain from a checkpoint file's entries. `None` if they do not strictly increase: bytes from a disk
    /// are not trusted.
    pub fn from_entries(entries: impl IntoIterator<Item = EpochEntry>) -> Option<Self> {
        let entries: Vec<EpochEntry> = entries.into_iter().collect();
        let increases = |pair: &[EpochEntry]| {
            pair[0].leader_epoch < pair[1].leader_epoch && pair[0].start_offset < pair[1].start_offset
        };
        entries.windows(2).all(increases).then_some(Self { entries })
    }

    /// The entries, oldest first, as the checkpoint file holds them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = EpochEntry> + '_ {
        self.entries.iter().copied()
    }

    /// True if no leadership is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The newest epoch, even if it has no records.
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.leader_epoch)
    }

    /// The newest entry.
    pub fn latest_entry(&self) -> Option<EpochEntry> {
        self.entries.last().copied()
    }

    /// Notes that `leader_epoch` writes from `start_offset` on: at the start of a leadership, and for each batch that
    /// is copied from a leader. Returns true if the chain changed.
    ///
    /// Entries that contradict it vanish: those of the same or a later epoch, and those that start at or past it. They
    /// were empty, or their records are gone (KAFKA-10706: an empty epoch left behind keeps followers out for ever).
    pub fn assign(&mut self, leader_epoch: LeaderEpoch, start_offset: Offset) -> bool {
        let before = self.entries.len();
        while let Some(last) = self.entries.last()
            && (last.leader_epoch > leader_epoch || last.start_offset >= start_offset)
            && *last != (EpochEntry { leader_epoch, start_offset })
        {
            self.entries.pop();
        }
        // An epoch that goes on keeps its start, also where a newer, empty one stood behind it: records of an old epoch
        // can follow the begin of a newer one that the cluster never heard of.
        if self.entries.last().is_some_and(|last| last.leader_epoch == leader_epoch) {
            return self.entries.len() != before;
        }
        self.entries.push(EpochEntry { leader_epoch, start_offset });
        true
    }

    /// The largest known epoch at or below `leader_epoch`, and where it ends (KIP-279). `log_end` is the LEO.
    ///
    /// Below everything that is known the answer is `leader_epoch` itself with the start of the oldest entry, for an empty
    /// chain with `log_end`: nothing of that epoch stands here. Where it ended below the log start is forgotten, so this is
    /// no proof that two logs agree up to there: ask [`Self::reaches_back_to`] first.
    pub fn end_offset_for(&self, leader_epoch: LeaderEpoch, log_end: Offset) -> (LeaderEpoch, Offset) {
        let above = self.entries.partition_point(|entry| entry.leader_epoch <= leader_epoch);
        let end = self.entries.get(above).map_or(log_end, |next| next.start_offset);
        match above.checked_sub(1) {
            Some(floor) => (self.entries[floor].leader_epoch, end),
            None => (leader_epoch, end),
        }
    }

    /// True if the oldest known epoch is `leader_epoch` or an older one.
    pub fn reaches_back_to(&self, leader_epoch: LeaderEpoch) -> bool {
        self.entries.first().is_some_and(|oldest| oldest.leader_epoch <= leader_epoch)
    }

    /// Epoch of the record at `offset`; `None` below everything that is known.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let above = self.entries.partition_point(|entry| entry.start_offset <= offset);
        above.checked_sub(1).map(|index| self.entries[index].leader_epoch)
    }

    /// The log was cut: nothing stands at or past `end` any more. Returns true if the chain changed.
    ///
    /// Of the entries that start at or past `end` only the newest stays, as an empty one at `end` (invariant 3). It
    /// answers no divergence question differently, and the next record of another epoch replaces it.
    pub fn truncate_to(&mut self, end: Offset) -> bool {
        let Some(newest) = self.entries.last().copied() else { return false };
        if newest.start_offset <= end {
            return false;
        }
        while self.entries.last().is_some_and(|entry| entry.start_offset >= end) {
            self.entries.pop();
        }
        self.entries.push(EpochEntry { leader_epoch: newest.leader_epoch, start_offset: end });
        true
    }

    /// The log start moved to `start`: leaderships that lie wholly below it vanish. Returns true if the chain changed.
    pub fn truncate_from_start(&mut self, start: Offset) -> bool {
        let kept_from = self.entries.partition_point(|entry| entry.start_offset <= start).saturating_sub(1);
        let Some(first) = self.entries.get(kept_from) else { return false };
        if kept_from == 0 && first.start_offset >= start {
            return false;
        }
        self.entries.drain(..kept_from);
        self.entries[0].start_offset = start;
        true
    }

    /// Forgets everything: the log starts again empty.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(entries: &[(u32, u64)]) -> EpochChain {
        let entry = |&(epoch, start)| EpochEntry { leader_epoch: LeaderEpoch(epoch), start_offset: Offset(start) };
        EpochChain::from_entries(entries.iter().map(entry)).expect("increasing")
    }

    fn entries(chain: &EpochChain) -> Vec<(u32, u64)> {
        chain.iter().map(|entry| (entry.leader_epoch.0, entry.start_offset.0)).collect()
    }

    #[test]
    fn an_old_epoch_that_goes_on_behind_an_empty_newer_one_keeps_its_start() {
        let mut chain = chain(&[(6, 300), (7, 380), (8, 490)]);
        assert!(chain.assign(LeaderEpoch(7), Offset(490)));
        assert_eq!(entries(&chain), [(6, 300), (7, 380)]);
        assert_eq!(chain.end_offset_for(LeaderEpoch(6), Offset(500)), (LeaderEpoch(6), Offset(380)));
    }

    #[test]
    fn assign_replaces_what_contradicts_it() {
        let mut epochs = chain(&[(2, 0), (3, 7), (6, 12)]);
        assert!(!epochs.assign(LeaderEpoch(6), Offset(15)), "the same leadership goes on");
        assert!(epochs.assign(LeaderEpoch(8), Offset(12)), "epoch 6 was empty");
        assert_eq!(entries(&epochs), [(2, 0), (3, 7), (8, 12)]);
        assert!(epochs.assign(LeaderEpoch(4), Offset(12)), "an older leader's record replaces the empty epoch 8");
        assert_eq!(entries(&epochs), [(2, 0), (3, 7), (4, 12)]);
    }

    #[test]
    fn an_end_is_that_of_the_largest_epoch_at_or_below() {
        let epochs = chain(&[(2, 5), (3, 7), (6, 12)]);
        let end_of = |epoch| {
            let (epoch, end) = epochs.end_offset_for(LeaderEpoch(epoch), Offset(20));
            (epoch.0, end.0)
        };
        assert_eq!(end_of(1), (1, 5));
        assert_eq!(end_of(2), (2, 7));
        assert_eq!(end_of(3), (3, 12));
        assert_eq!(end_of(5), (3, 12));
        assert_eq!(end_of(6), (6, 20));
        assert_eq!(end_of(9), (6, 20));
        assert_eq!(EpochChain::new().end_offset_for(LeaderEpoch(4), Offset(9)), (LeaderEpoch(4), Offset(9)));
    }

    #[test]
    fn a_cut_log_still_knows_the_newest_epoch_that_was_begun() {
        let mut epochs = chain(&[(2, 0), (3, 7), (6, 12)]);
        assert!(!epochs.truncate_to(Offset(12)));
        assert!(epochs.truncate_to(Offset(7)));
        assert_eq!(entries(&epochs), [(2, 0), (6, 7)]);
        assert_eq!(epochs.epoch_at(Offset(6)), Some(LeaderEpoch(2)));
        assert_eq!(epochs.end_offset_for(LeaderEpoch(3), Offset(7)), (LeaderEpoch(2), Offset(7)));
    }

    #[test]
    fn retention_moves_the_oldest_start() {
        let mut epochs = chain(&[(2, 0), (3, 7), (6, 12)]);
        assert!(epochs.truncate_from_start(Offset(8)));
        assert_eq!(entries(&epochs), [(3, 8), (6, 12)]);
        assert!(!epochs.truncate_from_start(Offset(8)));
        assert!(epochs.truncate_from_start(Offset(30)), "all records are gone, the epoch of the last one is not");
        assert_eq!(entries(&epochs), [(6, 30)]);
        assert_eq!(epochs.epoch_at(Offset(29)), None);
        assert!(!EpochChain::new().truncate_from_start(Offset(3)));
    }

    #[test]
    fn entries_from_a_disk_must_increase() {
        let entry = |epoch, start| EpochEntry { leader_epoch: LeaderEpoch(epoch), start_offset: Offset(start) };
        assert!(EpochChain::from_entries([entry(1, 0), entry(1, 5)]).is_none());
        assert!(EpochChain::from_entries([entry(1, 5), entry(2, 5)]).is_none());
        assert!(EpochChain::from_entries([]).is_some());
    }
}
