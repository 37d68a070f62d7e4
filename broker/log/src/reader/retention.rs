//! Which segments may go.
//!
//! By age it goes by the last append of a segment, by a clock that counts how long ago that was ([`crate::AgeClock`]) and has
//! no date: not by the wall clock, nor by the date of a file, nor by times of records, which are anybody's.

use holdfast_proto::ids::{Offset, TimestampMs};

use crate::shared::Shared;

/// What retention has to keep to. Without either, everything stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Delete segments whose last append is older, by the clock of this broker's folder, ms (`retention.ms`).
    pub ms: Option<u64>,
    /// Delete the oldest segments as long as the log has this size without them, bytes (`retention.bytes`).
    pub bytes: Option<u64>,
}

/// The new log start; a border of segments, or the log end if the last segment is too old as well.
pub(super) fn start(shared: &Shared, retention: Retention, now: TimestampMs, high_watermark: Offset) -> Option<Offset> {
    let segments = shared.segments();
    let mut size: u64 = segments.iter().map(|segment| segment.size()).sum();
    let log_start = shared.log_start();
    let mut start = log_start;
    for (index, segment) in segments.iter().enumerate() {
        let is_last = index + 1 == segments.len();
        let age = segment.age_ms(now);
        let is_old = retention.ms.is_some_and(|ms| age > i64::try_from(ms).unwrap_or(i64::MAX));
        // The last segment goes by age only: by size the newest records always stay.
        let is_too_much = !is_last && retention.bytes.is_some_and(|bytes| size - segment.size() >= bytes);
        if segment.size() == 0 || segment.next() > high_watermark || !(is_old || is_too_much) {
            break;
        }
        size -= segment.size();
        start = segment.next();
    }
    (start > log_start).then_some(start)
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
