//! Which segments may go.
//!
//! By age it goes by the last append of a segment, as this broker's clock had it then and it was kept beside the segment:
//! not by the date of a file, nor by times of records, which are anybody's. Whether the clock may be trusted is the
//! caller's to say: with [`Retention::ms`] `None` no segment is too old.

use holdfast_proto::ids::Offset;

use crate::{Now, shared::Shared};

/// What retention has to keep to. Without either, everything stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Delete segments whose last append, by the clock of this broker, is older, ms (`retention.ms`). `None` also while
    /// that clock cannot be trusted.
    pub ms: Option<u64>,
    /// Delete the oldest segments as long as the log has this size without them, bytes (`retention.bytes`).
    pub bytes: Option<u64>,
}

/// A segment that was last appended to so far in the future has its time from a clock that was wrong, ms.
const AHEAD_MS: i64 = 24 * 60 * 60 * 1000;

/// The new log start; a border of segments, or the log end if the last segment is too old as well.
pub(super) fn start(shared: &Shared, retention: Retention, now: Now, high_watermark: Offset) -> Option<Offset> {
    let segments = shared.segments();
    if retention.ms.is_some() {
        // A clock that was ahead kept these: their age would begin years later.
        segments.iter().filter(|segment| segment.age_ms(now) < -AHEAD_MS).for_each(|segment| segment.appended_now());
    }
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
