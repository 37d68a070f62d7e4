//! Whether the wall clock is trusted. Pure.
//!
//! The ages of records are counted without a date ([`holdfast_log::AgeClock`]), so that no wrong clock makes one too large. But
//! what the one clock of a machine says is believed only while another agrees: retention by time, which deletes for good,
//! goes on while the wall clock is trusted. It is while
//!
//! 1. it has advanced together with the steady clock since the last look, those of the process before included;
//! 2. the active controller said within the last minute that it agrees with the clocks of most voters and brokers, by no more
//!    than `skew_max_ms`; a controller of an earlier build says what time it is there, and this clock agrees with that; and
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

/// What a controller says of this broker's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// What its own wall clock says, ms since 1970, and nothing of anybody else's: an earlier build.
    Time(i64),
    /// Most clocks say about the same, and this one does: it is ahead of them by so many ms.
    Agrees(i64),
    /// Most clocks say about the same, and this one is ahead by so many ms; behind if below 0.
    Differs(i64),
    /// There is no majority that says about the same.
    Split,
    /// Half of all or more were not heard: no more than if it had said nothing.
    Unheard,
}

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
    /// It is ahead of those of most by so many ms, or of the active controller's if that is of an earlier build; behind if
    /// below 0.
    Differs(i64),
    /// The clocks of voters and brokers differ, and none is that of most.
    Split,
    /// Too few clocks were heard by the active controller for a minute.
    Unheard,
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
    compared: Option<(i64, Result<(), Distrusted>)>,
    /// True if a controller said last that it heard too few clocks.
    is_unheard: bool,
    /// By how much it was ahead when a controller said so last, ms.
    ahead_ms: Option<i64>,
}

impl TimeTrust {
    /// Nothing is known. Clocks may differ by `skew_max_ms`; after a jump nothing is trusted for `thaw_ms`.
    pub fn new(skew_max_ms: u64, thaw_ms: u64) -> Self {
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let (skew_max_ms, thaw_ms) = (signed(skew_max_ms), signed(thaw_ms));
        Self { skew_max_ms, thaw_ms, last: None, jump: None, compared: None, is_unheard: false, ahead_ms: None }
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

    /// A controller answered a heartbeat.
    pub fn heard(&mut self, now: Look, said: Said) {
        self.advance(now);
        self.is_unheard = said == Said::Unheard;
        let of_skew = |skew_ms: i64| {
            if skew_ms.saturating_abs() <= self.skew_max_ms { Ok(()) } else { Err(Distrusted::Differs(skew_ms)) }
        };
        self.ahead_ms = match said {
            Said::Time(wall_ms) => Some(now.wall_ms.saturating_sub(wall_ms)),
            Said::Agrees(skew_ms) | Said::Differs(skew_ms) => Some(skew_ms),
            Said::Split => None,
            Said::Unheard => self.ahead_ms,
        };
        let outcome = match said {
            Said::Time(wall_ms) => of_skew(now.wall_ms.saturating_sub(wall_ms)),
            Said::Agrees(skew_ms) => of_skew(skew_ms),
            Said::Differs(skew_ms) => Err(Distrusted::Differs(skew_ms)),
            Said::Split => Err(Distrusted::Split),
            Said::Unheard => return,
        };
        self.compared = Some((now.steady_ms, outcome));
    }

    /// Both clocks are looked at. Says why the wall clock is not trusted, if so.
    pub fn look(&mut self, now: Look) -> Result<(), Distrusted> {
        self.advance(now);
        if let Some((_, Err(why))) = self.compared {
            return Err(why);
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
        if is_confirmed {
            return Ok(());
        }
        Err(if self.is_unheard { Distrusted::Unheard } else { Distrusted::Unconfirmed })
    }

    /// By how much the wall clock is ahead of those of most, as a controller said last, ms; `None` before one did, or while
    /// there is no majority.
    pub fn ahead_ms(&self) -> Option<i64> {
        self.ahead_ms
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
#[path = "time_trust_tests.rs"]
mod tests;
