//! A log in memory that keeps apart what was written and what is durable.
//!
//! Operations wait in order, as in a log writer; [`ToyLog::flush`] makes them durable. A power loss takes what waits,
//! except for a prefix of the appends; a kill of the process takes nothing that was written.

use std::collections::VecDeque;

use holdfast_proto::ids::Offset;

use crate::{EpochChain, EpochEntry, Event, LogGeneration, PlacedBatch, ProducerTable, ReplicaState};

/// A batch with the name of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToyBatch {
    /// Where it stands.
    pub placed: PlacedBatch,
    /// What it says.
    pub value: u64,
}

impl ToyBatch {
    /// Offset after its last record.
    pub fn end_offset(&self) -> Offset {
        self.placed.base_offset.plus(u64::from(self.placed.info.record_count))
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Append { batch: ToyBatch, generation: LogGeneration },
    BeginEpoch(EpochEntry),
    Truncate { to: Offset, generation: LogGeneration },
    StartOver { at: Offset, generation: LogGeneration },
}

/// One view of a log: its batches and its leadership checkpoint.
#[derive(Clone, Debug, Default)]
struct Content {
    start: Offset,
    batches: Vec<ToyBatch>,
    epochs: EpochChain,
    /// Producers of what retention took: their state outlives it, as in snapshot files.
    gone: ProducerTable,
}

impl Content {
    fn end(&self) -> Offset {
        self.batches.last().map_or(self.start, ToyBatch::end_offset)
    }

    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::Append { batch, .. } => {
                assert_eq!(batch.placed.base_offset, self.end(), "append that leaves a gap or overwrites");
                self.epochs.assign(batch.placed.leader_epoch, batch.placed.base_offset);
                self.batches.push(*batch);
            }
            Operation::BeginEpoch(entry) => {
                self.epochs.assign(entry.leader_epoch, entry.start_offset);
            }
            Operation::Truncate { to, .. } => {
                self.batches.retain(|batch| batch.placed.base_offset < *to);
                self.epochs.truncate_to(*to);
                assert_eq!(self.end(), *to, "truncation inside a batch");
            }
            Operation::StartOver { at, .. } => *self = Self { start: *at, ..Self::default() },
        }
    }

    fn producers(&self) -> ProducerTable {
        let mut producers = self.gone.clone();
        self.batches.iter().for_each(|batch| producers.record(&batch.placed));
        producers
    }
}

/// The log of one toy node.
#[derive(Clone, Debug, Default)]
pub struct ToyLog {
    written: Content,
    durable: Content,
    waiting: VecDeque<Operation>,
    high_watermark: Offset,
}

impl ToyLog {
    fn submit(&mut self, operation: Operation) {
        self.written.apply(&operation);
        self.waiting.push_back(operation);
    }

    /// Writes a batch at the end.
    pub fn append(&mut self, batch: ToyBatch, generation: LogGeneration) {
        self.submit(Operation::Append { batch, generation });
    }

    /// Notes the start of a leadership.
    pub fn begin_epoch(&mut self, entry: EpochEntry) {
        self.submit(Operation::BeginEpoch(entry));
    }

    /// Cuts the log.
    pub fn truncate(&mut self, to: Offset, generation: LogGeneration) {
        self.submit(Operation::Truncate { to, generation });
    }

    /// Drops everything.
    pub fn start_over(&mut self, at: Offset, generation: LogGeneration) {
        self.submit(Operation::StartOver { at, generation });
    }

    /// Retention: removes whole batches below `to`, at once and durably. Gives the new log start.
    pub fn retain_from(&mut self, to: Offset) -> Offset {
        let to = to.min(self.durable.end());
        let start = self.written.batches.iter().map(|batch| batch.placed.base_offset).filter(|base| *base <= to).max();
        let start = start.unwrap_or(self.written.start).max(self.written.start);
        for content in [&mut self.written, &mut self.durable] {
            content
                .batches
                .iter()
                .filter(|batch| batch.placed.base_offset < start)
                .for_each(|batch| content.gone.record(&batch.placed));
            content.batches.retain(|batch| batch.placed.base_offset >= start);
            content.start = start;
            content.epochs.truncate_from_start(start);
        }
        start
    }

    /// Stores a high watermark checkpoint.
    pub fn checkpoint(&mut self, high_watermark: Offset) {
        self.high_watermark = high_watermark;
    }

    /// True if something is written that is not durable.
    pub fn has_work(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Makes the next waiting operations durable: all appends up to a truncation, or one truncation. Gives what has to be
    /// reported.
    pub fn flush(&mut self) -> Option<Event> {
        let mut flushed = None;
        while let Some(operation) = self.waiting.front() {
            let report = match operation {
                Operation::Append { generation, .. } => {
                    flushed = Some(*generation);
                    None
                }
                Operation::BeginEpoch(_) => None,
                Operation::Truncate { .. } | Operation::StartOver { .. } if flushed.is_some() => break,
                Operation::Truncate { generation, .. } | Operation::StartOver { generation, .. } => Some(*generation),
            };
            self.durable.apply(operation);
            self.waiting.pop_front();
            if let Some(generation) = report {
                return Some(Event::Truncated { generation, producers: self.durable.producers() });
            }
        }
        flushed.map(|generation| Event::LogFlushed { generation, offset: self.durable.end() })
    }

    /// Power fails: of what waits, `kept` appends at the most reach the disk, and nothing after a truncation.
    pub fn lose_power(&mut self, kept: usize) {
        let mut kept = kept;
        for operation in std::mem::take(&mut self.waiting) {
            match operation {
                Operation::Append { .. } if kept > 0 => kept -= 1,
                Operation::BeginEpoch(_) if kept > 0 => {}
                _ => break,
            }
            self.durable.apply(&operation);
        }
        self.written = self.durable.clone();
    }

    /// The process is killed: the operating system keeps what was written.
    pub fn lose_process(&mut self) {
        self.waiting.clear();
        self.durable = self.written.clone();
    }

    /// What a replica starts from.
    pub fn recover(&self) -> ReplicaState {
        ReplicaState {
            log_start_offset: self.durable.start,
            log_end_offset: self.durable.end(),
            high_watermark: self.high_watermark,
            epochs: self.durable.epochs.clone(),
            producers: self.durable.producers(),
        }
    }

    /// Up to `limit` batches from `from` on, as they are written.
    pub fn read(&self, from: Offset, limit: usize) -> Vec<ToyBatch> {
        let at = self.written.batches.partition_point(|batch| batch.placed.base_offset < from);
        self.written.batches[at..].iter().take(limit).copied().collect()
    }

    /// Everything that is written.
    pub fn batches(&self) -> &[ToyBatch] {
        &self.written.batches
    }

    /// The batch that starts at `base_offset`, if it is durable.
    pub fn durable_at(&self, base_offset: Offset) -> Option<&ToyBatch> {
        find(&self.durable.batches, base_offset)
    }

    /// The batch that starts at `base_offset`.
    pub fn written_at(&self, base_offset: Offset) -> Option<&ToyBatch> {
        find(&self.written.batches, base_offset)
    }

    /// First offset.
    pub fn start(&self) -> Offset {
        self.written.start
    }
}

fn find(batches: &[ToyBatch], base_offset: Offset) -> Option<&ToyBatch> {
    let at = batches.binary_search_by_key(&base_offset, |batch| batch.placed.base_offset).ok()?;
    batches.get(at)
}
