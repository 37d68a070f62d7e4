//! Batches by name, as producers send them, and what they were answered.

use std::collections::BTreeMap;

use bytes::Bytes;

use holdfast_proto::{
    batch::{BatchBuilder, Compression, ProducerStamp, RecordRef},
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TopicPartition},
};
use holdfast_replication::Acks;

use crate::sim::{batch::BatchId, message::Message};

/// Names of producers that are not idempotent: each batch has its own, for no order is promised among them.
const PLAIN: u32 = 1_000_000;

/// What a producer was told.
pub(super) type Answer = Result<Offset, ErrorCode>;

/// One batch to be sent.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) acks: Acks,
    pub(super) count: u32,
    pub(super) leader_epoch: Option<LeaderEpoch>,
    /// Of an idempotent producer.
    pub(super) stamp: Option<ProducerStamp>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { acks: Acks::All, count: 1, leader_epoch: None, stamp: None }
    }
}

/// The stamp of a producer's first batch.
pub(super) fn first_stamp(id: i64) -> ProducerStamp {
    ProducerStamp { id: ProducerId(id), epoch: ProducerEpoch(0), base_sequence: Sequence(0) }
}

/// What was sent and what was answered.
#[derive(Debug, Default)]
pub(super) struct Producing {
    ids: BTreeMap<String, BatchId>,
    /// The last attempt of each name.
    last: BTreeMap<String, u64>,
    /// Where each attempt went that an answer is due to.
    sent: BTreeMap<u64, BrokerId>,
    answers: BTreeMap<u64, Answer>,
    attempts: u64,
}

impl Producing {
    /// A batch of this name: the same name again is the same batch. The message, and the number of the attempt.
    pub(super) fn make(&mut self, tp: TopicPartition, to: BrokerId, name: &str, wanted: &Wanted) -> (u64, Message) {
        let counter = self.ids.len() as u32;
        let producer = wanted.stamp.map_or(PLAIN + counter, |stamp| stamp.id.0 as u32);
        let id = *self.ids.entry(name.to_owned()).or_insert(BatchId { producer, counter });
        self.attempts += 1;
        let attempt = self.attempts;
        self.last.insert(name.to_owned(), attempt);
        if wanted.acks != Acks::None {
            self.sent.insert(attempt, to);
        }
        let (acks, leader_epoch, bytes) = (wanted.acks, wanted.leader_epoch, build(id, wanted));
        (attempt, Message::Produce { tp, connection: 0, correlation: attempt, acks, leader_epoch, bytes })
    }

    /// Takes the answer to an attempt.
    pub(super) fn answered(&mut self, attempt: u64, answer: Answer) {
        assert!(
            self.sent.remove(&attempt).is_some(),
            "attempt {attempt} is answered though no answer is due: {answer:?}"
        );
        self.answers.insert(attempt, answer);
    }

    /// Connections with a broker broke: those who wait there learn nothing more.
    pub(super) fn connection_lost(&mut self, broker: BrokerId) {
        let (lost, rest) = std::mem::take(&mut self.sent).into_iter().partition(|(_, to)| *to == broker);
        self.sent = rest;
        let lost: BTreeMap<u64, BrokerId> = lost;
        self.answers.extend(lost.into_keys().map(|attempt| (attempt, Err(ErrorCode::OutcomeUnknown))));
    }

    /// The answer to the last produce of this name.
    pub(super) fn answer(&self, name: &str) -> Result<Option<Answer>, String> {
        let attempt = self.last.get(name).ok_or_else(|| format!("{name} was never produced"))?;
        Ok(self.answers.get(attempt).copied())
    }

    /// The name of a batch.
    pub(super) fn name(&self, id: BatchId) -> &str {
        self.ids.iter().find(|(_, known)| **known == id).map_or("?", |(name, _)| name)
    }
}

/// The bytes of a batch, as a client builds them.
fn build(id: BatchId, wanted: &Wanted) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    let value = id.value();
    for _ in 0..wanted.count {
        let record = RecordRef { value: Some(&value), ..RecordRef::default() };
        builder.append(&record).expect("a small record fits");
    }
    builder.build(wanted.stamp).expect("a batch of small records can be built")
}
