//! One step of a scrub: some pieces of one segment, each batch with its CRC and each piece with its digest.
//!
//! Where no digests are known (an earlier program wrote the segment, or its side file is lost) batches are checked by their
//! CRC alone. Of closed segments the page cache is dropped before, so that the disk is read and not what is remembered of it,
//! and behind, so that a scrub leaves no cold data in memory.

use std::{fs::File, num::NonZeroU64};

use rustix::fs::{Advice, fadvise};

use holdfast_proto::ids::Offset;

use super::pieces::{check_piece, check_unbound};
use crate::{Error, digest::Border, hints::start_before, segment::Segment, shared::Shared};

/// What one step of a scrub did. Damage is the step's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scrubbed {
    /// Where the next step goes on; `None` at the end of the log.
    pub next: Option<Offset>,
    /// Bytes that were read and are right.
    pub bytes: u64,
}

/// Checks the piece that holds `from`, or its batch where nothing binds the pieces.
pub(super) fn check_around(shared: &Shared, from: Offset) -> Result<(), Error> {
    step(shared, from, 1).map(|_| ())
}

/// Checks pieces from `from` on, of one segment, until they are `max_bytes` or more.
pub(super) fn step(shared: &Shared, from: Offset, max_bytes: u64) -> Result<Scrubbed, Error> {
    let segments = shared.segments();
    let at = segments.partition_point(|segment| segment.base() <= from).saturating_sub(1);
    let Some(segment) = segments.get(at).filter(|segment| segment.next() > from) else {
        return Ok(Scrubbed { next: None, bytes: 0 });
    };
    let is_closed = at + 1 < segments.len();
    let file = segment.file()?;
    segment.check_named()?;
    let borders = segment.digests.look(|| (segment.size(), segment.next()))?;
    let above = borders.partition_point(|border| border.next <= from);
    let (next, bytes) = if above == 0 || above == borders.len() {
        let start = start_before(segment, from)?;
        drop_cache(&file, is_closed, (start, segment.size().min(start.saturating_add(max_bytes))));
        check_unbound(segment, &file, start, (from, max_bytes))?
    } else {
        let start = borders[above - 1];
        let far = borders[above..].iter().find(|border| border.position - start.position >= max_bytes);
        let end = *far.unwrap_or(&borders[borders.len() - 1]);
        drop_cache(&file, is_closed, (start.position, end.position));
        pieces(segment, &file, borders[above - 1..].iter().take_while(|border| border.position <= end.position))?;
        drop_cache(&file, is_closed, (start.position, end.position));
        (end.next, end.position - start.position)
    };
    let is_end = !is_closed && next >= segment.next();
    Ok(Scrubbed { next: (!is_end).then_some(next), bytes })
}

/// Checks the pieces between these borders.
fn pieces<'a>(segment: &Segment, file: &File, borders: impl Iterator<Item = &'a Border>) -> Result<(), Error> {
    let mut last: Option<Border> = None;
    for end in borders {
        if let Some(start) = last {
            check_piece(segment, file, (start, *end))?;
            segment.digests.set_checked((start, *end));
        }
        last = Some(*end);
    }
    Ok(())
}

/// Lets the next reads of a closed segment come from the disk. What cannot be dropped is read from memory.
fn drop_cache(file: &File, is_closed: bool, (from, to): (u64, u64)) {
    if is_closed && let Some(len) = NonZeroU64::new(to.saturating_sub(from)) {
        let _only_advice = fadvise(file, from, Some(len), Advice::DontNeed);
    }
}
