//! What an index says of a segment, checked against the batches that it names.
//!
//! Place: look-ups by time, which would pass over records without a word if an entry were wrong, and recovery of folders
//! whose times were not noted. An entry has no checksum of its own: the format is Kafka's.

use holdfast_proto::{batch::BatchHeader, ids::Offset};

use crate::{
    Error,
    index::TimeEntry,
    scan::{Check, Scan, Step, read_at},
    segment::{Indexed, Segment},
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
    match segment.indexed_near(offset)?.floor {
        Some(floor) if is_there(segment, floor)?.is_some() => Ok(floor.position),
        _ => Ok(0),
    }
}

/// The header of the batch that the index names; `None` if another one stands there, or none.
pub(crate) fn is_there(segment: &Segment, indexed: Indexed) -> Result<Option<BatchHeader>, Error> {
    if indexed.position >= segment.size() {
        return Ok(None);
    }
    let found = first_header(segment, indexed.position)?;
    Ok(found.filter(|found| found.last_offset() == indexed.last_offset))
}

/// The header that stands at a position; `None` if none does.
pub(crate) fn first_header(segment: &Segment, position: u64) -> Result<Option<BatchHeader>, Error> {
    let mut bytes = Vec::new();
    read_at(&*segment.file()?, segment.path(), position, BatchHeader::SIZE, &mut bytes)?;
    Ok(BatchHeader::parse(&bytes).ok())
}
