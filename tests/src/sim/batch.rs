//! A record batch of the simulation: real bytes as the client built them, what the cores see of it, and which one it is.

use std::fmt;

use bytes::Bytes;

use holdfast_proto::{
    batch::{BatchHeader, DecodeLimits, decode},
    ids::Offset,
};
use holdfast_replication::{BatchInfo, PlacedBatch};

/// Names a batch among all that simulated producers ever made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId {
    /// Number of the producer.
    pub producer: u32,
    /// Counts the producer's batches, from 0.
    pub counter: u32,
}

impl fmt::Debug for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}#{}", self.producer, self.counter)
    }
}

impl BatchId {
    /// The value of each record of the batch.
    pub fn value(self) -> Vec<u8> {
        [self.producer.to_be_bytes(), self.counter.to_be_bytes()].concat()
    }

    fn of_value(value: &[u8]) -> Self {
        let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().expect("a value of eight bytes"));
        Self { producer: number(&value[..4]), counter: number(&value[4..]) }
    }
}

/// What a batch holds: its identity, and what the cores see of it.
pub fn read(bytes: &Bytes) -> (BatchId, BatchInfo) {
    let header = BatchHeader::parse(bytes).expect("the client built it");
    let records = decode(bytes.clone(), &DecodeLimits::default()).expect("the client built it");
    let ids: Vec<BatchId> =
        records.iter().map(|record| BatchId::of_value(record.value.as_deref().unwrap_or_default())).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "one batch holds records of several: {ids:?}");
    (ids[0], BatchInfo::from(&header))
}

/// A batch in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimBatch {
    /// Which one it is.
    pub id: BatchId,
    /// Its offset, leader epoch and header.
    pub placed: PlacedBatch,
}

impl SimBatch {
    /// The offset after its last record.
    pub fn next_offset(&self) -> Offset {
        self.placed.base_offset.plus(u64::from(self.placed.info.record_count))
    }
}
