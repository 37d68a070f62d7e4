//! Whether this controller is active, and since when without a gap. Pure.
//!
//! Place: [`Node`](crate::node::Node) looks whenever it is asked, with what the consensus says then; the sessions' actor asks
//! several times a second.
//!
//! ```text
//!   leads, has applied an entry of its own, heard a majority within the lease,
//!   and hands this leadership over to nobody ──▶ active: one spell, with a number
//!   anything else, once                      ──▶ the spell is over; the next one has another number
//! ```
//!
//! 1. **A spell has no gap.** In a gap this controller refuses everybody, so that nobody is heard: who counts another's
//!    silence counts the time of spells alone, of one leadership. It goes on behind a gap: a lease that is lost now and then
//!    keeps nobody from being missed.
//! 2. A lease's time in which nobody looked is a gap as well: the process stood still. It tells also a controller that can
//!    lose no lease, since nobody votes beside it.
//! 3. **A leadership that was handed over is over for good**, also if nobody took it: in that term the consensus refuses
//!    every change. One whose handing over was given up before goes on.

use std::collections::VecDeque;

use holdfast_proto::ids::Millis;

/// Gaps of one leadership that are remembered; what was before the oldest one counts for nothing.
const GAPS: usize = 256;

/// A time throughout which this controller is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spell {
    /// Counts the spells of this process, from 1.
    pub number: u64,
    term: u64,
}

/// What was seen of this controller's activity, and what is known of its leaderships.
#[derive(Debug)]
pub(crate) struct Activity {
    /// A time without a look that is as long is a gap.
    gap_ms: u64,
    spell: Option<Spell>,
    spells: u64,
    /// Term of the last spell, when that leadership was first active, and its gaps since, the last one maybe open.
    leadership: u64,
    since: Millis,
    gaps: VecDeque<(Millis, Option<Millis>)>,
    /// When it was looked last.
    looked: Millis,
    /// Term of the leadership that is being handed over.
    handing_over: Option<u64>,
    /// Leaderships up to this term are over; 0 before the first was handed over.
    handed: u64,
}

impl Activity {
    /// Of a controller that was not active yet. A time without a look of `gap_ms` is a gap.
    pub(crate) fn new(gap_ms: u64) -> Self {
        Self {
            gap_ms,
            spell: None,
            spells: 0,
            leadership: 0,
            since: Millis(0),
            gaps: VecDeque::new(),
            looked: Millis(0),
            handing_over: None,
            handed: 0,
        }
    }

    /// The spell that lasts, if this controller is active now. `leads`: the term in which it leads, is caught up and holds
    /// the lease.
    pub(crate) fn look(&mut self, now: Millis, leads: Option<u64>) -> Option<Spell> {
        let (before, stood_still) = (self.looked, now.since(self.looked) >= self.gap_ms);
        self.looked = self.looked.max(now);
        let active_in = leads.filter(|term| *term > self.handed && self.handing_over != Some(*term));
        if self.spell.take_if(|spell| active_in != Some(spell.term) || stood_still).is_some() {
            // It may have ended at any time since the last look.
            self.gaps.push_back((before, None));
        }
        if let (None, Some(term)) = (self.spell, active_in) {
            self.spells += 1;
            self.spell = Some(Spell { number: self.spells, term });
            self.begin(now, term);
        }
        self.spell
    }

    fn begin(&mut self, now: Millis, term: u64) {
        if term != self.leadership {
            (self.leadership, self.since) = (term, now);
            self.gaps.clear();
        }
        if let Some((_, end @ None)) = self.gaps.back_mut() {
            *end = Some(now);
        }
        if self.gaps.len() > GAPS
            && let Some((_, Some(end))) = self.gaps.pop_front()
        {
            self.since = end;
        }
    }

    /// For how long of the time from `then` to `now` this controller was active in the present leadership, ms; 0 if it is not
    /// active now.
    pub(crate) fn active_ms(&self, now: Millis, then: Millis) -> u64 {
        if self.spell.is_none() {
            return 0;
        }
        let from = self.since.max(then);
        let gap = |(start, end): &(Millis, Option<Millis>)| end.map_or(0, |end| end.since((*start).max(from)));
        now.since(from).saturating_sub(self.gaps.iter().map(gap).sum())
    }

    /// The leadership of this term is about to be handed over: until that is [given up](Self::give_up) this controller is
    /// not active in it. False if it was handed over before. One at a time.
    pub(crate) fn begin_hand_over(&mut self, term: u64) -> bool {
        let is_new = term > self.handed;
        self.handing_over = self.handing_over.or(is_new.then_some(term));
        is_new
    }

    /// The leadership that is being handed over is over.
    pub(crate) fn hand_over(&mut self) {
        self.handed = self.handed.max(self.handing_over.take().unwrap_or(0));
    }

    /// It is kept, unless it is over.
    pub(crate) fn give_up(&mut self) {
        self.handing_over = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: u64 = 500;

    fn number(activity: &mut Activity, now: u64, leads: Option<u64>) -> Option<u64> {
        activity.look(Millis(now), leads).map(|spell| spell.number)
    }

    #[test]
    fn a_spell_lasts_until_the_lease_is_lost_and_begins_again_in_the_same_term() {
        let mut activity = Activity::new(GAP);
        assert_eq!(number(&mut activity, 100, None), None);
        for now in [200, 500, 900] {
            assert_eq!(number(&mut activity, now, Some(3)), Some(1));
        }
        assert_eq!(number(&mut activity, 1_000, None), None);
        assert_eq!(number(&mut activity, 1_001, Some(3)), Some(2));
        assert_eq!(number(&mut activity, 1_100, Some(4)), Some(3), "another leadership");
    }

    #[test]
    fn the_time_of_a_leadership_is_counted_without_its_gaps() {
        let mut activity = Activity::new(GAP);
        let mut at = |now: u64, leads: Option<u64>, then: u64| {
            activity.look(Millis(now), leads);
            activity.active_ms(Millis(now), Millis(then))
        };
        assert_eq!(at(1_000, Some(3), 0), 0);
        assert_eq!((at(1_400, Some(3), 0), at(1_400, Some(3), 1_300)), (400, 100));
        assert_eq!(at(1_500, None, 0), 0, "not active now");
        // Nobody looked since 1,400: it may have ended then.
        assert_eq!(at(1_800, Some(3), 0), 400);
        assert_eq!((at(2_000, Some(3), 0), at(2_000, Some(3), 1_350)), (600, 250));
        assert_eq!(at(9_000, Some(3), 0), 600, "it stood still");
        assert_eq!(at(9_100, Some(3), 8_000), 100);
        for flap in 0..10_000 {
            let now = 10_000 + 2 * flap;
            at(now, None, 0);
            at(now + 1, Some(3), 0);
        }
        assert_eq!((at(30_400, Some(3), 30_100), at(30_400, Some(3), 0) < 30_400), (300, true));
        assert_eq!(at(30_500, Some(4), 0), 0, "another leadership");
    }

    #[test]
    fn a_controller_that_stood_still_begins_a_spell() {
        let mut activity = Activity::new(GAP);
        assert_eq!(number(&mut activity, 100, Some(1)), Some(1));
        assert_eq!(number(&mut activity, 100 + GAP - 1, Some(1)), Some(1));
        assert_eq!(number(&mut activity, 100 + GAP - 1 + GAP, Some(1)), Some(2));
    }

    #[test]
    fn a_hand_over_that_was_given_up_leaves_the_leadership_active() {
        let mut activity = Activity::new(GAP);
        assert!(activity.begin_hand_over(3));
        assert_eq!(number(&mut activity, 1, Some(3)), None);
        activity.give_up();
        assert_eq!(number(&mut activity, 2, Some(3)), Some(1));
    }

    #[test]
    fn a_leadership_that_was_handed_over_is_over_whoever_ends_last() {
        let mut activity = Activity::new(GAP);
        assert!(activity.begin_hand_over(3));
        activity.hand_over();
        activity.give_up();
        assert_eq!(number(&mut activity, 1, Some(3)), None, "nobody took it, and it is over all the same");
        assert!(!activity.begin_hand_over(3), "nothing is left to hand over");
        assert_eq!(number(&mut activity, 2, Some(3)), None);
        assert_eq!(number(&mut activity, 3, Some(5)), Some(1), "it was elected again");
    }

    #[test]
    fn a_hand_over_of_one_term_says_nothing_of_the_next() {
        let mut activity = Activity::new(GAP);
        assert!(activity.begin_hand_over(3));
        assert_eq!(number(&mut activity, 1, Some(4)), Some(1));
    }
}
