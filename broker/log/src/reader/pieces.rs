//! Comparing pieces of a segment with what was appended there.
//!
//! A read compares each piece that it touches once in the life of the process: then the headers of the whole piece are
//! walked, some 64 KiB that mostly are in the page cache for the read. Later reads of the piece pay nothing; what a disk
//! changes afterwards is found by the scrub. The piece that is being written has no end yet, and is not compared here.

use std::fs::File;

use holdfast_proto::ids::Offset;

use super::damage::damaged;
use crate::{
    Error,
    digest::Border,
    scan::{Check, Scan, Step},
    segment::Segment,
};

/// Bytes that were not found to be what was appended.
pub(crate) struct Unsound {
    /// Where they begin, a batch border: what lies before them is right, or at least whole batches with offsets that go on. Those
    /// of the same piece cannot be compared, for not all of it can be read.
    pub(crate) position: u64,
    /// Why; [`Error::Damaged`] if they are others.
    pub(crate) error: Error,
}

/// Compares the pieces of the bytes `from` to `to` that were not compared before.
pub(crate) fn check_pieces(segment: &Segment, file: &File, (from, to): (u64, u64)) -> Result<(), Unsound> {
    let unchecked = segment.digests.unchecked((from, to), || (segment.size(), segment.next()));
    for piece in unchecked.map_err(|error| Unsound { position: from, error })? {
        compare(segment, file, piece, Check::Header, |_| {})?;
        segment.digests.set_checked(piece);
    }
    Ok(())
}

/// Where the piece begins that holds `from`, with its first offset; the segment's start if nothing binds its batches.
pub(super) fn piece_before(segment: &Segment, from: Offset) -> Result<(u64, Offset), Error> {
    let borders = segment.digests.look(|| (segment.size(), segment.next()))?;
    let below = borders[..borders.partition_point(|border| border.next <= from)].last();
    Ok(below.map_or((0, segment.base()), |border| (border.position, border.next)))
}

/// Reads the batches between two borders with their checksums, and compares them with the digest at the end.
pub(super) fn check_piece(segment: &Segment, file: &File, piece: (Border, Border)) -> Result<(), Error> {
    compare(segment, file, piece, Check::Crc, |_| {}).map_err(|unsound| unsound.error)
}

/// Reads the headers between two borders, gives the border behind each batch, and compares them with the digest at the end:
/// nothing that was given counts if they differ.
pub(super) fn walk_piece(
    segment: &Segment,
    file: &File,
    piece: (Border, Border),
    each: impl FnMut(Border),
) -> Result<(), Error> {
    compare(segment, file, piece, Check::Header, each).map_err(|unsound| unsound.error)
}

fn compare(
    segment: &Segment,
    file: &File,
    (start, end): (Border, Border),
    check: Check,
    mut each: impl FnMut(Border),
) -> Result<(), Unsound> {
    let mut scan = Scan::new(file, segment.path(), (start.position, end.position), Some(start.next), check);
    let mut at = start;
    loop {
        match scan.step().map_err(|error| Unsound { position: at.position, error })? {
            Step::Batch { position, header } => {
                let digest = at.digest.plus(segment.digests.of(&header));
                at = Border { position: position + header.size_bytes as u64, next: header.next_offset(), digest };
                each(at);
            }
            Step::Bad { position, reason } => {
                return Err(Unsound { position, error: damaged(segment, at.next, position, reason) });
            }
            Step::End => break,
        }
    }
    if at != end {
        let reason = format!(
            "the batches up to byte {} (offset {}) are not those that were appended there: one is of another place, time or \
             partition",
            end.position, end.next
        );
        let position = start.position;
        return Err(Unsound { position, error: damaged(segment, start.next, position, reason) });
    }
    Ok(())
}

/// Reads batches of which no digest is known, from the batch border `from` on, until those that end past `wanted` are
/// `max_bytes` or more. Gives the offset behind them, and how many bytes they are.
///
/// The offset of the first is bound by nothing but where the segment ends: no checksum covers it.
pub(super) fn check_unbound(
    segment: &Segment,
    file: &File,
    from: u64,
    (wanted, max_bytes): (Offset, u64),
) -> Result<(Offset, u64), Error> {
    let first = (from == 0).then(|| segment.base());
    let least = segment.next(); // before the size, which grows first
    let mut scan = Scan::new(file, segment.path(), (from, segment.size()), first, Check::Crc);
    let (mut next, mut last, mut bytes) = (segment.base(), from, 0);
    while bytes < max_bytes {
        match scan.step()? {
            Step::Batch { position, header } => {
                (next, last) = (header.next_offset(), position);
                bytes += if next > wanted { header.size_bytes as u64 } else { 0 };
            }
            Step::Bad { position, reason } => return Err(damaged(segment, next, position, reason)),
            Step::End if next < least || next > segment.next() => {
                let reason = format!("the last batch ends before offset {next}, the segment before {}", segment.next());
                return Err(damaged(segment, wanted, last, reason));
            }
            Step::End => return Ok((next, bytes)),
        }
    }
    Ok((next, bytes))
}
