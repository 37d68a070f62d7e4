//! One record: as it is given to a builder, and as it comes out of a batch.

use bytes::Bytes;

use crate::ids::{Offset, TimestampMs};

/// A header of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// Name; the same name may stand more than once. Bytes that are not UTF-8 are read as U+FFFD, as Kafka's Java
    /// client does.
    pub key: String,
    /// Value; absent and empty are different.
    pub value: Option<Bytes>,
}

/// A record to be appended to a batch. Borrowed, so that nothing is copied but into the batch itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordRef<'a> {
    /// Its time; -1 for none.
    pub timestamp: TimestampMs,
    /// Key; absent and empty are different.
    pub key: Option<&'a [u8]>,
    /// Value; absent is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers in the order in which they are written; a name may occur twice.
    pub headers: &'a [Header],
}

/// A record out of a batch. Key and values share the memory of the batch, or of its decompressed form: one who keeps
/// one small record for long should copy it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Place in the partition; only a leader's batch has the right one.
    pub offset: Offset,
    /// Its time; the broker's if the batch says so.
    pub timestamp: TimestampMs,
    /// Key; absent and empty are different.
    pub key: Option<Bytes>,
    /// Value; absent is a tombstone.
    pub value: Option<Bytes>,
    /// Headers in the producer's order; a name may occur twice.
    pub headers: Vec<Header>,
}

impl Record {
    /// The record as a builder takes it.
    pub fn as_ref(&self) -> RecordRef<'_> {
        RecordRef {
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &self.headers,
        }
    }
}
