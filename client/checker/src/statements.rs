//! What must be in each partition, as records in other partitions state it.
//!
//! A check that only looks at what it finds passes over a partition that came back empty: its keys are simply not met. So
//! each key of a load writes, every so often and at its end, a **statement**: a record that says of the partitions behind
//! its own how far each was acknowledged, and at which offset. A partition that lost its end, or everything, is then
//! contradicted by up to [`NEIGHBOURS`] others, also if the run was killed before its end. Pure: no IO, no clock.
//!
//! As text, one entry a partition: `3:120@431` says that the numbers below 120 of the key of partition 3 were
//! acknowledged, the last at offset 431; `3:120@431/7-9` that 7 to 9 of them may be absent.

use std::collections::BTreeMap;

use crate::holes::Holes;

/// Name of the header that makes a record a statement.
pub const STATEMENT_HEADER: &str = "there";

/// Most partitions of which one statement tells: those behind its own, and again from the first.
pub const NEIGHBOURS: usize = 32;

/// How far one key was acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// All numbers below were acknowledged or are holes; 0 while none was acknowledged.
    pub next: u64,
    /// Offset of the record with the number before `next`.
    pub offset: u64,
    /// Numbers that were refused or are in doubt. Some may be `next` or above.
    pub holes: Holes,
}

impl Held {
    pub(crate) fn to_text(&self, partition: usize) -> String {
        let Self { next, offset, holes } = self;
        let holes = if holes.ranges() == 0 { String::new() } else { format!("/{}", holes.to_text()) };
        format!("{partition}:{next}@{offset}{holes}")
    }

    pub(crate) fn from_text(text: &str) -> Option<(u32, Self)> {
        let (partition, rest) = text.split_once(':')?;
        let (next, rest) = rest.split_once('@')?;
        let (offset, holes) = rest.split_once('/').unwrap_or((rest, ""));
        let holes = Holes::from_text(holes.as_bytes())?;
        Some((partition.parse().ok()?, Self { next: next.parse().ok()?, offset: offset.parse().ok()?, holes }))
    }
}

/// The statements that a reader met.
#[derive(Debug, Default)]
pub struct Statements {
    /// What was stated of each key; of two entries the one that reaches further.
    keys: BTreeMap<Vec<u8>, Held>,
    /// The highest offset that was stated of each partition.
    offsets: BTreeMap<u32, u64>,
}

impl Statements {
    /// Takes a statement that a record with this key makes. What is none of ours says nothing.
    pub fn take(&mut self, key: &[u8], text: &[u8]) {
        let Some(slash) = key.iter().rposition(|byte| *byte == b'/') else { return };
        let text = std::str::from_utf8(text).unwrap_or_default();
        for (partition, held) in text.split(';').take(NEIGHBOURS).filter_map(Held::from_text) {
            let offset = self.offsets.entry(partition).or_default();
            *offset = held.offset.max(*offset);
            let key = [&key[..=slash], partition.to_string().as_bytes()].concat();
            let known = self.keys.entry(key).or_default();
            if held.next > known.next {
                *known = held;
            }
        }
    }

    /// What was stated of each key.
    pub(crate) fn into_parts(self) -> (BTreeMap<Vec<u8>, Held>, BTreeMap<u32, u64>) {
        (self.keys, self.offsets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_statements_the_one_that_reaches_further_counts() {
        let mut statements = Statements::default();
        for text in ["1:5@9;2:1@70", "1:9@20/3", "1:7@15", "", "x", "1:y@2", ":::", "4294967296:1@1"] {
            statements.take(b"audit/run/0/0", text.as_bytes());
        }
        statements.take(b"no slash", b"3:1@1");
        statements.take(b"audit/other/0/0", b"1:2@30");
        let (keys, offsets) = statements.into_parts();
        let next: Vec<_> = keys.iter().map(|(key, held)| (String::from_utf8_lossy(key), held.next)).collect();
        let expected = [("audit/other/0/1", 2), ("audit/run/0/1", 9), ("audit/run/0/2", 1)];
        assert_eq!(next, expected.map(|(key, next)| (key.into(), next)));
        assert_eq!(keys[&b"audit/run/0/1"[..]].holes.to_text(), "3");
        assert_eq!(offsets, BTreeMap::from([(1, 30), (2, 70)]));
    }
}
