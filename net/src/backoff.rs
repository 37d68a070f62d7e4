//! Pauses between attempts that double up to a longest one. Pure: who pauses cuts them by chance
//! ([`jittered`](crate::jitter::jittered)), so that many callers of one that came back do not call it at the same moment.

use std::time::Duration;

/// A connection that lasted longer than this counts as good: after it the pauses begin again with the first.
const GOOD_AFTER: Duration = Duration::from_secs(1);

/// The pauses between the attempts at one thing.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    /// Pauses since the start, or since the last success.
    failures: u32,
}

impl Backoff {
    /// Pauses that begin with `first` and double up to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// The pause after one more failure, in full; the one after it is longer.
    pub fn next_pause(&mut self) -> Duration {
        let pause = pause_after(self.first, self.longest, self.failures);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// True before the first failure since the start, or since the last success.
    pub const fn is_fresh(&self) -> bool {
        self.failures == 0
    }

    /// After a success: begins again with the first pause.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// An attempt connected, and the connection broke after so long: begins again if that was long enough.
    pub fn reset_after(&mut self, connected: Duration) {
        if connected > GOOD_AFTER {
            self.reset();
        }
    }
}

/// The pause after `failures` earlier ones, in full: `first`, doubled for each, but never above `longest`.
pub fn pause_after(first: Duration, longest: Duration, failures: u32) -> Duration {
    first.saturating_mul(1_u32 << failures.min(20)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_again_after_a_success() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        let pauses = [(); 7].map(|()| backoff.next_pause().as_millis());
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(pause_after(FIRST, LONGEST, u32::MAX), LONGEST);
        backoff.reset();
        assert_eq!(backoff.next_pause(), FIRST);
    }

    #[test]
    fn a_connection_that_breaks_too_soon_is_no_success() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        assert!(backoff.is_fresh());
        backoff.next_pause();
        backoff.reset_after(GOOD_AFTER);
        assert!(!backoff.is_fresh());
        assert_eq!(backoff.next_pause(), FIRST * 2);
        backoff.reset_after(GOOD_AFTER + Duration::from_millis(1));
        assert!(backoff.is_fresh());
        assert_eq!(backoff.next_pause(), FIRST);
    }
}
