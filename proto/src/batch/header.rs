//! The 61 bytes before the records of a batch.

use super::{Compression, Error};
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

/// Places of the fields, in bytes from the start of the batch.
pub(super) mod at {
    pub(in crate::batch) const BASE_OFFSET: usize = 0;
    pub(in crate::batch) const LENGTH: usize = 8;
    pub(in crate::batch) const LEADER_EPOCH: usize = 12;
    pub(in crate::batch) const MAGIC: usize = 16;
    pub(in crate::batch) const CRC: usize = 17;
    /// Also where the bytes under the CRC begin.
    pub(in crate::batch) const ATTRIBUTES: usize = 21;
    pub(in crate::batch) const LAST_OFFSET_DELTA: usize = 23;
    pub(in crate::batch) const BASE_TIMESTAMP: usize = 27;
    pub(in crate::batch) const MAX_TIMESTAMP: usize = 35;
    pub(in crate::batch) const PRODUCER_ID: usize = 43;
    pub(in crate::batch) const PRODUCER_EPOCH: usize = 51;
    pub(in crate::batch) const BASE_SEQUENCE: usize = 53;
    pub(in crate::batch) const RECORD_COUNT: usize = 57;
    pub(in crate::batch) const RECORDS: usize = 61;
}

/// Bytes before those that the length field counts.
pub(super) const LENGTH_OVERHEAD: usize = at::LEADER_EPOCH;

/// The one layout that Holdfast speaks.
pub(super) const MAGIC: i8 = 2;

/// Whose clock gave the timestamps of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer's: each record has a time of its own.
    CreateTime,
    /// The broker's: every record has the batch's max timestamp.
    LogAppendTime,
}

/// The attribute bits of a batch. Their compression is always a known one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(u16);

impl Attributes {
    const COMPRESSION: u16 = 0b111;
    const LOG_APPEND_TIME: u16 = 1 << 3;
    const TRANSACTIONAL: u16 = 1 << 4;
    const CONTROL: u16 = 1 << 5;
    const DELETE_HORIZON: u16 = 1 << 6;

    /// Attributes of a batch of plain records with this compression.
    pub const fn new(compression: Compression) -> Self {
        Self(compression.number() as u16)
    }

    /// The attributes that these bits hold. Fails on an unknown compression only.
    pub const fn from_bits(bits: u16) -> Result<Self, Error> {
        let number = (bits & Self::COMPRESSION) as u8;
        match Compression::from_number(number) {
            Some(_) => Ok(Self(bits)),
            None => Err(Error::UnsupportedCompression(number)),
        }
    }

    /// The bits as they travel.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// How the records are compressed.
    pub const fn compression(self) -> Compression {
        match Compression::from_number((self.0 & Self::COMPRESSION) as u8) {
            Some(compression) => compression,
            None => unreachable!(), // `from_bits` let known ones pass only
        }
    }

    /// Whose clock gave the timestamps.
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    /// True for a batch of a transaction (KIP-98).
    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// True for a batch of control records, which consumers do not see (KIP-98).
    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// True if the base timestamp holds the time at which tombstones may go (KIP-534).
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    /// The bits that have no meaning yet.
    pub const fn reserved(self) -> u16 {
        self.0
            & !(Self::COMPRESSION | Self::LOG_APPEND_TIME | Self::TRANSACTIONAL | Self::CONTROL | Self::DELETE_HORIZON)
    }
}

/// The header of a record batch, read but not checked against its CRC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record; what a producer sends here is meaningless, the leader sets it.
    pub base_offset: Offset,
    /// Leader epoch in which the batch was appended; set by the leader. A producer sends -1, which is read as 0.
    pub leader_epoch: LeaderEpoch,
    /// CRC-32C of everything from the attributes on, as the header says it.
    pub crc: u32,
    /// Compression, type of the timestamps and flags.
    pub attributes: Attributes,
    /// Offset of the last record, less the base offset. Compaction keeps it when the last record goes.
    pub last_offset_delta: u32,
    /// Time of the first record; the delete horizon if the attributes say so.
    pub base_timestamp: TimestampMs,
    /// Largest time of a record.
    pub max_timestamp: TimestampMs,
    /// Who wrote it; [`ProducerId::NONE`] without idempotence.
    pub producer_id: ProducerId,
    /// Epoch of the producer id; -1 without idempotence.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record; -1 without idempotence.
    pub base_sequence: Sequence,
    /// Number of records; at most `last_offset_delta + 1`, fewer after compaction.
    pub record_count: u32,
    /// Size of the whole batch in bytes, with the 12 leading bytes that its length field does not count.
    pub size_bytes: usize,
}

impl BatchHeader {
    /// Size of the header in bytes.
    pub const SIZE: usize = at::RECORDS;

    /// Reads the header of the batch that begins at the first of `bytes`.
    ///
    /// Checks magic, length and the range of each field, but not the CRC. The bytes may go on after the batch; the
    /// header's 61 alone suffice.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let header: &[u8; Self::SIZE] =
            bytes.first_chunk().ok_or(Error::Truncated { needed: Self::SIZE, have: bytes.len() })?;
        let magic = i8::from_be_bytes(field(header, at::MAGIC));
        if magic != MAGIC {
            return Err(Error::UnsupportedMagic(magic));
        }
        let length = i32::from_be_bytes(field(header, at::LENGTH));
        let size_bytes = usize::try_from(length)
            .ok()
            .and_then(|length| length.checked_add(LENGTH_OVERHEAD))
            .filter(|size| *size >= Self::SIZE)
            .ok_or_else(|| out_of_range("batchLength", length))?;
        let base_offset = i64::from_be_bytes(field(header, at::BASE_OFFSET));
        let last_offset_delta = i32::from_be_bytes(field(header, at::LAST_OFFSET_DELTA));
        if base_offset < 0 || base_offset.checked_add(i64::from(last_offset_delta) + 1).is_none() {
            return Err(out_of_range("baseOffset", base_offset));
        }
        let last_offset_delta = not_negative("lastOffsetDelta", last_offset_delta)?;
        let record_count = not_negative("recordCount", i32::from_be_bytes(field(header, at::RECORD_COUNT)))?;
        if record_count > last_offset_delta + 1 {
            return Err(Error::RecordCount { record_count, last_offset_delta });
        }
        let leader_epoch = match i32::from_be_bytes(field(header, at::LEADER_EPOCH)) {
            -1 => 0,
            epoch => not_negative("partitionLeaderEpoch", epoch)?,
        };
        Ok(Self {
            base_offset: Offset(base_offset as u64),
            leader_epoch: LeaderEpoch(leader_epoch),
            crc: u32::from_be_bytes(field(header, at::CRC)),
            attributes: Attributes::from_bits(u16::from_be_bytes(field(header, at::ATTRIBUTES)))?,
            last_offset_delta,
            base_timestamp: TimestampMs(i64::from_be_bytes(field(header, at::BASE_TIMESTAMP))),
            max_timestamp: TimestampMs(i64::from_be_bytes(field(header, at::MAX_TIMESTAMP))),
            producer_id: ProducerId(at_least_none("producerId", i64::from_be_bytes(field(header, at::PRODUCER_ID)))?),
            producer_epoch: ProducerEpoch(at_least_none(
                "producerEpoch",
                i16::from_be_bytes(field(header, at::PRODUCER_EPOCH)),
            )?),
            base_sequence: Sequence(at_least_none(
                "baseSequence",
                i32::from_be_bytes(field(header, at::BASE_SEQUENCE)),
            )?),
            record_count,
            size_bytes,
        })
    }

    /// Refuses a batch with fewer records than offsets, as compaction leaves them: nothing here writes one yet.
    pub fn check_has_no_gaps(&self) -> Result<(), Error> {
        let Self { record_count, last_offset_delta, .. } = *self;
        if record_count == last_offset_delta + 1 {
            Ok(())
        } else {
            Err(Error::RecordCount { record_count, last_offset_delta })
        }
    }

    /// Offset of the last record.
    pub const fn last_offset(&self) -> Offset {
        self.base_offset.plus(self.last_offset_delta as u64)
    }

    /// Offset after the last record.
    pub const fn next_offset(&self) -> Offset {
        self.base_offset.plus(self.last_offset_delta as u64 + 1)
    }

    /// Sequence of the last record, wrapping past `i32::MAX`; -1 without idempotence.
    pub const fn last_sequence(&self) -> Sequence {
        if self.has_producer() { self.base_sequence.plus(self.last_offset_delta) } else { self.base_sequence }
    }

    /// True if the batch belongs to an idempotent producer.
    pub const fn has_producer(&self) -> bool {
        self.producer_id.0 != ProducerId::NONE.0
    }

    /// How the records are compressed.
    pub const fn compression(&self) -> Compression {
        self.attributes.compression()
    }

    /// True for a batch of control records.
    pub const fn is_control(&self) -> bool {
        self.attributes.is_control()
    }

    /// True for a batch of a transaction.
    pub const fn is_transactional(&self) -> bool {
        self.attributes.is_transactional()
    }

    /// Whose clock gave the timestamps.
    pub const fn timestamp_type(&self) -> TimestampType {
        self.attributes.timestamp_type()
    }
}

/// The `N` bytes of a header that begin at a place of [`at`].
fn field<const N: usize>(header: &[u8; BatchHeader::SIZE], place: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&header[place..place + N]);
    bytes
}

fn out_of_range(field: &'static str, value: impl Into<i64>) -> Error {
    Error::FieldOutOfRange { field, value: value.into() }
}

fn not_negative(field: &'static str, value: i32) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| out_of_range(field, value))
}

/// -1 means none; what lies below means nothing.
fn at_least_none<T: Into<i64> + Copy>(field: &'static str, value: T) -> Result<T, Error> {
    if value.into() < -1 { Err(out_of_range(field, value)) } else { Ok(value) }
}
