//! Producer state: what idempotence remembers of each producer of one partition (KIP-98, KIP-360).
//!
//! Place: owned by [`crate::Replica`] on leader and followers alike (a follower must know it when it is elected),
//! and by the log, which writes it into its snapshot files. It is a function of the log's batches in their order.
//!
//! Invariants:
//! 1. Of each producer only its newest epoch is kept, with its last [`REMEMBERED_BATCHES`] batches, oldest first.
//! 2. Whose last batch came less than [`Limits::kept_ms`] ago is kept: a retry of that batch may still come, and would
//!    be appended again. Past [`Limits::idle`] producers one more evicts the longest idle of the others.
//! 3. At most [`Limits::most`] are kept. The leader refuses one more with TOO_MANY_PRODUCERS while all are young; a log
//!    that holds more than that is the truth, and evicts the one whose last batch has the lowest offset.
//! 4. Who holds many tables bounds them together: it refuses newcomers, and lets all go that are not young
//!    ([`ProducerTable::expire`]).
//!
//! How old an entry is, each replica reckons from when itself took the batch, on a clock that never jumps. So replicas
//! may evict in another order, and none earlier than `kept_ms`. Entries of a snapshot or a replay have an unknown age:
//! they count from when the table is first asked.
//!
//! **A producer that is not known** must begin at sequence 0; any other sequence is refused with UNKNOWN_PRODUCER_ID.
//! Kafka accepts it since KIP-360 (any sequence, so that a producer survives the loss of its state by retention). That
//! can duplicate (a retry of a batch that stands in the log, after its state was evicted) and lose or reorder (the
//! second of two pipelined first batches is accepted after the first was refused; the retry of the first then is out
//! of order). Refusing can do neither: the producer takes a new epoch or id and starts at 0 with what it never sent,
//! and reports what it sent before as in doubt. Here state outlives retention, so it is rare.
//!
//! **Older than what is remembered**: DUPLICATE_SEQUENCE_NUMBER. It was appended once, but where is forgotten, and so
//! is whether it is durable: the outcome is unknown, never success.

use std::collections::BTreeMap;

use holdfast_proto::{
    error::ErrorCode,
    ids::{Millis, Offset, ProducerEpoch, ProducerId, Sequence},
};

use super::batch::{BatchInfo, PlacedBatch};

/// How many batches of a producer are remembered: as many as a client may have in flight (Kafka: 5).
const REMEMBERED_BATCHES: usize = 5;

/// How many producers a table remembers, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Up to so many are kept however long they are idle. Too low: a producer that pauses while as many others write is
    /// refused and has to start a new epoch.
    pub idle: usize,
    /// Up to so many are kept if all of them wrote lately; about 190 bytes each.
    pub most: usize,
    /// What counts as lately: longer than a producer retries one batch (the client library: 2 minutes unless told).
    pub kept_ms: u64,
}

impl Default for Limits {
    /// Some 2 MB, and 6 MB while very many producers begin.
    fn default() -> Self {
        Self { idle: 10_000, most: 30_000, kept_ms: 600_000 }
    }
}

/// A batch that is remembered so that its retry is answered and not appended again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RememberedBatch {
    /// Sequence of its first record.
    pub base_sequence: Sequence,
    /// Sequence of its last record.
    pub last_sequence: Sequence,
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Number of its records; the last one stands at `base_offset + record_count - 1`.
    pub record_count: u32,
}

impl RememberedBatch {
    fn of(batch: &PlacedBatch) -> Self {
        Self {
            base_sequence: batch.info.base_sequence,
            last_sequence: last_sequence(&batch.info),
            base_offset: batch.base_offset,
            record_count: batch.info.record_count,
        }
    }
}

/// What is remembered of one producer: its epoch and at least one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    epoch: ProducerEpoch,
    batches: [RememberedBatch; REMEMBERED_BATCHES],
    len: usize,
}

impl ProducerEntry {
    fn new(epoch: ProducerEpoch, first: RememberedBatch) -> Self {
        let mut batches = [RememberedBatch::default(); REMEMBERED_BATCHES];
        batches[0] = first;
        Self { epoch, batches, len: 1 }
    }

    /// Newest epoch that has written.
    pub const fn epoch(&self) -> ProducerEpoch {
        self.epoch
    }

    /// Its last batches, oldest first; never empty.
    pub fn batches(&self) -> &[RememberedBatch] {
        &self.batches[..self.len]
    }

    fn last(&self) -> &RememberedBatch {
        &self.batches[self.len - 1]
    }

    fn push(&mut self, batch: RememberedBatch) {
        if self.len == REMEMBERED_BATCHES {
            self.batches.rotate_left(1);
            self.batches[REMEMBERED_BATCHES - 1] = batch;
        } else {
            self.batches[self.len] = batch;
            self.len += 1;
        }
    }
}

/// What to do with a produced batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchVerdict {
    /// It is new and in order.
    Append,
    /// It stands in the log already.
    Duplicate {
        /// Offset of its first record there.
        base_offset: Offset,
    },
    /// It must not be appended.
    Refuse(ErrorCode),
}

/// Who wrote a batch that is the last one of its producer, and when this replica took it.
#[derive(Clone, Copy, Debug)]
struct LastWrite {
    producer_id: ProducerId,
    /// `None`: before this table was made; see [`ProducerTable::since`].
    at: Option<Millis>,
}

/// The producers of one partition.
#[derive(Clone, Debug)]
pub struct ProducerTable {
    producers: BTreeMap<ProducerId, ProducerEntry>,
    /// By base offset of each producer's last batch: the first one is the longest idle.
    last_writes: BTreeMap<Offset, LastWrite>,
    /// When it was first told the time.
    since: Option<Millis>,
    limits: Limits,
}

/// Two tables are the same if they remember the same, whenever they came to know it.
impl PartialEq for ProducerTable {
    fn eq(&self, other: &Self) -> bool {
        self.producers == other.producers
    }
}

impl Eq for ProducerTable {}

impl Default for ProducerTable {
    fn default() -> Self {
        Self::with_limits(Limits::default())
    }
}

impl ProducerTable {
    /// An empty table with the default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty table with these limits.
    pub fn with_limits(limits: Limits) -> Self {
        assert!(0 < limits.idle && limits.idle <= limits.most, "limits of a producer table: {limits:?}");
        Self { producers: BTreeMap::new(), last_writes: BTreeMap::new(), since: None, limits }
    }

    /// The same, with times of another clock forgotten: it goes to another owner.
    #[must_use]
    pub fn ageless(mut self) -> Self {
        self.since = None;
        self.last_writes.values_mut().for_each(|last| last.at = None);
        self
    }

    /// Number of producers that are remembered, at most [`Limits::most`].
    pub fn len(&self) -> usize {
        self.producers.len()
    }

    /// True if no producer is remembered.
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// The producers in order of their ids, for a snapshot file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (ProducerId, &ProducerEntry)> {
        self.producers.iter().map(|(id, entry)| (*id, entry))
    }

    /// What is remembered of one producer.
    pub fn get(&self, producer_id: ProducerId) -> Option<&ProducerEntry> {
        self.producers.get(&producer_id)
    }

    /// Decides about a batch that a producer sent to the leader.
    pub fn check(&mut self, batch: &BatchInfo, now: Millis) -> BatchVerdict {
        self.since.get_or_insert(now);
        if batch.producer_id == ProducerId::NONE {
            return BatchVerdict::Append;
        }
        let starts_anew = batch.base_sequence == Sequence(0);
        let Some(entry) = self.producers.get(&batch.producer_id) else {
            return if !starts_anew {
                BatchVerdict::Refuse(ErrorCode::UnknownProducerId)
            } else if self.producers.len() >= self.limits.most && !self.is_longest_idle_old(now) {
                BatchVerdict::Refuse(ErrorCode::TooManyProducers)
            } else {
                BatchVerdict::Append
            };
        };
        if batch.producer_epoch < entry.epoch {
            return BatchVerdict::Refuse(ErrorCode::InvalidProducerEpoch);
        }
        if batch.producer_epoch > entry.epoch {
            return if starts_anew {
                BatchVerdict::Append
            } else {
                BatchVerdict::Refuse(ErrorCode::OutOfOrderSequenceNumber)
            };
        }
        let last_sequence = last_sequence(batch);
        let is_same = |known: &&RememberedBatch| {
            known.base_sequence == batch.base_sequence && known.last_sequence == last_sequence
        };
        if let Some(known) = entry.batches().iter().rev().find(is_same) {
            return BatchVerdict::Duplicate { base_offset: known.base_offset };
        }
        let expected = entry.last().last_sequence.plus(1);
        if batch.base_sequence == expected {
            BatchVerdict::Append
        } else if is_before(batch.base_sequence, expected) {
            BatchVerdict::Refuse(ErrorCode::DuplicateSequenceNumber)
        } else {
            BatchVerdict::Refuse(ErrorCode::OutOfOrderSequenceNumber)
        }
    }

    /// Notes a batch that comes into the log now. The log is the truth: what contradicts it here is forgotten.
    pub fn record(&mut self, batch: &PlacedBatch, now: Millis) {
        self.since.get_or_insert(now);
        self.note(batch, Some(now));
    }

    /// Notes a batch that stood in the log before, as it is read again.
    pub fn replay(&mut self, batch: &PlacedBatch) {
        self.note(batch, None);
    }

    fn note(&mut self, batch: &PlacedBatch, at: Option<Millis>) {
        if batch.info.producer_id == ProducerId::NONE {
            return;
        }
        let remembered = RememberedBatch::of(batch);
        let epoch = batch.info.producer_epoch;
        if let Some(entry) = self.producers.get_mut(&batch.info.producer_id) {
            self.last_writes.remove(&entry.last().base_offset);
            if entry.epoch == epoch {
                entry.push(remembered);
            } else {
                *entry = ProducerEntry::new(epoch, remembered);
            }
        } else {
            self.make_room(at);
            self.producers.insert(batch.info.producer_id, ProducerEntry::new(epoch, remembered));
        }
        self.last_writes.insert(batch.base_offset, LastWrite { producer_id: batch.info.producer_id, at });
    }

    /// Forgets whose last batch came longer than [`Limits::kept_ms`] ago, however few they are.
    pub fn expire(&mut self, now: Millis) {
        self.since.get_or_insert(now);
        while self.is_longest_idle_old(now)
            && let Some((_, idle)) = self.last_writes.pop_first()
        {
            self.producers.remove(&idle.producer_id);
        }
    }

    /// Puts a producer of a snapshot file back. False, and nothing changed, if it cannot be one: bytes from a disk are
    /// not trusted.
    pub fn restore(&mut self, producer_id: ProducerId, epoch: ProducerEpoch, batches: &[RememberedBatch]) -> bool {
        let increases = |pair: &[RememberedBatch]| pair[0].base_offset < pair[1].base_offset;
        let Some((first, rest)) = batches.split_first() else { return false };
        let last_offset = batches[batches.len() - 1].base_offset;
        if producer_id == ProducerId::NONE
            || batches.len() > REMEMBERED_BATCHES
            || !batches.windows(2).all(increases)
            || self.producers.contains_key(&producer_id)
            || self.last_writes.contains_key(&last_offset)
        {
            return false;
        }
        self.make_room(None);
        let mut entry = ProducerEntry::new(epoch, *first);
        for batch in rest {
            entry.push(*batch);
        }
        self.producers.insert(producer_id, entry);
        self.last_writes.insert(last_offset, LastWrite { producer_id, at: None });
        true
    }

    /// Exclusive end of the last batch that is remembered.
    pub fn end_offset(&self) -> Offset {
        let last = self.last_writes.last_key_value().and_then(|(_, last)| self.producers.get(&last.producer_id));
        last.map_or(Offset(0), |entry| entry.last().base_offset.plus(u64::from(entry.last().record_count)))
    }

    /// Makes room for one more.
    fn make_room(&mut self, now: Option<Millis>) {
        while self.producers.len() >= self.limits.most
            || (self.producers.len() >= self.limits.idle && now.is_some_and(|now| self.is_longest_idle_old(now)))
        {
            let Some((_, idle)) = self.last_writes.pop_first() else { return };
            self.producers.remove(&idle.producer_id);
        }
    }

    /// True if no retry of the last batch of the longest idle producer can come any more.
    fn is_longest_idle_old(&self, now: Millis) -> bool {
        let Some((_, last)) = self.last_writes.first_key_value() else { return false };
        last.at.or(self.since).is_some_and(|since| now.0.saturating_sub(since.0) > self.limits.kept_ms)
    }
}

/// Sequence of the last record of a batch.
fn last_sequence(batch: &BatchInfo) -> Sequence {
    batch.base_sequence.plus(batch.record_count.saturating_sub(1))
}

/// True if `sequence` lies before `expected` on the circle of sequences: in the half behind it.
fn is_before(sequence: Sequence, expected: Sequence) -> bool {
    const CIRCLE: i64 = i32::MAX as i64 + 1;
    let ahead = (i64::from(sequence.0) - i64::from(expected.0)).rem_euclid(CIRCLE);
    ahead > CIRCLE / 2
}

#[cfg(test)]
#[path = "producer_tests.rs"]
mod tests;
