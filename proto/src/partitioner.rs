//! Which partition a key belongs to, as Kafka's default partitioner decides it.
//!
//! Every client has to agree on it, in any language: records with one key keep their order only in one partition.

use crate::ids::PartitionIndex;

/// The partition of `key` in a topic of `partition_count` partitions: murmur2 without its sign bit, modulo the count.
///
/// Panics if `partition_count` is 0: no topic has none.
pub fn partition_for_key(key: &[u8], partition_count: u32) -> PartitionIndex {
    assert!(partition_count > 0, "a topic of {partition_count} partitions has no partition for a key");
    PartitionIndex((murmur2(key) & 0x7fff_ffff) % partition_count)
}

/// MurmurHash2 in 32 bits, with the seed that Kafka uses.
fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;

    let mut hash = SEED ^ bytes.len() as u32;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, byte| (tail << 8) | u32::from(*byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_kafkas() {
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn a_key_keeps_its_partition() {
        // The hash of "foobar" is negative: 2^31 is added to it.
        assert_eq!(partition_for_key(b"abc", 6), PartitionIndex(479_470_107 % 6));
        assert_eq!(partition_for_key(b"foobar", 6), PartitionIndex(1_357_151_166 % 6));
        assert_eq!(partition_for_key(b"anything", 1), PartitionIndex(0));
    }
}
