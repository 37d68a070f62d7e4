//! Producer snapshots: the idempotent producers of everything before an offset.
//!
//! Place: written when a segment begins and when the log is closed, so that recovery and truncation need not read older
//! segments. The format is Holdfast's own; Kafka's has no place for the batches before the last one.
//!
//! ```text
//!  magic u32 | version u8 | producers u32 | per producer: id i64, epoch i16, batches u8,
//!      per batch: base sequence i32, last sequence i32, base offset u64, records u32 | CRC-32C of all before u32
//! ```
//!
//! Failure: a missing or damaged snapshot, or one that the disk does not read, is no loss; the segments from an older one on
//! are read instead.

use std::path::Path;

use holdfast_proto::ids::{Offset, ProducerEpoch, ProducerId, Sequence};
use holdfast_replication::{ProducerTable, RememberedBatch};

use crate::{Error, files};

const MAGIC: u32 = u32::from_be_bytes(*b"HFPS");
const VERSION: u8 = 1;
const HEAD: usize = 9;

/// The bytes of a snapshot.
pub(crate) fn encode(producers: &ProducerTable) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + 4 + producers.len() * 64);
    bytes.extend_from_slice(&MAGIC.to_be_bytes());
    bytes.push(VERSION);
    bytes.extend_from_slice(&(producers.len() as u32).to_be_bytes());
    for (id, entry) in producers.iter() {
        bytes.extend_from_slice(&id.0.to_be_bytes());
        bytes.extend_from_slice(&entry.epoch().0.to_be_bytes());
        bytes.push(entry.batches().len() as u8);
        for batch in entry.batches() {
            bytes.extend_from_slice(&batch.base_sequence.0.to_be_bytes());
            bytes.extend_from_slice(&batch.last_sequence.0.to_be_bytes());
            bytes.extend_from_slice(&batch.base_offset.0.to_be_bytes());
            bytes.extend_from_slice(&batch.record_count.to_be_bytes());
        }
    }
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes
}

/// The producers of a snapshot file; `None` if it is absent or damaged, or the disk does not read it.
pub(crate) fn load(path: &Path) -> Result<Option<ProducerTable>, Error> {
    Ok(files::read_spare(path)?.as_deref().and_then(decode))
}

fn decode(bytes: &[u8]) -> Option<ProducerTable> {
    let (content, crc) = bytes.split_last_chunk::<4>()?;
    if crc32c::crc32c(content) != u32::from_be_bytes(*crc) {
        return None;
    }
    let mut rest = content;
    if u32::from_be_bytes(take(&mut rest)?) != MAGIC || take::<1>(&mut rest)?[0] != VERSION {
        return None;
    }
    let count = u32::from_be_bytes(take(&mut rest)?);
    let mut producers = ProducerTable::new();
    for _ in 0..count {
        let id = ProducerId(i64::from_be_bytes(take(&mut rest)?));
        let epoch = ProducerEpoch(i16::from_be_bytes(take(&mut rest)?));
        let mut batches = Vec::new();
        for _ in 0..take::<1>(&mut rest)?[0] {
            batches.push(RememberedBatch {
                base_sequence: Sequence(i32::from_be_bytes(take(&mut rest)?)),
                last_sequence: Sequence(i32::from_be_bytes(take(&mut rest)?)),
                base_offset: Offset(u64::from_be_bytes(take(&mut rest)?)),
                record_count: u32::from_be_bytes(take(&mut rest)?),
            });
        }
        if !producers.restore(id, epoch, &batches) {
            return None;
        }
    }
    rest.is_empty().then_some(producers)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*chunk)
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ids::LeaderEpoch;
    use holdfast_replication::{BatchInfo, PlacedBatch};

    use super::*;

    #[test]
    fn a_snapshot_survives_the_disk_and_no_flipped_bit_does() {
        let mut producers = ProducerTable::new();
        for n in 0..20u32 {
            producers.replay(&PlacedBatch {
                base_offset: Offset(u64::from(n) * 10),
                leader_epoch: LeaderEpoch(1),
                info: BatchInfo {
                    record_count: 10,
                    size_bytes: 100,
                    producer_id: ProducerId(i64::from(n % 3)),
                    producer_epoch: ProducerEpoch(0),
                    base_sequence: Sequence(n as i32 / 3 * 10),
                },
            });
        }
        let bytes = encode(&producers);
        assert_eq!(decode(&bytes).as_ref(), Some(&producers));
        assert_eq!(decode(&encode(&ProducerTable::new())), Some(ProducerTable::new()));
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 4;
            assert_eq!(decode(&bad), None, "byte {at}");
            assert_eq!(decode(&bytes[..at]), None, "cut at {at}");
        }
        assert_eq!(load(Path::new("/nowhere/at/all")).unwrap(), None);
    }
}
