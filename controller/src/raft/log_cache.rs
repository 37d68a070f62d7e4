//! The end of the log in memory: what is not durable yet, and some of what is.
//!
//! Place: [`super::LogStore`] puts entries in before it queues them, so that they can be read at once; replication and
//! apply nearly always find what they need here and never touch the disk.
//!
//! 1. The cache is a suffix of the log without a hole.
//! 2. An entry that is not durable is never evicted; so what is not here is on the disk.

use std::{collections::BTreeMap, ops::Range};

use super::types::Entry;

/// Durable entries that are kept.
const KEEP_ENTRIES: usize = 1_024;
/// Bytes of encoded entries that are kept.
const KEEP_BYTES: usize = 4 << 20;

struct Cached {
    entry: Entry,
    bytes: usize,
}

/// Entries by index. `bytes` is the sum of their encoded sizes.
#[derive(Default)]
pub(super) struct LogCache {
    entries: BTreeMap<u64, Cached>,
    bytes: usize,
    /// Entries below this index are durable.
    durable_end: u64,
}

impl LogCache {
    /// Adds the entry at the log's end. `bytes` is its encoded size.
    pub(super) fn push(&mut self, index: u64, entry: Entry, bytes: usize) {
        if let Some((&last, _)) = self.entries.last_key_value() {
            assert!(index == last + 1, "entry {index} is appended after entry {last}: the log would have a hole");
        }
        self.bytes += bytes;
        self.entries.insert(index, Cached { entry, bytes });
    }

    /// Entries below `end` are durable now; the oldest of them may go.
    pub(super) fn durable(&mut self, end: u64) {
        self.durable_end = self.durable_end.max(end);
        while self.entries.len() > KEEP_ENTRIES || self.bytes > KEEP_BYTES {
            match self.entries.first_entry() {
                Some(first) if *first.key() < self.durable_end => self.bytes -= first.remove().bytes,
                _ => break,
            }
        }
    }

    /// Entries at or above `from` are cut off.
    pub(super) fn truncate(&mut self, from: u64) {
        for (_, cached) in self.entries.split_off(&from) {
            self.bytes -= cached.bytes;
        }
        self.durable_end = self.durable_end.min(from);
    }

    /// Entries at or below `up_to` are purged.
    pub(super) fn purge(&mut self, up_to: u64) {
        let kept = self.entries.split_off(&up_to.saturating_add(1));
        for (_, cached) in std::mem::replace(&mut self.entries, kept) {
            self.bytes -= cached.bytes;
        }
    }

    /// The last entry, if any entry is here.
    pub(super) fn last(&self) -> Option<&Entry> {
        self.entries.last_key_value().map(|(_, cached)| &cached.entry)
    }

    /// What of `range` is here, up to `max_bytes` (one entry at least), and the part before it that is on the disk.
    pub(super) fn read(&self, range: Range<u64>, max_bytes: usize) -> (Range<u64>, Vec<Entry>) {
        let first = self.entries.first_key_value().map_or(u64::MAX, |(&first, _)| first);
        let on_disk = range.start..first.min(range.end).max(range.start);
        let mut entries = Vec::new();
        let mut bytes = 0;
        for cached in self.entries.range(range.start..range.end.max(range.start)).map(|(_, cached)| cached) {
            bytes += cached.bytes;
            if bytes > max_bytes && !entries.is_empty() {
                break;
            }
            entries.push(cached.entry.clone());
        }
        (on_disk, entries)
    }
}

#[cfg(test)]
mod tests {
    use openraft::{entry::RaftEntry, testing::log_id};

    use super::*;

    fn filled(to: u64, bytes: usize) -> LogCache {
        let mut cache = LogCache::default();
        for index in 0..to {
            let entry = Entry::new_blank(log_id::<crate::raft::types::TypeConfig>(1, 1, index));
            cache.push(index, entry, bytes);
        }
        cache
    }

    #[test]
    fn only_durable_entries_go() {
        let mut cache = filled(2_000, 1);
        cache.durable(0);
        assert_eq!(cache.read(0..2_000, usize::MAX).1.len(), 2_000, "nothing is durable");
        cache.durable(500);
        assert_eq!(cache.read(0..2_000, usize::MAX), (0..500, filled(2_000, 1).read(500..2_000, usize::MAX).1));
        cache.durable(2_000);
        assert_eq!(cache.read(0..2_000, usize::MAX).0, 0..2_000 - 1_024);
    }

    #[test]
    fn cuts_at_both_ends() {
        let mut cache = filled(10, 1);
        cache.truncate(8);
        cache.purge(2);
        let (on_disk, entries) = cache.read(0..10, usize::MAX);
        assert_eq!((on_disk, entries.len()), (0..3, 5));
        assert_eq!(cache.bytes, 5);
        assert_eq!(cache.read(20..30, usize::MAX), (20..20, vec![]), "after a cut nothing lies beyond the cache");
        cache.push(8, Entry::new_blank(log_id::<crate::raft::types::TypeConfig>(2, 1, 8)), 1);
        assert_eq!(cache.read(3..9, 2).1.len(), 2, "bounded in bytes");
    }
}
