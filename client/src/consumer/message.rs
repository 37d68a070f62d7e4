//! What a consumer hands out.

use std::sync::Arc;

use bytes::Bytes;

use holdfast_proto::{
    batch::{Header, Record},
    ids::{LeaderEpoch, Offset, PartitionIndex, TimestampMs},
};

/// One record. Owned; key and value share the memory of their batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Name of its topic, shared by all messages of the topic.
    pub topic: Arc<str>,
    /// Its partition, within which offsets count.
    pub partition: PartitionIndex,
    /// Its place in the partition; to go on after it, seek to the next offset.
    pub offset: Offset,
    /// Leader epoch in which it was appended.
    pub leader_epoch: LeaderEpoch,
    /// Milliseconds since 1970, as the producer set it.
    pub timestamp: TimestampMs,
    /// Key; absent and empty are different.
    pub key: Option<Bytes>,
    /// Value; absent is a tombstone.
    pub value: Option<Bytes>,
    /// Headers in the producer's order; a key may occur twice.
    pub headers: Vec<Header>,
}

/// Records of one partition, one after another: what one batch held from the position on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageBatch {
    /// Name of their topic.
    pub topic: Arc<str>,
    /// The one partition that all of them are from.
    pub partition: PartitionIndex,
    /// Leader epoch in which the batch was appended.
    pub leader_epoch: LeaderEpoch,
    /// The records; never empty.
    pub records: Vec<Record>,
}

impl MessageBatch {
    /// The records as messages.
    pub fn into_messages(self) -> impl Iterator<Item = Message> {
        let Self { topic, partition, leader_epoch, records } = self;
        records.into_iter().map(move |record| message(Arc::clone(&topic), partition, leader_epoch, record))
    }
}

pub(crate) fn message(
    topic: Arc<str>,
    partition: PartitionIndex,
    leader_epoch: LeaderEpoch,
    record: Record,
) -> Message {
    let Record { offset, timestamp, key, value, headers } = record;
    Message { topic, partition, offset, leader_epoch, timestamp, key, value, headers }
}
