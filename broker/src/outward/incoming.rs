//! What a leader answered, checked byte by byte before it reaches the follower's actor.

use std::future::poll_fn;

use bytes::Bytes;

use holdfast_proto::{
    batch::{self, BatchHeader},
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, TopicPartition},
};
use holdfast_replication::{FetchAnswer, PlacedBatch};

use crate::{here::context::Context, partition::message::Message};

/// An answer of a leader about one partition, as it came: its batches in one piece, maybe none.
pub(super) type Incoming = FetchAnswer<Bytes>;

/// Gives an answer to the follower's actor; waits if its mailbox is full, or if too much that was fetched waits for the disk:
/// then its sender is not read from. Nothing happens if the replica is not here.
pub(super) async fn deliver(
    context: &Context,
    from: BrokerId,
    partition: TopicPartition,
    leader_epoch: LeaderEpoch,
    incoming: Incoming,
) {
    let Some(handle) = context.partitions.get(partition) else { return };
    let records = incoming.records().cloned().unwrap_or_default();
    let (outcome, records) = match incoming.try_map(|records| placed(&records)) {
        Ok(outcome) => (outcome, records),
        Err(error) => {
            tracing::error!(%partition, %from, %error, "a leader sent batches that are damaged; they are not taken");
            (FetchAnswer::Failed(ErrorCode::CorruptMessage), Bytes::new())
        }
    };
    let room = match records.len() {
        0 => None,
        bytes => Some(poll_fn(|waiting| context.logs.writer.poll_fetched_room(waiting, bytes)).await),
    };
    handle.actor().send(Message::FetchResponse { from, leader_epoch, outcome, records, room }).await;
}

/// Where the batches lie, each checked against its CRC. One with gaps between its offsets is refused: the core counts
/// records where the log counts offsets.
fn placed(records: &Bytes) -> Result<Vec<PlacedBatch>, batch::Error> {
    let mut batches = Vec::new();
    for one in batch::split(records.clone()) {
        let one = one?;
        batch::verify_crc(&one)?;
        let header = BatchHeader::parse(&one)?;
        header.check_has_no_gaps()?;
        batches.push(PlacedBatch::from(&header));
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use holdfast_proto::{
        batch::{BatchBuilder, Compression, Error, RecordRef},
        ids::TimestampMs,
    };

    use super::*;

    #[test]
    fn a_batch_with_gaps_between_its_offsets_is_not_taken() {
        let mut builder = BatchBuilder::new(Compression::None);
        for _ in 0..2 {
            let record = RecordRef { key: None, value: Some(b"a"), headers: &[], timestamp: TimestampMs(0) };
            builder.append(&record).unwrap();
        }
        let whole = builder.build(None).unwrap();
        assert_eq!(placed(&whole).unwrap()[0].info.record_count, 2);
        let mut gaps = whole.to_vec();
        gaps[57..61].copy_from_slice(&1_u32.to_be_bytes());
        let Err(Error::CrcMismatch { computed, .. }) = batch::verify_crc(&gaps) else { panic!("it was changed") };
        gaps[17..21].copy_from_slice(&computed.to_be_bytes());
        let refused = placed(&gaps.into()).unwrap_err();
        assert!(matches!(refused, Error::RecordCount { record_count: 1, last_offset_delta: 1 }), "{refused}");
    }
}
