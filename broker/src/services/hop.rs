//! How far a call has come, and how long its caller waits.

use std::time::Duration;

use tokio::time::Instant;

/// What a call says of its way here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hop {
    /// True if another broker sent it on: it goes no further.
    pub forwarded: bool,
    /// Until when its caller waits; `None`: it does not say.
    pub deadline: Option<Instant>,
}

impl Hop {
    /// How long what is asked of others for it may take, at most `longest`: a quarter of the caller's time is left to
    /// answer in.
    pub fn limit(self, longest: Duration) -> Duration {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        left.map_or(longest, |left| (left / 4 * 3).min(longest))
    }
}
