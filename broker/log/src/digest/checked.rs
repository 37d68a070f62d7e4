//! Which bytes of a segment were found to be what was appended there. Pure.
//!
//! They are kept as spans between borders, and those that meet become one: a reader that goes on leaves a single span. Readers
//! that jump leave more; past a number the shortest is forgotten, and compared again by who comes by.

/// Most spans of one segment: 512 bytes.
const MAX_SPANS: usize = 32;

/// What of one segment was compared.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// Bytes from and to, in order; no two meet.
    spans: Vec<(u64, u64)>,
}

impl Checked {
    /// True if the bytes from `from` on up to `to` are known to be right.
    pub(super) fn holds(&self, from: u64, to: u64) -> bool {
        let after = self.spans.partition_point(|span| span.0 <= from);
        after.checked_sub(1).is_some_and(|at| to <= self.spans[at].1)
    }

    /// The bytes from the border at `from` up to the one at `to` are right.
    pub(super) fn add(&mut self, from: u64, to: u64) {
        let first = self.spans.partition_point(|span| span.1 < from);
        let behind = self.spans.partition_point(|span| span.0 <= to);
        let met = &self.spans[first..behind];
        let whole = (met.first().map_or(from, |span| span.0.min(from)), met.last().map_or(to, |span| span.1.max(to)));
        self.spans.splice(first..behind, [whole]);
        if self.spans.len() > MAX_SPANS {
            let others = self.spans.iter().enumerate().filter(|(_, span)| **span != whole);
            if let Some((shortest, _)) = others.min_by_key(|(_, span)| span.1 - span.0) {
                self.spans.remove(shortest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever was compared and in whichever order: exactly that counts as right.
    #[test]
    fn what_was_compared_is_right_and_nothing_else() {
        let borders = [0, 7, 14, 20, 30, 31];
        let pieces: Vec<_> = borders.windows(2).map(|pair| (pair[0], pair[1])).collect();
        for order in 0..pieces.len().pow(5) {
            let (mut checked, mut right) = (Checked::default(), [false; 31]);
            for step in 0..5_u32 {
                let (from, to) = pieces[order / pieces.len().pow(step) % pieces.len()];
                checked.add(from, to);
                right[from as usize..to as usize].fill(true);
            }
            for from in 0..31 {
                for to in from + 1..=31 {
                    let all = right[from as usize..to as usize].iter().all(|right| *right);
                    assert_eq!(checked.holds(from, to), all, "{order}: {from} to {to} of {checked:?}");
                }
            }
        }
    }

    #[test]
    fn readers_that_jump_take_bounded_memory_and_the_newest_is_kept() {
        let mut checked = Checked::default();
        for n in 0..1000 {
            let from = n * 577 % 1000 * 10;
            checked.add(from, from + 5);
            assert!(checked.holds(from, from + 5) && checked.spans.len() <= MAX_SPANS);
        }
    }
}
