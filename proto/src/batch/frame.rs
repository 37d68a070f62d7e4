//! Whole batches: checksum, what the leader sets, what it accepts, and several of them one after another.

use bytes::Bytes;

use super::{
    Error,
    header::{BatchHeader, TimestampType, at},
};
use crate::ids::{LeaderEpoch, Offset};

/// Checks the checksum of the batch that begins at the first of `batch`; bytes behind it do not matter.
pub fn verify_crc(batch: &[u8]) -> Result<(), Error> {
    let header = BatchHeader::parse(batch)?;
    check_crc(&header, batch)
}

fn check_crc(header: &BatchHeader, batch: &[u8]) -> Result<(), Error> {
    let covered = batch
        .get(at::ATTRIBUTES..header.size_bytes)
        .ok_or(Error::Truncated { needed: header.size_bytes, have: batch.len() })?;
    let computed = crc32c::crc32c(covered);
    if computed == header.crc { Ok(()) } else { Err(Error::CrcMismatch { stored: header.crc, computed }) }
}

/// Writes the checksum of a whole batch into its header.
pub(super) fn write_crc(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[at::ATTRIBUTES..]);
    batch[at::CRC..at::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
}

/// Sets what the leader decides. Both lie outside the CRC.
///
/// `batch` must hold a header that was parsed before; offset and epoch must fit Kafka's signed fields.
pub fn set_base_offset_and_epoch(batch: &mut [u8], base_offset: Offset, leader_epoch: LeaderEpoch) {
    assert!(batch.len() >= BatchHeader::SIZE, "a batch of {} bytes has no header; was it parsed?", batch.len());
    assert!(i64::try_from(base_offset.0).is_ok(), "offset {base_offset} is past what a batch can say");
    assert!(i32::try_from(leader_epoch.0).is_ok(), "leader epoch {leader_epoch} is past what a batch can say");
    batch[at::BASE_OFFSET..at::LENGTH].copy_from_slice(&base_offset.0.to_be_bytes());
    batch[at::LEADER_EPOCH..at::MAGIC].copy_from_slice(&leader_epoch.0.to_be_bytes());
}

/// Checks what a producer sent: exactly one whole batch of at most `max_bytes`, of plain records with offsets without
/// gaps, in a known compression, with the right checksum. Looks at no single record.
pub fn validate_produce(batch: &[u8], max_bytes: usize) -> Result<BatchHeader, Error> {
    // First, so that what is too large costs nothing.
    if batch.len() > max_bytes {
        return Err(Error::TooLarge { size: batch.len(), max: max_bytes });
    }
    let header = BatchHeader::parse(batch)?;
    if batch.len() < header.size_bytes {
        return Err(Error::Truncated { needed: header.size_bytes, have: batch.len() });
    }
    if batch.len() > header.size_bytes {
        return Err(Error::TrailingBytes(batch.len() - header.size_bytes));
    }
    // Before the field rules: a damaged batch is worth sending again, one that breaks a rule is not.
    check_crc(&header, batch)?;
    if header.record_count == 0 {
        return Err(Error::Empty);
    }
    header.check_has_no_gaps()?;
    if let Some(what) = not_for_producers(&header) {
        return Err(Error::NotForProducers(what));
    }
    Ok(header)
}

/// What in the header only a broker may write, or nobody yet.
fn not_for_producers(header: &BatchHeader) -> Option<&'static str> {
    let attributes = header.attributes;
    let idempotent = [header.producer_id.0 >= 0, header.producer_epoch.0 >= 0, header.base_sequence.0 >= 0];
    if attributes.is_control() {
        Some("a control batch")
    } else if attributes.is_transactional() {
        Some("a transactional batch: transactions are not supported")
    } else if attributes.timestamp_type() == TimestampType::LogAppendTime {
        Some("timestamps of the type LogAppendTime")
    } else if attributes.has_delete_horizon() {
        Some("a delete horizon")
    } else if attributes.reserved() != 0 {
        Some("attribute bits that have no meaning")
    } else if idempotent != [idempotent[0]; 3] {
        Some("a producer id without an epoch and a sequence, or these without an id")
    } else {
        None
    }
}

/// The batches that stand in `bytes` one after another, whole and uncut, not checked against their CRC.
///
/// A batch that is cut or malformed gives an error, after which nothing follows.
pub fn split(bytes: Bytes) -> Split {
    Split { rest: bytes }
}

/// The batches that [`split`] finds; ends after the first error.
#[derive(Clone, Debug)]
pub struct Split {
    rest: Bytes,
}

impl Iterator for Split {
    type Item = Result<Bytes, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let have = self.rest.len();
        let batch = match BatchHeader::parse(&self.rest) {
            Ok(header) if header.size_bytes <= have => Ok(self.rest.split_to(header.size_bytes)),
            Ok(header) => Err(Error::Truncated { needed: header.size_bytes, have }),
            Err(error) => Err(error),
        };
        if batch.is_err() {
            self.rest.clear();
        }
        Some(batch)
    }
}

impl std::iter::FusedIterator for Split {}
