//! A record batch of the simulation: what the cores see of it, and which one it is.

use std::fmt;

use holdfast_proto::ids::Offset;
use holdfast_replication::PlacedBatch;

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

/// A batch in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimBatch {
    /// Which one it is.
    pub id: BatchId,
    /// Where it stands.
    pub placed: PlacedBatch,
}

impl SimBatch {
    /// The offset after its last record.
    pub fn next_offset(&self) -> Offset {
        self.placed.base_offset.plus(u64::from(self.placed.info.record_count))
    }
}
