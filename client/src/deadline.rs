//! Until when a call may go on.

use std::time::{Duration, Instant};

/// Time below which another attempt is not worth beginning: it would hide what the one before it met.
pub(crate) const LEAST_ATTEMPT: Duration = Duration::from_millis(200);

/// The longest time that anything waits: as good as no limit, and short enough to be added to a point in time.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// The time that a caller gave, who may mean no limit by [`Duration::MAX`].
pub(crate) const fn bounded(time: Duration) -> Duration {
    if time.as_nanos() > LONGEST.as_nanos() { LONGEST } else { time }
}

/// A point in time that work must end at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
}

impl Deadline {
    /// So long from now.
    pub(crate) fn after(after: Duration) -> Self {
        Self { at: Instant::now() + bounded(after) }
    }

    /// What is left; zero once it has passed.
    pub(crate) fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// True once it has passed.
    pub(crate) fn is_over(self) -> bool {
        self.left().is_zero()
    }

    /// Sleeps for the pause, or until the deadline if that is nearer.
    pub(crate) async fn pause(self, pause: Duration) {
        tokio::time::sleep(pause.min(self.left())).await;
    }
}
