//! What the core knows of a batch, and of the log that it stands in. The bytes stay in the shell.

use holdfast_proto::{
    batch::BatchHeader,
    ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence},
};

/// What the core needs to know of a record batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchInfo {
    /// Number of records, at least 1.
    pub record_count: u32,
    /// Size of the whole batch in bytes.
    pub size_bytes: u32,
    /// Producer, or [`ProducerId::NONE`] without idempotence.
    pub producer_id: ProducerId,
    /// Epoch of the producer.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record.
    pub base_sequence: Sequence,
}

/// A batch that has its place: as a follower receives it, or as it is found in the log at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacedBatch {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Epoch of the leader that gave it this offset.
    pub leader_epoch: LeaderEpoch,
    /// What the batch holds.
    pub info: BatchInfo,
}

impl From<&BatchHeader> for BatchInfo {
    fn from(header: &BatchHeader) -> Self {
        Self {
            record_count: header.record_count,
            size_bytes: u32::try_from(header.size_bytes).unwrap_or(u32::MAX),
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
        }
    }
}

impl From<&BatchHeader> for PlacedBatch {
    fn from(header: &BatchHeader) -> Self {
        Self { base_offset: header.base_offset, leader_epoch: header.leader_epoch, info: header.into() }
    }
}

/// Counts the truncations of a log: a flush reported for an older generation says nothing of what stands there now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogGeneration(pub u64);
