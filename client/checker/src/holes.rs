//! Numbers that may be absent, as ranges. Pure.

use std::ops::Range;

/// Numbers, as text and back: `3,7-9`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holes(pub(crate) Vec<Range<u64>>);

impl Holes {
    /// Notes a number. Numbers come in growing order; one that does not is kept apart, which costs only space.
    pub fn push(&mut self, number: u64) {
        match self.0.last_mut() {
            Some(range) if range.end == number => range.end += 1,
            _ => self.0.push(number..number + 1),
        }
    }

    /// Number of ranges, by which the memory and the text of the holes grow.
    pub fn ranges(&self) -> usize {
        self.0.len()
    }

    /// As the value of an end marker.
    pub fn to_text(&self) -> String {
        let text = |range: &Range<u64>| match range.end - range.start {
            1 => range.start.to_string(),
            _ => format!("{}-{}", range.start, range.end - 1),
        };
        self.0.iter().map(text).collect::<Vec<_>>().join(",")
    }

    /// From the value of an end marker; `None` if it is none of ours.
    pub fn from_text(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.parse::<u64>().ok()?..last.parse::<u64>().ok()?.checked_add(1)?)
        };
        text.split(',').filter(|part| !part.is_empty()).map(range).collect::<Option<_>>().map(Self)
    }

    /// These numbers and those of `other`.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The numbers in growing order, each once. As text may hold them, ranges are empty, overlap and follow in any order.
    pub(crate) fn in_order(mut self) -> Vec<Range<u64>> {
        self.0.retain(|range| range.start < range.end);
        self.0.sort_unstable_by_key(|range| range.start);
        let mut merged: Vec<Range<u64>> = Vec::new();
        for range in self.0 {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        merged
    }
}

/// What is left of the ranges without the excuses. Both are in growing order and do not overlap. Whole ranges at a time:
/// what stands in a record says how long they are.
pub(crate) fn without(ranges: impl IntoIterator<Item = Range<u64>>, excuses: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut left = Vec::new();
    let mut next = 0;
    for Range { mut start, end } in ranges {
        next += excuses[next..].iter().take_while(|excuse| excuse.end <= start).count();
        for excuse in excuses[next..].iter().take_while(|excuse| excuse.start < end) {
            if start < excuse.start {
                left.push(start..excuse.start);
            }
            start = start.max(excuse.end);
        }
        if start < end {
            left.push(start..end);
        }
    }
    left
}

pub(crate) fn count<'a>(ranges: impl IntoIterator<Item = &'a Range<u64>>) -> u64 {
    ranges.into_iter().fold(0, |sum, range| sum.saturating_add(range.end - range.start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_survive_their_text() {
        let mut holes = Holes::default();
        for number in [3, 7, 8, 9] {
            holes.push(number);
        }
        assert_eq!((holes.to_text().as_str(), holes.ranges()), ("3,7-9", 2));
        assert_eq!(Holes::from_text(b"3,7-9"), Some(holes));
        assert_eq!(Holes::from_text(b""), Some(Holes::default()));
        assert_eq!(Holes::from_text(b"x"), None);
        assert_eq!(Holes::from_text(b"1-18446744073709551615"), None);
    }
}
