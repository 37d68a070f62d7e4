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
    Acks,
    batch_queue::Rules,
    identity::CurrentIdentity,
    memory::Memory,
    outcomes::Outcomes,
    partition::{PartitionLane, PartitionQueue},
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
    pub(crate) identity: CurrentIdentity,
    pub(crate) outcomes: Outcomes,
    pub(crate) topics: RwLock<HashMap<Arc<str>, Arc<TopicQueues>>>,
    pub(crate) lanes: Mutex<HashMap<BrokerId, Arc<PartitionLane>>>,
    /// True once nothing is looked after any more.
    pub(crate) closed: AtomicBool,
    /// Cancelled when the producer ends.
    pub(crate) ended: CancellationToken,
    correlations: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        client: Client,
        rules: Rules,
        acks: Acks,
        request_timeout: Duration,
        memory: Memory,
        identity: CurrentIdentity,
    ) -> Self {
        Self {
            client,
            rules,
            acks,
            request_timeout,
            identity,
            outcomes: Outcomes::new(memory),
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

    /// Ends everything that is under way with this code.
    pub(crate) fn fail_all(&self, code: ErrorCode) {
        for partition in self.partitions() {
            partition.update(&self.outcomes, |queue| queue.fail_all(code));
        }
    }
}
