//! What a partition's actor can be told.

use std::{num::NonZeroU64, sync::Arc};

use bytes::Bytes;
use tokio::sync::oneshot;

use holdfast_log::{Binding, LogConfig, Room};
use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch},
};
use holdfast_replication::{Acks, Assignment, BatchInfo, FetchOutcome, FetchPosition, Produced};

use crate::{
    here::{lease::LeaseNumber, shares::Share},
    outbox::answers::Outbox,
};

/// What became of a produce.
pub type ProduceResult = Result<Produced, ErrorCode>;

/// A message to a partition's actor.
#[derive(Debug)]
pub enum Message {
    /// A producer's batch, checked.
    Produce(ProduceJob),
    /// A follower tells where it stands.
    ReplicaFetch {
        /// The broker whose replica follows.
        from: BrokerId,
        /// Epoch of that broker's registration.
        broker_epoch: BrokerEpoch,
        /// Its log end, flushed end and epochs.
        position: FetchPosition,
        /// Most bytes in one answer.
        max_bytes: u32,
        /// Where the answers to it go.
        outbox: Arc<Outbox>,
    },
    /// A follower's stream ended.
    ReplicaDisconnected {
        /// The broker whose replica followed over that stream.
        from: BrokerId,
        /// Its stream's outbox: a newer stream may have replaced it.
        outbox: Arc<Outbox>,
    },
    /// The leader answered our fetch.
    FetchResponse {
        /// The broker that answered as leader.
        from: BrokerId,
        /// Epoch of its leadership.
        leader_epoch: LeaderEpoch,
        /// What it answered, without the bytes.
        outcome: FetchOutcome,
        /// Its batches, checked, in one piece.
        records: Bytes,
        /// Their place at the log writer, if there are any.
        room: Option<Room>,
    },
    /// The controller committed a state or settings of the partition.
    Assigned {
        /// The state as it was committed.
        assignment: Box<Assignment>,
        /// The topic's settings for its log.
        log: LogConfig,
        /// Most bytes a second that this broker copies into replicas that moves bring here, if this is one of them.
        move_limit: Option<NonZeroU64>,
    },
    /// The controller committed a state without this replica: its role ends, and `Close` follows.
    LastAssigned(Box<Assignment>),
    /// The controller answered a proposal.
    Proposed {
        /// Leader epoch of the proposal.
        leader_epoch: LeaderEpoch,
        /// Partition epoch that it started from.
        partition_epoch: PartitionEpoch,
        /// The committed state, or why not.
        result: Result<Assignment, ErrorCode>,
    },
    /// Memory is wanted that batches hold which wait for a flush.
    Flush,
    /// Too many producers are remembered over all partitions.
    ExpireProducers,
    /// The scrub has read a segment through whose digests were lost.
    Bind(Box<Binding>),
    /// A new lease began; the states that were committed before came before this.
    LeaseBegan(LeaseNumber),
    /// The lease on the session ran out: look at it now.
    LeaseEnded,
    /// Retention found that everything below may go.
    AdvanceStart {
        /// The new log start offset.
        to: Offset,
    },
    /// Flush, close the log and stop. Answered when it is closed.
    Close(oneshot::Sender<()>),
}

/// A producer's batch on its way to the core.
#[derive(Debug)]
pub struct ProduceJob {
    /// How many replicas must have the batch before the answer.
    pub acks: Acks,
    /// Leader epoch that the client believes current.
    pub leader_epoch: Option<LeaderEpoch>,
    /// What the core needs to know of the batch.
    pub batch: BatchInfo,
    /// The batch, offset and epoch not set yet.
    pub bytes: Bytes,
    /// How long the answer may wait, ms.
    pub timeout_ms: u64,
    /// Its room among the produces in work; given back once the log has counted it.
    pub room: Option<Share>,
    /// Takes the answer; see [`ProduceReply`].
    pub reply: ProduceReply,
}

/// Answers one produce, exactly once. Dropped unanswered, as when its partition's actor is gone, it answers
/// OUTCOME_UNKNOWN by itself.
pub struct ProduceReply(Option<Box<dyn FnOnce(ProduceResult) + Send>>);

impl ProduceReply {
    /// A reply that calls `answer`, on the partition's thread: it must not block.
    pub fn new(answer: impl FnOnce(ProduceResult) + Send + 'static) -> Self {
        Self(Some(Box::new(answer)))
    }

    /// The reply of acks=0: there is none.
    pub fn none() -> Self {
        Self(None)
    }

    /// Gives the answer to the producer.
    pub fn send(mut self, result: ProduceResult) {
        if let Some(answer) = self.0.take() {
            answer(result);
        }
    }
}

impl Drop for ProduceReply {
    fn drop(&mut self) {
        if let Some(answer) = self.0.take() {
            answer(Err(ErrorCode::OutcomeUnknown));
        }
    }
}

impl std::fmt::Debug for ProduceReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProduceReply")
    }
}
