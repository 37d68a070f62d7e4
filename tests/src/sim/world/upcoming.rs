//! What can come.

use holdfast_metadata::ReplicaMove;
use holdfast_proto::ids::{BrokerId, Offset, TopicPartition};
use holdfast_replication::LogGeneration;

use crate::sim::{message::Node, network::Delivery};

/// A start of a broker's process.
pub(super) type Start = u64;

/// A log, and which of those that ever stood there.
pub(super) type LogNumber = (TopicPartition, u64);

/// Something to come.
#[derive(Debug)]
pub(super) enum Upcoming {
    Deliver(Delivery),
    Flushed(BrokerId, Start, LogNumber, LogGeneration, u64),
    Truncated(BrokerId, Start, LogNumber, LogGeneration),
    Retained(BrokerId, Start, LogNumber, Offset),
    Opened(BrokerId, Start, TopicPartition),
    Deleted(BrokerId, Start, TopicPartition),
    Move(ReplicaMove),
    Broken(BrokerId, Start, BrokerId),
    NoConnection(Node, Node),
    Tick(BrokerId, Start),
    Heartbeat(BrokerId, Start),
    ControllerTick,
    Produce(u32),
    Start(BrokerId),
}

impl Upcoming {
    /// The start of a process that it happens to: a process that is paused finds it when it goes on.
    pub(super) fn process(&self) -> Option<(BrokerId, Start)> {
        match self {
            Self::Flushed(id, start, ..)
            | Self::Truncated(id, start, ..)
            | Self::Retained(id, start, ..)
            | Self::Opened(id, start, _)
            | Self::Deleted(id, start, _)
            | Self::Broken(id, start, _)
            | Self::Tick(id, start)
            | Self::Heartbeat(id, start) => Some((*id, *start)),
            Self::Deliver(_)
            | Self::NoConnection(..)
            | Self::Move(_)
            | Self::ControllerTick
            | Self::Produce(_)
            | Self::Start(_) => None,
        }
    }
}
