//! How many bytes this broker may copy for moves at the moment: a bucket that fills with time, shared by all of its
//! replicas that moves bring here.
//!
//! A fetch may go out while the bucket is not in debt, and takes out what its answer is expected to bring; the difference
//! to what it brings is settled when it comes. So the bucket may fall into debt by one answer, which the next fetches wait
//! off, and what is copied over a longer time exceeds the limit by the burst and one answer of each replica at the most.
//!
//! Pure: time comes with each call. The limit comes with each call too, so that a change counts from the next one on.

use std::num::NonZeroU64;

use holdfast_proto::ids::Millis;

/// A pause is made up for by at most this, ms.
const BURST_MS: u64 = 100;

/// Limits above this are as good as none, and cannot overflow, bytes a second.
const LIMIT_MAX: u64 = 1 << 40;

/// The bucket. Its unit is a thousandth of a byte, so that each millisecond adds a whole number.
#[derive(Clone, Copy, Debug, Default)]
pub struct MoveBudget {
    level: i64,
    /// When it was filled last.
    at: Millis,
}

impl MoveBudget {
    /// Lets a fetch go whose answer is expected to bring so many bytes, or says when to ask again: always later than now.
    pub fn take(&mut self, now: Millis, limit: NonZeroU64, expected: u64) -> Result<(), Millis> {
        let limit = limit.get().min(LIMIT_MAX);
        let passed = now.since(self.at).min(1_000_000);
        let full = thousandths(limit * BURST_MS / 1_000);
        self.level = self.level.saturating_add_unsigned(passed * limit).min(full);
        self.at = self.at.max(now);
        // A limit below ten bytes a second fills the bucket with nothing.
        if self.level >= 0 {
            self.level -= thousandths(expected);
            return Ok(());
        }
        Err(now.plus(self.level.unsigned_abs().div_ceil(limit).max(1)))
    }

    /// An answer came: it brought `bytes` where `expected` were taken.
    pub fn settle(&mut self, expected: u64, bytes: u64) {
        self.level = self.level.saturating_add(thousandths(expected)).saturating_sub(thousandths(bytes));
    }
}

fn thousandths(bytes: u64) -> i64 {
    i64::try_from(bytes.saturating_mul(1_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(bytes_per_second: u64) -> NonZeroU64 {
        NonZeroU64::new(bytes_per_second).unwrap()
    }

    /// Bytes that `followers` copy in `ms`, each answer of this size.
    fn copied(bytes_per_second: u64, followers: usize, answer: u64, ms: u64) -> u64 {
        let mut budget = MoveBudget::default();
        let mut due = vec![Millis(5_000); followers];
        let mut copied = 0;
        for now in (5_000..5_000 + ms).map(Millis) {
            for due in &mut due {
                while *due <= now {
                    match budget.take(now, limit(bytes_per_second), answer) {
                        Ok(()) => copied += answer,
                        Err(until) => {
                            assert!(until > now, "asked again at {until}, now is {now}");
                            *due = until;
                        }
                    }
                }
            }
        }
        copied
    }

    #[test]
    fn over_time_it_is_the_limit_for_one_and_for_many() {
        for followers in [1, 50] {
            for (rate, answer) in [(1_000_000, 100_000), (1_000_000, 100), (50_000_000, 1_048_576), (1_000, 4_096)] {
                let copied = copied(rate, followers, answer, 20_000);
                let allowed = rate * 20;
                assert!(copied <= allowed + answer + rate / 10, "{copied} of {allowed} at {rate} with {answer}");
                assert!(copied + answer >= allowed, "{copied} of {allowed} at {rate} with {answer}");
            }
        }
    }

    #[test]
    fn what_was_not_brought_is_given_back() {
        let mut budget = MoveBudget::default();
        assert_eq!(budget.take(Millis(1_000), limit(1_000), 1_000_000), Ok(()));
        assert!(budget.take(Millis(1_001), limit(1_000), 1).is_err());
        budget.settle(1_000_000, 50);
        assert_eq!(budget.take(Millis(1_002), limit(1_000), 0), Ok(()));
        budget.settle(0, 1_000);
        assert_eq!(budget.take(Millis(1_002), limit(1_000), 0), Err(Millis(1_002 + 948)), "and what was is taken");
    }

    #[test]
    fn another_limit_counts_at_once() {
        let mut budget = MoveBudget::default();
        budget.take(Millis(1_000), limit(1), 1_000_000).unwrap();
        let waits = budget.take(Millis(1_001), limit(1), 1).unwrap_err();
        assert!(waits > Millis(900_000_000), "{waits}");
        let waits = budget.take(Millis(1_001), limit(u64::MAX), 1).unwrap_err();
        assert_eq!(waits, Millis(1_002));
        assert_eq!(budget.take(waits, limit(u64::MAX), 1), Ok(()));
    }

    #[test]
    fn a_long_pause_is_not_made_up_for() {
        let mut budget = MoveBudget::default();
        let mut copied = 0;
        while budget.take(Millis(3_600_000), limit(1_000_000), 10_000).is_ok() {
            copied += 10_000;
        }
        assert_eq!(copied, 110_000, "a tenth of a second, and one answer");
    }
}
