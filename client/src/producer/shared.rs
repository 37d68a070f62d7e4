//! What all parts of one producer share.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use tokio_util::sync::CancellationToken;

use holdfast_proto::{error::ErrorCode, ids::BrokerId};

use super::{
    batch_queue::{Finished, Rules},
    builder::Acks,
    completion::BatchOutcome,
    identity::Identity,
    lane::Lane,
    memory::Memory,
    partition::PartitionQueue,
    topic::TopicQueues,
};
use crate::Client;

/// State of one producer.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) rules: Rules,
    pub(crate) acks: Acks,
    pub(crate) request_timeout: Duration,
    pub(crate) memory: Memory,
    pub(crate) identity: Identity,
    pub(crate) counts: Counts,
    pub(crate) topics: RwLock<HashMap<Arc<str>, Arc<TopicQueues>>>,
    pub(crate) lanes: Mutex<HashMap<BrokerId, Arc<Lane>>>,
    /// True once nothing is looked after any more.
    pub(crate) closed: AtomicBool,
    /// Cancelled when the producer ends.
    pub(crate) ended: CancellationToken,
    correlations: AtomicU64,
}

/// Records by what became of them.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) delivered: AtomicU64,
    pub(crate) not_appended: AtomicU64,
    pub(crate) in_doubt: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        client: Client,
        rules: Rules,
        acks: Acks,
        request_timeout: Duration,
        memory: Memory,
        identity: Identity,
    ) -> Self {
        Self {
            client,
            rules,
            acks,
            request_timeout,
            memory,
            identity,
            counts: Counts::default(),
            topics: RwLock::default(),
            lanes: Mutex::default(),
            closed: AtomicBool::new(false),
            ended: CancellationToken::new(),
            correlations: AtomicU64::new(1),
        }
    }

    /// An id for one attempt, unique in this producer.
    pub(crate) fn next_correlation(&self) -> u64 {
        self.correlations.fetch_add(1, Ordering::Relaxed)
    }

    /// Every partition of every topic in use.
    pub(crate) fn partitions(&self) -> Vec<Arc<PartitionQueue>> {
        let topics: Vec<_> = self.topics.read().values().cloned().collect();
        topics.iter().flat_map(|topic| topic.partitions().iter().cloned().collect::<Vec<_>>()).collect()
    }

    /// Tells a batch's futures and callbacks what became of it, and gives its room back.
    pub(crate) fn finish(&self, finished: Finished) {
        let Finished { completion, callbacks, record_count, reserved_bytes, outcome } = finished;
        let count = match outcome {
            BatchOutcome::Delivered { .. } => &self.counts.delivered,
            BatchOutcome::NotAppended { .. } => &self.counts.not_appended,
            BatchOutcome::InDoubt { .. } => &self.counts.in_doubt,
        };
        count.fetch_add(record_count.into(), Ordering::Relaxed);
        for (index, callback) in callbacks {
            callback(outcome.of_record(completion.partition(), index));
        }
        // After the callbacks, so that who has waited for the last batch finds them all called.
        completion.complete(outcome);
        // Last: who waits for room finds the counts right.
        self.memory.release(reserved_bytes);
    }

    /// Ends everything that is under way with this code.
    pub(crate) fn fail_all(&self, code: ErrorCode) {
        for partition in self.partitions() {
            partition.update(self, |queue| queue.fail_all(code));
        }
    }
}
