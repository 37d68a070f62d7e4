//! The account of what a cluster acknowledged, and its comparison with what was read back.
//!
//! Place: the demo and the process tests keep an [`Account`] while they produce, turn it into an [`Audit`] when they
//! read, and get a [`Verdict`]. No IO, no clock.
//!
//! Each record has an identity of its own: a key, a sequence that grows with each record of that key, and a hash over
//! key, sequence and content ([`Record`]). So two equal lines of one file are still two records, and a record that
//! comes twice is told from two records that look alike.
//!
//! What counts as what:
//! 1. **lost**: acknowledged, and not read anywhere. An acknowledged record whose bytes changed is lost as well.
//! 2. **corrupted**: at the offset of a lost record stood something that nobody sent.
//! 3. **duplicated**: the same record read twice, or the same offset given twice.
//! 4. **reordered**: a record read after a later one of its key, or at another offset than the one acknowledged.
//! 5. **phantom**: a record that nobody sent, at an offset that nobody was promised.
//! 6. A record **in doubt** may be there or not, at most once, in its order.
//!
//! Memory: 8 bytes and a bit for each acknowledged record.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{DefaultHasher, Hasher},
};

/// How far beyond the largest offset so far an acknowledged offset is kept in the dense table. Farther ones, which only
/// a broken broker gives, go to a map: no answer can make the account take all of the memory.
const DENSE_GAP_MAX: usize = 1 << 24;

/// How many findings are told in words.
const EXAMPLES_MAX: usize = 10;

/// The identity of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Hash of the key.
    pub key: u64,
    /// Place among the records of this key; grows with each.
    pub sequence: u64,
    /// Hash over key, sequence and content; never 0.
    pub mark: u64,
}

impl Record {
    /// The identity of the record with this key, sequence and content.
    pub fn new(key: &[u8], sequence: u64, content: &[u8]) -> Self {
        let key = hash(&[key]);
        Self { key, sequence, mark: hash(&[&key.to_le_bytes(), &sequence.to_le_bytes(), content]).max(1) }
    }
}

/// A hash over several parts, the same in every process of one build.
fn hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for part in parts {
        hasher.write(part);
    }
    hasher.finish()
}

/// What one partition acknowledged.
#[derive(Clone, Debug, Default)]
struct Promises {
    /// Mark of the record acknowledged at each offset; 0 where none was.
    by_offset: Vec<u64>,
    /// Offsets far beyond the others.
    strays: BTreeMap<u64, u64>,
    /// Second promises for an offset that was given away already, as (offset, mark).
    clashes: Vec<(u64, u64)>,
}

impl Promises {
    fn get(&self, offset: u64) -> Option<u64> {
        let dense = usize::try_from(offset).ok().and_then(|at| self.by_offset.get(at)).copied();
        dense.filter(|mark| *mark != 0).or_else(|| self.strays.get(&offset).copied())
    }

    fn set(&mut self, offset: u64, mark: u64) {
        if self.get(offset).is_some() {
            self.clashes.push((offset, mark));
            return;
        }
        match usize::try_from(offset) {
            Ok(at) if at < self.by_offset.len() + DENSE_GAP_MAX => {
                if at >= self.by_offset.len() {
                    self.by_offset.resize(at + 1, 0);
                }
                self.by_offset[at] = mark;
            }
            _ => {
                self.strays.insert(offset, mark);
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let dense =
            self.by_offset.iter().enumerate().map(|(at, mark)| (at as u64, *mark)).filter(|(_, mark)| *mark != 0);
        dense.chain(self.strays.iter().map(|(offset, mark)| (*offset, *mark)))
    }
}

/// Everything that was acknowledged, by partition and offset, and everything in doubt.
#[derive(Clone, Debug, Default)]
pub struct Account {
    partitions: Vec<Promises>,
    /// Marks of records that were acknowledged without an offset.
    unplaced: Vec<u64>,
    acked: u64,
    in_doubt: Vec<u64>,
}

impl Account {
    /// An empty account of a topic with this many partitions.
    pub fn new(partition_count: u32) -> Self {
        Self { partitions: (0..partition_count).map(|_| Promises::default()).collect(), ..Self::default() }
    }

    /// Notes that the record was acknowledged at this offset.
    pub fn acknowledge(&mut self, partition: u32, offset: u64, record: Record) {
        let at = partition as usize;
        if at >= self.partitions.len() {
            self.partitions.resize_with(at + 1, Promises::default);
        }
        self.partitions[at].set(offset, record.mark);
        self.acked += 1;
    }

    /// Notes that the record was acknowledged, but not where: the broker remembers only that it has it.
    pub fn acknowledge_unplaced(&mut self, record: Record) {
        self.unplaced.push(record.mark);
        self.acked += 1;
    }

    /// Notes that the record may be in the log or not.
    pub fn in_doubt(&mut self, record: Record) {
        self.in_doubt.push(record.mark);
    }

    /// Takes in another account of the same topic, as one kept by another task.
    pub fn absorb(&mut self, other: Self) {
        for (at, promises) in other.partitions.into_iter().enumerate() {
            if at >= self.partitions.len() {
                self.partitions.resize_with(at + 1, Promises::default);
            }
            if self.partitions[at].by_offset.is_empty() && self.partitions[at].strays.is_empty() {
                self.partitions[at] = promises;
                continue;
            }
            for (offset, mark) in promises.iter().chain(promises.clashes.iter().copied()) {
                self.partitions[at].set(offset, mark);
            }
        }
        self.acked += other.acked;
        self.unplaced.extend(other.unplaced);
        self.in_doubt.extend(other.in_doubt);
    }

    /// How many records were acknowledged.
    pub fn acked(&self) -> u64 {
        self.acked
    }

    /// Ends the producing: from here on records are read back.
    pub fn audit(self) -> Audit {
        let found = self.partitions.iter().map(|promises| vec![false; promises.by_offset.len()]).collect();
        let next_offsets = vec![0; self.partitions.len()];
        Audit { account: self, found, next_offsets, last_sequences: HashMap::new(), suspects: Vec::new(), read: 0 }
    }
}

/// A record that was not exactly what the account promised at its offset, to be judged at the end.
#[derive(Debug)]
struct Suspect {
    partition: u32,
    offset: u64,
    mark: u64,
    /// It stood where it was promised; only its order is wrong.
    in_place: bool,
    /// The partition gave an offset that it had given before, or a smaller one.
    offset_again: bool,
    /// A later record of its key was read before.
    out_of_order: bool,
}

/// Takes the records as they are read, each partition in the order of its log.
#[derive(Debug)]
pub struct Audit {
    account: Account,
    found: Vec<Vec<bool>>,
    next_offsets: Vec<u64>,
    last_sequences: HashMap<u64, u64>,
    suspects: Vec<Suspect>,
    read: u64,
}

impl Audit {
    /// Notes one record that was read.
    pub fn read(&mut self, partition: u32, offset: u64, record: Record) {
        self.read += 1;
        let at = partition as usize;
        if at >= self.next_offsets.len() {
            self.next_offsets.resize(at + 1, 0);
        }
        let offset_again = offset < self.next_offsets[at];
        self.next_offsets[at] = self.next_offsets[at].max(offset.saturating_add(1));
        let out_of_order = self.last_sequences.get(&record.key).is_some_and(|last| record.sequence <= *last);
        if !out_of_order {
            self.last_sequences.insert(record.key, record.sequence);
        }
        let promised = self.account.partitions.get(at).and_then(|promises| promises.get(offset));
        let in_place = promised == Some(record.mark) && !offset_again;
        if in_place && let Some(found) = self.found.get_mut(at).and_then(|found| found.get_mut(offset as usize)) {
            *found = true;
        }
        let stray = in_place && self.account.partitions[at].strays.contains_key(&offset);
        if !in_place || out_of_order || stray {
            self.suspects.push(Suspect { partition, offset, mark: record.mark, in_place, offset_again, out_of_order });
        }
    }

    /// Judges what was read against what was acknowledged.
    pub fn finish(self) -> Verdict {
        let mut verdict = Verdict { acked: self.account.acked, read: self.read, ..Verdict::default() };
        verdict.in_doubt = self.account.in_doubt.len() as u64;

        // Marks still owed, with the place they were promised at.
        let mut owed: HashMap<u64, (u32, u64)> = HashMap::new();
        let mut found: HashSet<u64> = HashSet::new();
        let judge = !self.suspects.is_empty();
        for (partition, promises) in self.account.partitions.iter().enumerate() {
            for (offset, mark) in promises.iter() {
                if self.found[partition].get(offset as usize).copied().unwrap_or(false) {
                    if judge {
                        found.insert(mark);
                    }
                } else {
                    owed.insert(mark, (partition as u32, offset));
                }
            }
            owed.extend(promises.clashes.iter().map(|(offset, mark)| (*mark, (partition as u32, *offset))));
        }
        let mut unplaced: HashSet<u64> = self.account.unplaced.iter().copied().collect();
        let doubtful: HashSet<u64> = self.account.in_doubt.iter().copied().collect();

        // Places owed are asked for after `owed` has shrunk, so they are kept apart.
        let owed_places: HashSet<(u32, u64)> =
            if judge { owed.values().copied().collect() } else { HashSet::default() };
        for suspect in &self.suspects {
            let Suspect { partition, offset, mark, .. } = *suspect;
            let place = format!("partition {partition} offset {offset}");
            if suspect.in_place {
                owed.remove(&mark);
                found.insert(mark);
                if suspect.out_of_order {
                    verdict.reordered += 1;
                    verdict.example(format!("reordered: {place} comes after a later record of its key"));
                }
            } else if found.contains(&mark) || suspect.offset_again {
                verdict.duplicated += 1;
                verdict.example(format!("duplicated: the record at {place} was read before"));
            } else if let Some((owed_partition, owed_offset)) = owed.remove(&mark) {
                found.insert(mark);
                verdict.reordered += 1;
                verdict.example(format!(
                    "reordered: acknowledged at partition {owed_partition} offset {owed_offset}, read at {place}"
                ));
            } else if unplaced.remove(&mark) || doubtful.contains(&mark) {
                found.insert(mark);
                verdict.in_doubt_found += u64::from(doubtful.contains(&mark));
                if suspect.out_of_order {
                    verdict.reordered += 1;
                    verdict.example(format!("reordered: {place} comes after a later record of its key"));
                }
            } else if owed_places.contains(&(partition, offset)) {
                verdict.corrupted += 1;
                verdict.example(format!("corrupted: {place} holds what nobody sent"));
            } else {
                verdict.phantom += 1;
                verdict.example(format!("phantom: nobody sent what stands at {place}"));
            }
        }
        verdict.lost = (owed.len() + unplaced.len()) as u64;
        if !unplaced.is_empty() {
            verdict.example(format!("lost: {} records acknowledged without an offset are nowhere", unplaced.len()));
        }
        let mut lost: Vec<_> = owed.into_values().collect();
        lost.sort_unstable();
        for (partition, offset) in lost.into_iter().take(EXAMPLES_MAX) {
            verdict.example(format!("lost: partition {partition} offset {offset} was acknowledged and is not there"));
        }
        verdict
    }
}

/// The result of an audit, in records.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verdict {
    /// Records that the cluster acknowledged.
    pub acked: u64,
    /// Records that were read back, whatever was found of them.
    pub read: u64,
    /// Acknowledged and not read.
    pub lost: u64,
    /// Read once too often.
    pub duplicated: u64,
    /// Read out of their key's order, or at another offset than acknowledged.
    pub reordered: u64,
    /// Read at the offset of a lost record, and sent by nobody.
    pub corrupted: u64,
    /// Read, and sent by nobody.
    pub phantom: u64,
    /// Neither acknowledged nor refused.
    pub in_doubt: u64,
    /// Of those in doubt, the ones that were read.
    pub in_doubt_found: u64,
    /// The first findings, in words.
    pub examples: Vec<String>,
}

impl Verdict {
    /// True if every promise was kept.
    pub fn is_clean(&self) -> bool {
        self.lost + self.duplicated + self.reordered + self.corrupted + self.phantom == 0
    }

    fn example(&mut self, text: String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text);
        }
    }
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
