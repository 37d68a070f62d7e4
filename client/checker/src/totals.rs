//! What can be watched of a load over all its partitions, while it runs.
//!
//! The pause of all partitions together is the longest time in which nothing at all was acknowledged although something
//! waited. It is shorter than that of the partition that waited longest: a broker that fails stops its partitions alone.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Counts and pauses of a load. Shared by those who send and those who follow.
#[derive(Debug)]
pub struct Totals {
    start: Instant,
    sent: AtomicU64,
    done: AtomicU64,
    /// The last acknowledgement, µs after the start; 0 before the first.
    last_ack_us: AtomicU64,
    longest_us: AtomicU64,
    window_us: AtomicU64,
}

impl Default for Totals {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        let start = Instant::now();
        Self { start, sent: zero(), done: zero(), last_ack_us: zero(), longest_us: zero(), window_us: zero() }
    }
}

impl Totals {
    /// A record is on its way.
    pub fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// A record that was sent at `sent` is acknowledged, or given up, at `now`.
    pub fn done(&self, sent: Instant, now: Instant, acknowledged: bool) {
        let now_us = self.micros(now);
        let before = if acknowledged {
            self.last_ack_us.fetch_max(now_us, Ordering::Relaxed)
        } else {
            self.last_ack_us.load(Ordering::Relaxed)
        };
        let pause = now_us.saturating_sub(before.max(self.micros(sent)));
        self.longest_us.fetch_max(pause, Ordering::Relaxed);
        self.window_us.fetch_max(pause, Ordering::Relaxed);
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Records on their way.
    pub fn waiting(&self) -> u64 {
        let done = self.done.load(Ordering::Relaxed);
        self.sent.load(Ordering::Relaxed).saturating_sub(done)
    }

    /// How long nothing was acknowledged, up to now; zero while nothing waits.
    pub fn pause(&self, now: Instant) -> Duration {
        if self.waiting() == 0 {
            return Duration::ZERO;
        }
        Duration::from_micros(self.micros(now).saturating_sub(self.last_ack_us.load(Ordering::Relaxed)))
    }

    /// The longest pause of all partitions together.
    pub fn longest(&self) -> Duration {
        Duration::from_micros(self.longest_us.load(Ordering::Relaxed))
    }

    /// The longest pause that ended since this was last called.
    pub fn take_window(&self) -> Duration {
        Duration::from_micros(self.window_us.swap(0, Ordering::Relaxed))
    }

    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_acknowledgement_ends_the_pause_of_all() {
        let totals = Totals::default();
        let at = |ms| totals.start + Duration::from_millis(ms);
        totals.sent();
        totals.sent();
        assert_eq!(totals.pause(at(7)).as_millis(), 7);
        totals.done(at(0), at(10), true);
        totals.done(at(1), at(12), true);
        assert_eq!((totals.waiting(), totals.pause(at(500))), (0, Duration::ZERO));
        assert_eq!(totals.longest().as_millis(), 10);
        assert_eq!(totals.take_window().as_millis(), 10);
        totals.sent();
        totals.done(at(400), at(405), true);
        assert_eq!(totals.take_window().as_millis(), 5, "nothing waited in between");
        totals.sent();
        totals.done(at(410), at(910), false);
        assert_eq!(totals.longest().as_millis(), 500, "what is given up waited as well");
    }
}
