//! What the active controller does by itself: it names the cluster once, and gives leaderships back.
//!
//! After a broker's restart its partitions are led by others. A preferred replica (the first assigned) that is back in
//! the ISR gets its leadership again, but only if it was eligible at two checks in a row: one that comes and goes would
//! move leaders with every beat.

use std::{collections::BTreeSet, time::Duration};

use holdfast_metadata::{Command, Image, Response};
use holdfast_proto::{error::ErrorCode, ids::TopicPartition};

use crate::{admission::Proposer, exit::Fatal, identity::DataDir, node::Node};

/// Most partitions whose leader is moved in one step, so that clients of few partitions are disturbed at once.
const MAX_ELECTIONS: usize = 1_000;

/// Gives the cluster its id whenever this controller is active and it has none. Ends only with a reason to stop.
pub(crate) async fn name_cluster(node: Node, data: std::sync::Arc<DataDir>) -> Fatal {
    let mut role = node.role();
    loop {
        if role.wait_for(|role| role.active).await.is_err() {
            // The role's keeper ended, and says why itself.
            std::future::pending::<()>().await;
        }
        let (Some(bound), named) = (data.cluster_id(), node.cluster_id()) else {
            return Fatal::Failure("a controller of no cluster became active".to_owned());
        };
        match named {
            None => match node.propose(Proposer::Controller, Command::FormCluster { cluster_id: bound }).await {
                Ok(_) => tracing::info!(cluster_id = %bound, "the cluster is formed"),
                Err(error) if error.code == ErrorCode::InconsistentClusterId => {
                    return Fatal::OtherCluster(error.message);
                }
                Err(error) => {
                    tracing::warn!(%error, "the cluster could not be named yet");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            Some(named) if named != bound => {
                let message = format!("the metadata is of cluster {named}, the data folder is bound to {bound}");
                return Fatal::OtherCluster(message);
            }
            Some(_) => {}
        }
        if role.wait_for(|role| !role.active).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Gives leaderships back while this controller is active. Never ends.
pub(crate) async fn rebalance_leaders(node: Node) {
    let interval = Duration::from_millis(node.config().leader_rebalance_interval_ms);
    if interval.is_zero() {
        return;
    }
    let mut seen = BTreeSet::new();
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if !node.is_active() {
            seen.clear();
            continue;
        }
        let now = misplaced(&node.view().image());
        let partitions: Vec<TopicPartition> = now.intersection(&seen).copied().take(MAX_ELECTIONS).collect();
        seen = now;
        if partitions.is_empty() {
            continue;
        }
        match node.propose(Proposer::Controller, Command::ElectLeaders { partitions }).await {
            Ok((_, Response::LeadersElected { elected })) => {
                tracing::info!(elected, "gave leaderships back to preferred replicas");
            }
            Ok(_) => {}
            Err(error) => tracing::info!(%error, "leaderships were not given back"),
        }
    }
}

/// The partitions whose preferred replica could lead and does not.
fn misplaced(image: &Image) -> BTreeSet<TopicPartition> {
    let could_lead = |replica| image.broker(replica).is_some_and(holdfast_metadata::BrokerRegistration::is_active);
    image
        .partitions()
        .filter(|(_, _, state)| {
            state.replicas.first().is_some_and(|preferred| {
                state.leader.is_some_and(|leader| leader != *preferred)
                    && state.isr.contains(preferred)
                    && could_lead(*preferred)
            })
        })
        .map(|(partition, _, _)| partition)
        .collect()
}
