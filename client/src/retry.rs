//! Pauses between attempts: exponential with jitter, so that many clients do not come back at the same moment.

use std::time::{Duration, Instant};

use holdfast_net::jitter::jittered;

/// The next pause, doubling from `first` to `max`.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts with `first`; never pauses longer than `max`.
    pub(crate) const fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, failures: 0 }
    }

    /// The pause after one more failure.
    pub(crate) fn next_pause(&mut self) -> Duration {
        let pause = pause_after(self.first, self.max, self.failures);
        self.failures = self.failures.saturating_add(1);
        jittered(pause)
    }

    /// After a success: starts again with the first pause.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }
}

/// The pause after `failures` earlier ones, without jitter.
pub(crate) fn pause_after(first: Duration, max: Duration, failures: u32) -> Duration {
    first.saturating_mul(1_u32 << failures.min(20)).min(max)
}

/// A point in time that work must end at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    after: Duration,
}

impl Deadline {
    /// So long from now.
    pub(crate) fn after(after: Duration) -> Self {
        let now = Instant::now();
        Self { at: now.checked_add(after).unwrap_or(now + Duration::from_hours(24 * 365)), after }
    }

    /// What is left; zero once it has passed.
    pub(crate) fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// True once it has passed.
    pub(crate) fn is_over(self) -> bool {
        self.left().is_zero()
    }

    /// How long it was at first.
    pub(crate) const fn whole(self) -> Duration {
        self.after
    }

    /// Sleeps for the pause, or until the deadline if that is nearer.
    pub(crate) async fn pause(self, pause: Duration) {
        tokio::time::sleep(pause.min(self.left())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_again_after_a_success() {
        let (first, max) = (Duration::from_millis(50), Duration::from_secs(1));
        let plain: Vec<_> = (0..7).map(|failures| pause_after(first, max, failures).as_millis()).collect();
        assert_eq!(plain, [50, 100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(pause_after(first, max, u32::MAX), max);

        let mut backoff = Backoff::new(first, max);
        for _ in 0..40 {
            assert!(backoff.next_pause() <= max);
        }
        backoff.reset();
        assert!(backoff.next_pause() <= first);
    }
}
