//! When the batches of a log were appended on this disk: in truth, and as its process counts and keeps it. Each batch is a
//! segment of its own here.

use std::collections::BTreeMap;

use holdfast_proto::ids::{Millis, Offset};

use super::log::SimLog;
use crate::sim::batch::BatchId;

/// The times of one batch.
#[derive(Clone, Copy, Debug)]
pub struct Age {
    /// Which one it is.
    pub id: BatchId,
    /// The offset after it.
    pub next: u64,
    /// When it was appended here, ms of the simulated time.
    pub appended_at_ms: u64,
    /// The same as the process counts, ms.
    counted_ms: i64,
    /// The same as it is kept for later processes, ms.
    kept_ms: Option<i64>,
}

/// Of all batches of one log, by base offset.
#[derive(Clone, Debug, Default)]
pub struct Ages(BTreeMap<u64, Age>);

impl Ages {
    /// Follows the log: what it holds and is not known yet was appended now.
    pub fn follow(&mut self, log: &SimLog, now: Millis, counted_ms: i64) {
        let batches = log.batches();
        let is_known = |age: Option<&Age>, id| age.is_some_and(|age| age.id == id);
        let known = batches.iter().rposition(|batch| is_known(self.0.get(&batch.placed.base_offset.0), batch.id));
        let new = known.map_or(0, |known| known + 1);
        let first_new = batches.get(new).map_or(log.end(), |batch| batch.placed.base_offset.0);
        self.0.split_off(&first_new);
        self.0 = self.0.split_off(&log.start());
        for batch in &batches[new..] {
            let next = batch.next_offset().0;
            let age = Age { id: batch.id, next, appended_at_ms: now.0, counted_ms, kept_ms: None };
            self.0.insert(batch.placed.base_offset.0, age);
        }
    }

    /// The durable mark is written, with the times of what is durable.
    pub fn keep(&mut self, flushed: Offset) {
        for (_, age) in self.0.range_mut(..flushed.0).rev().take_while(|(_, age)| age.kept_ms.is_none()) {
            age.kept_ms = Some(age.counted_ms);
        }
    }

    /// Another process begins, and has counted so far. What was not kept, or lies ahead, is now.
    pub fn recover(&mut self, counted_ms: i64) {
        for age in self.0.values_mut() {
            age.counted_ms = age.kept_ms.map_or(counted_ms, |kept_ms| kept_ms.min(counted_ms));
        }
    }

    /// The batches that are too old, the oldest first: all before the first that is not, or that lies above the high
    /// watermark.
    pub fn too_old(&self, counted_ms: i64, retention_ms: i64, high_watermark: Offset) -> Vec<(u64, Age)> {
        let whole = self.0.iter().take_while(|(_, age)| age.next <= high_watermark.0);
        let old = whole.take_while(|(_, age)| counted_ms.saturating_sub(age.counted_ms) > retention_ms);
        old.map(|(base, age)| (*base, *age)).collect()
    }
}
