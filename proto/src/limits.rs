//! Limits that both ends of a connection have to agree on.

/// Largest message between nodes, and of a node to a client, bytes: several batches, or what is said of every partition of
/// a large cluster. gRPC's libraries take 4 MiB unless they are told otherwise.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// Largest record batch that a log holds, bytes, compressed as it is: no topic takes a larger one.
pub const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// The longest wait that a consumer may ask for in one fetch, ms.
pub const MAX_FETCH_WAIT_MS: u32 = 30_000;

/// The longest name of a topic, bytes.
pub const MAX_TOPIC_NAME_BYTES: usize = 249;

/// Most bytes of an error's message in an answer or a status. In a status it travels percent-encoded in a header, and
/// once more in the details; peers refuse large headers.
pub const MAX_ERROR_MESSAGE_BYTES: usize = 1024;

/// An error's message as long as it may be in an answer: what it repeats may be what somebody sent.
pub fn shortened(message: &str) -> &str {
    &message[..message.floor_char_boundary(MAX_ERROR_MESSAGE_BYTES)]
}

/// Partitions that one request of a client may name, in a fetch or in look-ups.
pub const MAX_REQUEST_PARTITIONS: usize = 10_000;
