//! What retention removed of a topic: the beginning of a partition, which is no loss.
//!
//! A partition begins at its log start offset. What lay below was removed, and nobody can compare it; what lies at or above it
//! must be there. So a number that is missing counts as **expired** only if its record can have lain below, and from the log
//! start offset on the partition was read without a hole. A partition that came back empty begins at 0: nothing of it expired.
//! Pure: no IO, no clock.

use std::collections::BTreeMap;

/// Where the partitions of a topic begin, and from where on they were read.
#[derive(Debug, Default)]
pub struct Starts {
    /// Log start offsets that retention moved, by partition.
    log_starts: BTreeMap<u32, u64>,
    /// From which offset on each partition was read without a hole.
    whole_from: BTreeMap<u32, u64>,
}

/// What expired of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The log start offset.
    log_start: u64,
    /// The first offset that was read behind what expired.
    read_from: u64,
}

impl Starts {
    /// Notes the log start offset of a partition, which retention may have moved.
    pub fn begins(&mut self, partition: u32, log_start: u64) {
        self.log_starts.insert(partition, log_start);
    }

    /// Notes a record at this offset, where `expected` would have been the next; `None` if it is the first of its partition.
    pub(crate) fn met(&mut self, partition: u32, offset: u64, expected: Option<u64>) {
        if expected.is_none_or(|expected| offset > expected) {
            self.whole_from.insert(partition, offset);
        }
    }

    /// What expired of this partition; `None` if nothing did, or if something behind it is missing too.
    pub(crate) fn of(&self, partition: u32) -> Option<Expired> {
        let log_start = self.log_starts.get(&partition).copied().filter(|offset| *offset > 0)?;
        let read_from = self.whole_from.get(&partition).copied().unwrap_or(log_start);
        (read_from <= log_start).then_some(Expired { log_start, read_from })
    }
}

impl Expired {
    /// True if records can have expired that lay behind the record at `after` (`None`: none of their key was met before) and
    /// before the record at `before`.
    pub(crate) fn covers(self, after: Option<u64>, before: u64) -> bool {
        after.is_none_or(|after| after < self.read_from) && before >= self.read_from
    }

    /// True if all records of a key behind that at `after` can have expired, of which the last lay at `last`.
    pub(crate) fn covers_all(self, after: Option<u64>, last: u64) -> bool {
        after.is_none_or(|after| after < self.read_from) && last < self.log_start
    }

    /// The first offset that is kept.
    pub(crate) fn log_start(self) -> u64 {
        self.log_start
    }
}
