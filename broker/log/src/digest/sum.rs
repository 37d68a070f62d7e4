//! The hash of a batch at its place, and sums of them.

use twox_hash::XxHash3_64;

use holdfast_proto::{batch::BatchHeader, ids::TopicPartition};

/// Tells these hashes from others of the same bytes; `HFDIGEST`. Replicas compare sums, so it never changes.
const SEED: u64 = u64::from_be_bytes(*b"HFDIGEST");
const BYTES: usize = 16 + 4 + 8 + 8 + 4 + 4;

/// The sum, modulo 2^64, of the hashes of batches, each over topic id, partition, first and last offset, leader epoch and
/// CRC-32C: XXH3 64 with a seed (<https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>).
///
/// It finds mistakes and misplaced batches, and is no defence against who makes batches to fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(pub u64);

impl Digest {
    /// That of one batch.
    pub(crate) fn of(partition: TopicPartition, header: &BatchHeader) -> Self {
        let mut bytes = [0; BYTES];
        bytes[..16].copy_from_slice(partition.topic_id.0.as_bytes());
        bytes[16..20].copy_from_slice(&partition.partition.0.to_be_bytes());
        bytes[20..28].copy_from_slice(&header.base_offset.0.to_be_bytes());
        bytes[28..36].copy_from_slice(&header.last_offset().0.to_be_bytes());
        bytes[36..40].copy_from_slice(&header.leader_epoch.0.to_be_bytes());
        bytes[40..].copy_from_slice(&header.crc.to_be_bytes());
        Self(XxHash3_64::oneshot_with_seed(SEED, &bytes))
    }

    /// That of these and other batches.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// That of these batches but those others, which are among them.
    #[must_use]
    pub(crate) const fn minus(self, others: Self) -> Self {
        Self(self.0.wrapping_sub(others.0))
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ids::{LeaderEpoch, Offset, PartitionIndex};

    use super::*;
    use crate::test_support::{Sample, partition};

    #[test]
    fn everything_that_makes_the_place_counts() {
        let header = BatchHeader::parse(&Sample::at(7).build()).unwrap();
        let here = Digest::of(partition(), &header);
        let elsewhere = TopicPartition { partition: PartitionIndex(1), ..partition() };
        let other_topic =
            TopicPartition { topic_id: holdfast_proto::ids::TopicId(uuid::Uuid::from_u128(2)), ..partition() };
        let others = [
            Digest::of(elsewhere, &header),
            Digest::of(other_topic, &header),
            Digest::of(partition(), &BatchHeader { base_offset: Offset(8), ..header }),
            Digest::of(partition(), &BatchHeader { last_offset_delta: 1, ..header }),
            Digest::of(partition(), &BatchHeader { leader_epoch: LeaderEpoch(1), ..header }),
            Digest::of(partition(), &BatchHeader { crc: header.crc ^ 1, ..header }),
        ];
        assert!(others.iter().all(|other| *other != here), "{here:?} {others:?}");
    }

    #[test]
    fn the_hash_never_changes() {
        let header = BatchHeader { crc: 0x1234_5678, ..BatchHeader::parse(&Sample::at(7).build()).unwrap() };
        assert_eq!(
            Digest::of(partition(), &header),
            Digest(11_782_265_175_535_316_380),
            "replicas of other versions compare it"
        );
    }
}
