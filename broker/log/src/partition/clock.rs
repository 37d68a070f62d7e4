//! Wall-clock times of segments, for retention and rolling alone.

use std::time::{SystemTime, UNIX_EPOCH};

use holdfast_proto::ids::TimestampMs;

/// This broker's clock. For ages only; safety never hangs on it.
pub(super) fn now() -> TimestampMs {
    to_ms(SystemTime::now())
}

pub(super) fn to_ms(time: SystemTime) -> TimestampMs {
    TimestampMs(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64)
}
