//! What retention can explain of a log start that moved: by what the partition still holds, and how old that is.
//!
//! That retention is on does not make everything below a log start expired: a log that lost its beginning, or all of it,
//! begins late as well. Retention leaves traces that a loss does not have.
//! - By size it removes a segment only while the rest has `retention.bytes`: what is left is never less.
//! - By age it removes what was appended more than `retention.ms` ago. What it removed is older than the first record behind
//!   it; where none is left, than the last one that any partition holds.
//!
//! What neither explains is no expiry: it counts as lost, unless who knows better says so. Pure: no IO, no clock.

use std::collections::BTreeMap;

use holdfast_client::consumer::MessageBatch;
use holdfast_proto::{batch::BatchBuilder, batch::Compression, ids::TimestampMs};

use super::load::KEY_PREFIX;

/// The settings by which retention removes records; `None` where it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// `retention.ms`: what was appended longer ago goes.
    pub(super) ms: Option<u64>,
    /// `retention.bytes`: what is more than that goes.
    pub(super) bytes: Option<u64>,
}

/// One batch that was read.
#[derive(Clone, Copy, Debug)]
struct Batch {
    /// Offset of its first record.
    offset: u64,
    /// Its size in the log, as if nothing was compressed: the values of audits hardly can be.
    size_bytes: u64,
    /// When the first of its records that an audit wrote was made, by the audit's clock, ms since 1970.
    written: Option<TimestampMs>,
}

/// What was read of the partitions.
#[derive(Debug, Default)]
pub(super) struct Kept {
    batches: BTreeMap<u32, Vec<Batch>>,
    /// The latest time of a record of an audit, in any partition.
    latest: Option<TimestampMs>,
}

impl Kept {
    /// Notes a batch of the topic, in the order of the log.
    pub(super) fn take(&mut self, batch: &MessageBatch) {
        let Some(first) = batch.records.first() else { return };
        let mut built = BatchBuilder::new(Compression::None);
        for record in &batch.records {
            // What does not fit in one batch was in none.
            let _fits = built.append(&record.as_ref());
        }
        let is_ours =
            |key: &Option<bytes::Bytes>| key.as_deref().is_some_and(|key| key.starts_with(KEY_PREFIX.as_bytes()));
        let ours = batch.records.iter().filter(|record| is_ours(&record.key)).map(|record| record.timestamp);
        self.latest = self.latest.max(ours.clone().max());
        let (offset, size_bytes) = (first.offset.0, built.size_bytes() as u64);
        let batches = self.batches.entry(batch.partition.0).or_default();
        batches.push(Batch { offset, size_bytes, written: ours.min() });
    }

    /// True if retention with these limits can have moved the log start of the partition to this offset, by `now_ms` since
    /// 1970.
    pub(super) fn explains(&self, limits: Limits, partition: u32, log_start: u64, now_ms: u64) -> bool {
        let by_size = limits.bytes.is_some_and(|limit| self.size_bytes(partition, log_start) >= limit);
        let by_age =
            limits.ms.is_some_and(|limit| self.age_ms(partition, log_start, now_ms).is_none_or(|age| age > limit));
        by_size || by_age
    }

    /// Bytes of the partition from its log start on.
    pub(super) fn size_bytes(&self, partition: u32, log_start: u64) -> u64 {
        self.from(partition, log_start).map(|batch| batch.size_bytes).sum()
    }

    /// How long ago at least what is gone was written, ms; `None` if no record of an audit is left to tell it.
    pub(super) fn age_ms(&self, partition: u32, log_start: u64, now_ms: u64) -> Option<u64> {
        let first = self.from(partition, log_start).find_map(|batch| batch.written).or(self.latest)?;
        Some(now_ms.saturating_sub(u64::try_from(first.0).unwrap_or(0)))
    }

    fn from(&self, partition: u32, log_start: u64) -> impl Iterator<Item = &Batch> {
        let batches = self.batches.get(&partition).into_iter().flatten();
        batches.filter(move |batch| batch.offset >= log_start)
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::{
        batch::Record,
        ids::{LeaderEpoch, Offset, PartitionIndex},
    };

    use super::*;

    /// A batch of one record with a value of 1,000 bytes.
    fn batch(partition: u32, offset: u64, at_ms: i64, key: &'static str) -> MessageBatch {
        MessageBatch {
            topic: "a".into(),
            partition: PartitionIndex(partition),
            leader_epoch: LeaderEpoch(0),
            records: vec![Record {
                offset: Offset(offset),
                timestamp: TimestampMs(at_ms),
                key: Some(key.into()),
                value: Some(vec![7; 1_000].into()),
                headers: Vec::new(),
            }],
        }
    }

    fn kept(batches: &[MessageBatch]) -> Kept {
        let mut kept = Kept::default();
        for batch in batches {
            kept.take(batch);
        }
        kept
    }

    const KEY: &str = "audit/run/0/0";

    #[test]
    fn by_size_only_as_long_as_that_much_is_left() {
        let kept = kept(&[batch(0, 3, 5, KEY), batch(0, 40, 5, KEY), batch(0, 41, 5, KEY)]);
        let limits = |bytes| Limits { bytes: Some(bytes), ..Limits::default() };
        assert!(kept.explains(limits(2_000), 0, 40, 9), "two records and more");
        assert!(!kept.explains(limits(3_000), 0, 40, 9), "what lies below the log start is not left");
        assert!(!kept.explains(limits(1), 1, 40, 9), "nothing is left at all");
        assert!(!kept.explains(Limits::default(), 0, 40, 9), "retention is off");
    }

    #[test]
    fn by_age_only_what_is_older_than_that() {
        let (foreign, young) = (batch(0, 40, 1, "else"), batch(0, 41, 100_000, KEY));
        let kept = kept(&[foreign, young, batch(2, 0, 90_000, KEY)]);
        let limits = Limits { ms: Some(60_000), ..Limits::default() };
        assert!(!kept.explains(limits, 0, 40, 160_000), "not a moment earlier; and the times of others say nothing");
        assert!(kept.explains(limits, 0, 40, 160_001));
        assert!(!kept.explains(limits, 1, 40, 160_000), "empty: as old as what came last elsewhere");
        assert!(kept.explains(limits, 1, 40, 160_001));
        assert!(Kept::default().explains(limits, 1, 40, 0), "nothing is left to compare with, and nothing to compare");
    }
}
