//! What a queue goes by: its settings, and the producer that it sends for.

use std::time::Duration;

use holdfast_proto::{
    batch::Compression,
    ids::{ProducerEpoch, ProducerId},
};

/// What the queue goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) batch_size_bytes: usize,
    pub(crate) linger: Duration,
    pub(crate) max_in_flight: usize,
    pub(crate) delivery_timeout: Duration,
    pub(crate) retry_backoff: Duration,
    pub(crate) retry_backoff_max: Duration,
    pub(crate) compression: Compression,
    /// False for acks=none: a batch is done once it is handed to the stream.
    pub(crate) answered: bool,
    /// Spreads a pause, so that many producers do not come back at the same moment.
    pub(crate) jitter: fn(Duration) -> Duration,
}

/// Who a producer is to the leaders: its id, and the epoch of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerIdentity {
    pub(crate) id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
}

#[cfg(test)]
impl Rules {
    /// Small batches, one at a time, and no pauses.
    pub(crate) const FOR_TESTS: Self = Self {
        batch_size_bytes: 1 << 10,
        linger: Duration::ZERO,
        max_in_flight: 1,
        delivery_timeout: Duration::from_secs(1),
        retry_backoff: Duration::ZERO,
        retry_backoff_max: Duration::ZERO,
        compression: Compression::None,
        answered: true,
        jitter: |pause| pause,
    };
}
