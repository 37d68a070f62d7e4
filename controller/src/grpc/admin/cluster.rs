//! The cluster as a controller describes it.

use holdfast_metadata::Image;
use holdfast_metadata_wire::view::{brokers, troubled};
use holdfast_proto::v1::{ControllerInfo, DescribeClusterResponse};

use crate::{agreement::Agreement, node::Node};

/// Partitions in trouble that one answer names.
const MAX_TROUBLED: usize = 100;

/// The quorum, the brokers and how well the partitions are.
pub(super) fn describe(image: &Image, node: &Node, agreement: &Agreement) -> DescribeClusterResponse {
    let counts = image.counts();
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
        cluster_id: image.cluster_id().map(holdfast_proto::ids::ClusterId::to_bytes).unwrap_or_default(),
        index: image.index().0,
        controllers: controllers.collect(),
        active_controller: active(node),
        term: role.term,
        brokers: brokers(image),
        topic_count: counts.topics as u64,
        partition_count: counts.partitions as u64,
        offline_partition_count: counts.offline as u64,
        under_replicated_partition_count: counts.under_replicated as u64,
        under_min_isr_partition_count: counts.under_min_isr as u64,
        moving_partition_count: counts.moving as u64,
        troubled_partitions: troubled(image, MAX_TROUBLED),
        move_bytes_per_second: image.move_bytes_per_second(),
        metadata_version: image.version().0,
    }
}

/// The active controller, if it was heard a moment ago: without a quorum there is none, also if one led before.
fn active(node: &Node) -> Option<u64> {
    let own = node.id();
    if node.is_active() {
        return Some(own);
    }
    node.present_leader().map(|leader| leader.id.0).filter(|leader| *leader != own)
}
