//! What became of the records: told to those who wait, counted, and their room given back.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
};

use tracing::error;

use super::{batch_queue::Finished, completion::BatchOutcome, memory::Memory};

/// Where batches end, of all partitions of one producer.
#[derive(Debug)]
pub(crate) struct Outcomes {
    pub(crate) counts: Counts,
    pub(crate) memory: Memory,
}

/// Records by what became of them.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) delivered: AtomicU64,
    pub(crate) not_appended: AtomicU64,
    pub(crate) in_doubt: AtomicU64,
}

impl Outcomes {
    /// Nothing has ended yet.
    pub(super) fn new(memory: Memory) -> Self {
        Self { counts: Counts::default(), memory }
    }

    /// Tells a batch's futures and callbacks what became of it, and gives its room back.
    pub(crate) fn finish(&self, finished: Finished) {
        let Finished { completion, callbacks, record_count, reserved_bytes, part, outcome } = finished;
        let count = match outcome {
            BatchOutcome::Delivered { .. } => &self.counts.delivered,
            BatchOutcome::NotAppended { .. } => &self.counts.not_appended,
            BatchOutcome::InDoubt { .. } => &self.counts.in_doubt,
        };
        count.fetch_add(record_count.into(), Ordering::Relaxed);
        for (index, callback) in callbacks {
            let result = outcome.of_record(completion.partition(), index - part.first);
            // Of the caller's code: where it panics, the other records' outcomes are told all the same.
            if catch_unwind(AssertUnwindSafe(|| callback(result))).is_err() {
                error!(partition = %completion.partition(), "a callback that was told a record's outcome panicked");
            }
        }
        // After the callbacks, so that who has waited for the last batch finds them all called.
        completion.complete(part, outcome);
        // Last: who waits for room finds the counts right.
        self.memory.release(reserved_bytes);
    }
}
