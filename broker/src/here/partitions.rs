//! The replicas that are open on this broker, for every thread to find.

use std::collections::HashMap;

use parking_lot::RwLock;

use holdfast_proto::ids::TopicPartition;

use crate::partition::Replica;

/// The replicas that are open on this broker.
#[derive(Default)]
pub struct Partitions {
    open: RwLock<HashMap<TopicPartition, Replica>>,
}

impl Partitions {
    /// The open replica of a partition, if there is one.
    pub fn get(&self, id: TopicPartition) -> Option<Replica> {
        self.open.read().get(&id).cloned()
    }

    /// All open replicas, in no order.
    pub fn all(&self) -> Vec<Replica> {
        self.open.read().values().cloned().collect()
    }

    /// Adds one that was opened.
    pub fn insert(&self, replica: Replica) {
        self.open.write().insert(replica.id, replica);
    }

    /// Removes one that was closed.
    pub fn remove(&self, id: TopicPartition) -> Option<Replica> {
        self.open.write().remove(&id)
    }
}
