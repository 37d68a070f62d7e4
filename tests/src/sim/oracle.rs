//! What must hold of every history, whatever happened: the promise as checks.
//!
//! | check | promise | anomaly it finds |
//! |---|---|---|
//! | [`Oracle::acked`] | P1, P2 | two acknowledged batches at one offset; an ack that too few disks hold |
//! | [`Oracle::readable`] | P2 | a record that changed after a consumer could read it |
//! | [`Oracle::acked_by_leader`] | no ack of a leader alone past its lease | an ack of one that may have been replaced |
//! | [`Oracle::final_log`] | P1, P3 | lost, duplicated or reordered records at the end |
//! | [`Oracle::final_outcomes`] | what the producer was told | a batch that was told to be there and is not, or the reverse |
//! | [`Oracle::leads`] | one leader per epoch | split brain |
//! | [`Oracle::deletes`] | nothing that counts is deleted | a deletion of what is in sync or eligible |
//!
//! What retention took is asked for no more: a log is held against the promises from its own start on.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use holdfast_client::simulation::Ended;
use holdfast_metadata::PartitionState;
use holdfast_proto::ids::{BrokerId, LeaderEpoch, TopicPartition};

use super::batch::{BatchId, SimBatch};

/// Everything that was promised so far.
#[derive(Debug, Default)]
pub struct Oracle {
    acked: BTreeMap<TopicPartition, BTreeMap<u64, BatchId>>,
    /// What consumers could read: base offset, next offset, and which batch.
    seen: BTreeMap<TopicPartition, BTreeMap<u64, (u64, BatchId)>>,
    leaders: BTreeMap<(TopicPartition, LeaderEpoch), BrokerId>,
}

impl Oracle {
    /// Number of batches that were acknowledged.
    pub fn acked_count(&self) -> usize {
        self.acked.values().map(BTreeMap::len).sum()
    }

    /// A produce with acks=all was answered: `holders` replicas have it on disk at this moment.
    pub fn acked(&mut self, tp: TopicPartition, offset: u64, id: BatchId, holders: usize, min_insync_replicas: usize) {
        assert!(
            holders >= min_insync_replicas,
            "{id:?} was acknowledged at {offset} with {holders} durable copies, not {min_insync_replicas}"
        );
        let before = self.acked.entry(tp).or_default().insert(offset, id);
        assert!(
            before.is_none_or(|before| before == id),
            "{id:?} was acknowledged at {offset}, where {before:?} was before"
        );
    }

    /// A produce with acks=1 was answered at `now_ms`: before `lease_end_ms`, when another may lead as far as the
    /// controllers know.
    pub fn acked_by_leader(&mut self, tp: TopicPartition, id: BatchId, now_ms: u64, lease_end_ms: u64) {
        assert!(
            now_ms < lease_end_ms,
            "{id:?} of {tp} was acknowledged by its leader alone at {now_ms}, past its lease at {lease_end_ms}"
        );
    }

    /// A broker acts as leader in this epoch.
    pub fn leads(&mut self, tp: TopicPartition, epoch: LeaderEpoch, broker: BrokerId) {
        let first = *self.leaders.entry((tp, epoch)).or_insert(broker);
        assert!(first == broker, "brokers {first} and {broker} both lead {tp} in epoch {epoch}");
    }

    /// Consumers may read `batches` below `end` from a leader: they never change again, until retention takes the first.
    pub fn readable(&mut self, tp: TopicPartition, batches: &[SimBatch], end: u64) {
        let Some(start) = batches.first().map(|batch| batch.placed.base_offset.0) else { return };
        let seen = self.seen.entry(tp).or_default();
        let mut known = seen.range(start..).peekable();
        let mut new = Vec::new();
        for batch in batches.iter().take_while(|batch| batch.next_offset().0 <= end) {
            let (base, next) = (batch.placed.base_offset.0, batch.next_offset().0);
            match known.next_if(|(before, _)| **before < next) {
                Some((before, (end, id))) => {
                    let (before, now) = ((*before, *id), (base, batch.id));
                    assert!(
                        before == now && *end == next,
                        "a consumer read {before:?} of {tp}, and now {now:?} stands there"
                    );
                }
                None => new.push((base, (next, batch.id))),
            }
        }
        seen.extend(new);
    }

    /// A broker deletes its replica: it must not count for anything, neither as in sync nor as eligible.
    pub fn deletes(&self, tp: TopicPartition, broker: BrokerId, state: Option<&PartitionState>) {
        let counts = state.is_some_and(|state| state.isr.contains(&broker) || state.elr.contains(&broker));
        assert!(!counts, "broker {broker} deletes its replica of {tp}, which counts as in sync or eligible: {state:?}");
    }

    /// What a producer was told of its batches, against the log. Without `is_all` delivered batches may be lost with their
    /// leader.
    pub fn final_outcomes(
        &self,
        tp: TopicPartition,
        start: u64,
        batches: &[SimBatch],
        is_all: bool,
        ended: impl Iterator<Item = (BatchId, Ended)>,
    ) {
        let mut stands: BTreeSet<BatchId> = batches.iter().map(|batch| batch.id).collect();
        // What retention took stood there.
        stands.extend(within(&self.acked, tp, 0..start).map(|(_, id)| *id));
        stands.extend(within(&self.seen, tp, 0..start).map(|(_, (_, id))| *id));
        for (id, ended) in ended {
            let is_there = stands.contains(&id);
            match ended {
                Ended::Delivered if is_all => assert!(is_there, "LOST: {id:?} of {tp} was told to be delivered"),
                Ended::NotAppended => assert!(!is_there, "{id:?} was told not to be appended, and stands in {tp}"),
                Ended::Delivered | Ended::InDoubt => {}
            }
        }
    }

    /// The log that every replica holds once all faults have ended; a leader's log at any time.
    pub fn final_log(&self, tp: TopicPartition, start: u64, batches: &[SimBatch]) {
        self.log_up_to(tp, start, batches, u64::MAX);
    }

    /// A log that begins at `start`, against all that was promised below `end`.
    pub fn log_up_to(&self, tp: TopicPartition, start: u64, batches: &[SimBatch], end: u64) {
        let log: BTreeMap<u64, BatchId> = batches.iter().map(|batch| (batch.placed.base_offset.0, batch.id)).collect();
        let offsets = start..end.max(start);
        for (offset, id) in within(&self.acked, tp, offsets.clone()) {
            assert!(
                log.get(offset) == Some(id),
                "LOST: {id:?} was acknowledged at {offset} of {tp}; there stands {:?}",
                log.get(offset)
            );
        }
        for (offset, (_, id)) in within(&self.seen, tp, offsets) {
            assert!(
                log.get(offset) == Some(id),
                "a consumer read {id:?} at {offset} of {tp}; there stands {:?}",
                log.get(offset)
            );
        }
        let mut once = BTreeSet::new();
        let mut last: BTreeMap<u32, u32> = BTreeMap::new();
        for (offset, id) in &log {
            assert!(once.insert(id), "DUPLICATED: {id:?} stands at {offset} of {tp} and before");
            if let Some(before) = last.insert(id.producer, id.counter) {
                assert!(before < id.counter, "REORDERED: {id:?} stands at {offset} of {tp} after #{before}");
            }
        }
    }
}

/// What was promised of some offsets of a partition.
fn within<T>(
    promised: &BTreeMap<TopicPartition, BTreeMap<u64, T>>,
    tp: TopicPartition,
    offsets: Range<u64>,
) -> impl Iterator<Item = (&u64, &T)> {
    promised.get(&tp).into_iter().flat_map(move |batches| batches.range(offsets.clone()))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use holdfast_proto::ids::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, TopicId};
    use holdfast_replication::{BatchInfo, PlacedBatch};

    use super::*;

    fn tp() -> TopicPartition {
        TopicPartition { topic_id: TopicId(Uuid::from_u128(1)), partition: PartitionIndex(0) }
    }

    fn batch(offset: u64, producer: u32, counter: u32) -> SimBatch {
        let info = BatchInfo {
            record_count: 1,
            size_bytes: 100,
            producer_id: ProducerId(i64::from(producer)),
            producer_epoch: ProducerEpoch(0),
            base_sequence: Sequence(0),
        };
        SimBatch {
            id: BatchId { producer, counter },
            placed: PlacedBatch { base_offset: Offset(offset), leader_epoch: LeaderEpoch(1), info },
        }
    }

    #[test]
    fn a_whole_history_passes() {
        let mut oracle = Oracle::default();
        oracle.acked(tp(), 0, BatchId { producer: 1, counter: 0 }, 2, 2);
        oracle.readable(tp(), &[batch(0, 1, 0), batch(1, 1, 1)], 1);
        oracle.final_log(tp(), 0, &[batch(0, 1, 0), batch(1, 1, 1)]);
        oracle.readable(tp(), &[batch(1, 1, 1)], 2);
        oracle.final_log(tp(), 1, &[batch(1, 1, 1)]);
        let ended = [(BatchId { producer: 1, counter: 0 }, Ended::Delivered)];
        oracle.final_outcomes(tp(), 1, &[batch(1, 1, 1)], true, ended.into_iter());
    }

    #[test]
    #[should_panic(expected = "LOST")]
    fn what_retention_may_not_take_is_lost() {
        let mut oracle = Oracle::default();
        oracle.acked(tp(), 1, BatchId { producer: 1, counter: 1 }, 2, 2);
        oracle.log_up_to(tp(), 1, &[], 2);
    }

    #[test]
    #[should_panic(expected = "a consumer read")]
    fn a_batch_across_another_is_found() {
        let mut oracle = Oracle::default();
        let info = BatchInfo { record_count: 2, ..batch(0, 2, 0).placed.info };
        let wide = SimBatch { placed: PlacedBatch { info, ..batch(0, 2, 0).placed }, ..batch(0, 2, 0) };
        oracle.readable(tp(), &[batch(1, 1, 0)], 2);
        oracle.readable(tp(), &[wide], 2);
    }

    #[test]
    #[should_panic(expected = "LOST")]
    fn a_lost_batch_is_found() {
        let mut oracle = Oracle::default();
        oracle.acked(tp(), 1, BatchId { producer: 1, counter: 1 }, 2, 2);
        oracle.final_log(tp(), 0, &[batch(0, 1, 0)]);
    }

    #[test]
    #[should_panic(expected = "DUPLICATED")]
    fn a_duplicate_is_found() {
        Oracle::default().final_log(tp(), 0, &[batch(0, 1, 0), batch(1, 1, 0)]);
    }

    #[test]
    #[should_panic(expected = "REORDERED")]
    fn a_reordering_is_found() {
        Oracle::default().final_log(tp(), 0, &[batch(0, 1, 1), batch(1, 1, 0)]);
    }

    #[test]
    #[should_panic(expected = "durable copies")]
    fn an_early_ack_is_found() {
        Oracle::default().acked(tp(), 0, BatchId { producer: 1, counter: 0 }, 1, 2);
    }

    #[test]
    #[should_panic(expected = "both lead")]
    fn a_split_brain_is_found() {
        let mut oracle = Oracle::default();
        oracle.leads(tp(), LeaderEpoch(3), BrokerId(1));
        oracle.leads(tp(), LeaderEpoch(3), BrokerId(2));
    }

    #[test]
    #[should_panic(expected = "a consumer read")]
    fn a_changed_record_is_found() {
        let mut oracle = Oracle::default();
        oracle.readable(tp(), &[batch(0, 1, 0)], 1);
        oracle.readable(tp(), &[batch(0, 2, 0)], 1);
    }
}
