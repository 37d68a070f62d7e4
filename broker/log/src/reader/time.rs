//! Finding a record by its time.

use bytes::Bytes;

use holdfast_proto::{
    batch::{BatchHeader, DecodeLimits, Records, TimestampType},
    ids::{Offset, TimestampMs},
};

use super::damage::damaged;
use crate::{
    Error,
    hints::{names_its_batch, start_before},
    read_at::read_at,
    scan::{Check, Scan, Step},
    segment::Segment,
};

/// The first record of a segment with this time or later, at or past `from`, below `written`.
pub(super) fn first_at(
    segment: &Segment,
    timestamp: TimestampMs,
    from: Offset,
    written: Offset,
) -> Result<Option<(Offset, TimestampMs)>, Error> {
    // Everything up to the entry is older: its time is the largest so far.
    let after = match segment.times.around(timestamp.0.saturating_sub(1)) {
        Err(error) if error.is_shortage() => return Err(error),
        Ok((None, _)) => segment.base(),
        Ok((Some(entry), _)) if names_its_batch(segment, entry)? => {
            segment.base().plus(u64::from(entry.relative_offset) + 1)
        }
        Ok((Some(_), _)) | Err(_) => {
            let path = segment.times.path().display();
            tracing::warn!(%path, "the time index of a segment is damaged; look-ups by time read all of the segment");
            segment.base()
        }
    };
    let start = start_before(segment, after.max(from))?;
    let file = segment.file()?;
    let expected = (start == 0).then(|| segment.base());
    let mut scan = Scan::new(&file, segment.path(), (start, segment.size()), expected, Check::Header);
    let mut at = after;
    loop {
        match scan.step()? {
            Step::Batch { position, header } => {
                at = header.next_offset();
                if header.base_offset >= written {
                    return Ok(None);
                }
                if header.max_timestamp >= timestamp && header.next_offset() > from {
                    let mut bytes = Vec::new();
                    read_at(&file, segment.path(), position, header.size_bytes, &mut bytes)?;
                    if let Some(found) = first_in(&header, bytes.into(), timestamp, from) {
                        return Ok(Some(found));
                    }
                }
            }
            Step::Bad { position, reason } => return Err(damaged(segment, at, position, reason)),
            Step::End => return Ok(None),
        }
    }
}

/// The first such record of a batch. A batch that cannot be decoded counts as a whole: reading will name the problem.
fn first_in(header: &BatchHeader, batch: Bytes, timestamp: TimestampMs, from: Offset) -> Option<(Offset, TimestampMs)> {
    if header.timestamp_type() == TimestampType::LogAppendTime {
        return Some((header.base_offset.max(from), header.max_timestamp));
    }
    let whole = (header.base_offset.max(from), header.max_timestamp);
    let Ok(records) = Records::new(batch, &DecodeLimits::default()) else { return Some(whole) };
    // One by one: a batch of many small records takes many times its size when all are built.
    for record in records {
        match record {
            Ok(record) if record.timestamp >= timestamp && record.offset >= from => {
                return Some((record.offset, record.timestamp));
            }
            Ok(_) => {}
            Err(_) => return Some(whole),
        }
    }
    None
}
