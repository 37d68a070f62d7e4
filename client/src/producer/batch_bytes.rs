//! How small and how large a batch may be, for all who keep to it.

use holdfast_proto::limits::MAX_BATCH_BYTES;

/// Least size that batches may be closed at, bytes: no topic has a lower limit.
pub(super) const BATCH_BYTES_MIN: usize = 1 << 10;

/// Largest batch that any topic takes, bytes; no record can be larger either.
pub const BATCH_BYTES_MAX: usize = MAX_BATCH_BYTES;
