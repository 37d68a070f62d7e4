//! Whether the wall clock is trusted. Pure.
//!
//! The ages of records are counted without a date ([`holdfast_log::AgeClock`]), so that no wrong clock makes one too large. But
//! what the one clock of a machine says is believed only while another agrees: retention by time, which deletes for good,
//! goes on while the wall clock is trusted. It is while
//!
//! 1. it has advanced together with the steady clock since the last look, those of the process before included;
//! 2. it agrees with what a controller that vouches for its own said, within the last minute; and
//! 3. **the thaw:** `thaw_ms` have gone by, on the steady clock and over restarts, since it last jumped, or since the machine
//!    was started again, for what another boot's clock did nobody saw.
//!
//! One that is set right, as by NTP at the start of a machine, is trusted a little later; one that is wrong alone is not
//! trusted at all. On a machine that is started again each day retention by time rests for `thaw_ms` a day.

use holdfast_log::{KeptJump, Look};

/// A difference between the two clocks that is no jump: steps of a clock that is kept right are smaller, ms.
const JUMP_MS: i64 = 1_000;

/// How far the clocks may drift apart, as a part of the time between two looks: NTP slews by 500 ppm at most.
const DRIFT_PER: i64 = 1_000;

/// How long what a controller said counts, ms: many heartbeats.
const CONFIRMED_MS: i64 = 60_000;

/// Why the wall clock is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrusted {
    /// No controller has said what time it is, for a minute or at all.
    Unconfirmed,
    /// The machine was started again.
    Started {
        /// Until the thaw, ms; 0: it waits for a controller alone.
        left_ms: i64,
    },
    /// It jumped a while ago.
    Jumped {
        /// How far it jumped, ms.
        by_ms: i64,
        /// Until the thaw, ms; 0: it waits for a controller alone.
        left_ms: i64,
    },
    /// It is ahead of the active controller's by so many ms; behind if below 0.
    Differs(i64),
}

/// What the process before knew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// What the clocks said last; `None`: on another boot of the machine.
    pub look: Option<Look>,
    /// What the wall clock said then, ms since 1970.
    pub wall_ms: i64,
    /// A jump that counted still.
    pub jump: Option<KeptJump>,
}

/// A jump, or a start of the machine: then by 0 ms.
#[derive(Clone, Copy, Debug)]
struct Jump {
    /// It counts up to then, on the steady clock, ms.
    until_ms: i64,
    by_ms: i64,
}

/// What is known of the wall clock. See the module.
#[derive(Clone, Debug)]
pub struct TimeTrust {
    skew_max_ms: i64,
    thaw_ms: i64,
    last: Option<Look>,
    jump: Option<Jump>,
    /// When it was last compared with a controller's since the last jump, on the steady clock, ms, and what that came to.
    compared: Option<(i64, Result<(), i64>)>,
}

impl TimeTrust {
    /// Nothing is known. Clocks may differ by `skew_max_ms`; after a jump nothing is trusted for `thaw_ms`.
    pub fn new(skew_max_ms: u64, thaw_ms: u64) -> Self {
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let (skew_max_ms, thaw_ms) = (signed(skew_max_ms), signed(thaw_ms));
        Self { skew_max_ms, thaw_ms, last: None, jump: None, compared: None }
    }

    /// A process ran before on this folder. Comes first.
    pub fn began(&mut self, before: Before, now: Look) {
        if let Some(look) = before.look {
            self.last = Some(look);
            let kept = before.jump;
            self.jump =
                kept.map(|kept| Jump { until_ms: look.steady_ms.saturating_add(kept.left_ms), by_ms: kept.by_ms });
        } else {
            // How long the machine was off nobody knows, but not that it was off for less than nothing.
            self.jumped(now, now.wall_ms.saturating_sub(before.wall_ms).min(0));
        }
        self.advance(now);
    }

    /// A controller said what time it is.
    pub fn heard(&mut self, now: Look, controller_wall_ms: i64) {
        self.advance(now);
        let skew_ms = now.wall_ms.saturating_sub(controller_wall_ms);
        let agrees = skew_ms.saturating_abs() <= self.skew_max_ms;
        self.compared = Some((now.steady_ms, if agrees { Ok(()) } else { Err(skew_ms) }));
    }

    /// Both clocks are looked at. Says why the wall clock is not trusted, if so.
    pub fn look(&mut self, now: Look) -> Result<(), Distrusted> {
        self.advance(now);
        if let Some((_, Err(skew_ms))) = self.compared {
            return Err(Distrusted::Differs(skew_ms));
        }
        let is_confirmed = self.compared.is_some_and(|(at, _)| now.steady_ms < at.saturating_add(CONFIRMED_MS));
        if let Some(Jump { until_ms, by_ms }) = self.jump {
            let left_ms = until_ms.saturating_sub(now.steady_ms).max(0);
            if left_ms > 0 || !is_confirmed {
                let is_start = by_ms == 0;
                return Err(if is_start {
                    Distrusted::Started { left_ms }
                } else {
                    Distrusted::Jumped { by_ms, left_ms }
                });
            }
            self.jump = None;
        }
        if is_confirmed { Ok(()) } else { Err(Distrusted::Unconfirmed) }
    }

    /// The jump that counts still at this look, for the next process.
    pub fn to_keep(&self, now: Look) -> Option<KeptJump> {
        // One that waits for a controller alone is waited with by the next process as well.
        let left_ms = |jump: Jump| jump.until_ms.saturating_sub(now.steady_ms).max(1);
        self.jump.map(|jump| KeptJump { left_ms: left_ms(jump), by_ms: jump.by_ms })
    }

    /// Notes a jump since the last look.
    fn advance(&mut self, now: Look) {
        let Some(last) = self.last.replace(now) else { return };
        let steady_ms = now.steady_ms.saturating_sub(last.steady_ms);
        let jumped_ms = now.wall_ms.saturating_sub(last.wall_ms).saturating_sub(steady_ms);
        if jumped_ms.saturating_abs() > JUMP_MS + steady_ms / DRIFT_PER {
            self.jumped(now, jumped_ms);
        }
    }

    fn jumped(&mut self, now: Look, by_ms: i64) {
        self.jump = Some(Jump { until_ms: now.steady_ms.saturating_add(self.thaw_ms), by_ms });
        self.compared = None;
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

    fn jumped(by_ms: i64, left_ms: i64) -> Result<(), Distrusted> {
        Err(Distrusted::Jumped { by_ms, left_ms })
    }

    /// A controller says the same.
    fn agrees(trust: &mut TimeTrust, now: Look) {
        trust.heard(now, now.wall_ms);
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
        assert_eq!(trust.look(at(1_000, YEARS_MS)), jumped(YEARS_MS, 600_000));
        trust.heard(at(2_000, YEARS_MS), START_MS + 2_000);
        assert_eq!(trust.look(at(3_000, YEARS_MS)), Err(Distrusted::Differs(YEARS_MS)));
        // Five seconds later it is set right: that is a jump, too.
        assert_eq!(trust.look(at(6_000, 0)), jumped(-YEARS_MS, 600_000));
        agrees(&mut trust, at(605_999, 0));
        assert_eq!(trust.look(at(605_999, 0)), jumped(-YEARS_MS, 1));
        assert_eq!(trust.look(at(606_000, 0)), Ok(()));
    }

    #[test]
    fn clocks_that_jump_together_are_trusted_only_after_a_while() {
        let mut trust = trusted();
        assert!(trust.look(at(1_000, YEARS_MS)).is_err());
        agrees(&mut trust, at(600_999, YEARS_MS));
        assert_eq!(trust.look(at(600_999, YEARS_MS)), jumped(YEARS_MS, 1));
        assert_eq!(trust.look(at(601_000, YEARS_MS)), Ok(()));
    }

    #[test]
    fn a_drift_is_no_jump_and_a_difference_is_not_trusted() {
        let mut trust = trusted();
        let mut drifted_ms = 0;
        for hour in 1..=100 {
            drifted_ms += 1_800;
            agrees(&mut trust, at(hour * 3_600_000, drifted_ms));
            assert_eq!(trust.look(at(hour * 3_600_000, drifted_ms)), Ok(()), "500 ppm");
        }
        let now = at(100 * 3_600_000, drifted_ms);
        trust.heard(now, now.wall_ms - drifted_ms);
        assert_eq!(trust.look(now), Err(Distrusted::Differs(drifted_ms)));
        trust.heard(now, now.wall_ms);
        assert_eq!(trust.look(now), Ok(()));
    }

    #[test]
    fn what_no_controller_confirms_any_more_is_not_trusted() {
        let mut trust = trusted();
        assert_eq!(trust.look(at(60_009, 0)), Ok(()));
        assert_eq!(trust.look(at(60_010, 0)), Err(Distrusted::Unconfirmed));
        agrees(&mut trust, at(60_020, 0));
        assert_eq!(trust.look(at(60_020, 0)), Ok(()));
    }

    /// A process that begins on the same boot.
    fn again(jump: Option<KeptJump>, before: Look, now: Look) -> TimeTrust {
        let mut trust = TimeTrust::new(SKEW_MS, THAW_MS);
        trust.began(Before { look: Some(before), wall_ms: before.wall_ms, jump }, now);
        trust
    }

    #[test]
    fn a_restart_hides_no_jump() {
        let mut trust = again(None, at(0, 0), at(5_000, YEARS_MS));
        agrees(&mut trust, at(5_000, YEARS_MS));
        assert_eq!(trust.look(at(6_000, YEARS_MS)), jumped(YEARS_MS, 599_000), "it came while nobody looked");
        // The looks go on to be kept, and all controllers jumped too: what is left of the thaw is kept with them.
        let mut before = trusted();
        assert!(before.look(at(1_000, YEARS_MS)).is_err());
        let kept = before.to_keep(at(61_000, YEARS_MS));
        assert_eq!(kept, Some(KeptJump { left_ms: 540_000, by_ms: YEARS_MS }));
        let mut trust = again(kept, at(61_000, YEARS_MS), at(62_000, YEARS_MS));
        agrees(&mut trust, at(600_999, YEARS_MS));
        assert_eq!(trust.look(at(600_999, YEARS_MS)), jumped(YEARS_MS, 1));
        assert_eq!(trust.look(at(601_000, YEARS_MS)), Ok(()));
        assert_eq!(trust.to_keep(at(601_000, YEARS_MS)), None);
    }

    #[test]
    fn after_a_start_of_the_machine_it_thaws_a_while_later_each_time() {
        let begin = |wall_ms| {
            let mut trust = TimeTrust::new(SKEW_MS, THAW_MS);
            let now = Look { wall_ms, steady_ms: 40 };
            trust.began(Before { look: None, wall_ms: START_MS, jump: None }, now);
            agrees(&mut trust, now);
            (trust, now)
        };
        for later_ms in [86_400_000, YEARS_MS] {
            let (mut trust, now) = begin(START_MS + later_ms);
            assert_eq!(trust.look(now), Err(Distrusted::Started { left_ms: 600_000 }));
            let then = Look { wall_ms: now.wall_ms + 600_000, steady_ms: 600_040 };
            agrees(&mut trust, then);
            assert_eq!(trust.look(then), Ok(()));
        }
        let (mut trust, now) = begin(1_000);
        assert_eq!(trust.look(now), jumped(1_000 - START_MS, 600_000), "a clock without a battery begins in 1970");
    }
}
