//! The producer's id, epoch and sequence in a batch: set when it is built, and again when it is sent under a new epoch.

use bytes::{Bytes, BytesMut};

use super::{
    Error,
    frame::write_crc,
    header::{BatchHeader, at},
};
use crate::ids::{ProducerEpoch, ProducerId, Sequence};

/// What makes a batch idempotent (KIP-98). All three are 0 or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerStamp {
    /// Id that the cluster gave the producer, 0 or more.
    pub id: ProducerId,
    /// Which life of that id.
    pub epoch: ProducerEpoch,
    /// Sequence of the first record.
    pub base_sequence: Sequence,
}

/// Gives a built batch another stamp, or none, and a new checksum. Copies the batch only if its memory is shared.
///
/// Fails if `batch` is not exactly one whole batch.
pub fn restamp(batch: Bytes, stamp: Option<ProducerStamp>) -> Result<Bytes, Error> {
    let header = BatchHeader::parse(&batch)?;
    if batch.len() < header.size_bytes {
        return Err(Error::Truncated { needed: header.size_bytes, have: batch.len() });
    }
    if batch.len() > header.size_bytes {
        return Err(Error::TrailingBytes(batch.len() - header.size_bytes));
    }
    let mut batch = batch.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    write_stamp(&mut batch, stamp);
    write_crc(&mut batch);
    Ok(batch.freeze())
}

/// Writes the three fields. The checksum is the caller's affair.
pub(super) fn write_stamp(batch: &mut [u8], stamp: Option<ProducerStamp>) {
    let (id, epoch, base_sequence) = match stamp {
        Some(stamp) => (stamp.id.0, stamp.epoch.0, stamp.base_sequence.0),
        None => (-1, -1, -1),
    };
    if stamp.is_some() {
        assert!(id >= 0 && epoch >= 0 && base_sequence >= 0, "{stamp:?} is not an idempotent producer's; use no stamp");
    }
    batch[at::PRODUCER_ID..at::PRODUCER_EPOCH].copy_from_slice(&id.to_be_bytes());
    batch[at::PRODUCER_EPOCH..at::BASE_SEQUENCE].copy_from_slice(&epoch.to_be_bytes());
    batch[at::BASE_SEQUENCE..at::RECORD_COUNT].copy_from_slice(&base_sequence.to_be_bytes());
}
