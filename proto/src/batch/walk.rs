//! Looks at each record of a batch once and builds nothing: what a leader does before it takes a batch, so that whatever
//! is acknowledged can be read by everybody who keeps to the default [`DecodeLimits`] (Kafka: `LogValidator`).
//!
//! Invariants:
//! 1. What passes, [`super::decode`] reads with the same limits.
//! 2. Memory: a window of the decompressed bytes; for snappy, whose blocks may be as large as they say, all of them.
//! 3. The work ends at the limits, however far a small batch would grow.

use std::io::{self, Read};

use super::{
    BatchHeader, Compression, DecodeLimits, Error, TimestampType, codec, header::at, record_time::is_record_time,
    varint,
};
use crate::ids::TimestampMs;

/// Bytes of decompressed records that are looked at in one piece.
const WINDOW_SIZE: usize = 16 * 1024;

/// Checks every record of a batch that [`super::validate_produce`] let pass: lengths, offset deltas without gaps, times,
/// header counts, the size when decompressed and what a reader has to build for it. Up to `max_message_bytes`, the topic's
/// own limit, records may have when decompressed however few bytes they were.
pub fn check_records(
    header: &BatchHeader,
    batch: &[u8],
    limits: &DecodeLimits,
    max_message_bytes: usize,
) -> Result<(), Error> {
    let body = batch
        .get(at::RECORDS..header.size_bytes)
        .ok_or(Error::Truncated { needed: header.size_bytes, have: batch.len() })?;
    let max = limits.decompressed_bytes(body.len(), max_message_bytes);
    match header.compression() {
        Compression::None => walk(header, Slice { bytes: body, at: 0 }, limits),
        Compression::Snappy => {
            let records = codec::decompress(Compression::Snappy, body, max)?;
            walk(header, Slice { bytes: &records, at: 0 }, limits)
        }
        compression => walk(header, Stream::new(compression, body, max)?, limits),
    }
}

fn walk(header: &BatchHeader, input: impl Input, limits: &DecodeLimits) -> Result<(), Error> {
    let mut walker = Walker { header, input, latest: None, built: 0, limits };
    for index in 0..header.record_count {
        walker.record(index).map_err(|failure| match failure {
            Failure::Rule(reason) => Error::MalformedRecord { index, reason },
            Failure::Batch(error) => error,
        })?;
    }
    if walker.input.byte()?.is_some() {
        return Err(Error::TrailingRecords(header.record_count));
    }
    match walker.latest {
        Some(latest) if latest != header.max_timestamp => {
            Err(Error::MaxTimestamp { said: header.max_timestamp, found: latest })
        }
        _ => Ok(()),
    }
}

/// Why a batch is refused.
enum Failure {
    /// The record at hand breaks this rule.
    Rule(&'static str),
    /// Whatever the record, nothing can be read.
    Batch(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Batch(error)
    }
}

struct Walker<'a, I> {
    header: &'a BatchHeader,
    input: I,
    /// The latest time of a record so far.
    latest: Option<TimestampMs>,
    /// Bytes that a reader builds for the records so far.
    built: usize,
    limits: &'a DecodeLimits,
}

impl<I: Input> Walker<'_, I> {
    fn record(&mut self, index: u32) -> Result<(), Failure> {
        let length = usize::try_from(self.int()?).map_err(|_| Failure::Rule("its length is negative"))?;
        let end = self.input.position().checked_add(length).ok_or(Failure::Rule("its length is out of range"))?;
        self.input.byte()?.ok_or(Failure::Rule("it ends after its batch"))?; // attributes: none are defined
        let timestamp_delta = self.long()?;
        if u32::try_from(self.int()?) != Ok(index) {
            return Err(Failure::Rule("its offset delta is not its place in the batch"));
        }
        self.time(timestamp_delta)?;
        self.field(end, true)?; // key
        self.field(end, true)?; // value
        let headers = usize::try_from(self.int()?).map_err(|_| Failure::Rule("its header count is negative"))?;
        self.build(DecodeLimits::built_bytes(headers))?;
        for _ in 0..headers {
            let key = self.field(end, false)?;
            self.build(DecodeLimits::text_bytes(key))?;
            self.field(end, true)?;
        }
        if self.input.position() == end { Ok(()) } else { Err(Failure::Rule("bytes follow its headers, or lack")) }
    }

    /// Counts bytes that a reader builds.
    fn build(&mut self, bytes: usize) -> Result<(), Failure> {
        self.built = self.built.saturating_add(bytes);
        if self.built > self.limits.max_built_bytes {
            return Err(Error::TooManyParts { max: self.limits.max_built_bytes }.into());
        }
        Ok(())
    }

    fn time(&mut self, delta: i64) -> Result<(), Failure> {
        if self.header.timestamp_type() == TimestampType::LogAppendTime {
            return Ok(());
        }
        let timestamp = self.header.base_timestamp.0.checked_add(delta).map(TimestampMs);
        let Some(timestamp) = timestamp.filter(|time| is_record_time(*time)) else {
            return Err(Failure::Rule("its timestamp is not between 1970 and 9999"));
        };
        self.latest = self.latest.max(Some(timestamp));
        Ok(())
    }

    /// Passes over bytes with their length before them; -1 stands for none. How many.
    fn field(&mut self, end: usize, may_be_absent: bool) -> Result<usize, Failure> {
        match self.int()? {
            -1 if may_be_absent => Ok(0),
            -1 => Err(Failure::Rule("a header has no key")),
            length => {
                let length = usize::try_from(length).map_err(|_| Failure::Rule("a length is negative"))?;
                if length > end.saturating_sub(self.input.position()) {
                    return Err(Failure::Rule("a field ends after its record"));
                }
                if self.input.skip(length)? { Ok(length) } else { Err(Failure::Rule("it ends after its batch")) }
            }
        }
    }

    fn int(&mut self) -> Result<i32, Failure> {
        self.number(varint::MAX_INT_SIZE).and_then(|value| i32::try_from(value).map_err(|_| NOT_A_NUMBER))
    }

    fn long(&mut self) -> Result<i64, Failure> {
        self.number(varint::MAX_LONG_SIZE)
    }

    fn number(&mut self, max_size: usize) -> Result<i64, Failure> {
        let mut bytes = [0; varint::MAX_LONG_SIZE];
        for at in 0..max_size {
            let Some(byte) = self.input.byte()? else { return Err(NOT_A_NUMBER) };
            bytes[at] = byte;
            if byte & 0x80 == 0 {
                return varint::read_long(&bytes[..=at]).map(|(value, _)| value).ok_or(NOT_A_NUMBER);
            }
        }
        Err(NOT_A_NUMBER)
    }
}

const NOT_A_NUMBER: Failure = Failure::Rule("a number is cut short or too long");

/// Uncompressed records, from their first byte on.
trait Input {
    /// The next byte, or none at the end.
    fn byte(&mut self) -> Result<Option<u8>, Error>;
    /// Passes over so many bytes; false if there are fewer.
    fn skip(&mut self, count: usize) -> Result<bool, Error>;
    /// Bytes that were passed so far.
    fn position(&self) -> usize;
}

/// Records that are in memory.
struct Slice<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Input for Slice<'_> {
    #[inline]
    fn byte(&mut self) -> Result<Option<u8>, Error> {
        let byte = self.bytes.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        Ok(byte)
    }

    #[inline]
    fn skip(&mut self, count: usize) -> Result<bool, Error> {
        let is_there = count <= self.bytes.len() - self.at;
        self.at += if is_there { count } else { 0 };
        Ok(is_there)
    }

    fn position(&self) -> usize {
        self.at
    }
}

/// Records that are decompressed window by window.
struct Stream<'a> {
    compression: Compression,
    reader: Box<dyn Read + 'a>,
    window: Box<[u8]>,
    /// What stands in the window and was not passed yet.
    rest: std::ops::Range<usize>,
    /// Bytes that were decompressed so far.
    read: usize,
    max: usize,
}

impl<'a> Stream<'a> {
    fn new(compression: Compression, body: &'a [u8], max: usize) -> Result<Self, Error> {
        let reader = codec::reader(compression, body)?;
        let window = vec![0; WINDOW_SIZE].into_boxed_slice();
        Ok(Self { compression, reader, window, rest: 0..0, read: 0, max })
    }

    /// False at the end.
    fn fill(&mut self) -> Result<bool, Error> {
        let count = loop {
            match self.reader.read(&mut self.window) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Error::Decompress { compression: self.compression, reason: error.to_string() });
                }
            }
        };
        self.rest = 0..count;
        self.read += count;
        if self.read > self.max { Err(Error::DecompressedTooLarge { max: self.max }) } else { Ok(count > 0) }
    }
}

impl Input for Stream<'_> {
    #[inline]
    fn byte(&mut self) -> Result<Option<u8>, Error> {
        if self.rest.is_empty() && !self.fill()? {
            return Ok(None);
        }
        let byte = self.window[self.rest.start];
        self.rest.start += 1;
        Ok(Some(byte))
    }

    fn skip(&mut self, mut count: usize) -> Result<bool, Error> {
        while count > self.rest.len() {
            count -= self.rest.len();
            if !self.fill()? {
                return Ok(false);
            }
        }
        self.rest.start += count;
        Ok(true)
    }

    fn position(&self) -> usize {
        self.read - self.rest.len()
    }
}
