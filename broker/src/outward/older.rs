//! For how long the controllers know an earlier start of this broker alone. Pure.
//!
//! One that is behind does for a moment, after a fail-over. Where all of them were recovered, or were restored from older
//! copies, they do for ever, and no other answer takes that back: the next controller in the list says only that it is not
//! active, or cannot be reached. A lease alone shows that this start is known.

use holdfast_proto::ids::Millis;

/// For so long they may know an earlier start alone.
pub const LONGEST_MS: u64 = 15_000;

/// As much of the time between two such answers counts at most: what controllers knew while none answered is not known.
const COUNTED_MS: u64 = 2_000;

/// See the module; at first there was no such answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Older {
    /// The last such answer without a lease.
    last: Option<Millis>,
    lasted_ms: u64,
}

/// What comes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The first since the lease ended: it is worth a word.
    Began,
    /// The controller may be behind.
    Wait,
    /// It lasts too long: this start is not known any more.
    End,
}

impl Older {
    /// At `now` they know an earlier start alone. `lease_until`: when the last lease of this one ended, or ends.
    pub fn heard(&mut self, now: Millis, lease_until: Millis) -> Next {
        if now < lease_until {
            *self = Self::default();
            return Next::Wait;
        }
        // A lease that ended after the answer before was renewed since, or lasted then.
        let Some(last) = self.last.replace(now).filter(|last| lease_until <= *last) else {
            self.lasted_ms = 0;
            return Next::Began;
        };
        self.lasted_ms += now.since(last).min(COUNTED_MS);
        if self.lasted_ms >= LONGEST_MS { Next::End } else { Next::Wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVER: Millis = Millis(1_000);

    #[test]
    fn answers_without_a_lease_add_up_whatever_is_said_between_them() {
        let mut older = Older::default();
        assert_eq!(older.heard(Millis(2_000), OVER), Next::Began);
        let answers: Vec<_> = (5..=34).map(|half| older.heard(Millis(half * 500), OVER)).collect();
        let (last, before) = answers.split_last().unwrap();
        assert_eq!((*last, before.iter().all(|next| *next == Next::Wait)), (Next::End, true), "{answers:?}");
    }

    #[test]
    fn a_lease_starts_it_anew() {
        let mut older = Older::default();
        assert_eq!(older.heard(Millis(500), OVER), Next::Wait, "the lease lasts");
        assert_eq!(older.heard(OVER, OVER), Next::Began);
        for half in 3..=30 {
            assert_eq!(older.heard(Millis(half * 500), OVER), Next::Wait);
        }
        assert_eq!(older.heard(Millis(20_000), Millis(16_000)), Next::Began, "it was renewed since");
        assert_eq!(older.heard(Millis(22_000), Millis(16_000)), Next::Wait);
    }

    #[test]
    fn an_outage_between_two_answers_counts_for_little() {
        let mut older = Older::default();
        assert_eq!(older.heard(Millis(2_000), OVER), Next::Began);
        assert_eq!(older.heard(Millis(3_600_000), OVER), Next::Wait);
    }
}
