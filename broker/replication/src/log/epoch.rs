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
    /// Epoch that the controller gave the leadership.
    pub leader_epoch: LeaderEpoch,
    /// Offset of its first record, or where the next one will stand.
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

    /// The epoch by which a log with these ends is compared with others, as one that starts again says it: that of its last
    /// record. An epoch that began and has no record is none that it holds records of: a log that was cut below the begin of
    /// such an epoch must not look newer than one that was not. A whole log of which retention left nothing has its newest
    /// one, for its last record was of that or an older one.
    pub fn of_last_record(&self, start: Offset, end: Offset, is_whole: bool) -> Option<LeaderEpoch> {
        match end.0.checked_sub(1).map(Offset).filter(|last| *last >= start) {
            Some(last) => self.epoch_at(last),
            None => self.latest().filter(|_| is_whole),
        }
    }

    /// The newest entry, even if it has no records; `None` for a log that nobody wrote to.
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
#[path = "epoch_tests.rs"]
mod tests;
