//! What a log holds. What retention takes is gone at once; the state of its producers stays, as in snapshot files.
//!
//! Invariant: batches are contiguous from the log start to the log end.

use holdfast_proto::ids::Offset;
use holdfast_replication::{EpochChain, PlacedBatch, ProducerTable};

use crate::sim::batch::SimBatch;

/// Batches, and what is derived from them.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) start: u64,
    pub(super) batches: Vec<SimBatch>,
    pub(super) epochs: EpochChain,
    /// Producers of what retention took.
    gone: ProducerTable,
}

impl Content {
    /// Offset after the last batch.
    pub(super) fn end(&self) -> u64 {
        self.batches.last().map_or(self.start, |batch| batch.next_offset().0)
    }

    /// Appends batches that have their place.
    pub(super) fn append(&mut self, batches: &[SimBatch]) {
        for batch in batches {
            let (end, base) = (self.end(), batch.placed.base_offset.0);
            assert!(end == base, "append at {base}, but the log ends at {end}: a gap or an overlap");
            self.epochs.assign(batch.placed.leader_epoch, batch.placed.base_offset);
            self.batches.push(batch.clone());
        }
    }

    /// Cuts everything at and above `to`.
    pub(super) fn truncate(&mut self, to: u64) {
        self.batches.retain(|batch| batch.next_offset().0 <= to);
        assert!(self.end() == to, "truncation to {to} cut a batch in two: the log ends at {}", self.end());
        self.epochs.truncate_to(Offset(to));
    }

    /// Drops everything and starts empty at `at`.
    pub(super) fn start_over(&mut self, at: u64) {
        *self = Self { start: at, ..Self::default() };
    }

    /// Removes whole batches below `to`.
    pub(super) fn advance_start(&mut self, to: u64) {
        let gone = self.batches.partition_point(|batch| batch.next_offset().0 <= to);
        for batch in self.batches.drain(..gone) {
            self.start = batch.next_offset().0;
            self.gone.replay(&batch.placed);
        }
        self.epochs.truncate_from_start(Offset(self.start));
    }

    /// The producers of the batches that are there, and of those that retention took.
    pub(super) fn producers(&self) -> ProducerTable {
        let mut producers = self.gone.clone();
        for batch in &self.batches {
            producers.replay(&PlacedBatch { ..batch.placed });
        }
        producers
    }

    /// The leaderships as recovery finds them: those of the batches, and one without records that the checkpoint alone
    /// knows.
    pub(super) fn recovered_epochs(&self, stored: &EpochChain) -> EpochChain {
        let mut epochs = EpochChain::new();
        for batch in &self.batches {
            epochs.assign(batch.placed.leader_epoch, batch.placed.base_offset);
        }
        let end = Offset(self.end());
        if let Some(newest) = stored.latest_entry()
            && newest.start_offset >= end
            && epochs.latest() < Some(newest.leader_epoch)
        {
            epochs.assign(newest.leader_epoch, end);
        }
        epochs.truncate_from_start(Offset(self.start));
        epochs
    }
}
