//! Gives single leaderships away before metadata version 2, where a broker does not vouch for its leading replica: by the
//! order of the replicas, as [`consequence`] says. The controllers then give the leadership to the first that is in sync,
//! within seconds (their option `leader_rebalance_interval_ms`).

use holdfast_proto::ids::TopicPartition;

use crate::{
    here::context::Context,
    partition::consequence,
    services::admin::{
        controllers::ControllerAdmin,
        moves::{Move, ReplicaChange},
    },
};

/// Partitions in one call: the controller's own limit is 1,000.
const MAX_PARTITIONS: usize = 1_000;

/// Asks for another leader of these partitions, as far as this broker leads them and another is in sync. Nothing is done
/// twice; an error is logged, and the caller comes again.
pub(crate) async fn ask(context: &Context, partitions: impl Iterator<Item = TopicPartition>) {
    let moves: Vec<Move> = {
        let image = context.metadata.look();
        let own = context.identity.broker_id;
        let ordered = partitions.filter_map(|partition| {
            let topic = image.topic(partition.topic_id)?;
            let new_replicas = consequence::order(&image, own, partition)?;
            let topic = topic.name().to_owned();
            Some(Move { topic, partition: partition.partition, old_replicas: Vec::new(), new_replicas })
        });
        ordered.take(MAX_PARTITIONS).collect()
    };
    if moves.is_empty() {
        return;
    }
    let asked: Vec<String> = moves.iter().map(|one| format!("{}-{}", one.topic, one.partition)).collect();
    let change = ReplicaChange { moves, move_bytes_per_second: None };
    match context.nodes.controllers.alter_replicas(change).await {
        Ok(changed) => {
            for (partition, result) in asked.iter().zip(changed.results) {
                match result {
                    Ok(()) => {
                        tracing::warn!(partition, "this broker's replica comes last from now on: another is to lead");
                    }
                    Err(error) => tracing::warn!(partition, %error, "the leadership is not given away yet"),
                }
            }
        }
        Err(error) => tracing::warn!(%error, partitions = asked.len(), "leaderships are not given away yet"),
    }
}
