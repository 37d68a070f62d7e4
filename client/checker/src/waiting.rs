//! How long the reading of a topic up to its end may stand still. Pure: time comes with the look.
//!
//! Only what is read below the ends counts: records that come behind them are none that the reading waits for.

use std::{fmt::Write, time::Duration};

use holdfast_proto::ids::{Offset, PartitionIndex};

/// After so long without progress it is told who is waited for.
const TELL: Duration = Duration::from_secs(5);
/// After so long without progress the reading is given up.
pub const STALL: Duration = Duration::from_mins(1);
/// How often what is left is counted: with many partitions that takes a while.
const LOOK: Duration = Duration::from_millis(500);
/// Most that counts between two looks: a longer time went by in a stopped process, or in output that nobody took.
const STEP_MAX: Duration = Duration::from_secs(1);
/// Partitions that are named; of the others there is a count.
const NAMED_MAX: usize = 5;

/// What to do after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Read on; what is there comes.
    GoOn,
    /// Read on, and tell who is waited for.
    Tell,
    /// Nothing came for [`STALL`].
    GiveUp,
}

/// Watches what is left of one reading.
#[derive(Debug, Default)]
pub struct Waiting {
    /// When it was looked last, since the reading began.
    looked: Duration,
    /// Offsets below the ends that were not read yet.
    left: u64,
    waited: Duration,
    told: bool,
}

impl Waiting {
    /// Looks, at this time since the reading began, at how many offsets below the ends are left; counted only where a look
    /// is due.
    pub fn look(&mut self, now: Duration, left: impl FnOnce() -> u64) -> Patience {
        let step = now.saturating_sub(self.looked);
        if step < LOOK {
            return Patience::GoOn;
        }
        self.looked = now;
        let left = left();
        if left != self.left || left == 0 {
            (self.left, self.waited, self.told) = (left, Duration::ZERO, false);
            return Patience::GoOn;
        }
        self.waited += step.min(STEP_MAX);
        if self.waited >= STALL {
            return Patience::GiveUp;
        }
        if self.waited >= TELL && !self.told {
            self.told = true;
            return Patience::Tell;
        }
        Patience::GoOn
    }
}

/// A partition that is not read to its end: the next offset, and the end.
pub type Open = (PartitionIndex, Offset, Offset);

/// How many offsets these partitions have left.
pub fn left(open: impl IntoIterator<Item = Open>) -> u64 {
    open.into_iter().fold(0, |sum, (_, next, end)| sum.saturating_add(end.0.saturating_sub(next.0)))
}

/// The partitions by name, each with how far it is read.
pub fn named(topic: &str, open: impl IntoIterator<Item = Open>) -> String {
    let mut text = String::new();
    let mut others = 0;
    for (at, (partition, next, end)) in open.into_iter().enumerate() {
        if at >= NAMED_MAX {
            others += 1;
            continue;
        }
        let comma = if at == 0 { "" } else { ", " };
        // A string takes whatever is written.
        let _written = write!(text, "{comma}{topic}-{partition} (read up to offset {next} of {end})");
    }
    if others > 0 { format!("{text} and {others} more partitions") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every half second at what is left; gives the looks, from 1, at which it is told and given up.
    fn looks(left: impl Fn(u64) -> u64) -> (Option<u64>, Option<u64>) {
        let mut waiting = Waiting::default();
        let mut told = None;
        for look in 1..1_000 {
            match waiting.look(LOOK * look as u32, || left(look)) {
                Patience::GoOn => {}
                Patience::Tell => told = told.or(Some(look)),
                Patience::GiveUp => return (told, Some(look)),
            }
        }
        (told, None)
    }

    #[test]
    fn a_reading_that_stands_still_is_told_and_then_given_up() {
        assert_eq!(looks(|_| 7), (Some(11), Some(121)));
        assert_eq!(looks(|look| if look < 50 { 100 - look } else { 7 }), (Some(60), Some(170)));
    }

    #[test]
    fn progress_or_an_end_is_waited_for_as_long_as_it_takes() {
        assert_eq!(looks(|look| 10_000 - look), (None, None));
        assert_eq!(looks(|_| 0), (None, None));
        assert_eq!(looks(|look| 1_000 - look / 100 * 100), (Some(11), None), "slow, and no end of it");
    }

    #[test]
    fn time_that_went_by_elsewhere_does_not_count() {
        let mut waiting = Waiting::default();
        for hour in 1..=3 {
            assert_eq!(waiting.look(Duration::from_hours(hour), || 7), Patience::GoOn);
        }
    }

    #[test]
    fn partitions_are_named_and_many_are_counted() {
        let open = |count: u32| (0..count).map(|index| (PartitionIndex(index), Offset(1), Offset(3)));
        assert_eq!(named("t", open(1)), "t-0 (read up to offset 1 of 3)");
        assert!(named("t", open(7)).ends_with("t-4 (read up to offset 1 of 3) and 2 more partitions"));
        assert_eq!(left(open(2)), 4);
    }
}
