//! One partition's log on one disk, with the log writer's queue before it.
//!
//! ```text
//!   effects of the core ─▶ believed (reads, from the tail cache)
//!                      └─▶ queue ─▶ written (kernel) ─▶ durable up to `flushed`
//!                              │            └ a power loss takes what lies past it, but for a prefix
//!                              └ every crash takes it, but for a prefix
//! ```
//!
//! Invariants:
//! 1. What is asked for is done in that order; a round writes all that waits, then flushes what it wrote.
//! 2. The durable end lies between the log start and the end of what is written; truncations, begins of epochs and moves of
//!    the log start are durable when they are done.
//! 3. The high watermark on disk is at most the one that was remembered last; a power loss leaves an older one.

use std::collections::VecDeque;

use holdfast_proto::ids::Offset;
use holdfast_replication::{EpochChain, FlushPolicy, LogGeneration, ReplicaState};

use super::{
    content::Content,
    work::{Done, Work},
};
use crate::sim::batch::{BatchId, SimBatch};

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// kill -9: what was written stays in the page cache.
    Kill {
        /// Of what waited for each log's writer, so much was done all the same, at the most.
        done: usize,
    },
    /// The power fails: what was not fsynced is gone, but for what the kernel had written by itself.
    PowerLoss {
        /// Of what waited for each log's writer, so much was done all the same, at the most.
        done: usize,
        /// Batches of each log past its durable end that reached the disk all the same, at the most.
        kept: usize,
    },
}

/// One partition's log on one disk.
#[derive(Clone, Debug, Default)]
pub struct SimLog {
    /// Tells this opening of it from every other one.
    number: u64,
    believed: Content,
    queue: VecDeque<Work>,
    written: Content,
    flushed: u64,
    /// The leader-epoch checkpoint. It has what is begun and cut here; appends bring their epochs themselves.
    stored_epochs: EpochChain,
    /// Of the last append or truncation that was written.
    generation: LogGeneration,
    policy: FlushPolicy,
    high_watermark: u64,
    durable_high_watermark: u64,
}

impl SimLog {
    /// An empty log with this number.
    pub(super) fn new(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    /// Another opening, or another log in the same place.
    pub(super) fn renumber(&mut self, number: u64) {
        self.number = number;
    }

    /// Tells this opening of it from every other one.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// First offset that it holds.
    pub fn start(&self) -> u64 {
        self.believed.start
    }

    /// Offset after its last batch.
    pub fn end(&self) -> u64 {
        self.believed.end()
    }

    /// Offset after what a power loss leaves.
    pub fn flushed(&self) -> u64 {
        self.flushed
    }

    /// The leaderships in it.
    pub fn epochs(&self) -> &EpochChain {
        &self.believed.epochs
    }

    /// The batches, by offset.
    pub fn batches(&self) -> &[SimBatch] {
        &self.believed.batches
    }

    /// Batches from the one that holds `from`, up to `max` of them.
    pub fn read(&self, from: u64, max: usize) -> Vec<SimBatch> {
        let batches = self.batches();
        let first = batches.partition_point(|batch| batch.next_offset().0 <= from);
        batches[first..].iter().take(max).cloned().collect()
    }

    /// How it is flushed.
    pub fn policy(&self) -> FlushPolicy {
        self.policy
    }

    /// What waits for the writer, the next first.
    pub fn waits(&self) -> impl ExactSizeIterator<Item = &Work> {
        self.queue.iter()
    }

    /// Asks the writer for something. The process goes on as if it were done, but for a move of the log start.
    pub fn ask(&mut self, work: Work) {
        match &work {
            Work::Append(batches, _) => self.believed.append(batches),
            Work::Truncate(to, _) => self.believed.truncate(*to),
            Work::StartOver(at, _) => self.believed.start_over(*at),
            Work::BeginEpoch(epoch, start) => _ = self.believed.epochs.assign(*epoch, *start),
            Work::Configure(policy) => self.policy = *policy,
            Work::AdvanceStart(_) | Work::StoreHighWatermark(_) => {}
        }
        self.queue.push_back(work);
    }

    /// The writer does the next `max` things that wait. What it reports.
    pub fn write(&mut self, max: usize) -> Vec<Done> {
        let count = max.min(self.queue.len());
        let works: Vec<Work> = self.queue.drain(..count).collect();
        works.into_iter().filter_map(|work| self.write_one(work)).collect()
    }

    fn write_one(&mut self, work: Work) -> Option<Done> {
        match work {
            Work::Append(batches, generation) => {
                self.written.append(&batches);
                self.generation = generation;
            }
            Work::Truncate(to, generation) => {
                self.written.truncate(to);
                self.high_watermark = self.high_watermark.min(to);
                return Some(self.cut(generation));
            }
            Work::StartOver(at, generation) => {
                self.written.start_over(at);
                self.high_watermark = at;
                return Some(self.cut(generation));
            }
            Work::BeginEpoch(epoch, start) => {
                self.written.epochs.assign(epoch, start);
                self.stored_epochs.clone_from(&self.written.epochs);
            }
            Work::AdvanceStart(to) => {
                self.advance_start(to);
                return Some(Done::LogStart(self.written.start));
            }
            Work::StoreHighWatermark(offset) => self.high_watermark = self.high_watermark.max(offset.0),
            Work::Configure(_) => {}
        }
        None
    }

    fn cut(&mut self, generation: LogGeneration) -> Done {
        self.generation = generation;
        self.flushed = self.written.end();
        self.stored_epochs.clone_from(&self.written.epochs);
        self.durable_high_watermark = self.high_watermark;
        Done::Truncated(generation, self.written.producers())
    }

    fn advance_start(&mut self, to: u64) {
        assert!(to <= self.written.end(), "the log start would pass the end: {to} > {}", self.written.end());
        if to > self.flushed {
            self.flushed = self.written.end();
        }
        self.written.advance_start(to);
        self.believed.advance_start(to);
        self.stored_epochs.clone_from(&self.written.epochs);
        self.high_watermark = self.high_watermark.max(self.written.start);
        self.durable_high_watermark = self.high_watermark;
    }

    /// The writer makes durable what it has written. `with_mark`: the mark is due as well.
    pub fn flush(&mut self, with_mark: bool) -> Done {
        self.flushed = self.written.end();
        if with_mark {
            self.durable_high_watermark = self.high_watermark;
        }
        Done::Flushed(self.generation, self.flushed)
    }

    /// The log is closed in order.
    pub fn close(&mut self) {
        self.write(usize::MAX);
        self.flush(true);
        self.stored_epochs.clone_from(&self.written.epochs);
    }

    /// Notes a high watermark on the disk, at once.
    pub fn note_high_watermark(&mut self, high_watermark: Offset) {
        self.high_watermark = high_watermark.0;
        self.durable_high_watermark = high_watermark.0;
    }

    /// True if the batch stands at this offset, and would survive a power loss if it has to be `durable`; or stood there
    /// until retention took it.
    pub fn holds(&self, offset: u64, id: BatchId, durable: bool) -> bool {
        let (content, end) =
            if durable { (&self.written, self.flushed) } else { (&self.believed, self.believed.end()) };
        if offset < content.start {
            return true;
        }
        let at = content.batches.partition_point(|batch| batch.placed.base_offset.0 < offset);
        content.batches.get(at).is_some_and(|batch| batch.id == id && batch.next_offset().0 <= end)
    }

    /// The process ends. Returns how many records that it believed written are gone.
    pub(super) fn crash(&mut self, crash: Crash) -> u64 {
        let believed = self.end();
        let (Crash::Kill { done } | Crash::PowerLoss { done, .. }) = crash;
        self.write(done);
        self.queue.clear();
        if let Crash::PowerLoss { kept, .. } = crash {
            let unflushed = self.written.batches.iter().filter(|batch| batch.next_offset().0 > self.flushed);
            let keep = unflushed.take(kept).last().map_or(self.flushed, |batch| batch.next_offset().0);
            self.written.truncate(keep);
            self.high_watermark = self.durable_high_watermark;
        }
        self.written.epochs = self.written.recovered_epochs(&self.stored_epochs);
        self.believed = self.written.clone();
        believed.saturating_sub(self.end())
    }

    /// While no process has it open, everything past this many batches is gone. Returns the records that are gone.
    pub fn lose_end(&mut self, batches: usize) -> u64 {
        let end = self.end();
        let keep = self.written.batches.get(batches).map_or(end, |batch| batch.placed.base_offset.0);
        self.written.truncate(keep.max(self.written.start));
        self.written.epochs = self.written.recovered_epochs(&self.stored_epochs);
        self.high_watermark = self.high_watermark.min(self.written.end());
        self.durable_high_watermark = self.durable_high_watermark.min(self.high_watermark);
        self.flushed = self.written.end();
        self.believed = self.written.clone();
        end - self.end()
    }

    /// While no process has it open, its first batches are gone, and with them the mark; perhaps the checkpoint too. Whether
    /// recovery finds it damaged, by the rule of the log; `None` if it has no batch.
    pub fn lose_beginning(&mut self, batches: usize, with_checkpoint: bool) -> Option<bool> {
        let lost = batches.clamp(1, self.written.batches.len().max(1));
        let to = self.written.batches.get(lost - 1)?.next_offset().0;
        self.written.advance_start(to);
        self.written.epochs = self.written.recovered_epochs(&self.stored_epochs);
        self.believed = self.written.clone();
        let checkpoint = (!with_checkpoint).then_some(&self.stored_epochs);
        Some(holdfast_log::lost_beginning(Offset(to), None, checkpoint).is_some())
    }

    /// What a process finds when it opens this log: recovery makes what is there durable.
    pub(super) fn recover(&mut self) -> ReplicaState {
        assert!(self.queue.is_empty(), "a log is opened that another opening of it still writes");
        self.written.epochs = self.written.recovered_epochs(&self.stored_epochs);
        self.stored_epochs.clone_from(&self.written.epochs);
        self.believed = self.written.clone();
        self.flushed = self.end();
        self.generation = LogGeneration::default();
        self.policy = FlushPolicy::default();
        ReplicaState {
            log_start_offset: Offset(self.start()),
            log_end_offset: Offset(self.end()),
            high_watermark: Offset(self.high_watermark),
            epochs: self.epochs().clone(),
            producers: self.believed.producers(),
        }
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
