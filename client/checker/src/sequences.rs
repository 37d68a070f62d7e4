//! Checks records by themselves, without an account of what was acknowledged.
//!
//! Each run of a load numbers the records of each of its keys from 0 on, and ends every key with an end marker: a
//! record that has the next number and says which numbers may be absent, because they were refused or are in doubt. On
//! the way its keys state of each other how far they reach (see [`crate::statements`]). So a reader that reads the topic
//! later, perhaps on another machine, knows what must be there. Pure: no IO, no clock.
//!
//! 1. **lost**: a number that an end marker or a statement vouches for, nowhere and not excused.
//! 2. **duplicated**: a number read again. 3. **reordered**: a number read after a later one.
//! 4. **unfinished**: a key without an end marker. Its run was killed, or its end is lost: nobody can tell, beyond what
//!    statements say.
//! 5. **cut**: a partition that ends below an offset that was stated of it.
//! 6. **unvouched**: a partition of which nothing says what must be there.
//! 7. **expired**: a number that retention removed, see [`crate::retention`]. No loss.
//! 8. **given up**: a number that an operator gave up with a recovery, see [`crate::given_up`]. Lost, and counted apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use crate::{
    given_up::{GivenUp, Recoveries},
    holes::{Holes, count, without},
    retention::{Expired, Starts},
    statements::{Held, Statements},
    text::counted,
};

/// Name of the header that makes a record its key's end marker. Its value names the numbers that may be absent.
pub const LAST_HEADER: &str = "last";

/// Name of the header of an end marker that says of which of its producer's keys, `PREFIX/0` and so on, something was
/// acknowledged. So a key of which nothing is left is missed too.
pub const KEYS_HEADER: &str = "keys";

/// Most keys of one producer that are looked for, as many as a topic has partitions.
const KEYS_MAX: usize = 10_000;

/// How many findings are told in words.
const EXAMPLES_MAX: usize = 10;

/// Numbers that were passed over.
#[derive(Clone, Copy, Debug)]
struct Gap {
    /// The first number behind them.
    end: u64,
    /// Where that one stood.
    before: Place,
    /// Offset of the record of the key that was met before them.
    after: Option<u64>,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Index of its partition in the topic.
    pub partition: u32,
    /// Offset of the record there.
    pub offset: u64,
}

#[derive(Debug, Default)]
struct Key {
    /// The number that comes next.
    next: u64,
    /// Numbers that were passed over, by their first.
    missing: BTreeMap<u64, Gap>,
    last: Option<Holes>,
    /// Offset of the record that was met last.
    offset: Option<u64>,
}

impl Key {
    /// True if the number was passed over; it no longer is then.
    fn fill(&mut self, number: u64) -> bool {
        let Some((&first, &gap)) = self.missing.range(..=number).next_back() else { return false };
        if number >= gap.end {
            return false;
        }
        self.missing.remove(&first);
        if first < number {
            self.missing.insert(first, Gap { end: number, ..gap });
        }
        if number + 1 < gap.end {
            self.missing.insert(number + 1, gap);
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
    statements: Statements,
    /// The offset that comes next in each partition of which something was read.
    reached: BTreeMap<u32, u64>,
    starts: Starts,
    recoveries: Recoveries,
    tally: Tally,
}

/// A partition that ends too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Cut {
    /// Index of the partition in the topic.
    pub partition: u32,
    /// The first offset that is not there.
    pub from: u64,
    /// The last offset of which it was stated that it is there.
    pub to: u64,
}

/// What was found, in records.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Distinct keys among the records read.
    pub keys: u64,
    /// Records read, end markers and statements included.
    pub read: u64,
    /// Numbers that are nowhere and must be somewhere.
    pub lost: u64,
    /// Numbers that are nowhere, for an operator gave them up.
    pub given_up: u64,
    /// Read once too often.
    pub duplicated: u64,
    /// Read after a later one of their key.
    pub reordered: u64,
    /// Keys without an end marker.
    pub unfinished: u64,
    /// Numbers that were refused or in doubt, and are absent.
    pub excused: u64,
    /// Numbers that retention removed: they are not compared.
    pub expired: u64,
    /// Partitions that end below an offset that was stated of them.
    pub cut: Vec<Cut>,
    /// Partitions of which nothing says what must be there.
    pub unvouched: Vec<u32>,
    /// The first findings, in words.
    pub examples: Vec<String>,
    /// The first numbers that were given up, in words.
    pub given_up_examples: Vec<String>,
}

impl Tally {
    /// True if all that must be there is there, once and in order. Says nothing of unfinished keys, of partitions that nothing
    /// vouches for, and of what operators gave up.
    pub fn is_clean(&self) -> bool {
        [self.lost, self.duplicated, self.reordered] == [0; 3] && self.cut.is_empty()
    }

    fn given_up(&mut self, count: u64, what: impl FnOnce() -> String) {
        self.given_up = self.given_up.saturating_add(count);
        if self.given_up_examples.len() < EXAMPLES_MAX {
            self.given_up_examples.push(format!("given up: {}, {}", counted(count, "record"), what()));
        }
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text());
        }
    }
}

impl Sequences {
    /// Notes a record: its key, where it stands, its number, and the excuses if it is an end marker.
    pub fn read(&mut self, key: &[u8], place: Place, number: u64, last: Option<Holes>) {
        self.tally.read += 1;
        // Looked up first: a key is copied once and not with every record.
        if !self.keys.contains_key(key) {
            self.keys.insert(key.to_vec(), Key::default());
        }
        let Some(state) = self.keys.get_mut(key) else { return };
        if number >= state.next {
            if number > state.next {
                let after = state.offset;
                state.missing.insert(state.next, Gap { end: number, before: place, after });
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
        state.offset = state.offset.max(Some(place.offset));
    }

    /// Notes that a partition was read up to this offset, which is not read yet, and the one before it last.
    pub fn reached(&mut self, partition: u32, next: u64) {
        self.starts.met(partition, next.saturating_sub(1), self.reached.get(&partition).copied());
        let reached = self.reached.entry(partition).or_default();
        *reached = next.max(*reached);
    }

    /// Notes that a partition begins at this offset once it was read, where its topic's settings let retention move it.
    pub fn begins(&mut self, partition: u32, log_start: u64) {
        self.starts.begins(partition, log_start);
    }

    /// Notes what an operator gave up of a partition.
    pub fn gave_up(&mut self, partition: u32, given_up: GivenUp) {
        self.recoveries.add(partition, given_up);
    }

    /// Notes which keys the producer of this one has, as the value of an end marker's header says.
    pub fn announce(&mut self, key: &[u8], indices: &[u8]) {
        let Some(slash) = key.iter().rposition(|byte| *byte == b'/') else { return };
        if let Some(indices) = Holes::from_text(indices) {
            self.announced.insert(key[..=slash].to_vec(), indices);
        }
    }

    /// Notes what a record with this key states of other keys of its producer.
    pub fn state(&mut self, key: &[u8], text: &[u8]) {
        self.statements.take(key, text);
    }

    /// Judges what was read of a topic with so many partitions.
    pub fn finish(self, partitions: u32) -> Tally {
        let Self { mut keys, announced, statements, reached, starts, mut recoveries, mut tally } = self;
        let (stated, offsets) = statements.into_parts();
        tally.keys = keys.len() as u64;
        let vouched = vouched(&keys, &announced, &stated);
        tally.unvouched = (0..partitions).filter(|partition| !vouched.contains(partition)).collect();
        cut(&mut tally, &offsets, &reached, &starts, &recoveries);
        for (prefix, indices) in announced {
            for index in indices.in_order().into_iter().flatten().take(KEYS_MAX) {
                let key = [&prefix[..], index.to_string().as_bytes()].concat();
                let is_expired = u32::try_from(index).is_ok_and(|partition| starts.of(partition).is_some());
                if !keys.contains_key(&key) && !stated.contains_key(&key) && !is_expired {
                    let name = || format!("{} with its end marker", String::from_utf8_lossy(&key));
                    if u32::try_from(index).is_ok_and(|partition| recoveries.whole(partition, 1) == 1) {
                        tally.given_up(1, name);
                        continue;
                    }
                    tally.lost += 1;
                    tally.example(|| format!("lost: {} has not even its end marker", String::from_utf8_lossy(&key)));
                }
            }
        }
        for key in stated.keys() {
            if !keys.contains_key(key) {
                keys.insert(key.clone(), Key::default());
            }
        }
        for (name, key) in keys {
            let (stated, expired) = (stated.get(&name), index(&name).and_then(|partition| starts.of(partition)));
            judge(&mut tally, &String::from_utf8_lossy(&name), key, stated, expired, &mut recoveries);
        }
        tally
    }
}

/// The partition of a key.
fn index(name: &[u8]) -> Option<u32> {
    std::str::from_utf8(name.rsplit(|byte| *byte == b'/').next()?).ok()?.parse().ok()
}

/// The partitions of which something says what must be there.
fn vouched(
    keys: &BTreeMap<Vec<u8>, Key>,
    announced: &BTreeMap<Vec<u8>, Holes>,
    stated: &BTreeMap<Vec<u8>, Held>,
) -> BTreeSet<u32> {
    let ended = keys.iter().filter(|(_, key)| key.last.is_some()).filter_map(|(name, _)| index(name));
    let announced = announced.values().flat_map(|indices| indices.clone().in_order().into_iter().flatten());
    let announced = announced.take(KEYS_MAX).filter_map(|index| u32::try_from(index).ok());
    ended.chain(stated.keys().filter_map(|name| index(name))).chain(announced).collect()
}

/// Finds the partitions that end below an offset that was stated of them.
fn cut(
    tally: &mut Tally,
    offsets: &BTreeMap<u32, u64>,
    reached: &BTreeMap<u32, u64>,
    starts: &Starts,
    recoveries: &Recoveries,
) {
    for (&partition, &to) in offsets {
        let log_start = starts.of(partition).map_or(0, Expired::log_start);
        let from = reached.get(&partition).copied().unwrap_or(0).max(log_start);
        if from <= to && !recoveries.is_cut(partition, from, to) {
            tally.cut.push(Cut { partition, from, to });
            let holds = if from == 0 { "holds nothing".to_owned() } else { format!("ends at offset {from}") };
            tally.example(|| {
                format!("lost: partition {partition} {holds}, and others say that offset {to} was acknowledged there")
            });
        }
    }
}

fn judge(
    tally: &mut Tally,
    name: &str,
    key: Key,
    stated: Option<&Held>,
    expired: Option<Expired>,
    recoveries: &mut Recoveries,
) {
    let partition = index(name.as_bytes());
    let last_stated = stated.map(|held| held.offset).unwrap_or_default();
    let Key { next, missing, last, offset } = key;
    let mut tail = stated.filter(|held| held.next > next);
    let expired_tail = tail.zip(expired).filter(|(held, expired)| expired.covers_all(offset, held.offset));
    if let Some((held, _)) = expired_tail {
        tally.expired = tally.expired.saturating_add(held.next - next);
        tail = None;
    }
    // Of a key of which everything expired the end marker is gone too.
    let is_gone = offset.is_none() && expired_tail.is_some();
    if last.is_none() && !is_gone {
        tally.unfinished += 1;
        let known = if stated.is_some() { "" } else { ", and nothing says how far it must reach" };
        tally.example(|| format!("unfinished: {name} has no end marker; its next number is {next}{known}"));
    }
    let holes = stated.map(|held| held.holes.clone()).unwrap_or_default();
    let excuses = last.unwrap_or_default().and(holes).in_order();
    let tail = tail.map(|held| (next..held.next, None));
    let gaps = missing.into_iter().map(|(first, gap)| (first..gap.end, Some(gap)));
    for (range, gap) in gaps.chain(tail) {
        let behind = excuses.partition_point(|excuse| excuse.end <= range.start);
        let lost = without([range.clone()], &excuses[behind..]);
        tally.excused = tally.excused.saturating_add(count([&range]) - count(&lost));
        if gap.zip(expired).is_some_and(|(gap, expired)| expired.covers(gap.after, gap.before.offset)) {
            tally.expired = tally.expired.saturating_add(count(&lost));
            continue;
        }
        let missing = count(&lost);
        let given_up = partition.map_or(0, |partition| match gap {
            Some(gap) => recoveries.between(partition, gap.after, gap.before.offset, missing),
            None => recoveries.at_the_end(partition, offset, last_stated, missing),
        });
        if given_up > 0 {
            let numbers = || format!("{name} {}", nowhere(&range, gap.map(|gap| gap.before)));
            tally.given_up(given_up, numbers);
        }
        if given_up == missing {
            continue;
        }
        tally.lost = tally.lost.saturating_add(missing - given_up);
        for lost in lost.into_iter().take(EXAMPLES_MAX) {
            tally.example(|| format!("lost: {name} {}", nowhere(&lost, gap.map(|gap| gap.before))));
        }
    }
}

fn nowhere(numbers: &Range<u64>, before: Option<Place>) -> String {
    let Range { start, end } = numbers;
    let which = match end - start {
        1 => format!("number {start} is nowhere"),
        _ => format!("numbers {start} to {} are nowhere", end - 1),
    };
    match before {
        Some(Place { partition, offset }) => format!("{which}, before offset {offset} of partition {partition}"),
        None => which,
    }
}

#[cfg(test)]
#[path = "sequences_tests.rs"]
mod tests;
