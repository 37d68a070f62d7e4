//! How many bytes each entry of the log has on the disk, so that the log can be bounded by its bytes. Pure.
//!
//! The sizes are those of a log without a hole: an index follows the one before it. One that does not was written behind
//! a snapshot that was installed, and what came before is about to be purged. Four bytes an entry.

use std::collections::VecDeque;

/// Sizes by index, in bytes.
#[derive(Debug, Default)]
pub(super) struct LogSizes {
    /// Index of the first entry; without meaning while there is none.
    first: u64,
    sizes: VecDeque<u32>,
}

impl LogSizes {
    /// True if there is no entry.
    pub(super) fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// Adds the entry at the log's end.
    pub(super) fn push(&mut self, index: u64, bytes: usize) {
        if self.sizes.is_empty() || index != self.first + self.sizes.len() as u64 {
            self.sizes.clear();
            self.first = index;
        }
        self.sizes.push_back(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Entries at or above `from` are cut off.
    pub(super) fn truncate(&mut self, from: u64) {
        self.sizes.truncate(self.position(from));
    }

    /// Entries at or below `up_to` are purged.
    pub(super) fn purge(&mut self, up_to: u64) {
        let gone = self.position(up_to.saturating_add(1));
        self.sizes.drain(..gone);
        self.first += gone as u64;
    }

    /// Bytes of the entries above `after`, up to `last` included.
    pub(super) fn between(&self, after: Option<u64>, last: u64) -> u64 {
        let from = after.map_or(0, |after| self.position(after.saturating_add(1)));
        let to = self.position(last.saturating_add(1)).max(from);
        self.sizes.range(from..to).map(|bytes| u64::from(*bytes)).sum()
    }

    /// The last entry to go so that those behind it, up to `last` included, have at most `keep` bytes; `None` if none
    /// has to go.
    pub(super) fn cut(&self, last: u64, keep: u64) -> Option<u64> {
        let mut kept = 0;
        let held = self.sizes.range(..self.position(last.saturating_add(1))).enumerate().rev();
        for (place, bytes) in held {
            kept += u64::from(*bytes);
            if kept > keep {
                return Some(self.first + place as u64);
            }
        }
        None
    }

    /// Where the entry of this index stands, or would stand.
    fn position(&self, index: u64) -> usize {
        index.saturating_sub(self.first).min(self.sizes.len() as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes() -> LogSizes {
        let mut sizes = LogSizes::default();
        for index in 10..20 {
            sizes.push(index, 100);
        }
        sizes
    }

    #[test]
    fn bytes_are_counted_between_two_entries() {
        let mut sizes = sizes();
        assert_eq!(
            (sizes.between(None, 19), sizes.between(Some(9), 19), sizes.between(Some(17), 19)),
            (1_000, 1_000, 200)
        );
        assert_eq!((sizes.between(Some(19), 19), sizes.between(Some(25), 19), sizes.between(None, 3)), (0, 0, 0));
        sizes.truncate(15);
        sizes.push(15, 7);
        sizes.purge(11);
        assert_eq!((sizes.between(None, 15), sizes.between(Some(14), 15)), (307, 7));
        sizes.purge(40);
        sizes.push(50, 1);
        assert_eq!(sizes.between(None, u64::MAX), 1, "a log that was replaced by a snapshot begins behind it");
    }

    #[test]
    fn what_goes_leaves_no_more_than_is_to_be_kept() {
        let sizes = sizes();
        assert_eq!(sizes.cut(19, 1_000), None);
        assert_eq!(sizes.cut(19, 999), Some(10));
        assert_eq!(sizes.cut(19, 250), Some(17));
        assert_eq!(sizes.cut(19, 0), Some(19));
        assert_eq!(sizes.cut(14, 100), Some(13), "what stands behind the last one does not count");
        assert_eq!(LogSizes::default().cut(19, 0), None);
    }
}
