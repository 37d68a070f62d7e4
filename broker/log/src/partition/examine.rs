//! Reading a whole log through before any of it is opened: where the first batch stands that is not what was appended.
//!
//! Place: before the last resort goes on with a log. Recovery believes a closed segment whose indexes are right, and a log that
//! was closed in order, without a look at their batches; a reader would find the damage later, and every follower with it.
//!
//! Nothing is changed. The page cache is dropped first: what counts is what the disk holds.

use std::path::Path;

use rustix::fs::{Advice, fadvise};

use holdfast_proto::ids::{Offset, TopicPartition};

use super::recovery::size_of;
use crate::{
    Error,
    digest::{Border, Comparison, Digest},
    files,
    mark::{self, Marks},
    scan::{Check, Scan, Step},
    segment::Segment,
};

/// What a place means that the disk does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Chance: it is to be tried again, and the error is the answer.
    MayPass,
    /// It failed again and again: it is as damage is.
    IsDamage,
}

impl Unreadable {
    /// True if this error is to be taken for damage.
    pub(super) fn is_damage(self, error: &Error) -> bool {
        self == Self::IsDamage && error.is_unreadable()
    }
}

/// The place from which on nothing of a log can be used: a batch border.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// First offset of the segment.
    pub(super) base: Offset,
    /// First offset that cannot be used.
    pub(super) at: Offset,
    /// Where in the segment's file it begins.
    pub(super) position: u64,
    /// What is wrong there.
    pub(super) reason: String,
}

/// Reads every batch from the log start on, with its CRC, and holds them against the digests that are known. `None`: all of
/// it is right. Blocks for as long as the disk takes.
pub(super) fn first_damage(
    folder: &Path,
    partition: TopicPartition,
    unreadable: Unreadable,
) -> Result<Option<Place>, Error> {
    let marks = load_marks(folder, unreadable)?;
    let segments = files::list(folder)?.segments;
    let log_start = marks.map_or(Offset(0), |marks| marks.log_start);
    for (n, base) in segments.iter().enumerate() {
        let segment = Segment::new(folder, partition, *base);
        let next = segments.get(n + 1).copied();
        if next.is_some_and(|next| next <= log_start) {
            continue; // what lies before the log start is nobody's any more
        }
        let size = size_of(segment.path())?;
        let known = borders(&segment, size, next, marks)?;
        if let Some(place) = first_in(&segment, (size, next), known, log_start, unreadable)? {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// What the mark says; `None` if it says nothing.
pub(super) fn load_marks(folder: &Path, unreadable: Unreadable) -> Result<Option<Marks>, Error> {
    match mark::read(&folder.join(files::MARK)) {
        Ok(marks) => Ok(marks),
        Err(error) if unreadable.is_damage(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The borders that are known of a segment. Of the last one, which no other follows, the mark knows one.
fn borders(segment: &Segment, size: u64, next: Option<Offset>, marks: Option<Marks>) -> Result<Vec<Border>, Error> {
    if let Some(next) = next {
        segment.digests.close();
        return segment.digests.look(|| (size, next));
    }
    let marks = marks.filter(|marks| marks.segment == segment.base() && marks.position > 0);
    let border =
        |marks: Marks| marks.digest.map(|digest| Border { position: marks.position, next: marks.flushed, digest });
    segment.digests.load_up_to(marks.and_then(border))?;
    segment.digests.look(|| (size, segment.base()))
}

fn first_in(
    segment: &Segment,
    (size, next): (u64, Option<Offset>),
    known: Vec<Border>,
    log_start: Offset,
    unreadable: Unreadable,
) -> Result<Option<Place>, Error> {
    let file = segment.file()?;
    let _only_advice = fadvise(&*file, 0, None, Advice::DontNeed);
    // What lies before the log start is nobody's any more.
    let below = known.iter().rfind(|border| border.next <= log_start).copied();
    let mut at = below.unwrap_or(Border { position: 0, next: segment.base(), digest: Digest::default() });
    let known = known.into_iter().filter(|border| border.position >= at.position).collect();
    let mut comparison = Comparison::new(known);
    comparison.reach(Some(at));
    let mut scan = Scan::new(&file, segment.path(), (at.position, size), Some(at.next), Check::Crc);
    let bad = loop {
        match scan.step() {
            Ok(Step::Batch { position, header }) => {
                let digest = at.digest.plus(segment.digests.of(&header));
                at = Border { position: position + header.size_bytes as u64, next: header.next_offset(), digest };
                comparison.reach(Some(at));
            }
            Ok(Step::Bad { reason, .. }) => break Some(reason),
            Ok(Step::End) => break None,
            Err(error) if unreadable.is_damage(&error) => break Some(error.to_string()),
            Err(error) => return Err(error),
        }
    };
    let place = |at, position, reason| Some(Place { base: segment.base(), at, position, reason });
    if let Err(Error::Damaged { at, position, reason, .. }) = comparison.result(segment.name(), Some(at)) {
        return Ok(place(at, position, reason));
    }
    let bad = bad.or_else(|| {
        let next = next.filter(|next| *next != at.next)?;
        Some(format!("it ends at offset {}, the next one begins at {next}", at.next))
    });
    Ok(bad.and_then(|reason| place(at.next, at.position, reason)))
}
