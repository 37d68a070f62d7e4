//! What simulated nodes say to each other: the gRPC surface in short, with the same fields that decide anything.

use bytes::Bytes;

use holdfast_broker::here::time_trust::Said;
use holdfast_metadata::{
    AlterPartition, DistrustReplicas, IsrChange, PartitionState, Record, RegisterBroker, Rejection,
};
use holdfast_proto::{
    detail::ErrorDetail,
    ids::{BrokerEpoch, BrokerId, FolderToken, LeaderEpoch, MetadataIndex, Offset, TopicPartition},
};
use holdfast_replication::{Acks, FetchOutcome, FetchPosition};

use super::batch::SimBatch;

/// Who sends and receives messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// The controller quorum, as one.
    Controller,
    /// The broker with this id.
    Broker(BrokerId),
    /// The producer with this number.
    Producer(u32),
}

/// What one node says to another.
#[derive(Clone, Debug)]
pub enum Message {
    /// Follower to leader: where it stands.
    Position {
        /// The partition that it is about.
        tp: TopicPartition,
        /// Broker epoch of the follower's broker.
        broker_epoch: BrokerEpoch,
        /// Where the follower stands.
        position: FetchPosition,
    },
    /// Leader to follower: what it was asked for.
    Fetched {
        /// The partition that it is about.
        tp: TopicPartition,
        /// Epoch of the leadership.
        leader_epoch: LeaderEpoch,
        /// The answer, without the batches.
        outcome: FetchOutcome,
        /// The batches of the answer.
        batches: Vec<SimBatch>,
    },
    /// A broker whose replica is to begin again to the leader: whether it is there.
    AskLeader {
        /// The partition that it is about.
        tp: TopicPartition,
        /// Epoch of the leadership.
        leader_epoch: LeaderEpoch,
    },
    /// Leader to such a broker: it leads.
    Leads {
        /// The partition that it is about.
        tp: TopicPartition,
        /// Epoch of the leadership.
        leader_epoch: LeaderEpoch,
    },
    /// Producer to leader: one batch.
    Produce {
        /// The partition that it is about.
        tp: TopicPartition,
        /// Counts the producer's connections: an answer of an older one goes nowhere.
        connection: u64,
        /// Names this attempt of the connection.
        correlation: u64,
        /// When it is to be answered.
        acks: Acks,
        /// Leader epoch that the producer believes current.
        leader_epoch: Option<LeaderEpoch>,
        /// The batch as it travels.
        bytes: Bytes,
    },
    /// Leader to producer: what became of a batch.
    Produced {
        /// As in the request.
        connection: u64,
        /// As in the request.
        correlation: u64,
        /// Offset, or why not.
        result: Result<Offset, ErrorDetail>,
    },
    /// Broker to controller: a start registers.
    Register(Box<RegisterBroker>),
    /// Controller to broker: what became of it.
    Registered {
        /// Epoch of the registration and the index of it.
        result: Result<(BrokerEpoch, MetadataIndex), Rejection>,
        /// The registration under this id as it is now; 0 for none.
        known: BrokerEpoch,
    },
    /// Broker to controller: it does not vouch for replicas of its own any more.
    Distrust(DistrustReplicas),
    /// Broker to controller: it wants to leave in order, or has closed its logs.
    Leave {
        /// Epoch of its registration.
        broker_epoch: BrokerEpoch,
        /// True for the last message of its process.
        has_stopped: bool,
    },
    /// Broker to controller, on a session.
    Heartbeat {
        /// Counts the sessions of this start: the first heartbeat of each opens it.
        session: u64,
        /// Epoch of its registration.
        broker_epoch: BrokerEpoch,
        /// What it has applied.
        applied: MetadataIndex,
        /// True if it can serve.
        is_ready: bool,
        /// A token that its folder holds by now.
        next_token: Option<FolderToken>,
        /// What its wall clock says, ms since 1970.
        wall_ms: i64,
    },
    /// Controller to broker: the answer to a heartbeat, or changes that come by themselves.
    Session {
        /// The session that it belongs to.
        session: u64,
        /// The whole state at an index.
        snapshot: Option<(MetadataIndex, Vec<Record>)>,
        /// Changes of an index each, in order.
        deltas: Vec<(MetadataIndex, Vec<Record>)>,
        /// The lease that it gives, ms.
        lease_ms: u64,
        /// In the answer to a heartbeat: what the active controller says of the broker's wall clock.
        said: Option<Said>,
    },
    /// Controller to broker: the session is over.
    SessionEnded {
        /// Number of the session.
        session: u64,
    },
    /// Leader to controller: an ISR proposal.
    Alter(AlterPartition),
    /// Controller to leader: what became of it.
    Altered {
        /// The change that was proposed.
        change: IsrChange,
        /// What became of it.
        result: Result<Box<PartitionState>, Rejection>,
    },
}
