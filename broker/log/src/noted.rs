//! Leader epochs that were noted since their checkpoint was written. They stand in the durable mark.
//!
//! Intuition: when a broker fails, each replica of what it led notes a new epoch before its first batch. A checkpoint that is
//! written again is a new file and a new name, two fsyncs each; the mark is overwritten in place, with one cheap one.
//!
//! ```text
//!  leader-epoch-checkpoint   (0, 0) (3, 70)                 CRC-32C c     together: (0, 0) (3, 70) (4, 90) (5, 120)
//!  durable-mark              behind c:  (4, 90) (5, 120)
//! ```
//!
//! Invariants:
//! 1. What is noted goes on behind a checkpoint of exactly these bytes; behind another one it counts for nothing.
//! 2. Where the checkpoint is replaced, the notes go with the next durable mark, before anything else changes. So none that was
//!    taken back comes to count again with a later checkpoint of the same bytes.
//! 3. A closed segment holds no epoch that the checkpoint lacks: a segment is closed, and so is a log, with a whole checkpoint.
//!    A program from before the notes reads the last segment through.
//! 4. A log is opened with durable notes: those that it read are written again, for the page cache may believe more than the
//!    disk holds, and a mark that is there twice loses the older of the two next.
//!
//! Failure: that nothing is noted is written as well. So notes that are not there, or are bad, are not known: then no batch is
//! cut for an epoch that the checkpoint lacks.

use holdfast_proto::ids::{LeaderEpoch, Offset};
use holdfast_replication::{EpochChain, EpochEntry};

/// So many epochs are noted at most; with one more the checkpoint is written again.
const MAX: usize = 8;
/// Numbers that they are stored as.
pub(crate) const NUMBERS: usize = 1 + 2 * MAX;
/// Stands where no entry does: no offset is so large.
const NOTHING: u64 = u64::MAX;

/// The epochs behind a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Noted {
    /// CRC-32C of the checkpoint's bytes.
    checkpoint: u32,
    entries: [Option<EpochEntry>; MAX],
}

/// A checkpoint as its file holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filed {
    chain: EpochChain,
    /// CRC-32C of its bytes.
    crc: u32,
}

impl Filed {
    /// A file of these bytes, which hold these epochs.
    pub(crate) fn new(chain: EpochChain, bytes: &[u8]) -> Self {
        Self { chain, crc: crc32c::crc32c(bytes) }
    }

    /// What is to be noted behind it for this chain; `None`: it is to be written again. Also where it is empty: with its oldest
    /// epoch it tells where the log begins, should the mark be lost.
    pub(crate) fn noting(&self, chain: &EpochChain) -> Option<Noted> {
        let known = self.chain.iter().len();
        if known == 0 || !chain.iter().take(known).eq(self.chain.iter()) || chain.iter().len() - known > MAX {
            return None;
        }
        let mut entries = [None; MAX];
        entries.iter_mut().zip(chain.iter().skip(known)).for_each(|(place, entry)| *place = Some(entry));
        Some(Noted { checkpoint: if entries == [None; MAX] { 0 } else { self.crc }, entries })
    }

    /// True if this is noted behind it.
    pub(crate) const fn precedes(&self, noted: &Noted) -> bool {
        noted.checkpoint == self.crc
    }

    /// The chain with what is noted behind it; its own where nothing is, or behind another one.
    pub(crate) fn with(&self, noted: &Noted) -> EpochChain {
        if !self.precedes(noted) {
            return self.chain.clone();
        }
        let noted = noted.entries.iter().flatten().copied();
        EpochChain::from_entries(self.chain.iter().chain(noted)).unwrap_or_else(|| self.chain.clone())
    }
}

impl Noted {
    /// True if nothing is noted.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries[0].is_none()
    }

    /// The numbers that stand for it in the mark.
    pub(crate) fn numbers(&self) -> [u64; NUMBERS] {
        let mut numbers = [NOTHING; NUMBERS];
        numbers[0] = self.checkpoint.into();
        for (pair, entry) in numbers[1..].chunks_exact_mut(2).zip(self.entries.iter().flatten()) {
            pair.copy_from_slice(&[entry.leader_epoch.0.into(), entry.start_offset.0]);
        }
        numbers
    }

    /// Of what [`Self::numbers`] gave.
    pub(crate) fn of_numbers(numbers: [u64; NUMBERS]) -> Option<Self> {
        let mut entries = [None; MAX];
        for (place, pair) in entries.iter_mut().zip(numbers[1..].chunks_exact(2)) {
            if pair[0] != NOTHING {
                let leader_epoch = LeaderEpoch(pair[0].try_into().ok()?);
                *place = Some(EpochEntry { leader_epoch, start_offset: Offset(pair[1]) });
            }
        }
        Some(Self { checkpoint: numbers[0].try_into().ok()?, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(entries: impl IntoIterator<Item = (u32, u64)>) -> EpochChain {
        let entry = |(epoch, start)| EpochEntry { leader_epoch: LeaderEpoch(epoch), start_offset: Offset(start) };
        EpochChain::from_entries(entries.into_iter().map(entry)).unwrap()
    }

    #[test]
    fn what_goes_on_behind_a_checkpoint_is_noted() {
        let filed = Filed { chain: chain([(0, 0), (3, 70)]), crc: 9 };
        for more in 0..=MAX as u32 {
            let longer = chain([(0, 0), (3, 70)].into_iter().chain((0..more).map(|n| (4 + n, 90 + u64::from(n)))));
            let noted = filed.noting(&longer).unwrap();
            assert_eq!(noted.is_empty(), more == 0);
            assert_eq!(Noted::of_numbers(noted.numbers()), Some(noted));
            assert_eq!(filed.with(&noted), longer);
            let other = Filed { crc: 8, ..filed.clone() };
            assert_eq!(other.with(&noted), filed.chain, "behind another checkpoint it counts for nothing");
        }
    }

    #[test]
    fn what_does_not_go_on_behind_it_is_a_checkpoint_of_its_own() {
        let filed = Filed { chain: chain([(0, 0), (3, 70)]), crc: 9 };
        for other in [vec![], vec![(0, 0)], vec![(3, 70)], vec![(0, 0), (3, 60)], vec![(0, 0), (4, 70)]] {
            assert_eq!(filed.noting(&chain(other.clone())), None, "{other:?}");
        }
        let too_many = (0..=MAX as u32).map(|n| (4 + n, 90 + u64::from(n)));
        assert_eq!(filed.noting(&chain([(0, 0), (3, 70)].into_iter().chain(too_many))), None);
        let empty = Filed { chain: EpochChain::new(), crc: 9 };
        assert_eq!(empty.noting(&chain([(0, 0)])), None, "it tells where the log begins");
    }

    #[test]
    fn notes_that_contradict_their_checkpoint_count_for_nothing() {
        let filed = Filed { chain: chain([(0, 0), (3, 70)]), crc: 9 };
        let longer = chain([(0, 0), (3, 70), (4, 90)]);
        let mut numbers = filed.noting(&longer).unwrap().numbers();
        for (epoch, start) in [(3, 90), (4, 70), (2, 60)] {
            (numbers[1], numbers[2]) = (epoch, start);
            assert_eq!(filed.with(&Noted::of_numbers(numbers).unwrap()), filed.chain);
        }
        numbers[1] = 1 << 40;
        assert_eq!(Noted::of_numbers(numbers), None);
    }
}
