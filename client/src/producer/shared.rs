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
    /// Partitions of topics that are gone, until the ends of all of their records were told.
    parting: Mutex<Vec<Arc<PartitionQueue>>>,
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
            parting: Mutex::default(),
            closed: AtomicBool::new(false),
            ended: CancellationToken::new(),
            correlations: AtomicU64::new(1),
        }
    }

    /// An id for one attempt, unique in this producer.
    pub(crate) fn next_correlation(&self) -> u64 {
        self.correlations.fetch_add(1, Ordering::Relaxed)
    }

    /// A broker is reached, or may be again: keyless records look for a partition again.
    pub(crate) fn leaders_changed(&self) {
        self.topics.read().values().for_each(|topic| topic.leaders_changed());
    }

    /// Every partition of every topic in use.
    pub(crate) fn partitions(&self) -> Vec<Arc<PartitionQueue>> {
        let topics: Vec<_> = self.topics.read().values().cloned().collect();
        topics.iter().flat_map(|topic| topic.partitions().iter().cloned().collect::<Vec<_>>()).collect()
    }

    /// Every partition whose records may not all have been told their end, those of topics that are gone included.
    pub(crate) fn all_partitions(&self) -> Vec<Arc<PartitionQueue>> {
        // Topics go the other way round, so that none is missed.
        let mut partitions = self.partitions();
        partitions.extend(self.parting.lock().iter().cloned());
        partitions
    }

    /// The topic was deleted or created again: ends what is under way to it, and forgets it.
    pub(crate) fn part_with(&self, topic: &Arc<TopicQueues>) {
        topic.set_gone();
        let partitions = Vec::clone(&topic.partitions());
        self.parting.lock().extend(partitions.iter().cloned());
        self.topics.write().retain(|_, known| !Arc::ptr_eq(known, topic));
        for partition in &partitions {
            partition.update(&self.outcomes, |queue| queue.fail_all(ErrorCode::UnknownTopicId));
        }
        self.parting.lock().retain(|partition| !partition.is_settled());
    }

    /// Ends everything that is under way with this code.
    pub(crate) fn fail_all(&self, code: ErrorCode) {
        for partition in self.partitions() {
            partition.update(&self.outcomes, |queue| queue.fail_all(code));
        }
    }
}
