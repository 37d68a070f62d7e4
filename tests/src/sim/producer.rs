//! An idempotent producer of one partition: the client's batch queue as it ships, and the little round it that finds
//! the leader and holds one connection.

use std::time::{Duration, Instant};

use holdfast_client::simulation::{Ended, PartitionBatches, Step};
use holdfast_proto::{
    detail::ErrorDetail,
    ids::{BrokerId, Offset, ProducerId, TopicPartition},
};
use holdfast_replication::Acks;

use super::{batch::BatchId, message::Message};

/// How long a producer tries to deliver, ms.
const DELIVERY_TIMEOUT_MS: u64 = 8_000;

/// A producer over the client's own batch queue.
#[derive(Debug)]
pub struct Producer {
    number: u32,
    tp: TopicPartition,
    acks: Acks,
    /// The moment that the simulated time counts from: the queue wants a clock's times.
    start: Instant,
    batches: PartitionBatches,
    made: u32,
    ended: Vec<Ended>,
    connection: u64,
    sent: u64,
    /// The broker it sends to, as far as it knows.
    leader: Option<BrokerId>,
}

impl Producer {
    /// A producer that has sent nothing yet.
    pub fn new(number: u32, tp: TopicPartition, acks: Acks) -> Self {
        let timeout = Duration::from_millis(DELIVERY_TIMEOUT_MS);
        Self {
            number,
            tp,
            acks,
            start: Instant::now(),
            batches: PartitionBatches::new(tp.partition, ProducerId(i64::from(number)), timeout),
            made: 0,
            ended: Vec::new(),
            connection: 0,
            sent: 0,
            leader: None,
        }
    }

    fn at(&self, now_ms: u64) -> Instant {
        self.start + Duration::from_millis(now_ms)
    }

    /// The partition that it writes to.
    pub fn partition(&self) -> TopicPartition {
        self.tp
    }

    /// When its batches are acknowledged.
    pub fn acks(&self) -> Acks {
        self.acks
    }

    /// Batches whose outcome it does not know.
    pub fn pending(&self) -> usize {
        self.made as usize - self.ended.len()
    }

    /// What became of its batches, in their order; of the last ones nothing is known yet.
    pub fn ended(&self) -> impl Iterator<Item = (BatchId, Ended)> {
        let ids = (0..).map(|counter| BatchId { producer: self.number, counter });
        ids.zip(self.ended.iter().copied())
    }

    /// Batches that it sent, each time counted.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Batches that it made.
    pub fn made(&self) -> u32 {
        self.made
    }

    /// The broker it sends to, as far as it knows.
    pub fn leader(&self) -> Option<BrokerId> {
        self.leader
    }

    /// Makes one more batch, to be sent by [`Self::to_send`].
    pub fn make(&mut self, now_ms: u64, record_count: u32) {
        let id = BatchId { producer: self.number, counter: self.made };
        self.made += 1;
        self.batches.append(&vec![id.value(); record_count as usize], self.at(now_ms));
    }

    /// Somebody names the leader.
    pub fn learn(&mut self, now_ms: u64, leader: Option<BrokerId>) {
        if leader.is_some() && leader != self.leader {
            let now = self.at(now_ms);
            self.batches.moved(now);
            self.connection += 1;
            self.leader = leader;
        }
    }

    /// What may be sent now, in order.
    pub fn to_send(&mut self, now_ms: u64) -> Vec<Message> {
        let now = self.at(now_ms);
        self.batches.expire(now);
        let mut messages = Vec::new();
        while self.leader.is_some() {
            match self.batches.next(now) {
                Step::Send(correlation, bytes) => {
                    self.sent += 1;
                    let (tp, connection, acks) = (self.tp, self.connection, self.acks);
                    let leader_epoch = None;
                    messages.push(Message::Produce { tp, connection, correlation, acks, leader_epoch, bytes });
                }
                Step::NeedEpoch => self.batches.renew(),
                Step::WaitUntil(_) | Step::Idle => break,
            }
        }
        self.ended.extend(self.batches.ended());
        messages
    }

    /// The connection broke: what was out is out no more.
    pub fn disconnected(&mut self, now_ms: u64) {
        let now = self.at(now_ms);
        self.batches.abandon(now);
        self.connection += 1;
        self.leader = None;
    }

    /// Takes an answer of a broker.
    pub fn answered(&mut self, now_ms: u64, connection: u64, correlation: u64, result: Result<Offset, ErrorDetail>) {
        if connection != self.connection {
            return;
        }
        let now = self.at(now_ms);
        if self.batches.answer(correlation, result, now) {
            self.leader = None;
        }
        self.ended.extend(self.batches.ended());
    }
}
