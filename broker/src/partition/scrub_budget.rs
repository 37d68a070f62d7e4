//! How fast this broker reads its replicas again: one rate for the scrub, for what it compares with its followers, and for
//! what its leaders have it read.
//!
//! What is read makes a debt that time pays off at the rate; each reader waits until it is paid. Nothing is saved up while
//! nobody reads. So over any time no more is read than the rate allows, and one step of each that reads.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The rate at which leaders have this broker read where its own scrub is switched off, bytes a second.
const WITHOUT_SCRUB: u64 = 16 << 20;

/// The rate and what is owed of it. See the module.
#[derive(Debug)]
pub struct ScrubBudget {
    since: Instant,
    debt: Mutex<Debt>,
}

impl ScrubBudget {
    /// This rate; 0: no scrub of its own.
    pub fn new(bytes_per_second: u64) -> Self {
        let rate = if bytes_per_second == 0 { WITHOUT_SCRUB } else { bytes_per_second };
        Self { since: Instant::now(), debt: Mutex::new(Debt { rate, paid_at: Duration::ZERO }) }
    }

    /// So many bytes were read, or as much was done as if: how long to wait before more is.
    pub fn spend(&self, bytes: u64) -> Duration {
        self.debt.lock().spend(bytes, self.since.elapsed())
    }

    /// As [`Self::spend`], and waits. Blocks.
    pub fn spend_and_wait(&self, bytes: u64) {
        std::thread::sleep(self.spend(bytes));
    }
}

/// What is owed. Pure.
#[derive(Debug)]
struct Debt {
    /// Bytes a second, above 0.
    rate: u64,
    /// When all of it will be paid.
    paid_at: Duration,
}

impl Debt {
    fn spend(&mut self, bytes: u64, now: Duration) -> Duration {
        let cost = Duration::from_micros(bytes.saturating_mul(1_000_000) / self.rate);
        self.paid_at = self.paid_at.max(now).saturating_add(cost);
        self.paid_at.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn all_that_read_share_one_rate_and_nothing_is_saved_up() {
        let mut debt = Debt { rate: 16 << 20, paid_at: Duration::ZERO };
        assert_eq!(debt.spend(2 << 20, Duration::ZERO), 125 * MS);
        assert_eq!(debt.spend(2 << 20, 25 * MS), 225 * MS, "another reads meanwhile");
        assert_eq!(debt.spend(0, 250 * MS), Duration::ZERO);
        assert_eq!(debt.spend(2 << 20, 60_000 * MS), 125 * MS, "a long rest earns nothing");
        assert!(debt.spend(u64::MAX, 60_000 * MS) > 60_000 * MS, "no overflow");
    }
}
