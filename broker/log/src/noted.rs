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
//! 1. The mark names the checkpoint that it goes on behind, by its bytes, also where nothing is noted. Of another one it is not
//!    known what is missing.
//! 2. Where the checkpoint is replaced, the notes go with the next durable mark, before anything else changes. So none that was
//!    taken back comes to count again with a later checkpoint of the same bytes.
//! 3. A closed segment holds no epoch that the checkpoint lacks: a segment is closed, and so is a log, with a whole checkpoint.
//!    A program from before the notes reads the last segment through.
//! 4. A log is opened with durable notes: those that it read are written again, for the page cache may believe more than the
//!    disk holds, and the other slot of the mark is written next.
//!
//! Failure: where the mark has no notes, or bad ones, or names another checkpoint, no batch is cut for an epoch that the
//! checkpoint lacks.

use holdfast_proto::ids::{LeaderEpoch, Offset};
use holdfast_replication::{EpochChain, EpochEntry};

/// So many epochs are noted at most; with one more the checkpoint is written again.
const MAX: usize = 6;
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

    /// What is to be noted behind it for this chain, as few as say it; `None`: it is to be written again. Also where it is
    /// empty: with its oldest epoch it tells where the log begins, should the mark be lost.
    pub(crate) fn noting(&self, chain: &EpochChain) -> Option<Noted> {
        let count = chain.iter().len();
        (0..=count.min(MAX)).find_map(|noted| {
            let mut entries = [None; MAX];
            entries.iter_mut().zip(chain.iter().skip(count - noted)).for_each(|(place, entry)| *place = Some(entry));
            let noted = Noted { checkpoint: self.crc, entries };
            (!self.chain.is_empty() && self.with(&noted) == *chain).then_some(noted)
        })
    }

    /// True if it is the one that this is noted behind.
    pub(crate) const fn precedes(&self, noted: &Noted) -> bool {
        noted.checkpoint == self.crc
    }

    /// The chain with what is noted behind it, as if each epoch began now; its own where that is noted behind another one.
    pub(crate) fn with(&self, noted: &Noted) -> EpochChain {
        let mut chain = self.chain.clone();
        for entry in noted.entries.iter().flatten().filter(|_| self.precedes(noted)) {
            chain.assign(entry.leader_epoch, entry.start_offset);
        }
        chain
    }
}

impl Noted {
    /// That nothing is noted behind this checkpoint, or that there is none.
    pub(crate) fn behind(filed: Option<&Filed>) -> Self {
        Self { checkpoint: filed.map_or(0, |filed| filed.crc), entries: [None; MAX] }
    }

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
    fn an_epoch_that_takes_the_place_of_others_is_noted() {
        let filed = Filed { chain: chain([(0, 0), (3, 70), (4, 90)]), crc: 9 };
        for other in [vec![(0, 0), (3, 70), (9, 90)], vec![(0, 0), (9, 60)], vec![(0, 0), (3, 70)], vec![(0, 0)]] {
            let noted = filed.noting(&chain(other.clone())).unwrap();
            assert_eq!(filed.with(&noted), chain(other));
        }
    }

    #[test]
    fn what_cannot_be_said_behind_it_is_a_checkpoint_of_its_own() {
        let filed = Filed { chain: chain([(0, 0), (3, 70)]), crc: 9 };
        for other in [vec![], vec![(3, 70)], vec![(3, 80), (4, 90)]] {
            assert_eq!(filed.noting(&chain(other.clone())), None, "{other:?}");
        }
        let too_many = (0..=MAX as u32).map(|n| (4 + n, 90 + u64::from(n)));
        assert_eq!(filed.noting(&chain([(0, 0), (3, 70)].into_iter().chain(too_many))), None);
        let empty = Filed { chain: EpochChain::new(), crc: 9 };
        assert_eq!(empty.noting(&chain([(0, 0)])), None, "it tells where the log begins");
    }

    #[test]
    fn a_number_that_is_no_epoch_is_none() {
        let filed = Filed { chain: chain([(0, 0)]), crc: 9 };
        let mut numbers = filed.noting(&chain([(0, 0), (4, 90)])).unwrap().numbers();
        numbers[1] = 1 << 40;
        assert_eq!(Noted::of_numbers(numbers), None);
    }
}
