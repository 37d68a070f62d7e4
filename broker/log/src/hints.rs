//! What an index says of a segment, checked against the batches that it names.
//!
//! Place: look-ups by time, which would pass over records without a word if an entry were wrong, and recovery of folders
//! whose times were not noted. An entry has no checksum of its own: the format is Kafka's.

use holdfast_proto::{batch::BatchHeader, ids::Offset};

use crate::{
    Error,
    index::TimeEntry,
    scan::{Check, Scan, Step, read_at},
    segment::Segment,
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

/// A place at or before the batch that holds `offset`; the segment's start if the offset index leads past it, or nowhere.
pub(crate) fn start_before(segment: &Segment, offset: Offset) -> Result<u64, Error> {
    let floor = segment.position_before(offset)?.floor;
    Ok(if floor < segment.size() && first_header(segment, floor)?.is_some_and(|found| found.base_offset <= offset) {
        floor
    } else {
        0
    })
}

/// The header that stands at a position; `None` if none does.
pub(crate) fn first_header(segment: &Segment, position: u64) -> Result<Option<BatchHeader>, Error> {
    let mut bytes = Vec::new();
    read_at(&*segment.file()?, segment.path(), position, BatchHeader::SIZE, &mut bytes)?;
    Ok(BatchHeader::parse(&bytes).ok())
}
