//! The file of a segment's borders, `.digest`.
//!
//! ```text
//!  magic "HFDG" | version u32 | topic id 16 bytes | partition u32 | base offset u64
//!  each border but the start: position u64 | next offset u64 | digest u64
//!  CRC-32C of all before u32                                                        (big-endian)
//! ```
//!
//! It is written when the segment is closed, and not durably when the log is. The last border is the end of the segment as
//! it was then: for a segment that ends elsewhere now (an earlier program went on with it) the file is none.

use holdfast_proto::ids::{Offset, TopicPartition};

use super::{Border, Digest, pieces::Pieces};

const MAGIC: &[u8; 4] = b"HFDG";
const VERSION: u32 = 1;
const BORDER: usize = 3 * 8;

fn head(partition: TopicPartition, base: Offset) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(partition.topic_id.0.as_bytes());
    bytes.extend_from_slice(&partition.partition.0.to_be_bytes());
    bytes.extend_from_slice(&base.0.to_be_bytes());
    bytes
}

/// The bytes of the file.
pub(super) fn encode(partition: TopicPartition, pieces: &Pieces) -> Vec<u8> {
    let mut bytes = head(partition, pieces.borders()[0].next);
    for Border { position, next, digest } in &pieces.borders()[1..] {
        for number in [*position, next.0, digest.0] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
    }
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes
}

/// The borders; `None` if these are not the whole bytes of this segment's file.
pub(super) fn decode(bytes: &[u8], partition: TopicPartition, base: Offset) -> Option<Pieces> {
    let (content, crc) = bytes.split_last_chunk::<4>()?;
    let borders = content.strip_prefix(head(partition, base).as_slice())?;
    if crc32c::crc32c(content) != u32::from_be_bytes(*crc) || !borders.len().is_multiple_of(BORDER) {
        return None;
    }
    let mut pieces = Pieces::new(base);
    for bytes in borders.chunks_exact(BORDER) {
        let mut numbers = bytes.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok().map(u64::from_be_bytes));
        let border =
            Border { position: numbers.next()?, next: Offset(numbers.next()?), digest: Digest(numbers.next()?) };
        let last = pieces.last();
        if border.position <= last.position || border.next <= last.next {
            return None;
        }
        pieces.push(border);
    }
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ids::PartitionIndex;

    use super::*;
    use crate::test_support::partition;

    #[test]
    fn no_flipped_bit_gives_borders_and_nor_does_another_segment() {
        let mut pieces = Pieces::new(Offset(40));
        for n in 1..4 {
            pieces.push(Border { position: n * 100, next: Offset(40 + n), digest: Digest(n << 60) });
        }
        let bytes = encode(partition(), &pieces);
        assert_eq!(decode(&bytes, partition(), Offset(40)), Some(pieces));
        assert_eq!(decode(&bytes, partition(), Offset(41)), None);
        let elsewhere = TopicPartition { partition: PartitionIndex(1), ..partition() };
        assert_eq!(decode(&bytes, elsewhere, Offset(40)), None);
        for at in 0..bytes.len() {
            assert_eq!(decode(&bytes[..at], partition(), Offset(40)), None, "cut at {at}");
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert_eq!(decode(&flipped, partition(), Offset(40)), None, "byte {at} bit {bit}");
            }
        }
    }
}
