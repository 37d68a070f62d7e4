//! What simulated nodes say to each other: the gRPC surface in short, with the same fields that decide anything.

use bytes::Bytes;

use holdfast_metadata::{AlterPartition, IsrChange, PartitionState, Record, RegisterBroker, Rejection};
use holdfast_proto::{
    detail::ErrorDetail,
    ids::{BrokerEpoch, BrokerId, LeaderEpoch, MetadataIndex, Offset, TopicPartition},
};
use holdfast_replication::{Acks, FetchOutcome, FetchPosition};

use super::batch::SimBatch;

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
#[derive(Clone, Debug)]
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
        /// Counts the producer's connections: an answer of an older one goes nowhere.
        connection: u64,
        /// Of this attempt.
        correlation: u64,
        /// When to answer.
        acks: Acks,
        /// Leader epoch that the producer believes current.
        leader_epoch: Option<LeaderEpoch>,
        /// The batch.
        bytes: Bytes,
    },
    /// Leader to producer.
    Produced {
        /// Of the request.
        connection: u64,
        /// Of the request.
        correlation: u64,
        /// Offset, or why not.
        result: Result<Offset, ErrorDetail>,
    },
    /// Broker to controller.
    Register(RegisterBroker),
    /// Controller to broker.
    Registered {
        /// Epoch of the registration and the index of it.
        result: Result<(BrokerEpoch, MetadataIndex), Rejection>,
    },
    /// Broker to controller: it wants to leave in order, or has closed its logs.
    Leave {
        /// Its registration.
        broker_epoch: BrokerEpoch,
        /// True for the last word of its process.
        has_stopped: bool,
    },
    /// Broker to controller, on a session.
    Heartbeat {
        /// Counts the sessions of this start: the first heartbeat of each opens it.
        session: u64,
        /// Its registration.
        broker_epoch: BrokerEpoch,
        /// What it has applied.
        applied: MetadataIndex,
        /// True if it can serve.
        is_ready: bool,
    },
    /// Controller to broker: the answer to a heartbeat, or changes that come by themselves.
    Session {
        /// The session that it belongs to.
        session: u64,
        /// The whole state.
        snapshot: Option<(MetadataIndex, Vec<Record>)>,
        /// Changes.
        deltas: Vec<(MetadataIndex, Vec<Record>)>,
        /// The lease, ms.
        lease_ms: u64,
    },
    /// Controller to broker: the session is over.
    SessionEnded {
        /// The session.
        session: u64,
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
