//! Replicas whose logs cannot be opened, as messages: they go up with heartbeats and come back in the state of the cluster.

use holdfast_proto::{
    ids::{PartitionIndex, TopicId, TopicPartition},
    v1::{UnopenedReplica, UnopenedReplicas},
};

use crate::partition::unopened::Told;

/// As it is said.
pub(crate) fn message(told: Told) -> UnopenedReplicas {
    let one = |partition: TopicPartition| UnopenedReplica {
        topic_id: partition.topic_id.to_bytes(),
        partition: partition.partition.0,
    };
    UnopenedReplicas { count: told.count, error: told.error, first: told.first.into_iter().map(one).collect() }
}

/// The same, read; one without the id of a topic is passed over.
pub(crate) fn read(message: UnopenedReplicas) -> Told {
    let one = |replica: UnopenedReplica| {
        let topic_id = TopicId::from_bytes(&replica.topic_id)?;
        Some(TopicPartition { topic_id, partition: PartitionIndex(replica.partition) })
    };
    Told { count: message.count, error: message.error, first: message.first.into_iter().filter_map(one).collect() }
}
