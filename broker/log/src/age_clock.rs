//! The clock that ages are counted by. Pure.
//!
//! Retention by time deletes records for good, so no age may be too large for one wrong clock. This clock has no date: it
//! counts, from the first start of a data folder on, the time in which both clocks of the machine went on together.
//!
//! 1. From one look to the next it goes on by the lesser of what the wall clock and the steady clock did, and never back. So
//!    a wall clock that jumps, either way and however often, makes no age larger, and nor does a steady clock that leaps.
//! 2. It goes on over restarts: on the same boot of the machine by the lesser of both clocks again. What another boot took is
//!    not counted: only the wall clock ran then, and that is the one which is wrong after a power loss.
//! 3. Times of appends are kept in this clock's time alone, so that one which was kept under a wrong wall clock is right.
//! 4. A time that is not known, or lies ahead (the count was lost, or is of a moment ago), is now.
//!
//! So what is wrong with a clock makes records stay longer. On a machine that is started again each day nothing stands still:
//! the time in which it ran is counted.

/// What both clocks said at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The wall clock, ms since 1970.
    pub wall_ms: i64,
    /// A clock that never jumps, ms, from where it likes. One that an earlier process on the same boot of the machine saw is
    /// given on the scale of this one.
    pub steady_ms: i64,
}

/// How far an earlier process had counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Ms from the first start of the folder on.
    pub counted_ms: i64,
    /// What the clocks said then; `None`: it was on another boot of the machine.
    pub look: Option<Look>,
}

/// Counts for the ages of one data folder, as the module says.
#[derive(Clone, Debug, Default)]
pub struct AgeClock {
    /// Counted minus steady time, ms.
    ahead_ms: i64,
    /// `None`: the steady clock alone counts.
    last: Option<Look>,
}

impl AgeClock {
    /// That of a process that begins now; `before`: what the folder says of the one before, if it says anything.
    pub fn begin(before: Option<Counted>, now: Look) -> Self {
        let counted_ms = before.map_or(0, |before| {
            let went_on_ms = before.look.map_or(0, |look| together_ms(look, now));
            before.counted_ms.saturating_add(went_on_ms)
        });
        Self { ahead_ms: counted_ms.saturating_sub(now.steady_ms), last: Some(now) }
    }

    /// Both clocks are looked at: before ages are taken, and often.
    pub fn look(&mut self, now: Look) {
        let Some(last) = self.last.replace(now) else { return };
        let steady_ms = now.steady_ms.saturating_sub(last.steady_ms);
        let excess_ms = steady_ms.saturating_sub(together_ms(last, now));
        self.ahead_ms = self.ahead_ms.saturating_sub(excess_ms);
    }

    /// This clock's time at a steady time after the last look, ms. What the next look takes off is not taken off yet: an
    /// append that is given this time is never older than it says.
    pub const fn at(&self, steady_ms: i64) -> i64 {
        steady_ms.saturating_add(self.ahead_ms)
    }
}

/// How far both clocks went on together, ms.
fn together_ms(from: Look, to: Look) -> i64 {
    let wall_ms = to.wall_ms.saturating_sub(from.wall_ms);
    let steady_ms = to.steady_ms.saturating_sub(from.steady_ms);
    wall_ms.min(steady_ms).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEARS_MS: i64 = 10 * 365 * 24 * 60 * 60 * 1000;
    const START_MS: i64 = 1_700_000_000_000;

    /// After so long, with a wall clock that is wrong by so much.
    fn at(steady_ms: i64, wrong_ms: i64) -> Look {
        Look { wall_ms: START_MS + steady_ms + wrong_ms, steady_ms }
    }

    /// How old what was appended at 500 ms is after these looks, the last of them at `now_ms`.
    fn age_ms(looks: &[Look], now_ms: i64) -> i64 {
        let mut clock = AgeClock::begin(None, at(0, 0));
        let appended = clock.at(500);
        for look in looks {
            clock.look(*look);
        }
        clock.at(now_ms) - appended
    }

    #[test]
    fn a_wall_clock_that_jumps_makes_no_age_larger() {
        assert_eq!(age_ms(&[at(1_000, 0), at(2_000, 0)], 2_000), 1_500);
        assert_eq!(age_ms(&[at(1_000, YEARS_MS), at(2_000, YEARS_MS)], 2_000), 1_500, "ahead, and it stays there");
        assert_eq!(age_ms(&[at(1_000, -YEARS_MS), at(2_000, -YEARS_MS)], 2_000), 500, "late: one look is not counted");
        let strobe: Vec<Look> = (1..=10).map(|n| at(n * 1_000, if n % 2 == 0 { 0 } else { YEARS_MS })).collect();
        assert_eq!(age_ms(&strobe, 10_000), 4_500);
    }

    #[test]
    fn a_steady_clock_that_leaps_makes_no_age_larger() {
        let leapt = |ms| Look { wall_ms: START_MS + ms, steady_ms: ms + YEARS_MS };
        assert_eq!(age_ms(&[at(1_000, 0), leapt(2_000), leapt(3_000)], 3_000 + YEARS_MS), 2_500);
        // What is appended between the leap and the look that finds it counts as too young.
        let mut clock = AgeClock::begin(None, at(0, 0));
        let appended = clock.at(1_500 + YEARS_MS);
        clock.look(leapt(2_000));
        assert!(clock.at(2_000 + YEARS_MS) < appended);
    }

    #[test]
    fn it_goes_on_over_restarts_as_far_as_both_clocks_know() {
        let begin = |look, now| AgeClock::begin(Some(Counted { counted_ms: 5_000, look }), now).at(now.steady_ms);
        assert_eq!(begin(Some(at(9_000, 0)), at(12_000, 0)), 8_000, "both say that three seconds went by");
        assert_eq!(begin(Some(at(9_000, 0)), at(12_000, YEARS_MS)), 8_000);
        assert_eq!(begin(Some(at(9_000, 0)), at(12_000, -YEARS_MS)), 5_000);
        assert_eq!(begin(Some(at(9_000, 0)), at(8_000, 0)), 5_000, "a clock of another machine, by chance");
        assert_eq!(begin(None, at(40, YEARS_MS)), 5_000, "another boot, with a clock that is ahead");
        assert_eq!(AgeClock::begin(None, at(40, 0)).at(40), 0, "nobody counted before");
    }

    #[test]
    fn a_machine_that_is_started_each_day_does_not_stand_still() {
        const HOUR_MS: i64 = 3_600_000;
        let mut counted_ms = 0;
        for day in 0..10 {
            // It starts two hours late, and is set right soon after.
            let now = |ms, late_ms| Look { wall_ms: START_MS + day * 24 * HOUR_MS + ms - late_ms, steady_ms: ms };
            let before = Some(Counted { counted_ms, look: None });
            let mut clock = AgeClock::begin(before, now(0, 2 * HOUR_MS));
            (1..=8).for_each(|hour| clock.look(now(hour * HOUR_MS, 0)));
            counted_ms = clock.at(8 * HOUR_MS);
        }
        assert_eq!(counted_ms, 80 * HOUR_MS);
    }
}
