//! What an index says of a segment, checked against the batches that it names.
//!
//! Place: look-ups by time, which would pass over records without a word if an entry were wrong, and recovery of folders
//! whose times were not noted. An entry has no checksum of its own: the format is Kafka's.

use holdfast_proto::{batch::BatchHeader, ids::Offset};

use crate::{
    Error,
    header::parse,
    index::TimeEntry,
    read_at::read_at,
    scan::{Check, Scan, Step},
    segment::{IndexHint, Indexed, Segment},
};

/// True if the batch that a time entry names has the time that it says.
pub(crate) fn names_its_batch(segment: &Segment, entry: TimeEntry) -> Result<bool, Error> {
    let last_offset = segment.base().plus(entry.relative_offset.into());
    if last_offset >= segment.next() {
        return Ok(false);
    }
    let start = start_before(segment, last_offset)?;
    let file = segment.file()?;
    let expected = (start == 0).then(|| segment.base());
    let mut scan = Scan::new(&file, segment.path(), (start, segment.size()), expected, Check::Header);
    loop {
        match scan.step()? {
            Step::Batch { header, .. } if header.last_offset() >= last_offset => {
                return Ok(header.last_offset() == last_offset && header.max_timestamp.0 == entry.timestamp);
            }
            Step::Batch { .. } => {}
            Step::Bad { .. } | Step::End => return Ok(false),
        }
    }
}

/// A place at or before the batch that holds `offset`; the segment's start if the offset index leads nowhere, or to another
/// batch than it names.
pub(crate) fn start_before(segment: &Segment, offset: Offset) -> Result<u64, Error> {
    match indexed_near(segment, offset)?.and_then(|hint| hint.floor) {
        Some(floor) if is_there(segment, floor)?.is_some() => Ok(floor.position),
        _ => Ok(0),
    }
}

/// What the index says of an offset; `None` if it cannot be read: the batches are found without it.
pub(crate) fn indexed_near(segment: &Segment, offset: Offset) -> Result<Option<IndexHint>, Error> {
    match segment.indexed_near(offset) {
        Err(error) if !error.is_shortage() => {
            tracing::warn!(%error, "an index cannot be read; reads of its segment are slow");
            Ok(None)
        }
        found => found.map(Some),
    }
}

/// The header of the batch that the index names; `None` if another one stands there, or none that can be read.
pub(crate) fn is_there(segment: &Segment, indexed: Indexed) -> Result<Option<BatchHeader>, Error> {
    if indexed.position >= segment.size() {
        return Ok(None);
    }
    match first_header(segment, indexed.position) {
        // The error comes to who needs what stands there.
        Err(error) if !error.is_shortage() => Ok(None),
        found => Ok(found?.filter(|found| found.last_offset() == indexed.last_offset)),
    }
}

/// The header that stands at a position; `None` if none does.
pub(crate) fn first_header(segment: &Segment, position: u64) -> Result<Option<BatchHeader>, Error> {
    let mut bytes = Vec::new();
    read_at(&*segment.file()?, segment.path(), position, BatchHeader::SIZE, &mut bytes)?;
    Ok(parse(&bytes).ok())
}
