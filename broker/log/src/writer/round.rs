//! One round of work on one partition: all its waiting appends with one write and one fsync.
//!
//! Invariants:
//! 1. Operations are done in the order of their submission.
//! 2. `Flushed` is told only after the fsync that covers it, and once for all appends of a round.
//! 3. Whatever else has to be durable (the mark) follows after that, so that no answer waits for it.
//! 4. Where handles or memory are wanting, what cannot be done waits with all that comes after it, and is tried again
//!    ([`Waiting`]): nothing is lost, and others go on.

use std::time::{Duration, Instant};

use bytes::Bytes;

use holdfast_proto::ids::Offset;
use holdfast_replication::LogGeneration;

use super::{Completion, Op, Room, waiting::Waiting};
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
    collected: Collected,
    must_flush: bool,
    waiting: Waiting,
}

/// What is being collected for one write.
#[derive(Debug, Default)]
struct Collected {
    records: Vec<Bytes>,
    /// Given back at the end of the round.
    rooms: Vec<Room>,
    end_offset: Offset,
    /// Some may be in the log: their first write was refused for want of handles.
    is_begun: bool,
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
        Self {
            log,
            generation: LogGeneration::default(),
            told,
            flush_due: None,
            mark_due: None,
            mark_interval,
            collected: Collected::default(),
            must_flush: false,
            waiting: Waiting::default(),
        }
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
        let now = Instant::now();
        if !self.waiting.may_try(ops, now) {
            let again = self.waiting.again();
            return Ok((Some(self), RoundOutcome::Open(again)));
        }
        match self.work(ops, &tell) {
            Ok(RoundOutcome::Open(wake_at)) => {
                self.waiting.went_on(self.log.partition());
                Ok((Some(self), RoundOutcome::Open(wake_at)))
            }
            Ok(RoundOutcome::Closed) => self.close(&tell).map(|()| (None, RoundOutcome::Closed)),
            Err(error) if error.is_shortage() => {
                self.waiting.wait(self.log.partition(), ops, &error, now);
                // What is in the log need not wait.
                self.log.flush()?;
                self.tell_flushed(false, &tell);
                let again = self.waiting.again();
                Ok((Some(self), RoundOutcome::Open(again)))
            }
            Err(error) => Err(error),
        }
    }

    /// Does the operations in order. Those that are done are taken out; after an error the one that failed is the first.
    fn work(&mut self, ops: &mut Vec<Op>, tell: &impl Fn(Completion)) -> Result<RoundOutcome, Error> {
        let mut rest = ops.drain(..);
        let failed = loop {
            let Some(op) = rest.next() else { break None };
            match op {
                Op::Append { records, end_offset, generation, room } => {
                    self.collected.records.push(records);
                    self.collected.rooms.push(room);
                    self.collected.end_offset = end_offset;
                    self.generation = generation;
                }
                Op::Flush => self.must_flush = true,
                Op::StoreHighWatermark { offset } => self.log.store_high_watermark(offset),
                op => match self.write().and_then(|()| self.act(&op, tell)) {
                    Ok(()) if matches!(op, Op::Close) => return Ok(RoundOutcome::Closed),
                    Ok(()) => {}
                    Err(error) => break Some((op, error)),
                },
            }
        };
        if let Some((op, error)) = failed {
            let left: Vec<Op> = std::iter::once(op).chain(rest).collect();
            *ops = left;
            return Err(error);
        }
        drop(rest);
        self.write()?;
        let now = Instant::now();
        if self.must_flush || self.is_flush_due(now) {
            self.log.flush()?;
        }
        self.tell_flushed(self.must_flush, tell);
        self.must_flush = false;
        self.collected.rooms.clear();
        Ok(RoundOutcome::Open(self.sync_mark(now)?))
    }

    /// Does one operation that all before it have to be written for.
    fn act(&mut self, op: &Op, tell: &impl Fn(Completion)) -> Result<(), Error> {
        match *op {
            Op::Append { .. } | Op::Flush | Op::StoreHighWatermark { .. } => unreachable!("collected, not done alone"),
            Op::Truncate { to, generation } => {
                self.log.truncate_to(to)?;
                self.tell_truncated(generation, tell);
            }
            Op::StartOver { at, generation } => {
                self.log.start_over(at)?;
                self.tell_truncated(generation, tell);
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
            // Nothing relies on it, and the scrub comes by again. A disk that fails says so at the next change.
            Op::Bind(ref binding) => {
                if let Err(error) = self.log.bind(binding) {
                    tracing::warn!(%error, "the digests of a segment are not made again");
                }
            }
            Op::ExpireProducers => self.log.expire_producers(),
            Op::Close => {
                self.log.flush()?;
                self.tell_flushed(self.must_flush, tell);
            }
        }
        Ok(())
    }

    /// Everything is durable. Without handles for its checkpoints the log is closed all the same: the next start reads more.
    fn close(self, tell: &impl Fn(Completion)) -> Result<(), Error> {
        let partition = self.log.partition();
        match self.log.close() {
            Err(error) if error.is_shortage() => tracing::warn!(%partition, %error, "a log is not closed in order"),
            closed => closed?,
        }
        tell(Completion::Closed);
        Ok(())
    }

    /// Writes what was collected.
    fn write(&mut self) -> Result<(), Error> {
        let collected = &mut self.collected;
        if collected.records.is_empty() {
            return Ok(());
        }
        if std::mem::replace(&mut collected.is_begun, true) {
            self.log.append_rest(&collected.records)?;
        } else {
            self.log.append(&collected.records)?;
        }
        collected.is_begun = false;
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
