//! The two clocks of a log: the wall for ages of segments, and one that never jumps for ages of producers.

use std::{
    sync::LazyLock,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use holdfast_proto::ids::{Millis, TimestampMs};

/// This broker's wall clock, for retention and rolling alone; safety never hangs on it.
pub(super) fn now() -> TimestampMs {
    to_ms(SystemTime::now())
}

pub(super) fn to_ms(time: SystemTime) -> TimestampMs {
    TimestampMs(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64)
}

/// Milliseconds since this process first asked. It never jumps.
pub(super) fn since_start() -> Millis {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    Millis(START.elapsed().as_millis() as u64)
}
