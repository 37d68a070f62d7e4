//! The changes of the last while, so that who was away for a moment needs nothing else. Pure.
//!
//! ```text
//!    before ──▶ delta ──▶ delta ──▶ … ──▶ delta (the present index)        each with the hash as of its index
//! ```
//!
//! 1. One index follows the other without a gap, up to that of the image.
//! 2. They have at most [`MAX_BYTES`] in memory: the oldest go first.

use std::{
    collections::VecDeque,
    mem::size_of,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;

use holdfast_metadata::{HistoryHash, PartitionState, Record};
use holdfast_metadata_wire::stream;
use holdfast_proto::ids::{BrokerId, MetadataIndex};

/// Bytes of changes that are kept: about 20,000 partitions that each changed once.
const MAX_BYTES: usize = 4 << 20;

/// The records of one index.
#[derive(Debug)]
pub struct Delta {
    /// Index of the log entry that they come from.
    pub index: MetadataIndex,
    /// Its records, applied together.
    pub records: Vec<Record>,
    /// The hash of all changes up to here, if there is one.
    pub history: Option<HistoryHash>,
    /// As brokers are told it; made when the first of them is.
    encoded: OnceLock<Bytes>,
}

impl Delta {
    /// The records of an index, and the hash as of it.
    pub(crate) fn new(index: MetadataIndex, records: Vec<Record>, history: Option<HistoryHash>) -> Self {
        Self { index, records, history, encoded: OnceLock::new() }
    }

    /// As brokers are told it. Made once: all sessions share the bytes.
    pub(crate) fn encoded(&self) -> Bytes {
        self.encoded.get_or_init(|| stream::delta(self.index, &self.records, self.history)).clone()
    }
}

/// The recent changes, as the module says.
#[derive(Debug)]
pub(crate) struct Recent {
    before: (MetadataIndex, Option<HistoryHash>),
    deltas: VecDeque<Arc<Delta>>,
    bytes: usize,
    max_bytes: usize,
}

impl Recent {
    /// None yet, after the state of an index.
    pub(crate) fn after(index: MetadataIndex, history: Option<HistoryHash>) -> Self {
        Self { before: (index, history), deltas: VecDeque::new(), bytes: 0, max_bytes: MAX_BYTES }
    }

    /// Adds the change of the next index.
    pub(crate) fn push(&mut self, delta: &Arc<Delta>) {
        let last = self.deltas.back().map_or(self.before.0, |last| last.index);
        if delta.index <= last {
            // The very first entry has index 0, which no image is before.
            return;
        }
        if delta.index.0 != last.0 + 1 {
            *self = Self { max_bytes: self.max_bytes, ..Self::after(MetadataIndex(delta.index.0 - 1), None) };
        }
        self.bytes += bytes_of(delta);
        self.deltas.push_back(Arc::clone(delta));
        while self.bytes > self.max_bytes
            && let Some(oldest) = self.deltas.pop_front()
        {
            self.bytes -= bytes_of(&oldest);
            self.before = (oldest.index, oldest.history);
        }
    }

    /// The changes after an index, if they are all here, and the hash as of it is this one: the state that they are added to
    /// is of the same history.
    pub(crate) fn since(&self, index: MetadataIndex, history: Option<HistoryHash>) -> Option<Vec<Arc<Delta>>> {
        let known = self.deltas.len() as u64;
        let place = index.0.checked_sub(self.before.0.0).filter(|place| *place <= known)?;
        (self.history_at(index) == history).then(|| self.deltas.range(place as usize..).cloned().collect())
    }

    /// The hash as of an index, if it is one of the last while and has a hash.
    pub(crate) fn history_at(&self, index: MetadataIndex) -> Option<HistoryHash> {
        if index == self.before.0 {
            return self.before.1;
        }
        let place = index.0.checked_sub(self.before.0.0 + 1)?;
        self.deltas.get(usize::try_from(place).ok()?)?.history
    }
}

/// Bytes in memory, about: with what is encoded of it for brokers, which is as long.
pub(crate) fn bytes_of(delta: &Delta) -> usize {
    size_of::<Delta>() + 2 * delta.records.iter().map(|record| size_of::<Record>() + on_heap(record)).sum::<usize>()
}

fn on_heap(record: &Record) -> usize {
    match record {
        Record::Broker(broker) => {
            broker.client_address.len() + broker.peer_address.len() + broker.rack.as_ref().map_or(0, String::len)
        }
        Record::Topic { name, .. } => name.len(),
        Record::TopicConfig { configs, .. } => {
            configs.iter().map(|(key, value)| key.len() + value.len() + 2 * size_of::<String>()).sum()
        }
        Record::Partition { state, .. } => {
            let PartitionState { replicas, isr, elr, adding, removing, claims, distrusted, found, .. } = state;
            let ids = replicas.len() + isr.len() + elr.len() + adding.len() + removing.len() + found.len();
            size_of::<BrokerId>() * ids + size_of_val(&claims[..]) + size_of_val(&distrusted[..])
        }
        Record::PartitionRecovery(recovery) => recovery.topic.len() + size_of_val(&recovery.absent[..]),
        Record::ControllerRecovery(recovery) => {
            let brokers = size_of_val(&recovery.without[..]) + size_of_val(&recovery.expected[..]);
            size_of_val(&recovery.given_up[..]) + brokers
        }
        Record::Cluster { .. }
        | Record::RemoveBroker { .. }
        | Record::RemoveTopic { .. }
        | Record::BrokerDrain { .. }
        | Record::MoveLimit { .. }
        | Record::NextProducerId { .. }
        | Record::NextBrokerEpoch { .. }
        | Record::Version { .. }
        | Record::LostDisk(_)
        | Record::History { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change of one record; its hash tells its index.
    fn delta(index: u64) -> Arc<Delta> {
        let records = vec![Record::MoveLimit { bytes_per_second: index }];
        Arc::new(Delta::new(MetadataIndex(index), records, hash(index)))
    }

    fn hash(index: u64) -> Option<HistoryHash> {
        HistoryHash::from_bytes(&u128::from(index).to_be_bytes())
    }

    fn recent(before: u64, up_to: u64, kept: usize) -> Recent {
        let max_bytes = kept * bytes_of(&delta(0));
        let mut recent = Recent { max_bytes, ..Recent::after(MetadataIndex(before), hash(before)) };
        (before + 1..=up_to).for_each(|index| recent.push(&delta(index)));
        recent
    }

    #[test]
    fn the_newest_are_kept_and_the_hash_before_them() {
        let recent = recent(5, 20, 4);
        let known: Vec<u64> = (0..30).filter(|index| recent.history_at(MetadataIndex(*index)).is_some()).collect();
        assert_eq!(known, [16, 17, 18, 19, 20]);
        assert!(known.iter().all(|index| recent.history_at(MetadataIndex(*index)) == hash(*index)));
        assert_eq!(recent.bytes, 4 * bytes_of(&delta(0)));
    }

    #[test]
    fn what_came_after_an_index_of_the_same_history_is_given_whole_or_not_at_all() {
        let recent = recent(5, 20, 4);
        let since = |index, history| {
            let deltas = recent.since(MetadataIndex(index), history)?;
            Some(deltas.iter().map(|delta| delta.index.0).collect::<Vec<_>>())
        };
        assert_eq!(since(16, hash(16)), Some(vec![17, 18, 19, 20]));
        assert_eq!(since(18, hash(18)), Some(vec![19, 20]));
        assert_eq!(since(20, hash(20)), Some(Vec::new()), "nothing is missing");
        assert_eq!(since(15, hash(15)), None, "too old");
        assert_eq!(since(21, hash(21)), None, "what was never here");
        assert_eq!(since(18, hash(17)), None, "another history");
        assert_eq!(since(18, None), None, "no history");
    }

    #[test]
    fn one_that_is_larger_than_all_leaves_nothing_but_its_index() {
        let mut recent = recent(0, 3, 4);
        let many = (0..99).map(|bytes_per_second| Record::MoveLimit { bytes_per_second }).collect();
        recent.push(&Arc::new(Delta::new(MetadataIndex(4), many, hash(4))));
        assert_eq!((recent.deltas.len(), recent.bytes, recent.history_at(MetadataIndex(4))), (0, 0, hash(4)));
        assert_eq!(recent.history_at(MetadataIndex(3)), None);
    }

    #[test]
    fn the_first_entry_and_a_gap_are_no_part_of_it() {
        let mut recent = recent(0, 2, 9);
        recent.push(&delta(0));
        assert_eq!(recent.deltas.len(), 2, "index 0");
        recent.push(&delta(7));
        assert_eq!(recent.deltas.len(), 1);
        assert_eq!((recent.history_at(MetadataIndex(2)), recent.history_at(MetadataIndex(6))), (None, None));
        assert_eq!(recent.history_at(MetadataIndex(7)), hash(7));
    }
}
