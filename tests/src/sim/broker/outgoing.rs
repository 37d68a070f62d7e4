//! What the world has to carry out for a broker.

use holdfast_proto::ids::{LeaderEpoch, Offset, TopicPartition};
use holdfast_replication::LogGeneration;

use crate::sim::{
    batch::BatchId,
    message::{Message, Node},
};

/// Something the world has to carry out.
#[derive(Debug)]
pub enum Outgoing {
    /// Say something.
    Send(Node, Message),
    /// Fsync a log as it stands, and report later.
    Flush(TopicPartition, LogGeneration, u64),
    /// Remove what lies below, and report later: the leader holds nothing older.
    AdvanceLogStart(TopicPartition, Offset),
    /// A truncation was begun; report later.
    Truncated(TopicPartition, LogGeneration),
    /// Open a log, and report later.
    Open(TopicPartition),
    /// Delete a log that is closed, and report later.
    Delete(TopicPartition),
    /// A produce with acks=all was acknowledged at this offset.
    Acked(TopicPartition, u64, BatchId),
    /// A produce with acks=1 was acknowledged.
    AckedByLeader(TopicPartition, BatchId),
    /// Consumers may read further.
    Readable(TopicPartition),
    /// This broker leads in this epoch.
    Leads(TopicPartition, LeaderEpoch),
    /// This replica has stopped for good, for this reason.
    Halted(TopicPartition, &'static str),
    /// The lease ended before it was renewed.
    LeaseEnded,
    /// A log was closed and kept, for the metadata does not place it here.
    SetAside,
}
