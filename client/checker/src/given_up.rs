//! What operators gave up of a topic so that its partitions went on: acknowledged records that are lost, by a decision.
//!
//! A partition went on with a log that ended early, and gave the offsets from there on a second time. So a number is missing
//! by it if the record of its key before it lies below that end, and what follows lies at or above it. No more numbers than
//! offsets were given up can be missing by it: what goes beyond is **lost**, whatever an operator gave up. Where nobody knows
//! how much that was, all that is missing there counts as given up. Pure: no IO, no clock.

use std::collections::BTreeMap;

/// What an operator gave up of a partition, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// Where the log ended that the partition went on with; `None` if that was not known.
    pub end: Option<u64>,
    /// The high watermark: no offset from here on was given up; `None` if it was not known.
    pub high_watermark: Option<u64>,
    /// False where records below the end may be missing too, or be other ones.
    pub is_exact: bool,
}

/// All that was given up of a topic.
#[derive(Debug, Default)]
pub(crate) struct Recoveries(BTreeMap<u32, Partition>);

#[derive(Debug, Default)]
struct Partition {
    all: Vec<GivenUp>,
    /// Numbers that may still be missing by it; `None`: nobody knows how many.
    left: Option<u64>,
}

impl GivenUp {
    /// How many offsets were given up; `None` if nobody knows.
    fn count(self) -> Option<u64> {
        let (end, high_watermark) = self.end.zip(self.high_watermark).filter(|_| self.is_exact)?;
        Some(high_watermark.saturating_sub(end))
    }

    /// True if records can be missing by it that lay behind the one at `after` (`None`: none of their key was met before).
    fn follows(self, after: Option<u64>) -> bool {
        self.end.zip(after).is_none_or(|(end, after)| after < end)
    }

    /// True if it can be why records are missing between these two offsets.
    fn lies_between(self, after: Option<u64>, before: u64) -> bool {
        self.follows(after) && (!self.is_exact || self.end.is_none_or(|end| end <= before))
    }

    /// True if it can be why the record at this offset is missing.
    fn covers(self, offset: u64) -> bool {
        let is_below = self.high_watermark.is_none_or(|high_watermark| offset < high_watermark);
        is_below && (!self.is_exact || self.end.is_none_or(|end| end <= offset))
    }
}

impl Recoveries {
    pub(crate) fn add(&mut self, partition: u32, given_up: GivenUp) {
        let known = self.0.entry(partition).or_insert(Partition { all: Vec::new(), left: Some(0) });
        known.left = known.left.zip(given_up.count()).map(|(left, count)| left.saturating_add(count));
        known.all.push(given_up);
    }

    /// How many of so many missing numbers were given up: those of a key of which the record at `after` was met before them,
    /// and that at `before` behind them.
    pub(crate) fn between(&mut self, partition: u32, after: Option<u64>, before: u64, count: u64) -> u64 {
        self.take(partition, count, |one| one.lies_between(after, before))
    }

    /// The same of the last numbers of a key, of which the record at `last` was acknowledged.
    pub(crate) fn at_the_end(&mut self, partition: u32, after: Option<u64>, last: u64, count: u64) -> u64 {
        self.take(partition, count, |one| one.follows(after) && one.covers(last))
    }

    /// The same of a key of which nothing is left.
    pub(crate) fn whole(&mut self, partition: u32, count: u64) -> u64 {
        self.take(partition, count, |_| true)
    }

    /// True if it was given up that a partition that ends at `end` lacks its offsets up to `last`.
    pub(crate) fn is_cut(&self, partition: u32, end: u64, last: u64) -> bool {
        let all = self.0.get(&partition).map(|known| &known.all[..]).unwrap_or_default();
        all.iter().any(|one| one.covers(last) && one.end.is_none_or(|given_up_from| given_up_from <= end))
    }

    fn take(&mut self, partition: u32, count: u64, is_it: impl Fn(&GivenUp) -> bool) -> u64 {
        let Some(known) = self.0.get_mut(&partition).filter(|known| known.all.iter().any(is_it)) else { return 0 };
        let taken = known.left.map_or(count, |left| left.min(count));
        known.left = known.left.map(|left| left - taken);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXACT: GivenUp = GivenUp { end: Some(100), high_watermark: Some(107), is_exact: true };

    fn recoveries(all: &[GivenUp]) -> Recoveries {
        let mut recoveries = Recoveries::default();
        for one in all {
            recoveries.add(3, *one);
        }
        recoveries
    }

    #[test]
    fn only_what_lies_across_the_end_was_given_up() {
        let mut known = recoveries(&[EXACT]);
        assert_eq!(known.between(3, Some(100), 120, 2), 0, "the record before it was kept");
        assert_eq!(known.between(3, Some(20), 99, 2), 0, "the one behind it too");
        assert_eq!(known.between(4, Some(99), 100, 2), 0, "of another partition nothing was");
        assert_eq!(known.between(3, Some(99), 100, 2), 2);
        assert_eq!(known.at_the_end(3, None, 107, 1), 0, "it came later");
        assert_eq!(known.at_the_end(3, None, 106, 1), 1);
        assert!(known.is_cut(3, 100, 106) && !known.is_cut(3, 100, 107) && !known.is_cut(3, 99, 106));
    }

    #[test]
    fn no_more_than_was_given_up() {
        let mut known = recoveries(&[EXACT]);
        assert_eq!((known.between(3, Some(9), 100, 5), known.between(3, None, 140, 5)), (5, 2));
        assert_eq!(known.whole(3, 1), 0);
        let mut twice = recoveries(&[EXACT, GivenUp { end: Some(200), high_watermark: Some(201), is_exact: true }]);
        assert_eq!(twice.between(3, Some(9), 240, 10), 8);
    }

    #[test]
    fn where_nobody_knows_how_much_it_may_be_all_of_it() {
        for unknown in [
            GivenUp { is_exact: false, ..EXACT },
            GivenUp { high_watermark: None, ..EXACT },
            GivenUp { end: None, high_watermark: None, is_exact: false },
        ] {
            assert_eq!(recoveries(&[EXACT, unknown]).between(3, Some(40), 120, 1_000), 1_000, "{unknown:?}");
        }
        let older = GivenUp { is_exact: false, ..EXACT };
        assert_eq!(recoveries(&[older]).between(3, Some(40), 60, 9), 9, "below the end other records may stand");
        assert_eq!(recoveries(&[older]).between(3, Some(100), 120, 9), 0, "not behind it");
    }
}
