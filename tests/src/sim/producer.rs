//! An idempotent producer of one partition: up to five batches in flight, all of them sent again, in order, whenever
//! one of them fails or the connection breaks.

use std::collections::VecDeque;

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, ProducerEpoch, ProducerId, Sequence, TopicPartition},
};
use holdfast_replication::BatchInfo;

use super::{batch::BatchId, message::Message};

const MAX_IN_FLIGHT: u32 = 5;

#[derive(Clone, Debug)]
struct Pending {
    id: BatchId,
    info: BatchInfo,
    sent: bool,
}

/// A producer.
#[derive(Debug)]
pub struct Producer {
    number: u32,
    tp: TopicPartition,
    pending: VecDeque<Pending>,
    next_counter: u32,
    next_sequence: Sequence,
    attempt: u64,
    resent: u64,
    /// The broker it sends to, as far as it knows.
    pub leader: Option<BrokerId>,
}

impl Producer {
    /// A producer that has sent nothing yet.
    pub fn new(number: u32, tp: TopicPartition) -> Self {
        Self {
            number,
            tp,
            pending: VecDeque::new(),
            next_counter: 0,
            next_sequence: Sequence(0),
            attempt: 0,
            resent: 0,
            leader: None,
        }
    }

    /// The partition that it writes to.
    pub fn partition(&self) -> TopicPartition {
        self.tp
    }

    /// Batches whose fate it does not know.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Batches that it made.
    pub fn made(&self) -> u32 {
        self.next_counter
    }

    /// Batches that it sent more than once.
    pub fn resent(&self) -> u64 {
        self.resent
    }

    /// Makes one more batch, to be sent by [`Self::to_send`].
    pub fn make(&mut self, record_count: u32) {
        let info = BatchInfo {
            record_count,
            size_bytes: 100 * record_count,
            producer_id: ProducerId(i64::from(self.number)),
            producer_epoch: ProducerEpoch(0),
            base_sequence: self.next_sequence,
        };
        let id = BatchId { producer: self.number, counter: self.next_counter };
        self.next_counter += 1;
        self.next_sequence = self.next_sequence.plus(record_count);
        self.pending.push_back(Pending { id, info, sent: false });
    }

    /// What may be sent now, in order. Nothing goes further ahead of the oldest open batch than a leader remembers,
    /// whatever was answered in between.
    pub fn to_send(&mut self) -> Vec<Message> {
        let (tp, attempt) = (self.tp, self.attempt);
        let end = self.pending.front().map_or(0, |oldest| oldest.id.counter + MAX_IN_FLIGHT);
        self.pending
            .iter_mut()
            .filter(|pending| !pending.sent && pending.id.counter < end)
            .map(|pending| {
                pending.sent = true;
                Message::Produce { tp, id: pending.id, attempt, batch: pending.info }
            })
            .collect()
    }

    /// Everything in flight has to be sent again, perhaps to another broker.
    pub fn start_again(&mut self) {
        self.attempt += 1;
        for pending in &mut self.pending {
            self.resent += u64::from(pending.sent);
            pending.sent = false;
        }
    }

    /// An answer came. Returns true if everything in flight has to be sent again.
    pub fn answered(&mut self, id: BatchId, attempt: u64, result: Result<u64, ErrorCode>) -> bool {
        match result {
            Ok(_) => {
                self.pending.retain(|pending| pending.id != id);
                false
            }
            Err(_) if attempt != self.attempt => false,
            // A batch behind one that was refused comes out of order: it goes again after that one.
            Err(code) => {
                assert!(
                    code.is_retriable() || code == ErrorCode::OutOfOrderSequenceNumber,
                    "{id:?} was refused for good with {code}, though its producer did nothing wrong"
                );
                self.start_again();
                true
            }
        }
    }
}
