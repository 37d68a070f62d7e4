//! Reads the records of a batch.
//!
//! Place: consumers, and the broker where it must see single records (plain reads, compaction).
//!
//! Invariants:
//! 1. Offsets come out strictly increasing and within the header's range; anything else is malformed.
//! 2. Nothing is copied from an uncompressed batch; a compressed one is decompressed once.
//! 3. Memory: at most [`DecodeLimits::max_decompressed_bytes`] for the decompressed form, and for [`decode`]
//!    [`DecodeLimits::max_built_bytes`] for the records.

use bytes::{Buf, Bytes};

use super::{
    BatchHeader, Compression, Error, Header, Record, TimestampType, codec, frame::verify_crc, header::at, varint,
};
use crate::ids::TimestampMs;

/// Bytes of the shortest record: its length, attributes, two deltas, two lengths and the header count.
const MIN_RECORD_SIZE: usize = 7;
/// Bytes of the shortest header: two lengths.
const MIN_HEADER_SIZE: usize = 2;

/// How much a batch may ask of who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Most bytes of the records when decompressed. Too low: honest batches cannot be read. Too high: a small hostile
    /// batch takes that much memory. Codecs need up to 8 MiB more for their windows. Default 64 MiB.
    pub max_decompressed_bytes: usize,
    /// Most bytes of what is built for the records and their headers, with the text of headers' keys and without the bytes
    /// of keys and values, which are not copied: a record of 7 bytes and a header of 2 take many times as much. Too low: honest batches of many small records cannot be read. Too high: a
    /// small hostile batch takes that much memory. Default 128 MiB.
    pub max_built_bytes: usize,
}

/// How much larger records may be when decompressed than compressed. The most that gzip reaches on zeros is 1,032; what
/// compresses further than this holds nothing.
const MAX_RATIO: usize = 1024;
/// Bytes of text that one byte of a header's key becomes at most: what is not UTF-8 is replaced.
const TEXT_GROWTH: usize = char::REPLACEMENT_CHARACTER.len_utf8();

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_decompressed_bytes: 64 << 20, max_built_bytes: 128 << 20 }
    }
}

impl DecodeLimits {
    /// Most bytes that `compressed` bytes of records may have when decompressed, if a leader is to take them. `free` bytes
    /// are allowed whatever the ratio.
    pub(super) fn decompressed_bytes(&self, compressed: usize, free: usize) -> usize {
        compressed.saturating_mul(MAX_RATIO).max(free).min(self.max_decompressed_bytes)
    }

    /// Bytes that are built for the text of a header's key of so many bytes, at most.
    pub(super) const fn text_bytes(key: usize) -> usize {
        key.saturating_mul(TEXT_GROWTH)
    }

    /// Bytes that are built for a record with so many headers, its key, value and headers' text apart.
    pub const fn built_bytes(headers: usize) -> usize {
        headers.saturating_mul(size_of::<Header>()).saturating_add(size_of::<Record>())
    }
}

/// All records of one batch, after its checksum was checked. Bytes behind the batch do not matter.
pub fn decode(batch: Bytes, limits: &DecodeLimits) -> Result<Vec<Record>, Error> {
    let records = Records::new(batch, limits)?;
    let mut decoded = Vec::with_capacity(records.size_hint().0);
    for record in records {
        decoded.push(record?);
    }
    Ok(decoded)
}

/// The records of one batch, one by one. Ends after the first error.
#[derive(Debug)]
pub struct Records {
    header: BatchHeader,
    /// The records that are not read yet, uncompressed.
    rest: Bytes,
    /// Records read so far.
    index: u32,
    /// Offset delta that the next record has at least.
    next_offset_delta: u32,
    failed: bool,
    /// Bytes that may still be built.
    buildable: usize,
    max_built_bytes: usize,
}

/// Why a record is not read.
enum Failure {
    /// It breaks this rule.
    Rule(&'static str),
    /// The records so far and this one take more memory than allowed.
    TooManyParts,
}

impl From<&'static str> for Failure {
    fn from(rule: &'static str) -> Self {
        Self::Rule(rule)
    }
}

impl Records {
    /// Checks the checksum and decompresses. Bytes behind the batch do not matter.
    pub fn new(mut batch: Bytes, limits: &DecodeLimits) -> Result<Self, Error> {
        verify_crc(&batch)?;
        let header = BatchHeader::parse(&batch)?;
        batch.truncate(header.size_bytes);
        batch.advance(at::RECORDS);
        let rest = match header.compression() {
            Compression::None => batch,
            // Kafka's compaction leaves batches without records, whose body is empty.
            _ if header.record_count == 0 && batch.is_empty() => batch,
            compression => codec::decompress(compression, &batch, limits.max_decompressed_bytes)?.into(),
        };
        let max_built_bytes = limits.max_built_bytes;
        Ok(Self {
            header,
            rest,
            index: 0,
            next_offset_delta: 0,
            failed: false,
            buildable: max_built_bytes,
            max_built_bytes,
        })
    }

    /// Header of the batch.
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    fn read(&mut self) -> Result<Record, Failure> {
        let length = read_length(&mut self.rest)?.ok_or("its length is negative")?;
        if length > self.rest.len() {
            return Err("it ends after its batch".into());
        }
        let mut body = self.rest.split_to(length);
        if body.is_empty() {
            return Err("it has no attributes".into());
        }
        let _attributes = body.split_to(1); // none are defined
        let timestamp_delta = read_long(&mut body)?;
        let offset_delta = u32::try_from(read_int(&mut body)?).map_err(|_| "its offset delta is negative")?;
        if offset_delta < self.next_offset_delta {
            return Err("its offset does not follow the one before it".into());
        }
        if offset_delta > self.header.last_offset_delta {
            return Err("its offset is past the batch's last one".into());
        }
        let timestamp = match self.header.timestamp_type() {
            TimestampType::CreateTime => TimestampMs(
                self.header.base_timestamp.0.checked_add(timestamp_delta).ok_or("its timestamp is out of range")?,
            ),
            TimestampType::LogAppendTime => self.header.max_timestamp,
        };
        let key = read_bytes(&mut body)?;
        let value = read_bytes(&mut body)?;
        let count = header_count(&mut body)?;
        self.build(DecodeLimits::built_bytes(count))?;
        let headers = self.read_headers(&mut body, count)?;
        if !body.is_empty() {
            return Err("bytes follow its headers".into());
        }
        self.next_offset_delta = offset_delta + 1;
        Ok(Record { offset: self.header.base_offset.plus(offset_delta.into()), timestamp, key, value, headers })
    }

    fn read_headers(&mut self, body: &mut Bytes, count: usize) -> Result<Vec<Header>, Failure> {
        let mut headers = Vec::with_capacity(count);
        for _ in 0..count {
            let key = read_bytes(body)?.ok_or("a header has no key")?;
            self.build(DecodeLimits::text_bytes(key.len()))?;
            let value = read_bytes(body)?;
            headers.push(Header { key: String::from_utf8_lossy(&key).into_owned(), value });
        }
        Ok(headers)
    }

    /// Counts bytes before they are built.
    fn build(&mut self, bytes: usize) -> Result<(), Failure> {
        self.buildable = self.buildable.checked_sub(bytes).ok_or(Failure::TooManyParts)?;
        Ok(())
    }
}

impl Iterator for Records {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        if self.index == self.header.record_count {
            if self.rest.is_empty() {
                return None;
            }
            self.failed = true;
            return Some(Err(Error::TrailingRecords(self.header.record_count)));
        }
        let record = self.read().map_err(|failure| match failure {
            Failure::Rule(reason) => Error::MalformedRecord { index: self.index, reason },
            Failure::TooManyParts => Error::TooManyParts { max: self.max_built_bytes },
        });
        self.failed = record.is_err();
        self.index += 1;
        Some(record)
    }

    /// The lower bound is what the header says, as far as the bytes can hold so many; a malformed batch has fewer.
    fn size_hint(&self) -> (usize, Option<usize>) {
        let announced = (self.header.record_count - self.index) as usize;
        (announced.min(self.rest.len() / MIN_RECORD_SIZE).min(self.buildable / size_of::<Record>()), None)
    }
}

impl std::iter::FusedIterator for Records {}

fn header_count(body: &mut Bytes) -> Result<usize, &'static str> {
    let count = usize::try_from(read_int(body)?).map_err(|_| "its header count is negative")?;
    if count > body.len() / MIN_HEADER_SIZE {
        return Err("it has more headers than bytes for them");
    }
    Ok(count)
}

/// Bytes with their length before them; `None` for a length of -1.
fn read_bytes(body: &mut Bytes) -> Result<Option<Bytes>, &'static str> {
    match read_length(body)? {
        None => Ok(None),
        Some(length) if length <= body.len() => Ok(Some(body.split_to(length))),
        Some(_) => Err("a field ends after its record"),
    }
}

fn read_length(bytes: &mut Bytes) -> Result<Option<usize>, &'static str> {
    match read_int(bytes)? {
        -1 => Ok(None),
        length => usize::try_from(length).map(Some).map_err(|_| "a length is negative"),
    }
}

fn read_int(bytes: &mut Bytes) -> Result<i32, &'static str> {
    let (value, size) = varint::read_int(bytes).ok_or("a number is cut short or too long")?;
    bytes.advance(size);
    Ok(value)
}

fn read_long(bytes: &mut Bytes) -> Result<i64, &'static str> {
    let (value, size) = varint::read_long(bytes).ok_or("a number is cut short or too long")?;
    bytes.advance(size);
    Ok(value)
}
