//! The replicas that are open on this broker, for every thread to find.

use std::collections::HashMap;

use parking_lot::RwLock;

use holdfast_proto::ids::TopicPartition;

use crate::partition::OpenReplica;

/// The replicas that are open on this broker.
#[derive(Default)]
pub struct Partitions {
    open: RwLock<HashMap<TopicPartition, OpenReplica>>,
}

impl Partitions {
    /// The open replica of a partition, if there is one.
    pub fn get(&self, id: TopicPartition) -> Option<OpenReplica> {
        self.open.read().get(&id).cloned()
    }

    /// All open replicas, in no order.
    pub fn all(&self) -> Vec<OpenReplica> {
        self.open.read().values().cloned().collect()
    }

    /// Adds one that was opened.
    pub fn insert(&self, replica: OpenReplica) {
        self.open.write().insert(replica.id, replica);
    }

    /// Removes one that was closed.
    pub fn remove(&self, id: TopicPartition) -> Option<OpenReplica> {
        self.open.write().remove(&id)
    }
}
