//! The cluster as a controller describes it.

use holdfast_proto::{
    ids::{BrokerId, ClusterId},
    v1::{BrokerInfo, ControllerInfo, DescribeClusterResponse},
};

use super::reads::Status;
use crate::{agreement::Agreement, clocks::Clocks, node::Node};

/// The quorum, the brokers and how well the partitions are.
pub(super) fn describe(status: &Status, node: &Node, agreement: &Agreement) -> DescribeClusterResponse {
    let counts = status.counts;
    let role = node.role().borrow().clone();
    let controllers = node.members().into_iter().map(|member| {
        let versions = agreement.versions_of(member.id);
        ControllerInfo {
            node_id: member.id,
            address: member.address,
            voter: member.voter,
            min_metadata_version: versions.map_or(0, |versions| versions.min.0),
            max_metadata_version: versions.map_or(0, |versions| versions.max.0),
        }
    });
    DescribeClusterResponse {
        cluster_id: status.cluster_id.map(ClusterId::to_bytes).unwrap_or_default(),
        index: status.index.0,
        controllers: controllers.collect(),
        active_controller: active(node),
        term: role.term,
        brokers: status.brokers.iter().map(|broker| as_it_said(broker, node, role.term)).collect(),
        topic_count: counts.topics as u64,
        partition_count: counts.partitions as u64,
        offline_partition_count: counts.offline as u64,
        under_replicated_partition_count: counts.under_replicated as u64,
        under_min_isr_partition_count: counts.under_min_isr as u64,
        moving_partition_count: counts.moving as u64,
        troubled_partitions: status.troubled.clone(),
        move_bytes_per_second: status.move_bytes_per_second,
        metadata_version: status.version.0,
        recoveries: status.recoveries.clone(),
        distrusted_replica_count: counts.distrusted as u64,
        controller_recoveries: status.controller_recoveries.clone(),
        unheard_brokers: status.unheard_brokers.clone(),
        lost_disks: status.lost_disks.clone(),
    }
}

/// The broker, with what it says of its clock and disk: to the active controller alone.
fn as_it_said(broker: &BrokerInfo, node: &Node, term: u64) -> BrokerInfo {
    let broker_id = BrokerId(broker.broker_id);
    let active_ms = node.active_ms(2 * Clocks::grace_ms());
    let clock_distrust = node.clocks().distrust_of(broker_id, term, active_ms).filter(|_| !broker.fenced);
    let damaged = node.damaged().of(broker_id, term).filter(|_| !broker.fenced);
    let unopened = node.unopened().of(broker_id, term).filter(|_| !broker.fenced);
    BrokerInfo { clock_distrust, damaged, unopened, ..broker.clone() }
}

/// The active controller, if it was heard a moment ago: without a quorum there is none, also if one led before.
fn active(node: &Node) -> Option<u64> {
    let own = node.id();
    if node.is_active() {
        return Some(own);
    }
    node.present_leader().map(|leader| leader.id.0).filter(|leader| *leader != own)
}
