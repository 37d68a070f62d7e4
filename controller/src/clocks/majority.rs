//! The majority of clocks. Pure: the active controller gives it what nodes said, each with the moment of that on its own
//! steady clock.
//!
//! 1. Every voter and every registered broker is one clock, also one that is silent or fenced: those of a single machine are no
//!    majority because the others are down.
//! 2. A reading is what a wall clock is ahead of this controller's steady clock; it counts for [`READING_MS`]. It seems late
//!    by what it was on its way. Deadlines bound that by seconds, and the tolerance includes it. Of one node the reading that
//!    was taken last counts, in whatever order answers come.
//!    **A machine that stood still:** the steady clock does not count the time that a suspended machine was asleep, and what was
//!    heard before would look fresh. So all readings are dropped once the own two clocks did not advance together.
//! 3. The median of the readings is one that most have, if most have one. If more than half of *all* clocks are within the
//!    tolerance of it, these are the majority. A node agrees with it if its own reading is within the tolerance.
//!    **What it costs:** every heartbeat asks, so what was found of all is used again for [`JUDGED_MS`], as long as nobody is
//!    heard for the first time and no reading that was counted is too old. The own reading is the newest one always.
//! 4. Where there is none, nobody's clock is vouched for: half of all were not heard, or they differ.
//!
//! **One node of each kind** makes two clocks, and a majority is both: the broker agrees with the controller, or nobody
//! vouches. On one machine they are one clock, and what it says is believed; so it is with one controller and two brokers of
//! which one shares its machine. From two machines more on, a machine with one controller and one broker is outvoted.
//!
//! **Earlier builds.** A node that does not tell its time counts as silent. So while clusters are upgraded, brokers of this
//! build let retention by time rest until more than half of all nodes are of it; those of an earlier one compare their clock
//! with the active controller's, as before. A broker of this build does so, too, while an earlier controller is active.

use std::collections::BTreeMap;

use holdfast_proto::ids::{BrokerId, Millis};

/// How long a reading counts, ms: many heartbeats.
pub const READING_MS: u64 = 30_000;

/// How long what was found of all clocks is used again, ms: next to nothing of what a reading counts for.
pub const JUDGED_MS: u64 = 250;

/// By how much the own wall clock may step, ms, before it looks as if the machine had stood still.
const STEP_MS: u64 = 1_000;
/// How far the own clocks may drift apart, as a part of the time between two looks: NTP slews by 500 ppm at most.
const DRIFT_PER: u64 = 1_000;

/// A node that has a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClockOf {
    /// The voter with this node id.
    Voter(u64),
    /// The broker with this id.
    Broker(BrokerId),
}

/// How one clock is to those of most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is ahead of the majority's by so many ms, and one of them.
    Agrees(i64),
    /// It is ahead by so many ms, below 0 behind, and none of them.
    Differs(i64),
    /// More than half were heard, and there is no majority.
    Split,
    /// Half of all or more were not heard, or this one was not.
    Unheard,
}

/// What one clock said.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// What it is ahead of the steady clock, ms.
    ahead_ms: i64,
    at: Millis,
}

impl Reading {
    fn new(at: Millis, wall_ms: u64) -> Self {
        let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        Self { ahead_ms: signed(wall_ms).saturating_sub(signed(at.0)), at }
    }
}

/// What was heard of clocks lately.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    heard: BTreeMap<ClockOf, Reading>,
    /// The own clocks as they were looked at last.
    last_look: Option<Reading>,
    judged: Option<Judged>,
}

/// What was found of all clocks.
#[derive(Clone, Copy, Debug)]
struct Judged {
    until: Millis,
    tolerance_ms: u64,
    /// How many were heard then: more or fewer make another majority.
    heard: usize,
    /// What those of the majority are ahead of the steady clock, ms, or why there is none.
    median_ms: Result<i64, Verdict>,
}

impl Readings {
    /// Forgets all: another leadership begins, or this controller stood still.
    pub fn clear(&mut self) {
        self.heard.clear();
        self.judged = None;
    }

    /// At this moment, on the steady clock, a node's wall clock said so, ms since 1970. What it said later is kept.
    pub fn hear(&mut self, of: ClockOf, at: Millis, wall_ms: u64) {
        if self.heard.get(&of).is_none_or(|known| known.at <= at) {
            self.heard.insert(of, Reading::new(at, wall_ms));
        }
    }

    /// What the own wall clock says now, ms since 1970. Forgets all if this machine stood still since the last look, or its wall
    /// clock was set: what was heard before is not as old as the steady clock says.
    pub fn look(&mut self, now: Millis, wall_ms: u64) {
        let look = Reading::new(now, wall_ms);
        if let Some(last) = self.last_look.replace(look)
            && look.ahead_ms.abs_diff(last.ahead_ms) > STEP_MS + now.since(last.at) / DRIFT_PER
        {
            self.clear();
        }
    }

    /// How the clock of a node is to those of most. `all`: every voter and registered broker, each once. Clocks of the
    /// majority may differ by `tolerance_ms`, the time that a reading was on its way included.
    pub fn judge(
        &mut self,
        of: ClockOf,
        now: Millis,
        all: impl Iterator<Item = ClockOf>,
        tolerance_ms: u64,
    ) -> Verdict {
        let median_ms = self.median_ms(now, all, tolerance_ms);
        let is_fresh = |reading: &&Reading| now.since(reading.at) < READING_MS;
        let Some(own) = self.heard.get(&of).filter(is_fresh) else { return Verdict::Unheard };
        match median_ms {
            Ok(median_ms) => {
                let ahead_ms = own.ahead_ms.saturating_sub(median_ms);
                let is_near = |ahead_ms: i64| ahead_ms.abs_diff(median_ms) <= tolerance_ms;
                if is_near(own.ahead_ms) { Verdict::Agrees(ahead_ms) } else { Verdict::Differs(ahead_ms) }
            }
            Err(none) => none,
        }
    }

    /// What the clocks of the majority are ahead of the steady clock, ms, or why there is none; as it was found a moment ago.
    fn median_ms(
        &mut self,
        now: Millis,
        all: impl Iterator<Item = ClockOf>,
        tolerance_ms: u64,
    ) -> Result<i64, Verdict> {
        let holds = |judged: &Judged| {
            now < judged.until && judged.heard == self.heard.len() && judged.tolerance_ms == tolerance_ms
        };
        if let Some(judged) = self.judged.filter(holds) {
            return judged.median_ms;
        }
        self.heard.retain(|_, reading| now.since(reading.at) < READING_MS);
        let mut count = 0;
        let told: Vec<Reading> = all.inspect(|_| count += 1).filter_map(|one| self.heard.get(&one).copied()).collect();
        let oldest = told.iter().map(|reading| reading.at.plus(READING_MS)).min();
        let until = oldest.map_or(now, |oldest| oldest.min(now.plus(JUDGED_MS)));
        let median_ms = median_of(told.iter().map(|reading| reading.ahead_ms).collect(), count, tolerance_ms);
        self.judged = Some(Judged { until, tolerance_ms, heard: self.heard.len(), median_ms });
        median_ms
    }
}

/// The median of those that were told, if more than half of `count` are within the tolerance of it.
fn median_of(mut told: Vec<i64>, count: usize, tolerance_ms: u64) -> Result<i64, Verdict> {
    let is_most = |part: usize| 2 * part > count;
    if !is_most(told.len()) {
        return Err(Verdict::Unheard);
    }
    let middle = told.len() / 2;
    let median_ms = *told.select_nth_unstable(middle).1;
    let is_near = |ahead_ms: &&i64| ahead_ms.abs_diff(median_ms) <= tolerance_ms;
    if is_most(told.iter().filter(is_near).count()) { Ok(median_ms) } else { Err(Verdict::Split) }
}

#[cfg(test)]
#[path = "majority_tests.rs"]
mod tests;
