//! A record as the caller gives it.

use holdfast_proto::{
    batch::{Header, RecordRef},
    ids::{PartitionIndex, TimestampMs},
};

use super::TopicHandle;

/// Most bytes that the format adds to one record, and to one header.
const RECORD_OVERHEAD: usize = 32;
const HEADER_OVERHEAD: usize = 10;

/// A record for a topic. Borrows all of its parts: they are copied once, into the batch.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub(crate) topic: &'a TopicHandle,
    pub(crate) partition: Option<PartitionIndex>,
    pub(crate) timestamp: Option<TimestampMs>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [Header],
}

impl<'a> Record<'a> {
    /// A record without key and value (a tombstone), for a partition that the producer chooses, with the time at which
    /// it is accepted.
    pub const fn new(topic: &'a TopicHandle) -> Self {
        Self { topic, partition: None, timestamp: None, key: None, value: None, headers: &[] }
    }

    /// Its key. Records with the same key go to the same partition, by the same hash as Kafka's.
    #[must_use]
    pub fn key<K: AsRef<[u8]> + ?Sized>(mut self, key: &'a K) -> Self {
        self.key = Some(key.as_ref());
        self
    }

    /// The payload; without this call the record is a tombstone.
    #[must_use]
    pub fn value<V: AsRef<[u8]> + ?Sized>(mut self, value: &'a V) -> Self {
        self.value = Some(value.as_ref());
        self
    }

    /// The partition that it goes to, whatever its key.
    #[must_use]
    pub const fn partition(mut self, partition: PartitionIndex) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Milliseconds since 1970; without this call the time at which the producer accepts it.
    #[must_use]
    pub const fn timestamp(mut self, timestamp: TimestampMs) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    /// Its headers, in order.
    #[must_use]
    pub const fn headers(mut self, headers: &'a [Header]) -> Self {
        self.headers = headers;
        self
    }

    /// At least the bytes that it takes up in a batch.
    pub(crate) fn size_bound(&self) -> usize {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let headers: usize = self
            .headers
            .iter()
            .map(|header| header.key.len() + length(header.value.as_deref()) + HEADER_OVERHEAD)
            .sum();
        RECORD_OVERHEAD + length(self.key) + length(self.value) + headers
    }

    pub(crate) const fn as_ref(&self, timestamp: TimestampMs) -> RecordRef<'a> {
        RecordRef { timestamp, key: self.key, value: self.value, headers: self.headers }
    }
}
