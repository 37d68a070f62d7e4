//! What the active controller does by itself: it names the cluster once, lets a new one begin with the newest metadata
//! version, and gives leaderships back.
//!
//! After a broker's restart its partitions are led by others. A preferred replica (the first assigned) that is back in
//! the ISR gets its leadership again, but only if it was eligible at two checks in a row: one that comes and goes would
//! move leaders with every beat.

use std::{collections::BTreeSet, time::Duration};

use holdfast_metadata::{Command, FinalizeVersion, Image, Response, version::SUPPORTED};
use holdfast_net::{backoff::Backoff, jitter::jittered};
use holdfast_proto::{error::ErrorCode, ids::TopicPartition};

use crate::{admission::Proposer, agreement::Agreement, exit::Fatal, identity::DataDir, node::Node};

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

/// First and longest pause before a new cluster's metadata version is looked at again.
const VERSION_PAUSE: Duration = Duration::from_millis(50);
const VERSION_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Finalises the newest metadata version in a cluster that never had a topic: it has nothing that an older build would have
/// to read, and need not wait for an operator. Ends once there is nothing to do; a cluster with topics is the operator's.
pub(crate) async fn finalize_new(node: Node, agreement: Agreement) {
    let mut role = node.role();
    let mut backoff = Backoff::new(VERSION_PAUSE, VERSION_PAUSE_MAX);
    loop {
        if role.wait_for(|role| role.active).await.is_err() {
            return;
        }
        let image = node.view().image();
        if image.version() >= SUPPORTED.max || image.topic_count() > 0 || !image.deleted_topics().is_empty() {
            return;
        }
        if image.cluster_id().is_some() {
            let controllers = agreement.voters_versions().await;
            let command = FinalizeVersion { version: SUPPORTED.max, controllers };
            match node.propose(Proposer::Controller, Command::FinalizeVersion(command)).await {
                Ok(_) => tracing::info!(version = %SUPPORTED.max, "the new cluster has the newest metadata version"),
                Err(error) => tracing::debug!(%error, "the metadata version is not finalised yet"),
            }
        }
        tokio::time::sleep(jittered(backoff.next_pause())).await;
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
