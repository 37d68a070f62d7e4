//! When it is worth a word that a leader's broker cannot be reached. Pure.
//!
//! One that is down is fenced within seconds, and the controllers say so. One that is alive to them and that nobody reaches has
//! registered with an address at which it is not: nobody would say so, and what it leads stands still.

use holdfast_proto::ids::Millis;

/// How long a broker that is alive is not reached until that is told, ms: longer than a session of the dead lasts.
const TELL_AFTER_MS: u64 = 15_000;
/// Time until it is told again, ms.
const TELL_AGAIN_MS: u64 = 60_000;

/// Since when one broker is not reached, and whether that was told.
#[derive(Debug, Default)]
pub(super) struct Unreached {
    since: Option<Millis>,
    told: Option<Millis>,
}

impl Unreached {
    /// It could not be reached. `is_alive`: to the controllers. True if that is to be told now.
    pub(super) fn failed(&mut self, now: Millis, is_alive: bool) -> bool {
        if !is_alive {
            *self = Self::default();
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let due = self.told.map_or(since.plus(TELL_AFTER_MS), |told| told.plus(TELL_AGAIN_MS));
        let is_due = now >= due;
        if is_due {
            self.told = Some(now);
        }
        is_due
    }

    /// It was reached. True if the contrary was told.
    pub(super) fn reached(&mut self) -> bool {
        std::mem::take(self).told.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_alive_and_not_reached_is_told_after_a_while_and_again() {
        let mut unreached = Unreached::default();
        let mut told = Vec::new();
        for second in 0..200 {
            if unreached.failed(Millis(second * 1_000), true) {
                told.push(second);
            }
        }
        assert_eq!(told, [15, 75, 135, 195]);
        assert!(unreached.reached() && !unreached.reached());
        assert!(!unreached.failed(Millis(200_000), true), "it counts from here on");
    }

    #[test]
    fn one_that_is_down_is_told_by_others() {
        let mut unreached = Unreached::default();
        assert!(!unreached.failed(Millis(0), true) && !unreached.failed(Millis(14_000), false));
        assert!(!unreached.failed(Millis(15_000), true) && !unreached.failed(Millis(29_999), true));
        assert!(unreached.failed(Millis(30_000), true));
    }
}
