//! The clock of a log that never jumps, for ages of producers. Those of segments: [`crate::wall_time`].

use std::{sync::LazyLock, time::Instant};

use holdfast_proto::ids::Millis;

/// Milliseconds since this process first asked. It never jumps.
pub(super) fn since_start() -> Millis {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    Millis(START.elapsed().as_millis() as u64)
}
