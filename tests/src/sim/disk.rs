//! A disk that forgets: what a simulated broker has written, and how much of it a power loss would leave.
//!
//! It outlives the simulated process, as a real disk does. What retention takes is gone at once; the state of its producers
//! stays, as in snapshot files. Invariants:
//! 1. Batches are contiguous from the log start to the log end.
//! 2. The flushed end lies between the log start and the log end, and only a flush or the end of a truncation moves it
//!    forward.

use std::collections::BTreeMap;

use holdfast_proto::ids::{DirectoryId, LeaderEpoch, Offset, TopicPartition};
use holdfast_replication::{EpochChain, LogGeneration, PlacedBatch, ProducerTable, ReplicaState};

use super::batch::{BatchId, SimBatch};

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// kill -9: what was written stays in the page cache.
    Kill,
    /// The power fails: what was not fsynced is gone, but for what the kernel had written by itself.
    PowerLoss {
        /// Batches of each log past its durable end that reached the disk all the same, at the most.
        kept: usize,
    },
}

/// One partition's log on one disk.
#[derive(Clone, Debug, Default)]
pub struct SimLog {
    /// Tells it from another one that stood in the same folder before.
    number: u64,
    log_start: u64,
    batches: Vec<SimBatch>,
    epochs: EpochChain,
    flushed: u64,
    generation: LogGeneration,
    /// Producers of what retention took.
    gone: ProducerTable,
    /// The high watermark as it was noted last.
    checkpoint: u64,
}

impl SimLog {
    /// Tells it from another one that stood in the same folder before.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The first offset.
    pub fn start(&self) -> u64 {
        self.log_start
    }

    /// The next offset.
    pub fn end(&self) -> u64 {
        self.batches.last().map_or(self.log_start, |batch| batch.next_offset().0)
    }

    /// The durable end.
    pub fn flushed(&self) -> u64 {
        self.flushed
    }

    /// The leaderships in it.
    pub fn epochs(&self) -> &EpochChain {
        &self.epochs
    }

    /// The batches, by offset.
    pub fn batches(&self) -> &[SimBatch] {
        &self.batches
    }

    /// Appends batches that have their place.
    pub fn append(&mut self, batches: &[SimBatch]) {
        for batch in batches {
            let (end, base) = (self.end(), batch.placed.base_offset.0);
            assert!(end == base, "append at {base}, but the log ends at {end}: a gap or an overlap");
            self.note_epoch(batch.placed.leader_epoch, batch.placed.base_offset);
            self.batches.push(batch.clone());
        }
    }

    /// An epoch begins here.
    pub fn note_epoch(&mut self, epoch: LeaderEpoch, start: Offset) {
        self.epochs.assign(epoch, start);
    }

    /// An fsync that covered everything below `end` has returned. One of an older generation says nothing of what
    /// stands there now.
    pub fn flush(&mut self, generation: LogGeneration, end: u64) {
        if generation == self.generation {
            self.flushed = self.flushed.max(end.min(self.end()));
        }
    }

    /// True if the batch stands at this offset and would survive a power loss, or stood there until retention took it.
    pub fn holds_durably(&self, offset: u64, id: BatchId) -> bool {
        if offset < self.log_start {
            return true;
        }
        let at = self.batches.partition_point(|batch| batch.placed.base_offset.0 < offset);
        self.batches.get(at).is_some_and(|batch| batch.id == id && batch.next_offset().0 <= self.flushed)
    }

    /// Cuts everything at and above `to`. What is appended next belongs to `generation`.
    pub fn truncate(&mut self, to: u64, generation: LogGeneration) {
        self.generation = generation;
        self.batches.retain(|batch| batch.next_offset().0 <= to);
        assert!(self.end() == to, "truncation to {to} cut a batch in two: the log ends at {}", self.end());
        self.epochs.truncate_to(Offset(to));
        self.flushed = self.flushed.min(to);
    }

    /// The truncation that began a generation is done, and with it everything that is left is durable. A later one says
    /// so itself.
    pub fn truncated(&mut self, generation: LogGeneration) {
        if generation == self.generation {
            self.flushed = self.end();
        }
    }

    /// Drops everything and starts empty at `at`.
    pub fn start_over(&mut self, at: u64, generation: LogGeneration) {
        let Self { number, checkpoint, .. } = *self;
        *self = Self { number, checkpoint, log_start: at, flushed: at, generation, ..Self::default() };
    }

    /// Retention: removes whole batches below `to`, as far as they are durable. Returns the new log start.
    pub fn retain_from(&mut self, to: u64) -> u64 {
        let stays = self.batches.partition_point(|batch| batch.next_offset().0 <= to.min(self.flushed));
        for batch in self.batches.drain(..stays) {
            self.log_start = batch.next_offset().0;
            self.gone.record(&batch.placed);
        }
        self.epochs.truncate_from_start(Offset(self.log_start));
        self.log_start
    }

    /// Notes the high watermark.
    pub fn note_high_watermark(&mut self, high_watermark: Offset) {
        self.checkpoint = high_watermark.0;
    }

    /// The power fails: cuts what was not durable, but for so many batches. Returns how many records it took.
    fn lose_power(&mut self, kept: usize) -> u64 {
        let unflushed = self.batches.iter().filter(|batch| batch.next_offset().0 > self.flushed);
        let keep = unflushed.take(kept).last().map_or(self.flushed, |batch| batch.next_offset().0);
        let lost = self.end() - keep;
        self.truncate(keep, LogGeneration::default());
        lost
    }

    /// Batches from the one that holds `from`, up to `max` of them.
    pub fn read(&self, from: u64, max: usize) -> Vec<SimBatch> {
        self.batches.iter().filter(|batch| batch.next_offset().0 > from).take(max).cloned().collect()
    }

    /// What a process finds when it opens this log: recovery makes what is there durable.
    pub fn recover(&mut self) -> ReplicaState {
        self.flushed = self.end();
        self.generation = LogGeneration::default();
        ReplicaState {
            log_start_offset: Offset(self.log_start),
            log_end_offset: Offset(self.end()),
            high_watermark: Offset(self.checkpoint),
            epochs: self.epochs.clone(),
            producers: self.producers(),
        }
    }

    /// The producers of the batches that are there, and of those that retention took.
    pub fn producers(&self) -> ProducerTable {
        let mut producers = self.gone.clone();
        for batch in &self.batches {
            producers.record(&PlacedBatch { ..batch.placed });
        }
        producers
    }
}

/// All logs of one broker, and its disk's identity.
#[derive(Clone, Debug)]
pub struct Disk {
    /// Id of the data folder.
    pub directory_id: DirectoryId,
    /// Counts the starts.
    pub boot_counter: u64,
    /// The logs.
    pub logs: BTreeMap<TopicPartition, SimLog>,
    /// Logs that were ever made here.
    made: u64,
}

impl Disk {
    /// A disk without a log.
    pub fn new(directory_id: DirectoryId) -> Self {
        Self { directory_id, boot_counter: 0, logs: BTreeMap::new(), made: 0 }
    }

    /// The partition's log; an empty one if there was none.
    pub fn log(&mut self, tp: TopicPartition) -> &mut SimLog {
        let made = &mut self.made;
        self.logs.entry(tp).or_insert_with(|| {
            *made += 1;
            SimLog { number: *made, ..SimLog::default() }
        })
    }

    /// What stood on a copy that was made earlier comes back.
    pub fn restore(&mut self, copy: &Self) {
        let made = self.made;
        *self = Self { made, ..copy.clone() };
        for log in self.logs.values_mut() {
            self.made += 1;
            log.number = self.made;
        }
    }

    /// The disk is lost, and a blank one takes its place.
    pub fn replace(&mut self, directory_id: DirectoryId) {
        *self = Self { made: self.made, ..Self::new(directory_id) };
    }

    /// What a crash leaves. Returns how many un-fsynced records it took.
    pub fn crash(&mut self, crash: Crash) -> u64 {
        match crash {
            Crash::Kill => 0,
            Crash::PowerLoss { kept } => self.logs.values_mut().map(|log| log.lose_power(kept)).sum(),
        }
    }
}
