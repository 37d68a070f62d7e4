//! One round of work on one partition: all its waiting appends with one write and one fsync.
//!
//! Invariants:
//! 1. Operations are done in the order of their submission.
//! 2. `Flushed` is told only after the fsync that covers it, and once for all appends of a round.
//! 3. Whatever else has to be durable (the mark) follows after that, so that no answer waits for it.

use std::time::{Duration, Instant};

use bytes::Bytes;

use holdfast_proto::ids::Offset;
use holdfast_replication::LogGeneration;

use super::{Completion, Op, Room};
use crate::{Error, FlushTiming, LogReader, PartitionLog};

/// A log with what the writer has to remember of it between rounds.
#[derive(Debug)]
pub(super) struct OpenLog {
    log: PartitionLog,
    /// Of the last append or truncation.
    generation: LogGeneration,
    /// Durable end that was told last.
    told: Offset,
    /// When the interval's flush is due.
    flush_due: Option<Instant>,
    /// When the mark has to be durable.
    mark_due: Option<Instant>,
    mark_interval: Duration,
}

/// What is being collected for one write.
#[derive(Debug, Default)]
struct Collected {
    records: Vec<Bytes>,
    /// Given back at the end of the round.
    rooms: Vec<Room>,
    end_offset: Offset,
}

/// What became of a round.
pub(super) enum RoundOutcome {
    /// The partition wants to be woken at this time, if at all.
    Open(Option<Instant>),
    /// The log is closed: the partition takes no more operations.
    Closed,
}

impl OpenLog {
    pub(super) fn new(log: PartitionLog, mark_interval: Duration) -> Self {
        let told = log.flushed_end();
        let generation = LogGeneration::default();
        Self { log, generation, told, flush_due: None, mark_due: None, mark_interval }
    }

    pub(super) fn reader(&self) -> LogReader {
        self.log.reader()
    }

    /// Does the operations, and what is due by time.
    pub(super) fn run(
        mut self,
        ops: &mut Vec<Op>,
        tell: impl Fn(Completion),
    ) -> Result<(Option<Self>, RoundOutcome), Error> {
        let mut collected = Collected::default();
        let mut must_flush = false;
        for op in ops.drain(..) {
            match op {
                Op::Append { records, end_offset, generation, room } => {
                    collected.records.push(records);
                    collected.rooms.push(room);
                    collected.end_offset = end_offset;
                    self.generation = generation;
                    continue;
                }
                Op::Flush => {
                    must_flush = true;
                    continue;
                }
                Op::StoreHighWatermark { offset } => {
                    self.log.store_high_watermark(offset);
                    continue;
                }
                _ => self.write(&mut collected)?,
            }
            match op {
                Op::Append { .. } | Op::Flush | Op::StoreHighWatermark { .. } => {} // done above
                Op::Truncate { to, generation } => {
                    self.log.truncate_to(to)?;
                    self.tell_truncated(generation, &tell);
                }
                Op::StartOver { at, generation } => {
                    self.log.start_over(at)?;
                    self.tell_truncated(generation, &tell);
                }
                Op::BeginEpoch { leader_epoch, start_offset } => self.log.begin_epoch(leader_epoch, start_offset)?,
                Op::AdvanceStart { to } => {
                    self.log.advance_log_start(to)?;
                    tell(Completion::LogStartAdvanced { offset: self.log.log_start_offset() });
                }
                Op::Configure(config) => {
                    self.log.configure(config)?;
                    self.flush_due = None; // by the new policy, below
                }
                Op::ExpireProducers => self.log.expire_producers(),
                Op::Close => {
                    self.log.flush()?;
                    self.tell_flushed(must_flush, &tell);
                    self.log.close()?;
                    tell(Completion::Closed);
                    return Ok((None, RoundOutcome::Closed));
                }
            }
        }
        self.write(&mut collected)?;
        let now = Instant::now();
        if must_flush || self.is_flush_due(now) {
            self.log.flush()?;
        }
        self.tell_flushed(must_flush, &tell);
        drop(collected);
        let wake_at = self.sync_mark(now)?;
        Ok((Some(self), RoundOutcome::Open(wake_at)))
    }

    fn write(&mut self, collected: &mut Collected) -> Result<(), Error> {
        if collected.records.is_empty() {
            return Ok(());
        }
        self.log.append(&collected.records)?;
        collected.records.clear();
        let end = self.log.log_end_offset();
        assert!(
            end == collected.end_offset,
            "the log of {} ends at {end}, the core believes at {}; did they part ways?",
            self.log.partition(),
            collected.end_offset,
        );
        Ok(())
    }

    /// True if what was appended has to be made durable now.
    fn is_flush_due(&mut self, now: Instant) -> bool {
        let waiting = self.log.log_end_offset().0 - self.log.flushed_end().0;
        if waiting == 0 {
            self.flush_due = None;
            return false;
        }
        match self.log.config().flush {
            FlushTiming::EachRound => true,
            FlushTiming::Interval { messages, ms } => {
                let due = *self.flush_due.get_or_insert(now + Duration::from_millis(ms));
                let is_due = waiting >= messages || due <= now;
                if is_due {
                    self.flush_due = None;
                }
                is_due
            }
        }
    }

    /// Makes the mark durable if it is due, and says when something is due next.
    fn sync_mark(&mut self, now: Instant) -> Result<Option<Instant>, Error> {
        if self.log.is_mark_behind() {
            let due = *self.mark_due.get_or_insert(now + self.mark_interval);
            if due <= now {
                self.log.sync_mark()?;
                self.mark_due = None;
            }
        } else {
            self.mark_due = None;
        }
        Ok(self.flush_due.into_iter().chain(self.mark_due).min())
    }

    fn tell_flushed(&mut self, always: bool, tell: &impl Fn(Completion)) {
        let offset = self.log.flushed_end();
        if always || offset != self.told {
            self.told = offset;
            tell(Completion::Flushed { generation: self.generation, offset });
        }
    }

    fn tell_truncated(&mut self, generation: LogGeneration, tell: &impl Fn(Completion)) {
        self.generation = generation;
        self.told = self.log.flushed_end();
        let (end_offset, producers) = (self.log.log_end_offset(), self.log.producers().clone());
        tell(Completion::Truncated { generation, end_offset, producers });
    }
}
