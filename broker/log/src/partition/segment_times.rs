//! The times of the closed segments of a partition, in a small file: `segment-times`.
//!
//! Place: written when a segment is closed, before the next one begins; those of the segment that is written stand in the
//! durable mark. Retention by age goes by the last append, look-ups by time pass over segments by their largest time.
//!
//! ```text
//!  version: 2
//!  <base offset> <last append, ms as `Ages` counts them> <largest time of a record, ms>        a line for each segment
//!  crc32c: <8 hexadecimal digits, of all before>
//! ```
//!
//! In version 1 the last append was a time of the wall clock: such a file is as none.
//!
//! Failure: a segment whose times are not known counts as appended to now: it stays too long, and never goes too early.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use holdfast_proto::ids::{Offset, TimestampMs};

use crate::{Error, files, mark::Times};

const HEAD: &str = "version: 2\n";
const CRC: &str = "crc32c: ";

/// The times of closed segments, by base offset.
pub(super) type SegmentTimes = BTreeMap<Offset, Times>;

/// The bytes of the file, which ends with its checksum.
pub(super) fn encode(segments: impl IntoIterator<Item = (Offset, Times)>) -> Vec<u8> {
    let mut text = HEAD.to_owned();
    for (base, Times { last_append, largest }) in segments {
        let _ = writeln!(text, "{base} {last_append} {largest}"); // a String takes everything
    }
    let crc = crc32c::crc32c(text.as_bytes());
    let _ = writeln!(text, "{CRC}{crc:08x}");
    text.into_bytes()
}

/// The times that a partition's folder holds; none if the file is missing or damaged, or the disk does not read it.
pub(super) fn load(folder: &Path) -> Result<SegmentTimes, Error> {
    let path = folder.join(files::SEGMENT_TIMES);
    let Some(bytes) = files::read_spare(&path)? else { return Ok(SegmentTimes::new()) };
    let times = String::from_utf8(bytes).ok().and_then(|text| decode(&text));
    if times.is_none() {
        tracing::warn!(path = %path.display(), "the times of segments are damaged, or of another version: they count as appended to now");
    }
    Ok(times.unwrap_or_default())
}

fn decode(text: &str) -> Option<SegmentTimes> {
    let (content, crc) = text.rsplit_once(CRC)?;
    if crc != format!("{:08x}\n", crc32c::crc32c(content.as_bytes())) {
        return None;
    }
    let line = |line: &str| {
        let mut numbers = line.split(' ');
        let base = Offset(numbers.next()?.parse().ok()?);
        let mut time = || numbers.next()?.parse().ok().map(TimestampMs);
        Some((base, Times { last_append: time()?, largest: time()? }))
    };
    content.strip_prefix(HEAD)?.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flipped_bit_gives_other_times() {
        let times =
            |last_append, largest| Times { last_append: TimestampMs(last_append), largest: TimestampMs(largest) };
        let all: SegmentTimes = [(Offset(0), times(1_700_000_000_000, 99)), (Offset(7), times(0, -1))].into();
        let bytes = encode(all.clone());
        let read = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(decode);
        assert_eq!(read(&bytes), Some(all));
        assert_eq!(read(&encode([])), Some(SegmentTimes::new()));
        for at in 0..bytes.len() {
            assert_eq!(read(&bytes[..at]), None, "cut at {at}");
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert_eq!(read(&flipped), None, "byte {at} bit {bit}");
            }
        }
    }
}
