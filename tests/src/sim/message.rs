//! What simulated nodes say to each other: the gRPC surface in short, with the same fields that decide anything.

use holdfast_metadata::{AlterPartition, IsrChange, PartitionState, Record, RegisterBroker, Rejection};
use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, LeaderEpoch, MetadataIndex, TopicPartition},
};
use holdfast_replication::{BatchInfo, FetchOutcome, FetchPosition};

use super::batch::{BatchId, SimBatch};

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// The controller quorum, as one.
    Controller,
    /// A broker.
    Broker(BrokerId),
    /// A producer.
    Producer(u32),
}

/// What is said.
#[derive(Debug)]
pub enum Message {
    /// Follower to leader.
    Position {
        /// The partition.
        tp: TopicPartition,
        /// Broker epoch of the follower's broker.
        broker_epoch: BrokerEpoch,
        /// Where the follower stands.
        position: FetchPosition,
    },
    /// Leader to follower.
    Fetched {
        /// The partition.
        tp: TopicPartition,
        /// Epoch of the leadership.
        leader_epoch: LeaderEpoch,
        /// The answer.
        outcome: FetchOutcome,
        /// The batches of the answer.
        batches: Vec<SimBatch>,
    },
    /// Producer to leader.
    Produce {
        /// The partition.
        tp: TopicPartition,
        /// Which batch.
        id: BatchId,
        /// Counts the producer's connections: an answer of an older one says nothing of what is in flight now.
        attempt: u64,
        /// The batch.
        batch: BatchInfo,
    },
    /// Leader to producer.
    Produced {
        /// Which batch.
        id: BatchId,
        /// Of the request.
        attempt: u64,
        /// Offset, or why not.
        result: Result<u64, ErrorCode>,
    },
    /// Broker to controller.
    Register(RegisterBroker),
    /// Controller to broker.
    Registered {
        /// Epoch of the registration and the index of it.
        result: Result<(BrokerEpoch, MetadataIndex), Rejection>,
    },
    /// Broker to controller.
    Heartbeat {
        /// Its registration.
        broker_epoch: BrokerEpoch,
        /// What it has applied.
        applied: MetadataIndex,
        /// True if it needs a snapshot: the session is new.
        wants_snapshot: bool,
    },
    /// Controller to broker.
    Metadata {
        /// True for a snapshot.
        snapshot: bool,
        /// Its index.
        index: MetadataIndex,
        /// The records.
        records: Vec<Record>,
    },
    /// Leader to controller.
    Alter(AlterPartition),
    /// Controller to leader.
    Altered {
        /// The change.
        change: IsrChange,
        /// What became of it.
        result: Result<PartitionState, Rejection>,
    },
}
