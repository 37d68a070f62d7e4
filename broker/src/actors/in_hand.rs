//! What a partition's actor holds beside the core while it takes one event: the bytes in hand, and where answers go.

use std::sync::Arc;

use bytes::Bytes;

use holdfast_log::Room;
use holdfast_replication::PlacedBatch;

use crate::outbox::answers::Outbox;

/// The bytes that the event in hand brings along.
pub(super) enum InHand {
    /// The event brings no bytes.
    Nothing,
    /// A producer's batch, with its room at the log writer.
    Produced { bytes: Bytes, room: Room },
    /// Batches from the leader, with their room at the log writer.
    Fetched { records: Bytes, batches: Vec<PlacedBatch>, room: Room },
}

/// Where the answers to a follower go.
pub(super) struct Follower {
    pub(super) outbox: Arc<Outbox>,
    pub(super) max_bytes: usize,
}
