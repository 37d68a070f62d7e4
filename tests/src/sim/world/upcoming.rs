//! What can come.

use holdfast_metadata::{ReplicaMove, trust::DistrustReason};
use holdfast_proto::ids::{BrokerId, Offset, TopicPartition};

use crate::sim::{message::Node, network::Delivery};

/// A start of a broker's process.
pub(super) type Start = u64;

/// A log, and which opening of it.
pub(super) type LogNumber = (TopicPartition, u64);

/// What happens at a later time.
#[derive(Debug)]
pub(super) enum Upcoming {
    Deliver(Delivery),
    /// A writer's round begins: all that waits is written.
    Written(BrokerId, Start, LogNumber),
    /// It ends with its fsync.
    Flushed(BrokerId, Start, LogNumber),
    /// The flush that `flush.policy=interval` has after a while.
    FlushDue(BrokerId, Start, LogNumber),
    /// Retention knows what is old.
    Retain(BrokerId, Start, LogNumber, Offset),
    Opened(BrokerId, Start, TopicPartition),
    Deleted(BrokerId, Start, TopicPartition),
    /// Something is found to be wrong with a replica that runs.
    Found(BrokerId, Start, TopicPartition, DistrustReason),
    Move(ReplicaMove),
    Broken(BrokerId, Start, BrokerId),
    NoConnection(Node, Node),
    /// A broker breaks that is about to join an ISR.
    BreakJoiner(BrokerId),
    Tick(BrokerId, Start),
    /// A broker that leaves asks again to be done without; it stops at this time.
    Leave(BrokerId, Start, u64),
    Heartbeat(BrokerId, Start),
    ControllerTick,
    Produce(u32),
    Start(BrokerId),
}

impl Upcoming {
    /// The start of a process that it happens to: a process that is paused finds it when it goes on.
    pub(super) fn process(&self) -> Option<(BrokerId, Start)> {
        match self {
            Self::Written(id, start, _)
            | Self::Flushed(id, start, _)
            | Self::FlushDue(id, start, _)
            | Self::Retain(id, start, ..)
            | Self::Opened(id, start, _)
            | Self::Deleted(id, start, _)
            | Self::Found(id, start, ..)
            | Self::Broken(id, start, _)
            | Self::Leave(id, start, _)
            | Self::Tick(id, start)
            | Self::Heartbeat(id, start) => Some((*id, *start)),
            Self::Deliver(_)
            | Self::NoConnection(..)
            | Self::BreakJoiner(_)
            | Self::Move(_)
            | Self::ControllerTick
            | Self::Produce(_)
            | Self::Start(_) => None,
        }
    }
}
