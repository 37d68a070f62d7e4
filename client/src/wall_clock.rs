//! The wall clock, as it is written into records and compared with their times. No timer hangs on it.

use std::time::SystemTime;

use holdfast_proto::ids::TimestampMs;

/// Now, ms since 1970.
pub(crate) fn now_ms() -> TimestampMs {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    TimestampMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
