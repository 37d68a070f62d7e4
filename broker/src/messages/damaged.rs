//! Replicas that are damaged and go on, as messages: they go up with heartbeats and come back in the state of the cluster.

use holdfast_proto::{
    ids::{PartitionIndex, TopicId, TopicPartition},
    v1::DamagedReplicas,
};

use crate::partition::findings::Kept;

/// As it is said.
pub(crate) fn message(kept: Kept) -> DamagedReplicas {
    let Kept { count, first } = kept;
    DamagedReplicas { count, topic_id: first.topic_id.to_bytes(), partition: first.partition.0 }
}

/// The same, read; `None` without the id of a topic.
pub(crate) fn read(message: &DamagedReplicas) -> Option<Kept> {
    let topic_id = TopicId::from_bytes(&message.topic_id)?;
    let first = TopicPartition { topic_id, partition: PartitionIndex(message.partition) };
    Some(Kept { count: message.count, first })
}
