//! The state of the cluster as messages.

use holdfast_metadata::{VersionRange, status::Counts};
use holdfast_metadata_wire::{records::ids, recovery as controllers_recovery, trust, view};
use holdfast_proto::{
    convert::{Error, optional_id, required},
    ids::{BrokerEpoch, BrokerId, ClusterId, ControllerId, MetadataIndex, MetadataVersion},
    v1,
};

use super::{clock, damaged, recovery, unopened};
use crate::services::admin::cluster::{BrokerStatus, ClusterStatus, ClusterView, ControllerStatus, TroubledPartition};

/// What a request wants to see of the cluster.
pub(crate) fn metadata_answer(seen: &ClusterView, request: &v1::GetMetadataRequest) -> v1::GetMetadataResponse {
    let cluster_id = seen.cluster_id.map(ClusterId::to_bytes).unwrap_or_default();
    v1::GetMetadataResponse { cluster_id, ..view::metadata(&seen.image, request) }
}

/// The answer with the state of the cluster.
pub(crate) fn describe_answer(status: ClusterStatus) -> v1::DescribeClusterResponse {
    let controller = |one: ControllerStatus| v1::ControllerInfo {
        node_id: one.id.0,
        address: one.address,
        voter: one.voter,
        min_metadata_version: one.versions.map_or(0, |versions| versions.min.0),
        max_metadata_version: one.versions.map_or(0, |versions| versions.max.0),
    };
    v1::DescribeClusterResponse {
        cluster_id: status.cluster_id.map(ClusterId::to_bytes).unwrap_or_default(),
        index: status.index.0,
        controllers: status.controllers.into_iter().map(controller).collect(),
        active_controller: status.active_controller.map(|id| id.0),
        term: status.term,
        brokers: status.brokers.into_iter().map(broker_message).collect(),
        topic_count: status.counts.topics as u64,
        partition_count: status.counts.partitions as u64,
        offline_partition_count: status.counts.offline as u64,
        under_replicated_partition_count: status.counts.under_replicated as u64,
        under_min_isr_partition_count: status.counts.under_min_isr as u64,
        moving_partition_count: status.counts.moving as u64,
        troubled_partitions: status.troubled.into_iter().map(troubled_message).collect(),
        move_bytes_per_second: status.move_bytes_per_second,
        metadata_version: status.metadata_version.0,
        recoveries: status.recoveries.into_iter().map(recovery::given_up_message).collect(),
        distrusted_replica_count: status.counts.distrusted as u64,
        controller_recoveries: status.controller_recoveries.iter().map(controllers_recovery::to_message).collect(),
        unheard_brokers: ids(&status.unheard_brokers),
        lost_disks: status.lost_disks.iter().map(trust::lost_disk_info).collect(),
    }
}

/// The state of the cluster that an answer holds.
pub(crate) fn status(answer: v1::DescribeClusterResponse) -> Result<ClusterStatus, Error> {
    let controller = |one: v1::ControllerInfo| ControllerStatus {
        id: ControllerId(one.node_id),
        address: one.address,
        voter: one.voter,
        versions: (one.max_metadata_version > 0)
            .then(|| VersionRange::from_numbers(one.min_metadata_version, one.max_metadata_version)),
    };
    let counts = Counts {
        topics: answer.topic_count as usize,
        partitions: answer.partition_count as usize,
        offline: answer.offline_partition_count as usize,
        under_replicated: answer.under_replicated_partition_count as usize,
        under_min_isr: answer.under_min_isr_partition_count as usize,
        moving: answer.moving_partition_count as usize,
        distrusted: answer.distrusted_replica_count as usize,
        brokers: answer.brokers.len(),
        fenced_brokers: answer.brokers.iter().filter(|broker| broker.fenced).count(),
    };
    Ok(ClusterStatus {
        cluster_id: optional_id(&answer.cluster_id, "cluster_id")?,
        index: MetadataIndex(answer.index),
        controllers: answer.controllers.into_iter().map(controller).collect(),
        active_controller: answer.active_controller.map(ControllerId),
        term: answer.term,
        brokers: answer.brokers.into_iter().map(broker).collect(),
        counts,
        troubled: answer.troubled_partitions.into_iter().map(troubled).collect::<Result<_, _>>()?,
        move_bytes_per_second: answer.move_bytes_per_second,
        metadata_version: MetadataVersion(answer.metadata_version),
        recoveries: answer.recoveries.into_iter().map(recovery::given_up).collect::<Result<_, _>>()?,
        controller_recoveries: answer
            .controller_recoveries
            .into_iter()
            .map(controllers_recovery::from_message)
            .collect(),
        unheard_brokers: answer.unheard_brokers.into_iter().map(BrokerId).collect(),
        lost_disks: answer.lost_disks.into_iter().map(trust::lost_disk).collect(),
    })
}

fn broker(info: v1::BrokerInfo) -> BrokerStatus {
    BrokerStatus {
        broker_id: BrokerId(info.broker_id),
        broker_epoch: BrokerEpoch(info.broker_epoch),
        client_address: info.client_address,
        peer_address: info.peer_address,
        rack: Some(info.rack).filter(|rack| !rack.is_empty()),
        fenced: info.fenced,
        shutting_down: info.shutting_down,
        draining: info.draining,
        replica_count: info.replica_count,
        leader_count: info.leader_count,
        versions: VersionRange::from_numbers(info.min_metadata_version, info.max_metadata_version),
        clock_distrust: info.clock_distrust.as_ref().map(clock::distrust),
        damaged: info.damaged.as_ref().and_then(damaged::read),
        unopened: info.unopened.map(unopened::read),
    }
}

fn broker_message(status: BrokerStatus) -> v1::BrokerInfo {
    v1::BrokerInfo {
        broker_id: status.broker_id.0,
        client_address: status.client_address,
        peer_address: status.peer_address,
        rack: status.rack.unwrap_or_default(),
        fenced: status.fenced,
        shutting_down: status.shutting_down,
        broker_epoch: status.broker_epoch.0,
        draining: status.draining,
        replica_count: status.replica_count,
        leader_count: status.leader_count,
        min_metadata_version: status.versions.min.0,
        max_metadata_version: status.versions.max.0,
        clock_distrust: status.clock_distrust.map(clock::distrust_message),
        damaged: status.damaged.map(damaged::message),
        unopened: status.unopened.map(unopened::message),
    }
}

fn troubled(message: v1::TroubledPartition) -> Result<TroubledPartition, Error> {
    let info = required(message.partition, "troubled_partitions.partition")?;
    let (partition, state) = view::partition_from_message(info)?;
    Ok(TroubledPartition {
        topic: message.topic,
        partition,
        state,
        min_insync_replicas: message.min_insync_replicas,
        missing_replicas: message.missing_replicas.into_iter().map(BrokerId).collect(),
    })
}

fn troubled_message(troubled: TroubledPartition) -> v1::TroubledPartition {
    v1::TroubledPartition {
        topic: troubled.topic,
        partition: Some(view::partition(troubled.partition, &troubled.state)),
        min_insync_replicas: troubled.min_insync_replicas,
        missing_replicas: ids(&troubled.missing_replicas),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No two fields alike.
    fn answer() -> v1::DescribeClusterResponse {
        let partition = v1::PartitionInfo {
            partition: 1,
            leader: Some(2),
            leader_epoch: 3,
            partition_epoch: 4,
            replicas: vec![2, 5],
            isr: vec![2],
            elr: vec![5],
            adding_replicas: vec![6],
            removing_replicas: vec![7],
            frozen_high_watermark: Some(34),
            unsettled: true,
            found_replicas: vec![7],
            frozen_leader_epoch: Some(37),
            claims: vec![v1::ReplicaClaim {
                broker_id: 5,
                leader_epoch: Some(35),
                end: 36,
                doubtful: true,
                unread: true,
                not_held: false,
            }],
            distrusted: vec![v1::DistrustedReplica { broker_id: 6, reason: v1::DistrustReason::Halted.into() }],
        };
        v1::DescribeClusterResponse {
            cluster_id: vec![8; 16].into(),
            index: 9,
            controllers: vec![v1::ControllerInfo {
                node_id: 10,
                address: "c:11".to_owned(),
                voter: true,
                min_metadata_version: 30,
                max_metadata_version: 31,
            }],
            active_controller: Some(12),
            term: 13,
            brokers: vec![v1::BrokerInfo {
                broker_id: 14,
                client_address: "client:15".to_owned(),
                peer_address: "peer:16".to_owned(),
                rack: "seventeen".to_owned(),
                fenced: true,
                shutting_down: false,
                broker_epoch: 18,
                draining: true,
                replica_count: 19,
                leader_count: 20,
                min_metadata_version: 32,
                max_metadata_version: 33,
                clock_distrust: Some(v1::ClockDistrust {
                    reason: v1::ClockDistrustReason::Jumped.into(),
                    by_ms: -40,
                    left_ms: 41,
                }),
                damaged: Some(v1::DamagedReplicas { count: 42, topic_id: vec![43; 16].into(), partition: 44 }),
                unopened: Some(v1::UnopenedReplicas {
                    count: 64,
                    error: "sixty-five".to_owned(),
                    first: vec![v1::UnopenedReplica { topic_id: vec![66; 16].into(), partition: 67 }],
                }),
            }],
            topic_count: 21,
            partition_count: 22,
            offline_partition_count: 23,
            under_replicated_partition_count: 24,
            under_min_isr_partition_count: 25,
            moving_partition_count: 26,
            troubled_partitions: vec![v1::TroubledPartition {
                topic: "t".to_owned(),
                partition: Some(partition),
                min_insync_replicas: 27,
                missing_replicas: vec![28],
            }],
            move_bytes_per_second: 29,
            metadata_version: 34,
            recoveries: vec![v1::RecoveryInfo {
                topic: "thirty-seven".to_owned(),
                partition: 38,
                broker_id: 39,
                leader_epoch: 40,
                end: Some(41),
                high_watermark: None,
                absent: vec![42],
                at_ms: 43,
                high_watermark_epoch: Some(60),
                high_watermark_is_old: true,
                claims: vec![v1::ReplicaClaim {
                    broker_id: 61,
                    leader_epoch: Some(62),
                    end: 63,
                    doubtful: true,
                    unread: false,
                    not_held: false,
                }],
            }],
            distrusted_replica_count: 44,
            controller_recoveries: vec![v1::ControllerRecovery {
                controller_id: 45,
                index: 46,
                term: 47,
                committed: 48,
                given_up: vec![49],
                without: vec![50],
                expected: vec![65],
                at_ms: 51,
                first_broker_epoch: 52,
            }],
            unheard_brokers: vec![53],
            lost_disks: vec![v1::LostDiskInfo {
                broker_id: 54,
                broker_epoch: 55,
                replica_count: 56,
                eligible_count: 57,
                led_count: 58,
                at_ms: 59,
            }],
        }
    }

    #[test]
    fn what_passes_through_comes_out_as_it_was() {
        assert_eq!(describe_answer(status(answer()).unwrap()), answer());
        let empty = v1::DescribeClusterResponse::default();
        assert_eq!(describe_answer(status(empty.clone()).unwrap()), empty);
        assert_eq!(status(answer()).unwrap().counts.fenced_brokers, 1);
    }

    #[test]
    fn a_troubled_partition_that_is_not_told_is_named() {
        let mut answer = answer();
        answer.troubled_partitions[0].partition = None;
        assert_eq!(status(answer), Err(Error::Missing { field: "troubled_partitions.partition" }));
    }
}
