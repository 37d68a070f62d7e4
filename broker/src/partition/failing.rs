//! Reads that the disk failed (EIO), or that were refused (EACCES), and when they are more than chance. Pure.
//!
//! A disk that answers once with an error may answer the next time: a cable, a controller, a path that was lost for a
//! moment. So one error has no consequence but that the reader is told. A range that fails [`FAILURES`] times, the last time
//! `SPAN_MS` or more after the first, counts as damaged; a read of it that succeeds meanwhile begins a new count. So does a log
//! of which more ranges fail than are counted, over so long: a dead zone that readers meet each at its own place.

use holdfast_proto::ids::{Millis, Offset};

/// Failures after which a range counts as damaged, if they do not come all at once.
pub const FAILURES: u32 = 4;
/// How long they have to go on, ms.
const SPAN_MS: u64 = 5_000;
/// A range that nobody read for so long, ms, begins again at none: what failed then and fails now may have other causes.
const FORGET_MS: u64 = 600_000;
/// Ranges that are counted at a time; more that come all at once take the place of those that failed least, longest ago.
const MAX_RANGES: usize = 16;

/// The ranges of one replica that could not be read. See the module.
#[derive(Debug, Default)]
pub struct Failing {
    ranges: Vec<Range>,
}

#[derive(Debug)]
struct Range {
    at: Offset,
    failures: u32,
    first: Millis,
    last: Millis,
}

impl Failing {
    /// A read that began at this offset failed. True if that was once too often.
    pub fn failed(&mut self, at: Offset, now: Millis) -> bool {
        self.ranges.retain(|range| now.0.saturating_sub(range.last.0) < FORGET_MS);
        let known = self.ranges.iter().position(|range| range.at == at);
        let is_full = known.is_none() && self.ranges.len() >= MAX_RANGES;
        if is_full && self.ranges.iter().any(|range| now.0.saturating_sub(range.first.0) >= SPAN_MS) {
            return true;
        }
        let index = known.unwrap_or_else(|| {
            let least = (0..self.ranges.len()).min_by_key(|index| {
                let Range { failures, last, .. } = self.ranges[*index];
                (failures, last)
            });
            if let Some(least) = least.filter(|_| is_full) {
                self.ranges.remove(least);
            }
            self.ranges.push(Range { at, failures: 0, first: now, last: now });
            self.ranges.len() - 1
        });
        let range = &mut self.ranges[index];
        range.failures += 1;
        range.last = now;
        range.failures >= FAILURES && now.0.saturating_sub(range.first.0) >= SPAN_MS
    }

    /// Reads that begin from `from` to below `to` succeed.
    pub fn succeeded(&mut self, from: Offset, to: Offset) {
        self.ranges.retain(|range| range.at < from || range.at >= to);
    }

    /// True if nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_fails_only_again_and_again_over_some_time() {
        let mut failing = Failing::default();
        let burst = (0..100).any(|_| failing.failed(Offset(7), Millis(0)));
        assert!(!burst && failing.failed(Offset(7), Millis(SPAN_MS)), "all at once it may be chance");
        let mut failing = Failing::default();
        let told: Vec<bool> = (0..5).map(|n| failing.failed(Offset(7), Millis(n * SPAN_MS))).collect();
        assert_eq!(told, [false, false, false, true, true]);
    }

    #[test]
    fn a_success_of_the_same_range_begins_a_new_count_and_no_other_one() {
        let mut failing = Failing::default();
        let fail = |failing: &mut Failing, n: u64| failing.failed(Offset(7), Millis(n * SPAN_MS));
        assert!((0..3).all(|n| !fail(&mut failing, n)));
        failing.succeeded(Offset(0), Offset(7));
        failing.succeeded(Offset(8), Offset(9));
        assert!(fail(&mut failing, 3));
        failing.succeeded(Offset(7), Offset(8));
        assert!(failing.is_empty() && (4..7).all(|n| !fail(&mut failing, n)));
    }

    #[test]
    fn what_failed_long_ago_is_forgotten_and_no_more_than_some_ranges_are_kept() {
        let mut failing = Failing::default();
        assert!((0..3).all(|n| !failing.failed(Offset(7), Millis(n * SPAN_MS))));
        assert!(!failing.failed(Offset(7), Millis(3 * FORGET_MS)));
        let burst = (0..1000).any(|at| failing.failed(Offset(at), Millis(3 * FORGET_MS)));
        assert!(!burst, "all at once it may be chance");
        assert_eq!(failing.ranges.len(), MAX_RANGES);
        assert!(failing.ranges.iter().any(|range| range.at == Offset(7)), "the one that failed most stays");
    }

    #[test]
    fn more_ranges_than_are_counted_that_fail_in_turn_are_damage() {
        let mut failing = Failing::default();
        let places = MAX_RANGES as u64 + 1;
        let mut fail = |n: u64| failing.failed(Offset(n % places), Millis(n * 1_000));
        assert!((0..places - 1).all(|n| !fail(n)));
        assert!(fail(places - 1), "none of them fails often");
    }
}
