//! Checks records by themselves, without an account of what was acknowledged.
//!
//! Each run of a load numbers the records of each of its keys from 0 on, and ends every key with an end marker: a
//! record that has the next number and says which numbers may be absent, because they were refused or are in doubt. So
//! a reader that reads the topic later, perhaps on another machine, knows what must be there. Pure: no IO, no clock.
//!
//! 1. **lost**: a number below the end marker that is nowhere and not excused.
//! 2. **duplicated**: a number read again. 3. **reordered**: a number read after a later one.
//! 4. **unfinished**: a key without an end marker. Its run was killed, or its end is lost: nobody can tell.

use std::{collections::BTreeMap, ops::Range};

/// Name of the header that makes a record its key's end marker. Its value names the numbers that may be absent.
pub const LAST_HEADER: &str = "last";

/// Name of the header of an end marker that says of which of its producer's keys, `PREFIX/0` and so on, something was
/// acknowledged. So a key of which nothing is left is missed too.
pub const KEYS_HEADER: &str = "keys";

/// Most keys of one producer that are looked for, as many as a topic has partitions.
const KEYS_MAX: usize = 10_000;

/// How many findings are told in words.
const EXAMPLES_MAX: usize = 10;

/// Numbers, as text and back: `3,7-9`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holes(Vec<Range<u64>>);

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

    /// The numbers in growing order, each once. As text may hold them, ranges are empty, overlap and follow in any order.
    fn in_order(mut self) -> Vec<Range<u64>> {
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
fn without(ranges: impl IntoIterator<Item = Range<u64>>, excuses: &[Range<u64>]) -> Vec<Range<u64>> {
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

fn count<'a>(ranges: impl IntoIterator<Item = &'a Range<u64>>) -> u64 {
    ranges.into_iter().fold(0, |sum, range| sum.saturating_add(range.end - range.start))
}

#[derive(Debug, Default)]
struct Key {
    /// The number that comes next.
    next: u64,
    /// Numbers that were passed over, by their first.
    missing: BTreeMap<u64, u64>,
    last: Option<Holes>,
}

impl Key {
    /// True if the number was passed over; it no longer is then.
    fn fill(&mut self, number: u64) -> bool {
        let Some((&first, &end)) = self.missing.range(..=number).next_back() else { return false };
        if number >= end {
            return false;
        }
        self.missing.remove(&first);
        if first < number {
            self.missing.insert(first, number);
        }
        if number + 1 < end {
            self.missing.insert(number + 1, end);
        }
        true
    }
}

/// Takes records in the order in which they are read.
#[derive(Debug, Default)]
pub struct Sequences {
    keys: BTreeMap<Vec<u8>, Key>,
    /// Which keys that begin so are there, by what end markers say.
    announced: BTreeMap<Vec<u8>, Holes>,
    tally: Tally,
}

/// What was found, in records.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Distinct keys among the records read.
    pub keys: u64,
    /// Records read, end markers included.
    pub read: u64,
    /// Numbers that are nowhere and must be somewhere.
    pub lost: u64,
    /// Read once too often.
    pub duplicated: u64,
    /// Read after a later one of their key.
    pub reordered: u64,
    /// Keys without an end marker.
    pub unfinished: u64,
    /// Numbers that were refused or in doubt, and are absent.
    pub excused: u64,
    /// The first findings, in words.
    pub examples: Vec<String>,
}

impl Tally {
    /// True if all that must be there is there, once and in order. Says nothing of unfinished keys.
    pub fn is_clean(&self) -> bool {
        [self.lost, self.duplicated, self.reordered] == [0; 3]
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text());
        }
    }
}

impl Sequences {
    /// Notes a record: its key, its number, and the excuses if it is an end marker.
    pub fn read(&mut self, key: &[u8], number: u64, last: Option<Holes>) {
        self.tally.read += 1;
        // Looked up first: a key is copied once and not with every record.
        if !self.keys.contains_key(key) {
            self.keys.insert(key.to_vec(), Key::default());
        }
        let Some(state) = self.keys.get_mut(key) else { return };
        if number >= state.next {
            if number > state.next {
                state.missing.insert(state.next, number);
            }
            state.next = number.saturating_add(1);
        } else {
            let name = String::from_utf8_lossy(key);
            if state.fill(number) {
                self.tally.reordered += 1;
                self.tally.example(|| format!("reordered: {name} number {number} comes after a later one"));
            } else {
                self.tally.duplicated += 1;
                self.tally.example(|| format!("duplicated: {name} number {number} was read before"));
            }
        }
        if last.is_some() {
            state.last = last;
        }
    }

    /// Notes which keys the producer of this one has, as the value of an end marker's header says.
    pub fn announce(&mut self, key: &[u8], indices: &[u8]) {
        let Some(slash) = key.iter().rposition(|byte| *byte == b'/') else { return };
        if let Some(indices) = Holes::from_text(indices) {
            self.announced.insert(key[..=slash].to_vec(), indices);
        }
    }

    /// Judges what was read.
    pub fn finish(self) -> Tally {
        let mut tally = self.tally;
        for (prefix, indices) in self.announced {
            for index in indices.0.into_iter().flatten().take(KEYS_MAX) {
                let key = [&prefix[..], index.to_string().as_bytes()].concat();
                if !self.keys.contains_key(&key) {
                    tally.lost += 1;
                    tally.example(|| format!("lost: {} has not even its end marker", String::from_utf8_lossy(&key)));
                }
            }
        }
        tally.keys = self.keys.len() as u64;
        for (name, key) in self.keys {
            let name = String::from_utf8_lossy(&name).into_owned();
            if key.last.is_none() {
                tally.unfinished += 1;
                tally.example(|| format!("unfinished: {name} ends at number {} without an end marker", key.next - 1));
            }
            let excuses = key.last.unwrap_or_default().in_order();
            let missing: Vec<_> = key.missing.into_iter().map(|(first, end)| first..end).collect();
            let lost = without(missing.iter().cloned(), &excuses);
            tally.excused = tally.excused.saturating_add(count(&missing) - count(&lost));
            tally.lost = tally.lost.saturating_add(count(&lost));
            for number in lost.into_iter().flatten().take(EXAMPLES_MAX) {
                tally.example(|| format!("lost: {name} number {number} is nowhere"));
            }
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(numbers: &[u64], last: Option<(u64, &str)>) -> Tally {
        let mut sequences = Sequences::default();
        for number in numbers {
            sequences.read(b"k", *number, None);
        }
        if let Some((number, text)) = last {
            sequences.read(b"k", number, Holes::from_text(text.as_bytes()));
        }
        sequences.finish()
    }

    #[track_caller]
    fn check(numbers: &[u64], last: Option<(u64, &str)>, counts: [u64; 5]) {
        let tally = tally(numbers, last);
        let found = [tally.lost, tally.duplicated, tally.reordered, tally.unfinished, tally.excused];
        assert_eq!(found, counts, "{tally:?}");
    }

    #[test]
    fn dense_sequences_with_an_end_marker_are_clean() {
        check(&[0, 1, 2], Some((3, "")), [0; 5]);
        check(&[], Some((0, "")), [0; 5]);
        assert!(tally(&[0], Some((1, ""))).is_clean());
    }

    #[test]
    fn holes_are_losses_unless_excused() {
        check(&[0, 3], Some((4, "")), [2, 0, 0, 0, 0]);
        check(&[0, 3], Some((4, "1-2")), [0, 0, 0, 0, 2]);
        check(&[0, 1], Some((5, "2,3")), [1, 0, 0, 0, 2]);
        check(&[1], Some((2, "")), [1, 0, 0, 0, 0]);
        check(&[0, 1], Some((2, "1")), [0; 5]);
        check(&[0, 9], Some((10, "7-8,2-3,8,5-4,3")), [4, 0, 0, 0, 4]);
        check(&[0, 3, 6], Some((7, "0-4")), [1, 0, 0, 0, 3]);
    }

    #[test]
    fn a_number_of_any_size_is_judged_at_once() {
        let most = u64::MAX - 1;
        check(&[most], None, [most, 0, 0, 1, 0]);
        check(&[most], Some((u64::MAX, "1-18446744073709551614")), [1, 0, 0, 0, most - 1]);
        let mut sequences = Sequences::default();
        sequences.read(b"a", most, None);
        sequences.read(b"b", most, None);
        let tally = sequences.finish();
        assert_eq!((tally.lost, tally.examples.len()), (u64::MAX, EXAMPLES_MAX), "{tally:?}");
        assert!(!Tally { duplicated: 1, ..tally }.is_clean());
    }

    #[test]
    fn a_lost_tail_takes_the_end_marker_with_it() {
        check(&[0, 1], None, [0, 0, 0, 1, 0]);
    }

    #[test]
    fn a_key_of_which_nothing_is_left_is_lost() {
        let mut sequences = Sequences::default();
        for key in [&b"audit/run/0/0"[..], b"audit/run/0/2"] {
            sequences.read(key, 0, Some(Holes::default()));
            sequences.announce(key, b"0-3");
        }
        sequences.announce(b"audit/run/0/0", b"x");
        let tally = sequences.finish();
        assert_eq!((tally.keys, tally.lost), (2, 2), "{tally:?}");
        assert!(tally.examples[0].contains("audit/run/0/1"), "{tally:?}");
    }

    #[test]
    fn a_second_time_is_a_duplicate_and_a_late_one_is_out_of_order() {
        check(&[0, 1, 1], Some((2, "")), [0, 1, 0, 0, 0]);
        check(&[0, 2, 1], Some((3, "")), [0, 0, 1, 0, 0]);
        check(&[0, 4, 2, 2], Some((5, "")), [2, 1, 1, 0, 0]);
        check(&[0, 1], Some((1, "")), [0, 1, 0, 0, 0]);
    }

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
