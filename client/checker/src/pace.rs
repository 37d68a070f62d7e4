//! Sends at a fixed rate, whatever the answers do.
//!
//! A load that waits for a slow answer before it sends the next record leaves out the records that would have met the
//! slowness ("coordinated omission"). Here the time of each record is fixed beforehand, and its latency counts from
//! that time, however late it was really sent.

use std::time::{Duration, Instant};

/// When the records of a load are due.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    start: Instant,
    interval_ns: f64,
}

impl Pace {
    /// This many records a second from `start` on.
    pub fn new(start: Instant, per_second: f64) -> Self {
        Self { start, interval_ns: 1e9 / per_second }
    }

    /// When record `index` is due.
    pub fn due(&self, index: u64) -> Instant {
        self.start + Duration::from_nanos((index as f64 * self.interval_ns) as u64)
    }

    /// Waits until record `index` is due, and tells when that was. Returns at once if the load is late.
    ///
    /// Blocks the thread: the timers of an async runtime are a millisecond coarse.
    pub fn wait(&self, index: u64) -> Instant {
        let due = self.due(index);
        loop {
            let early = due.saturating_duration_since(Instant::now());
            if early.is_zero() {
                return due;
            }
            std::thread::park_timeout(early);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_times_do_not_drift() {
        let start = Instant::now();
        let pace = Pace::new(start, 3.0);
        assert_eq!(pace.due(0), start);
        assert_eq!(pace.due(3_000_000) - start, Duration::from_secs(1_000_000));
    }

    #[test]
    fn a_late_load_does_not_wait() {
        let start = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        let pace = Pace::new(start, 1.0);
        let before = Instant::now();
        assert_eq!(pace.wait(5), start + Duration::from_secs(5));
        assert!(before.elapsed() < Duration::from_secs(1));
    }
}
