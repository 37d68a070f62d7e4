//! The one monotonic clock of a broker. The pure cores are told the time, they never ask.

use std::time::{Duration, Instant};

use holdfast_proto::ids::Millis;

/// Milliseconds since the broker started. Goes on while the process is stopped (SIGSTOP), so that a lease that ran out
/// meanwhile is seen to have run out.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now, at a value above 0 so that "long ago" can be told.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Milliseconds since the process began, never back.
    pub fn now(&self) -> Millis {
        Millis(self.start.elapsed().as_millis() as u64 + 1)
    }

    /// How long until `deadline`; zero if it has passed.
    pub fn until(&self, deadline: Millis) -> Duration {
        Duration::from_millis(deadline.since(self.now()))
    }
}
