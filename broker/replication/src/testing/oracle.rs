//! What clients were promised, compared with what the logs hold.
//!
//! 1. At the moment of an acknowledgement under acks=all the batch is durable on at least min.insync.replicas disks, and
//!    stands at the offset that was told.
//! 2. What was acknowledged or could be read keeps its place and its content, whoever leads; offsets are dense.
//! 3. Nothing that could be read stands at two places.
//! 4. In one leader epoch one node acknowledges.

use std::collections::BTreeMap;

use holdfast_proto::ids::{LeaderEpoch, Offset};

use super::toy_log::{ToyBatch, ToyLog};

/// A batch that a client relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promised {
    /// Its content.
    pub value: u64,
    /// Number of its records.
    pub record_count: u32,
}

/// The promises so far.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    promised: BTreeMap<Offset, Promised>,
    places: BTreeMap<u64, Offset>,
    acknowledged: u64,
    acker: BTreeMap<LeaderEpoch, u32>,
    lost_disks: usize,
    written_counts: bool,
}

impl Oracle {
    /// The flush policy is `interval`: what is written counts, and no power may fail.
    pub const fn count_written(&mut self) {
        self.written_counts = true;
    }

    /// A disk was lost: what it had confirmed may be acknowledged after it is gone.
    pub const fn lose_disk(&mut self) {
        self.lost_disks += 1;
    }

    /// Number of acknowledged batches.
    pub const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// End of what is promised.
    pub fn end(&self) -> Offset {
        self.promised.last_key_value().map_or(Offset(0), |(base, batch)| base.plus(u64::from(batch.record_count)))
    }

    /// `node` acknowledged `value` at `base_offset` under acks=all. `is_durable` counts the right batch on every disk.
    pub fn acknowledge(
        &mut self,
        node: u32,
        epoch: LeaderEpoch,
        batch: &ToyBatch,
        value: u64,
        logs: &[&ToyLog],
        min_insync_replicas: u32,
    ) {
        let base_offset = batch.placed.base_offset;
        assert_eq!(batch.value, value, "node {node} acknowledged another batch at {base_offset}");
        let found = |log: &&&ToyLog| {
            if self.written_counts {
                log.written_at(base_offset).copied()
            } else {
                log.durable_at(base_offset).copied()
            }
        };
        let holds = |log: &&&ToyLog| log.start() > base_offset || found(log) == Some(*batch);
        let copies = logs.iter().filter(holds).count();
        assert!(
            copies + self.lost_disks >= min_insync_replicas as usize,
            "node {node} acknowledged {value} at {base_offset} with {copies} durable copies"
        );
        let acker = *self.acker.entry(epoch).or_insert(node);
        assert_eq!(acker, node, "two nodes acknowledge in leader epoch {epoch}");
        self.acknowledged += 1;
        self.promise(node, batch);
    }

    /// `node` shows this batch to consumers.
    pub fn promise(&mut self, node: u32, batch: &ToyBatch) {
        let base_offset = batch.placed.base_offset;
        let shown = Promised { value: batch.value, record_count: batch.placed.info.record_count };
        let known = *self.promised.entry(base_offset).or_insert(shown);
        assert_eq!(shown, known, "two values at {base_offset}: node {node} shows the left, known was the right");
        let place = *self.places.entry(batch.value).or_insert(base_offset);
        assert_eq!(place, base_offset, "{} stands twice", batch.value);
    }

    /// Compares a log with every promise in `[log start, end)`.
    pub fn audit(&self, node: u32, log: &ToyLog, end: Offset) {
        for (base_offset, promised) in self.promised.range(log.start()..end) {
            let found = log.written_at(*base_offset);
            let found =
                found.map(|batch| Promised { value: batch.value, record_count: batch.placed.info.record_count });
            assert_eq!(found, Some(*promised), "node {node} at {base_offset}: found the left, promised was the right");
        }
    }
}
