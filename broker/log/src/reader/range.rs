//! Digests of any range of a log: replicas compare them.
//!
//! Sums up to batch borders are known at the borders of pieces. A range that begins or ends inside a piece costs a walk through
//! that piece, whose headers are then held against its own digest; all between is not read. Of one segment after the other
//! the borders are looked at, and no more than those of one are in memory.
//!
//! Followers copy batches as they are, truncations cut at batch borders, and a log begins where a leader's did: so a batch
//! border of one replica is one of every replica that holds the batch. Where segments and pieces end is each one's own.

use holdfast_proto::ids::Offset;

use super::{log_reader::LogReader, pieces::walk_piece};
use crate::{
    Error,
    digest::{Border, Digest},
    segment::Segment,
    shared::Segments,
};

/// What a log says of a range of its batches. Damage that is met on the way is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeDigest {
    /// The sum over all batches of the range.
    Known(Digest),
    /// The range begins or ends inside a batch.
    InsideBatch,
    /// The log does not hold all of the range, or not any more.
    OutOfRange {
        /// First offset that it holds.
        log_start: Offset,
        /// Offset after the last batch in its files.
        log_end: Offset,
    },
    /// Nothing binds the batches of a segment: an earlier program wrote it, or its side file is lost.
    Unknown,
}

impl LogReader {
    /// The digest of the batches from `from` on up to `to`, above it; on a thread that may block. Reads the borders of the
    /// segments that the range touches, and at most one piece at each of its ends.
    pub fn digest_of(&self, from: Offset, to: Offset) -> Result<RangeDigest, Error> {
        self.undisturbed(|log_start, written| {
            if from < log_start || to > written || from >= to {
                return Ok(RangeDigest::OutOfRange { log_start, log_end: written });
            }
            let segments = self.shared().segments();
            if segments[0].base() > from {
                // The list is newer than the log start that was looked at: retention took the segment.
                return Ok(RangeDigest::OutOfRange { log_start: self.log_start_offset(), log_end: written });
            }
            digest_of(&segments, from, to)
        })
    }

    /// Where a range that begins at `from` ends, at most at `up_to`, a batch border: with the segment whose bytes make it
    /// `max_bytes` or more. `None` if nothing lies between.
    pub fn range_end(&self, from: Offset, up_to: Offset, max_bytes: u64) -> Option<Offset> {
        let segments = self.shared().segments();
        let mut bytes = 0;
        let touched = segments.iter().filter(|segment| segment.next() > from && segment.base() < up_to);
        let end = touched
            .take_while(|segment| {
                let is_wanted = bytes < max_bytes;
                bytes += segment.size();
                is_wanted
            })
            .last()?;
        Some(end.next().min(up_to)).filter(|end| *end > from)
    }

    /// About how many bytes a range takes, with the pieces that it begins and ends in: what it costs to read it. On a thread
    /// that may block.
    pub fn range_bytes(&self, from: Offset, to: Offset) -> Result<u64, Error> {
        self.undisturbed(|_, _| range_bytes(&self.shared().segments(), from, to))
    }

    /// A batch border between `from` and `to`, both batch borders, about in the middle; `None` if one batch alone lies there.
    /// On a thread that may block: where no border of a piece lies between, it walks through a piece.
    pub fn middle(&self, from: Offset, to: Offset) -> Result<Option<Offset>, Error> {
        self.undisturbed(|_, _| middle(&self.shared().segments(), from, to))
    }
}

fn digest_of(segments: &Segments, from: Offset, to: Offset) -> Result<RangeDigest, Error> {
    let touched = segments.iter().filter(|segment| segment.next() > from && segment.base() < to);
    let mut sum = Digest::default();
    for segment in touched {
        let borders = segment.digests.look(|| (segment.size(), segment.next()))?;
        let before = |at| before(segment, &borders, at);
        let (start, end) = match (before(from.max(segment.base()))?, before(to.min(segment.next()))?) {
            (Before::Known(start), Before::Known(end)) => (start, end),
            (Before::Unknown, _) | (_, Before::Unknown) => return Ok(RangeDigest::Unknown),
            (Before::InsideBatch, _) | (_, Before::InsideBatch) => return Ok(RangeDigest::InsideBatch),
        };
        sum = sum.plus(end).minus(start);
    }
    Ok(RangeDigest::Known(sum))
}

fn range_bytes(segments: &Segments, from: Offset, to: Offset) -> Result<u64, Error> {
    let mut bytes = 0;
    for segment in segments.iter().filter(|segment| segment.next() > from && segment.base() < to) {
        let borders = segment.digests.look(|| (segment.size(), segment.next()))?;
        let start = borders.iter().rev().find(|border| border.next <= from).map_or(0, |border| border.position);
        let end = borders.iter().find(|border| border.next >= to).map_or(segment.size(), |border| border.position);
        bytes += end.saturating_sub(start);
    }
    Ok(bytes)
}

/// The digest of what lies before an offset in its segment.
enum Before {
    Known(Digest),
    InsideBatch,
    Unknown,
}

fn before(segment: &Segment, borders: &[Border], at: Offset) -> Result<Before, Error> {
    let above = borders.partition_point(|border| border.next < at);
    let Some(end) = borders.get(above).copied() else { return Ok(Before::Unknown) };
    if end.next == at {
        return Ok(Before::Known(end.digest));
    }
    let Some(start) = above.checked_sub(1).map(|below| borders[below]) else { return Ok(Before::Unknown) };
    let mut found = Before::InsideBatch;
    walk_piece(segment, &*segment.file()?, (start, end), |border| {
        if border.next == at {
            found = Before::Known(border.digest);
        }
    })?;
    Ok(found)
}

fn middle(segments: &Segments, from: Offset, to: Offset) -> Result<Option<Offset>, Error> {
    let is_between = |at: Offset| from < at && at < to;
    let ends: Vec<_> = segments.iter().map(|segment| segment.next()).filter(|next| is_between(*next)).collect();
    if let Some(end) = ends.get(ends.len() / 2) {
        return Ok(Some(*end));
    }
    // All of it lies in one segment.
    let at = segments.partition_point(|segment| segment.base() <= from).saturating_sub(1);
    let Some(segment) = segments.get(at) else { return Ok(None) };
    let borders = segment.digests.look(|| (segment.size(), segment.next()))?;
    let between: Vec<_> = borders.iter().filter(|border| is_between(border.next)).collect();
    if let Some(border) = between.get(between.len() / 2) {
        return Ok(Some(border.next));
    }
    // All of it lies in one piece.
    let above = borders.partition_point(|border| border.next <= from);
    let (Some(below), Some(end)) = (above.checked_sub(1), borders.get(above)) else { return Ok(None) };
    let mut inner = Vec::new();
    walk_piece(segment, &*segment.file()?, (borders[below], *end), |border| {
        if is_between(border.next) {
            inner.push(border.next);
        }
    })?;
    Ok(inner.get(inner.len() / 2).copied())
}

#[cfg(test)]
#[path = "range_tests.rs"]
mod tests;
