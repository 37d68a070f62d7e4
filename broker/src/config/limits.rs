//! Limits of what travels that are no settings: both ends of a connection have to agree on them.

/// Largest message of a client: the largest batch and room for what is round it. What a stream may have in work is at
/// least this, so that one request alone always fits.
pub(crate) const MAX_REQUEST_BYTES: usize = 17 * 1024 * 1024 - 64 * 1024;

/// Largest request that carries no records: 10,000 partitions of topics with the longest names.
pub(crate) const MAX_QUESTION_BYTES: usize = 4 * 1024 * 1024;

/// Largest HTTP/2 frame: large ones cost fewer steps for the same bytes.
pub(crate) const MAX_FRAME_BYTES: u32 = 1024 * 1024;
