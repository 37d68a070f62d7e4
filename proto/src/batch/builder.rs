//! Builds a batch record by record, straight into the bytes that will travel.
//!
//! Place: the client's hot path, and the broker's for plain records. Each record is copied once, from its parts into
//! the batch; an uncompressed batch is then complete but for its header, a compressed one is compressed in one go at
//! the end.

use bytes::Bytes;

use super::{
    Compression, Error, ProducerStamp, RecordRef, codec,
    frame::write_crc,
    header::{Attributes, BatchHeader, LENGTH_OVERHEAD, MAGIC, at},
    record_time::is_record_time,
    stamp::write_stamp,
    varint,
};

/// A batch in the making.
#[derive(Debug)]
pub struct BatchBuilder {
    compression: Compression,
    /// Room for the header, then the records uncompressed.
    buffer: Vec<u8>,
    record_count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// Largest batch that the format can say, in bytes.
    pub const MAX_SIZE: usize = i32::MAX as usize + LENGTH_OVERHEAD;

    /// An empty batch whose records will be compressed so.
    pub fn new(compression: Compression) -> Self {
        Self::with_capacity(compression, BatchHeader::SIZE)
    }

    /// An empty batch with room for `capacity_bytes` before it has to grow, its header included.
    pub fn with_capacity(compression: Compression, capacity_bytes: usize) -> Self {
        let mut buffer = Vec::with_capacity(capacity_bytes.max(BatchHeader::SIZE));
        buffer.resize(BatchHeader::SIZE, 0);
        Self { compression, buffer, record_count: 0, base_timestamp: -1, max_timestamp: -1 }
    }

    /// Appends a record, whose offset in the batch is the number of records before it.
    ///
    /// Fails, and changes nothing, if a leader would refuse the record, and with it the whole batch: its time is neither
    /// from 1970 to 9999 nor -1 for none. Fails too if the batch would be larger than [`Self::MAX_SIZE`].
    pub fn append(&mut self, record: &RecordRef<'_>) -> Result<(), Error> {
        let timestamp = record.timestamp.0;
        if !is_record_time(record.timestamp) {
            return Err(Error::FieldOutOfRange { field: "timestamp", value: timestamp });
        }
        let timestamp_delta = self.timestamp_delta(timestamp);
        let body_size = self.body_size(record, timestamp_delta);
        let record_size = varint::size(body_size as i64) + body_size;
        let size = self.buffer.len() + record_size;
        if size > Self::MAX_SIZE {
            return Err(Error::TooLarge { size, max: Self::MAX_SIZE });
        }
        if self.record_count == 0 {
            self.base_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);

        let buffer = &mut self.buffer;
        buffer.reserve(record_size);
        varint::put(buffer, body_size as i64);
        buffer.push(0); // attributes of a record: none are defined
        varint::put(buffer, timestamp_delta);
        varint::put(buffer, i64::from(self.record_count));
        put_bytes(buffer, record.key);
        put_bytes(buffer, record.value);
        varint::put(buffer, record.headers.len() as i64);
        for header in record.headers {
            put_bytes(buffer, Some(header.key.as_bytes()));
            put_bytes(buffer, header.value.as_deref());
        }
        debug_assert_eq!(buffer.len(), size, "the size of a record was computed wrongly");
        self.record_count += 1;
        Ok(())
    }

    /// Number of records that were accepted.
    pub const fn record_count(&self) -> u32 {
        self.record_count
    }

    /// True as long as there is no record.
    pub const fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Size of the batch if it is built now, in bytes: exact without compression, an upper bound with it.
    pub const fn size_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Bytes that the record would add to [`Self::size_bytes`] if it were appended now.
    pub fn added_size(&self, record: &RecordRef<'_>) -> usize {
        let body_size = self.body_size(record, self.timestamp_delta(record.timestamp.0));
        varint::size(body_size as i64) + body_size
    }

    /// True if the batch with this record too has at most `max_bytes`.
    pub fn would_fit(&self, record: &RecordRef<'_>, max_bytes: usize) -> bool {
        self.size_bytes() + self.added_size(record) <= max_bytes
    }

    /// The batch, with base offset 0 and without leader epoch, as producers send it.
    ///
    /// Records that do not get smaller when compressed are left uncompressed, and the batch says so. Fails if the
    /// batch is empty.
    pub fn build(self, stamp: Option<ProducerStamp>) -> Result<Bytes, Error> {
        if self.record_count == 0 {
            return Err(Error::Empty);
        }
        let mut compression = self.compression;
        let mut batch = self.buffer;
        if compression != Compression::None {
            let mut compressed = Vec::with_capacity(BatchHeader::SIZE + batch.len() / 2);
            compressed.resize(BatchHeader::SIZE, 0);
            codec::compress(compression, &batch[at::RECORDS..], &mut compressed)?;
            if compressed.len() < batch.len() {
                batch = compressed;
            } else {
                compression = Compression::None;
            }
        }
        let length = (batch.len() - LENGTH_OVERHEAD) as i32;
        let mut put = |place: usize, bytes: &[u8]| batch[place..place + bytes.len()].copy_from_slice(bytes);
        put(at::BASE_OFFSET, &0_i64.to_be_bytes());
        put(at::LENGTH, &length.to_be_bytes());
        put(at::LEADER_EPOCH, &(-1_i32).to_be_bytes());
        put(at::MAGIC, &MAGIC.to_be_bytes());
        put(at::ATTRIBUTES, &Attributes::new(compression).bits().to_be_bytes());
        put(at::LAST_OFFSET_DELTA, &(self.record_count - 1).to_be_bytes());
        put(at::BASE_TIMESTAMP, &self.base_timestamp.to_be_bytes());
        put(at::MAX_TIMESTAMP, &self.max_timestamp.to_be_bytes());
        put(at::RECORD_COUNT, &self.record_count.to_be_bytes());
        write_stamp(&mut batch, stamp);
        write_crc(&mut batch);
        Ok(Bytes::from(batch))
    }

    /// Time of the record, counted from the first one's. The first is at least -1, and so is whatever is appended, so that
    /// it cannot overflow.
    fn timestamp_delta(&self, timestamp: i64) -> i64 {
        if self.record_count == 0 { 0 } else { timestamp.max(-1) - self.base_timestamp }
    }

    /// Size of the record without the length before it.
    fn body_size(&self, record: &RecordRef<'_>, timestamp_delta: i64) -> usize {
        let headers: usize = record
            .headers
            .iter()
            .map(|header| size_of_bytes(Some(header.key.as_bytes())) + size_of_bytes(header.value.as_deref()))
            .sum();
        1 + varint::size(timestamp_delta)
            + varint::size(i64::from(self.record_count))
            + size_of_bytes(record.key)
            + size_of_bytes(record.value)
            + varint::size(record.headers.len() as i64)
            + headers
    }
}

/// Appends bytes with their length before them; -1 for none.
#[inline]
fn put_bytes(buffer: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            varint::put(buffer, bytes.len() as i64);
            buffer.extend_from_slice(bytes);
        }
        None => varint::put(buffer, -1),
    }
}

/// Bytes that [`put_bytes`] appends.
#[inline]
fn size_of_bytes(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(varint::size(-1), |bytes| varint::size(bytes.len() as i64) + bytes.len())
}
