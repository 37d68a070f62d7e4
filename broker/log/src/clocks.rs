//! The clocks of this process, and the time of appends.

use std::{
    sync::LazyLock,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;

use holdfast_proto::ids::TimestampMs;

use crate::age_clock::{AgeClock, Counted, Look};

/// The clock by which the ages of a data folder's segments are counted: see [`AgeClock`].
#[derive(Debug, Default)]
pub struct Ages(Mutex<AgeClock>);

impl Ages {
    /// It goes on from where the process before had counted. Before this the steady clock alone counts.
    pub(crate) fn begin(&self, before: Option<Counted>) {
        *self.0.lock() = AgeClock::begin(before, look());
    }

    /// Looks at both clocks; what it counted by now.
    pub fn look(&self) -> TimestampMs {
        let mut clock = self.0.lock();
        let now = look();
        clock.look(now);
        TimestampMs(clock.at(now.steady_ms))
    }

    /// The time of an append that is done now, as it is kept.
    pub(crate) fn now(&self) -> TimestampMs {
        TimestampMs(self.0.lock().at(steady().0))
    }
}

/// What both clocks say.
pub fn look() -> Look {
    Look { wall_ms: wall_clock().0, steady_ms: steady().0 }
}

/// Ms since this process first asked. It never jumps, and never goes back.
pub fn steady() -> TimestampMs {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    TimestampMs(START.elapsed().as_millis() as i64)
}

/// What the wall clock says, no matter who vouches for it.
pub fn wall_clock() -> TimestampMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimestampMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
