//! The replica's own log as the core sees it: its cursors, epochs and producers. The bytes are with the shell.
//!
//! ```text
//!   log start ≤ high watermark ≤ end       flushed ≤ end       all ends are exclusive: the next offset
//! ```
//!
//! Place: changed by [`crate::leader::role`] and [`crate::follower`]; every change that needs the disk is also an
//! effect. The asserts here stay on in release: a broken one means that acknowledged records are at stake.

use holdfast_proto::ids::{LeaderEpoch, Millis, Offset};

use super::{
    batch::{LogGeneration, PlacedBatch},
    epoch::EpochChain,
    producer::ProducerTable,
};
use crate::{config::ReplicaState, event::FlushPolicy};

/// Cursors and derived state of one log.
#[derive(Clone, Debug)]
pub(crate) struct LocalLog {
    start: Offset,
    end: Offset,
    flushed: Offset,
    high_watermark: Offset,
    generation: LogGeneration,
    truncating: bool,
    pub(crate) epochs: EpochChain,
    pub(crate) producers: ProducerTable,
}

impl LocalLog {
    /// The log as the disk holds it.
    pub(crate) fn new(state: ReplicaState) -> Self {
        let ReplicaState { log_start_offset: start, log_end_offset: end, high_watermark, mut epochs, producers } =
            state;
        assert!(start <= end, "log start {start} above log end {end}: was the recovery cut short?");
        epochs.truncate_to(end);
        epochs.truncate_from_start(start);
        Self {
            start,
            end,
            flushed: end,
            // A checkpoint: it may lie below the log start (retention went on) or above the end (a follower noted it
            // before its records were durable, and then lost them).
            high_watermark: high_watermark.clamp(start, end),
            generation: LogGeneration::default(),
            truncating: false,
            epochs,
            producers: producers.ageless(),
        }
    }

    pub(crate) const fn start(&self) -> Offset {
        self.start
    }

    pub(crate) const fn end(&self) -> Offset {
        self.end
    }

    pub(crate) const fn flushed(&self) -> Offset {
        self.flushed
    }

    pub(crate) const fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    pub(crate) const fn generation(&self) -> LogGeneration {
        self.generation
    }

    /// True from a truncation until the disk has done it.
    pub(crate) const fn is_truncating(&self) -> bool {
        self.truncating
    }

    /// The end that counts towards the high watermark.
    pub(crate) const fn counted_end(&self, policy: FlushPolicy) -> Offset {
        match policy {
            FlushPolicy::Ack => self.flushed,
            FlushPolicy::Interval => self.end,
        }
    }

    /// Leader epoch of the last record below `end`; `None` if there is none here.
    pub(crate) fn epoch_below(&self, end: Offset) -> Option<LeaderEpoch> {
        self.epochs.of_last_record(self.start, end, false)
    }

    /// Epoch of the last record; `None` if there is none.
    pub(crate) fn last_epoch(&self) -> Option<LeaderEpoch> {
        self.epoch_below(self.end)
    }

    /// Takes one more batch at the end.
    pub(crate) fn append(&mut self, batch: &PlacedBatch, now: Millis) {
        assert_eq!(batch.base_offset, self.end, "append at {} to a log that ends at {}", batch.base_offset, self.end);
        assert!(!self.truncating, "append at {} while the log is being cut", self.end);
        self.epochs.assign(batch.leader_epoch, batch.base_offset);
        self.producers.record(batch, now);
        self.end = self.end.plus(u64::from(batch.info.record_count));
    }

    /// Cuts the log to `to`. The flushed end goes back with it.
    pub(crate) fn truncate(&mut self, to: Offset) -> LogGeneration {
        assert!(to < self.end, "truncation to {to} of a log that ends at {}", self.end);
        assert!(
            to >= self.high_watermark,
            "truncation to {to} below the high watermark {}: did the leader lose acknowledged records?",
            self.high_watermark
        );
        self.end = to;
        self.flushed = self.flushed.min(to);
        self.epochs.truncate_to(to);
        self.begin_truncation()
    }

    /// Drops everything; the log is empty at `at`, the leader's log start. What lay below was acknowledged and then
    /// taken by retention, so the high watermark is at least there.
    pub(crate) fn start_over(&mut self, at: Offset) -> LogGeneration {
        assert!(
            at >= self.high_watermark,
            "start over at {at} below the high watermark {}: did the leader lose acknowledged records?",
            self.high_watermark
        );
        self.start = at;
        self.end = at;
        self.flushed = at;
        self.high_watermark = at;
        self.epochs.clear();
        self.begin_truncation()
    }

    fn begin_truncation(&mut self) -> LogGeneration {
        self.generation.0 += 1;
        self.truncating = true;
        self.generation
    }

    /// The disk has done the truncation that began `generation`. False if that is not the one that is waited for.
    pub(crate) fn truncated(&mut self, generation: LogGeneration, producers: ProducerTable) -> bool {
        if !self.truncating || generation != self.generation {
            return false;
        }
        self.truncating = false;
        self.producers = producers.ageless();
        self.flushed = self.end;
        true
    }

    /// The disk holds everything below `offset`. False if that says nothing new: of an older generation the offsets
    /// may since have been written again with other records.
    pub(crate) fn note_flushed(&mut self, generation: LogGeneration, offset: Offset) -> bool {
        assert!(generation <= self.generation, "flush of generation {generation:?}, now is {:?}", self.generation);
        if generation < self.generation || offset <= self.flushed {
            return false;
        }
        assert!(offset <= self.end, "flushed to {offset} of a log that ends at {}", self.end);
        self.flushed = offset;
        true
    }

    /// Moves the high watermark forward; false if it stays.
    pub(crate) fn advance_high_watermark(&mut self, to: Offset) -> bool {
        assert!(to <= self.end, "high watermark {to} above the log end {}", self.end);
        if to <= self.high_watermark {
            return false;
        }
        self.high_watermark = to;
        true
    }

    /// Retention took everything below `offset`; false if that is known.
    pub(crate) fn advance_start(&mut self, offset: Offset) -> bool {
        if offset <= self.start {
            return false;
        }
        assert!(
            offset <= self.high_watermark,
            "log start {offset} above the high watermark {}: retention took what was not yet acknowledged",
            self.high_watermark
        );
        self.start = offset;
        self.epochs.truncate_from_start(offset);
        true
    }
}
