//! How well the partitions are: for status pages and metrics.

use crate::{
    image::{Image, Topic},
    record::PartitionState,
};

/// How well one partition is; the worse, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartitionHealth {
    /// All replicas are in sync.
    Healthy,
    /// A replica is missing from the ISR, and not because a move is still bringing it in; reads and writes go on.
    UnderReplicated,
    /// The ISR is smaller than min.insync.replicas: writes with acks=all are refused.
    UnderMinIsr,
    /// No leader: neither reads nor writes.
    Offline,
}

/// Counts over the whole cluster. One partition is in every class that holds for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Topics that are not deleted.
    pub topics: usize,
    /// Partitions of all topics, healthy or not.
    pub partitions: usize,
    /// Partitions without a leader.
    pub offline: usize,
    /// Partitions with a replica that should be in the ISR and is not. One that a move is bringing in does not count.
    pub under_replicated: usize,
    /// Partitions whose ISR is smaller than min.insync.replicas.
    pub under_min_isr: usize,
    /// Partitions with a move of replicas under way.
    pub moving: usize,
    /// Replicas that are not believed: their records do not count until they were copied again.
    pub distrusted: usize,
    /// Registered brokers, fenced ones included.
    pub brokers: usize,
    /// Registered brokers that are fenced.
    pub fenced_brokers: usize,
}

impl Topic {
    /// How well one of its partitions is.
    pub fn health(&self, state: &PartitionState) -> PartitionHealth {
        if state.leader.is_none() {
            PartitionHealth::Offline
        } else if state.isr.len() < self.effective_min_isr(state) {
            PartitionHealth::UnderMinIsr
        } else if state.is_under_replicated() {
            PartitionHealth::UnderReplicated
        } else {
            PartitionHealth::Healthy
        }
    }
}

impl Image {
    /// Counts for the status of the cluster. Looks at every partition.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            topics: self.topic_count(),
            partitions: self.partition_count(),
            brokers: self.brokers().len(),
            fenced_brokers: self.brokers().values().filter(|broker| broker.fenced).count(),
            ..Counts::default()
        };
        for (_, topic, state) in self.partitions() {
            counts.offline += usize::from(state.leader.is_none());
            counts.under_replicated += usize::from(state.is_under_replicated());
            counts.under_min_isr += usize::from(state.isr.len() < topic.effective_min_isr(state));
            counts.moving += usize::from(state.is_moving());
            counts.distrusted += state.distrusted.len();
        }
        counts
    }
}
