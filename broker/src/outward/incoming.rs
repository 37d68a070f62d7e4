//! What a leader answered, checked byte by byte before it reaches the follower's actor.

use bytes::Bytes;

use holdfast_proto::{
    batch::{self, BatchHeader},
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, Offset, TopicPartition},
};
use holdfast_replication::{FetchOutcome, PlacedBatch};

use crate::{here::context::Context, partition::message::Message};

/// An answer of a leader about one partition, as it came.
#[derive(Debug)]
pub(super) enum Incoming {
    /// Whole batches, maybe none.
    Records {
        /// The batches in one piece.
        records: Bytes,
        /// High watermark of the leader.
        high_watermark: Offset,
        /// Log start offset of the leader.
        log_start_offset: Offset,
    },
    /// An answer that brings no records.
    Other(FetchOutcome),
}

/// Gives an answer to the follower's actor; waits if its mailbox is full. Nothing happens if the replica is not here.
pub(super) async fn deliver(
    context: &Context,
    from: BrokerId,
    partition: TopicPartition,
    leader_epoch: LeaderEpoch,
    incoming: Incoming,
) {
    let Some(handle) = context.partitions.get(partition) else { return };
    let (outcome, records) = match incoming {
        Incoming::Other(outcome) => (outcome, Bytes::new()),
        Incoming::Records { records, high_watermark, log_start_offset } => match placed(&records) {
            Ok(batches) => (FetchOutcome::Records { batches, high_watermark, log_start_offset }, records),
            Err(error) => {
                tracing::error!(%partition, %from, %error, "a leader sent batches that are damaged; they are not taken");
                (FetchOutcome::Failed(ErrorCode::CorruptMessage), Bytes::new())
            }
        },
    };
    handle.actor().send(Message::FetchResponse { from, leader_epoch, outcome, records }).await;
}

/// Where the batches lie, each checked against its CRC.
fn placed(records: &Bytes) -> Result<Vec<PlacedBatch>, batch::Error> {
    let mut batches = Vec::new();
    for one in batch::split(records.clone()) {
        let one = one?;
        batch::verify_crc(&one)?;
        batches.push(PlacedBatch::from(&BatchHeader::parse(&one)?));
    }
    Ok(batches)
}
