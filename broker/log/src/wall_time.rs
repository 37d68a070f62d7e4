//! The time of appends, kept apart from the wall clock's jumps.
//!
//! Two scales: **steady** time begins with the process at what the wall clock said then, and advances with the monotonic
//! clock alone; **wall** time is what the wall clock says while somebody vouches for it. A segment that this process
//! appended to has its time in steady time, so that its age is right however the wall clock jumps. What is kept beside a
//! segment for a later process is wall time, and only if it can be trusted at that moment: else nothing, and then its age
//! counts from the next start on. So a wrong clock makes records stay longer, and never go early.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use holdfast_proto::ids::TimestampMs;

/// Stands for a time that is not known, where times are kept.
pub(crate) const UNKNOWN: TimestampMs = TimestampMs(0);

/// No correction: the wall clock is not trusted.
const UNTRUSTED: i64 = i64::MIN;

/// What time it is, in both scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// By the wall clock, as far as it is trusted.
    pub wall: TimestampMs,
    /// By the monotonic clock, from what the wall clock said when the process began.
    pub steady: TimestampMs,
}

/// Whether the wall clock is trusted, and how far steady time is from it then.
#[derive(Debug)]
pub struct WallTime {
    /// Wall minus steady time, ms.
    correction_ms: AtomicI64,
}

impl Default for WallTime {
    /// Not trusted before somebody says so.
    fn default() -> Self {
        Self { correction_ms: AtomicI64::new(UNTRUSTED) }
    }
}

impl WallTime {
    /// The wall clock says this, and somebody vouches for it: `Some`; or nobody does: `None`.
    pub fn trust(&self, wall: Option<TimestampMs>) {
        let correction_ms = wall.map_or(UNTRUSTED, |wall| wall.0.saturating_sub(steady().0).max(UNTRUSTED + 1));
        self.correction_ms.store(correction_ms, Ordering::Relaxed);
    }

    /// What time it is; `None` while the wall clock is not trusted.
    pub fn now(&self) -> Option<Now> {
        let steady = steady();
        self.to_wall(steady).map(|wall| Now { wall, steady })
    }

    /// A steady time in wall time, if that is trusted.
    fn to_wall(&self, steady: TimestampMs) -> Option<TimestampMs> {
        match self.correction_ms.load(Ordering::Relaxed) {
            UNTRUSTED => None,
            correction_ms => Some(TimestampMs(steady.0.saturating_add(correction_ms))),
        }
    }

    /// A steady time as it is kept for later processes.
    pub(crate) fn to_keep(&self, steady: TimestampMs) -> TimestampMs {
        self.to_wall(steady).unwrap_or(UNKNOWN)
    }
}

/// Steady time. It never jumps, and never goes back.
pub fn steady() -> TimestampMs {
    static START: LazyLock<(Instant, i64)> = LazyLock::new(|| (Instant::now(), wall_clock().0));
    let (start, wall_ms) = &*START;
    TimestampMs(wall_ms.saturating_add(start.elapsed().as_millis() as i64))
}

/// What the wall clock says, no matter who vouches for it.
pub fn wall_clock() -> TimestampMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_follows_the_wall_clock_only_while_it_is_trusted() {
        const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1000;
        let time = WallTime::default();
        let appended = steady();
        assert_eq!((time.now(), time.to_keep(appended)), (None, UNKNOWN));
        // The process began with a clock that was a year late.
        time.trust(Some(TimestampMs(steady().0 + YEAR_MS)));
        let now = time.now().expect("trusted");
        assert!((now.wall.0 - now.steady.0 - YEAR_MS).abs() < 1_000, "{now:?}");
        assert!((time.to_keep(appended).0 - appended.0 - YEAR_MS).abs() < 1_000);
        time.trust(None);
        assert_eq!((time.now(), time.to_keep(appended)), (None, UNKNOWN));
    }
}
