//! A queue under test, with its clock and the other end of its connection.

use std::time::{Duration, Instant};

use holdfast_proto::{
    batch::{Compression, RecordRef},
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs},
};

use super::{Ack, BatchQueue, Next, ProducerIdentity, Rules};
use crate::producer::completion::BatchOutcome;

pub(super) const IDENTITY: ProducerIdentity = ProducerIdentity { id: ProducerId(7), epoch: ProducerEpoch(0) };
pub(super) const NEXT_IDENTITY: ProducerIdentity = ProducerIdentity { id: ProducerId(7), epoch: ProducerEpoch(1) };
pub(super) const LINGER: Duration = Duration::from_millis(10);
pub(super) const DELIVERY_TIMEOUT: Duration = Duration::from_secs(100);

/// A queue, its clock, and what the connection would do.
pub(super) struct Rig {
    pub(super) queue: BatchQueue,
    pub(super) now: Instant,
    pub(super) identity: ProducerIdentity,
    correlation: u64,
}

impl Rig {
    pub(super) fn new() -> Self {
        let rules = Rules {
            batch_size_bytes: 1 << 10,
            linger: LINGER,
            max_in_flight: 5,
            delivery_timeout: DELIVERY_TIMEOUT,
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            compression: Compression::None,
            answered: true,
            jitter: |pause| pause,
        };
        let queue = BatchQueue::new(PartitionIndex(0), rules, Some(IDENTITY));
        Self { queue, now: Instant::now(), identity: IDENTITY, correlation: 0 }
    }

    /// One record that is a batch of its own.
    pub(super) fn batch(&mut self) {
        self.record();
        self.queue.seal();
    }

    pub(super) fn record(&mut self) {
        let record = RecordRef { timestamp: TimestampMs(1), value: Some(b"x"), ..RecordRef::default() };
        let now = self.now;
        self.queue.append(&record, 10, &mut None, false, || now).unwrap().unwrap();
    }

    /// As many records as given, in one batch.
    pub(super) fn batch_of(&mut self, count: usize) {
        (0..count).for_each(|_| self.record());
        self.queue.seal();
    }

    pub(super) fn next(&mut self) -> Next {
        self.correlation += 1;
        self.queue.next_to_send(self.now, self.correlation, Some(self.identity))
    }

    /// Sends the next batch; its epoch and base sequence.
    pub(super) fn send(&mut self) -> (u64, i16, i32) {
        let Next::Send(job) = self.next() else { panic!("nothing to send: {self:?}") };
        let (flight, stamp) = (job.flight, job.stamp);
        self.queue.built(flight, Ok((job.build().unwrap(), stamp)));
        let stamp = stamp.unwrap();
        (self.correlation, stamp.epoch.0, stamp.base_sequence.0)
    }

    pub(super) fn sends(&mut self, count: usize) -> Vec<u64> {
        (0..count).map(|_| self.send().0).collect()
    }

    pub(super) fn ok(&mut self, correlation: u64, offset: u64) {
        let ack = Ack { base_offset: Some(Offset(offset)), leader_epoch: Some(LeaderEpoch(0)) };
        self.queue.answer(correlation, Ok(ack), self.now);
    }

    pub(super) fn refuse(&mut self, correlation: u64, code: ErrorCode) {
        self.queue.answer(correlation, Err(ErrorDetail::from(code)), self.now);
    }

    /// Sends the next batch twice: what became of the first attempt is unknown, the second is refused as too large.
    pub(super) fn lose_then_refuse_as_too_large(&mut self) {
        for code in [ErrorCode::RequestTimedOut, ErrorCode::MessageTooLarge] {
            let sent = self.send().0;
            self.refuse(sent, code);
            self.pass(Duration::from_secs(2));
        }
    }

    /// What has finished since: `+offset`, `-code`, `?code`.
    pub(super) fn finished(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.queue.take_finished())
            .map(|finished| match finished.outcome {
                BatchOutcome::Delivered { base_offset, .. } => format!("+{}", base_offset.map_or(-1, |o| o.0 as i64)),
                BatchOutcome::NotAppended { code } => format!("-{}", code.name()),
                BatchOutcome::InDoubt { code } => format!("?{}", code.name()),
            })
            .collect()
    }

    pub(super) fn is_idle(&mut self) -> bool {
        matches!(self.next(), Next::Idle)
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}

impl std::fmt::Debug for Rig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.queue.fmt(f)
    }
}
