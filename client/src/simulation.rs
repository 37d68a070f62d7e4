//! The producer's batch queue, to be driven by a simulation as it ships. Not for applications.
//!
//! Nothing is decided here: each call goes to the queue of one partition, with the time that it is given.

use std::time::{Duration, Instant};

use bytes::Bytes;

use holdfast_proto::{
    batch::{Compression, RecordRef},
    detail::ErrorDetail,
    ids::{Offset, PartitionIndex, ProducerEpoch, ProducerId},
};

use crate::producer::{
    batch_queue::{Ack, BatchQueue, Next, ProducerIdentity, Rules},
    completion::BatchOutcome,
};

/// The batches of one partition of one idempotent producer.
#[derive(Debug)]
pub struct PartitionBatches {
    queue: BatchQueue,
    identity: ProducerIdentity,
    correlation: u64,
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Send this batch under this correlation id.
    Send(u64, Bytes),
    /// Ask again then, or when something happens.
    WaitUntil(Instant),
    /// Nothing until something happens.
    Idle,
    /// Nothing until [`PartitionBatches::renew`] gave the next producer epoch.
    NeedEpoch,
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// In the log: the leader acknowledged it.
    Delivered,
    /// Certainly not in the log.
    NotAppended,
    /// Perhaps in the log.
    InDoubt,
}

impl PartitionBatches {
    /// An empty queue of a producer with this id, in its first epoch.
    pub fn new(partition: PartitionIndex, producer_id: ProducerId, delivery_timeout: Duration) -> Self {
        let identity = ProducerIdentity { id: producer_id, epoch: ProducerEpoch(0) };
        let rules = Rules {
            batch_size_bytes: 64 << 10,
            linger: Duration::ZERO,
            max_in_flight: 5,
            delivery_timeout,
            retry_backoff: Duration::from_millis(20),
            retry_backoff_max: Duration::from_millis(200),
            compression: Compression::None,
            answered: true,
            jitter: |pause| pause,
        };
        Self { queue: BatchQueue::new(partition, rules, Some(identity)), identity, correlation: 0 }
    }

    /// Accepts records and closes their batch.
    pub fn append(&mut self, values: &[Vec<u8>], now: Instant) {
        for value in values {
            let record = RecordRef { value: Some(value), ..RecordRef::default() };
            let appended = self.queue.append(&record, value.len(), &mut None, false, || now);
            assert!(matches!(appended, Ok(Some(_))), "a small record fits");
        }
        self.queue.seal();
    }

    /// What to do next.
    pub fn next(&mut self, now: Instant) -> Step {
        self.correlation += 1;
        let correlation = self.correlation;
        match self.queue.next_to_send(now, correlation, Some(self.identity)) {
            Next::Send(job) => {
                let (flight, stamp) = (job.flight, job.stamp);
                let bytes = job.build().expect("a batch of small records can be built");
                self.queue.built(flight, Ok((bytes.clone(), stamp)));
                Step::Send(correlation, bytes)
            }
            Next::WaitUntil(at) => Step::WaitUntil(at),
            Next::Idle => Step::Idle,
            Next::NeedIdentity(_) => Step::NeedEpoch,
        }
    }

    /// Goes on under the next producer epoch.
    pub fn renew(&mut self) {
        self.identity.epoch = ProducerEpoch(self.identity.epoch.0 + 1);
    }

    /// The leader answered. True if it may be another by now.
    pub fn answer(&mut self, correlation: u64, result: Result<Offset, ErrorDetail>, now: Instant) -> bool {
        let ack = result.map(|offset| Ack { base_offset: Some(offset), leader_epoch: None });
        self.queue.answer(correlation, ack, now).refresh
    }

    /// The connection is lost.
    pub fn abandon(&mut self, now: Instant) {
        self.queue.abandon(now);
    }

    /// Another broker leads, or the same one in a new epoch: answers of the old leadership are ignored.
    pub fn moved(&mut self, now: Instant) {
        self.queue.moved(now);
    }

    /// Ends what has reached its delivery timeout.
    pub fn expire(&mut self, now: Instant) {
        self.queue.expire(now);
    }

    /// The batches that have ended, in the order in which they were accepted.
    pub fn ended(&mut self) -> Vec<Ended> {
        std::iter::from_fn(|| self.queue.take_finished())
            .map(|finished| match finished.outcome {
                BatchOutcome::Delivered { .. } => Ended::Delivered,
                BatchOutcome::NotAppended { .. } => Ended::NotAppended,
                BatchOutcome::InDoubt { .. } => Ended::InDoubt,
            })
            .collect()
    }

    /// True if nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
