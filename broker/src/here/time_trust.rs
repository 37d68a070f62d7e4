//! Whether the wall clock is trusted. Pure.
//!
//! Retention by time deletes records for good, so a clock that is wrong for a moment must not move it. The wall clock is
//! trusted while
//!
//! 1. it has advanced together with the monotonic clock since the last look, the looks of the process before included; and
//! 2. it agrees with the active controller's, as that said last.
//!
//! A jump ends the trust. It comes back once the clock agrees with the controllers again and has not jumped for a while:
//! one that is set right, as by NTP at the start of a machine, is trusted a little later; one that is wrong alone is not
//! trusted at all. Where all clocks jump together records are kept for that while, and those that this process wrote as
//! long as the monotonic clock says.

/// A difference between the two clocks that is no jump: steps of a clock that is kept right are smaller, ms.
const JUMP_MS: i64 = 1_000;

/// How far the clocks may drift apart, as a part of the time between two looks: NTP slews by 500 ppm at most.
const DRIFT_PER: i64 = 1_000;

/// What both clocks said at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The wall clock, ms since 1970.
    pub wall_ms: i64,
    /// A clock that never jumps, ms. Of an earlier process on the same boot of the machine it is comparable.
    pub steady_ms: i64,
}

/// Why the wall clock is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrusted {
    /// No controller has said yet what time it is.
    Unconfirmed,
    /// It jumped by so many ms.
    Jumped(i64),
    /// It is ahead of the active controller's by so many ms; behind if below 0.
    Differs(i64),
}

/// What is known of the wall clock. See the module.
#[derive(Clone, Debug)]
pub struct TimeTrust {
    skew_max_ms: i64,
    thaw_ms: i64,
    last: Option<Look>,
    /// The last jump: when, and by how much.
    jump: Option<(i64, i64)>,
    /// What the last comparison with a controller came to, if there was one since the last jump.
    compared: Option<Result<(), i64>>,
}

impl TimeTrust {
    /// Nothing is known. Clocks may differ by `skew_max_ms`; after a jump nothing is trusted for `thaw_ms`.
    pub fn new(skew_max_ms: u64, thaw_ms: u64) -> Self {
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let (skew_max_ms, thaw_ms) = (signed(skew_max_ms), signed(thaw_ms));
        Self { skew_max_ms, thaw_ms, last: None, jump: None, compared: None }
    }

    /// The process before looked like this, on the same boot of the machine or on an earlier one. Comes first.
    pub fn began(&mut self, before: Look, is_same_boot: bool, now: Look) {
        if is_same_boot {
            self.last = Some(before);
        } else if now.wall_ms < before.wall_ms {
            // How long the machine was off nobody knows, but not that it was off for less than nothing.
            self.jump = Some((now.steady_ms, now.wall_ms.saturating_sub(before.wall_ms)));
        }
        self.advance(now);
    }

    /// A controller said what time it is.
    pub fn heard(&mut self, now: Look, controller_wall_ms: i64) {
        self.advance(now);
        let skew_ms = now.wall_ms.saturating_sub(controller_wall_ms);
        let agrees = skew_ms.saturating_abs() <= self.skew_max_ms;
        self.compared = Some(if agrees { Ok(()) } else { Err(skew_ms) });
    }

    /// Both clocks are looked at. Says why the wall clock is not trusted, if so.
    pub fn look(&mut self, now: Look) -> Result<(), Distrusted> {
        self.advance(now);
        if let Some(Err(skew_ms)) = self.compared {
            return Err(Distrusted::Differs(skew_ms));
        }
        if let Some((at, by_ms)) = self.jump {
            if self.compared.is_none() || now.steady_ms < at.saturating_add(self.thaw_ms) {
                return Err(Distrusted::Jumped(by_ms));
            }
            self.jump = None;
        }
        if self.compared.is_none() { Err(Distrusted::Unconfirmed) } else { Ok(()) }
    }

    /// Notes a jump since the last look.
    fn advance(&mut self, now: Look) {
        let Some(last) = self.last.replace(now) else { return };
        let steady_ms = now.steady_ms.saturating_sub(last.steady_ms);
        let jumped_ms = now.wall_ms.saturating_sub(last.wall_ms).saturating_sub(steady_ms);
        if jumped_ms.saturating_abs() > JUMP_MS + steady_ms / DRIFT_PER {
            self.jump = Some((now.steady_ms, jumped_ms));
            self.compared = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SKEW_MS: u64 = 60_000;
    const THAW_MS: u64 = 600_000;
    const YEARS_MS: i64 = 10 * 365 * 24 * 60 * 60 * 1000;
    const START_MS: i64 = 1_700_000_000_000;

    /// After so long, with a wall clock that is wrong by so much.
    fn at(steady_ms: i64, wrong_ms: i64) -> Look {
        Look { wall_ms: START_MS + steady_ms + wrong_ms, steady_ms }
    }

    fn trusted() -> TimeTrust {
        let mut trust = TimeTrust::new(SKEW_MS, THAW_MS);
        assert_eq!(trust.look(at(0, 0)), Err(Distrusted::Unconfirmed));
        trust.heard(at(10, 0), START_MS);
        assert_eq!(trust.look(at(20, 0)), Ok(()));
        trust
    }

    #[test]
    fn a_jump_ends_the_trust_until_all_agree_for_a_while() {
        let mut trust = trusted();
        assert_eq!(trust.look(at(1_000, YEARS_MS)), Err(Distrusted::Jumped(YEARS_MS)));
        trust.heard(at(2_000, YEARS_MS), START_MS + 2_000);
        assert_eq!(trust.look(at(3_000, YEARS_MS)), Err(Distrusted::Differs(YEARS_MS)));
        // Five seconds later it is set right: that is a jump, too.
        assert_eq!(trust.look(at(6_000, 0)), Err(Distrusted::Jumped(-YEARS_MS)));
        trust.heard(at(7_000, 0), START_MS + 7_000);
        assert_eq!(trust.look(at(605_999, 0)), Err(Distrusted::Jumped(-YEARS_MS)));
        assert_eq!(trust.look(at(606_000, 0)), Ok(()));
    }

    #[test]
    fn clocks_that_jump_together_are_trusted_only_after_a_while() {
        let mut trust = trusted();
        assert!(trust.look(at(1_000, YEARS_MS)).is_err());
        trust.heard(at(1_500, YEARS_MS), START_MS + 1_500 + YEARS_MS);
        assert_eq!(trust.look(at(600_999, YEARS_MS)), Err(Distrusted::Jumped(YEARS_MS)));
        assert_eq!(trust.look(at(601_000, YEARS_MS)), Ok(()));
    }

    #[test]
    fn a_drift_is_no_jump_and_a_difference_is_not_trusted() {
        let mut trust = trusted();
        let mut drifted_ms = 0;
        for hour in 1..=100 {
            drifted_ms += 1_800;
            assert_eq!(trust.look(at(hour * 3_600_000, drifted_ms)), Ok(()), "500 ppm");
        }
        let now = at(100 * 3_600_000, drifted_ms);
        trust.heard(now, now.wall_ms - drifted_ms);
        assert_eq!(trust.look(now), Err(Distrusted::Differs(drifted_ms)));
        trust.heard(now, now.wall_ms);
        assert_eq!(trust.look(now), Ok(()));
    }

    #[test]
    fn what_the_process_before_saw_counts() {
        let mut trust = TimeTrust::new(SKEW_MS, THAW_MS);
        trust.began(at(0, 0), true, at(5_000, YEARS_MS));
        trust.heard(at(5_000, YEARS_MS), START_MS + 5_000 + YEARS_MS);
        assert_eq!(trust.look(at(6_000, YEARS_MS)), Err(Distrusted::Jumped(YEARS_MS)), "a restart does not hide it");
        // After a boot the steady clock is another.
        let mut trust = TimeTrust::new(SKEW_MS, THAW_MS);
        let later = Look { wall_ms: START_MS + 7 * 86_400_000, steady_ms: 40 };
        trust.began(at(99_000, 0), false, later);
        trust.heard(later, later.wall_ms);
        assert_eq!(trust.look(later), Ok(()), "the machine was off for a week");
        let mut trust = TimeTrust::new(SKEW_MS, THAW_MS);
        let earlier = Look { wall_ms: 1_000, steady_ms: 40 };
        trust.began(at(99_000, 0), false, earlier);
        trust.heard(earlier, earlier.wall_ms);
        assert!(trust.look(earlier).is_err(), "a clock without a battery begins in 1970");
    }
}
