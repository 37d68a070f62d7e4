//! What the world has to carry out for a broker.

use holdfast_proto::ids::{LeaderEpoch, TopicPartition};

use crate::sim::{
    batch::BatchId,
    message::{Message, Node},
};

/// Something the world has to carry out.
#[derive(Debug)]
pub enum Outgoing {
    /// Say something to another node.
    Send(Node, Message),
    /// The writer of a log has something to do, and will report.
    Work(TopicPartition),
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
    /// A replica began to lead in this epoch, on this opening of its log.
    Leads(TopicPartition, LeaderEpoch, u64),
    /// This replica has stopped for good, for this reason.
    Halted(TopicPartition, &'static str),
    /// A replica that was not vouched for begins again.
    Renewed,
    /// The lease ended before it was renewed.
    LeaseEnded,
    /// A log was closed and kept, for the metadata does not place it here.
    ClosedStray,
}
