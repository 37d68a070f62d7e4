//! What is going on in a cluster and is no problem.

use std::collections::BTreeMap;

use holdfast_checker::text::{counted, grouped};
use holdfast_client::metadata::TopicView;
use holdfast_proto::v1::{BrokerInfo, DescribeClusterResponse};

use super::clock;
use crate::moves::Throttle;

/// Moves, drains, controllers that catch up and clocks that are not trusted, one a line.
pub(super) fn notices(view: &DescribeClusterResponse) -> Vec<String> {
    let mut notices = Vec::new();
    if view.moving_partition_count > 0 {
        let noun = if view.moving_partition_count == 1 { "partition is" } else { "partitions are" };
        notices.push(format!("{} {noun} moving: holdfast partition ls --moving", grouped(view.moving_partition_count)));
    }
    if view.move_bytes_per_second > 0 {
        let limit = Throttle { bytes_per_second: view.move_bytes_per_second };
        notices.push(format!("each broker copies at most {limit} for moves"));
    }
    for broker in view.brokers.iter().filter(|broker| broker.draining) {
        let id = broker.broker_id;
        notices.push(match broker.replica_count {
            0 => format!("broker {id} is drained: it is safe to remove"),
            left => format!("broker {id} is being drained, {} left", counted(left, "replica")),
        });
    }
    for controller in view.controllers.iter().filter(|controller| !controller.voter) {
        notices.push(format!(
            "controller {} ({}) is a learner: it is catching up",
            controller.node_id, controller.address
        ));
    }
    notices.extend(view.brokers.iter().filter_map(clock::notice));
    notices
}

/// True if a broker could lead and leads nothing: one that has just come back, or one whose turn it is not.
pub(super) fn is_idle(broker: &BrokerInfo) -> bool {
    !broker.fenced && !broker.shutting_down && !broker.draining && broker.replica_count > 0 && broker.leader_count == 0
}

/// For each idle broker that is to lead partitions, which others lead while it is back in sync: that it gets them back.
pub(super) fn returning(view: &DescribeClusterResponse, topics: &[TopicView]) -> Vec<String> {
    let mut waiting: BTreeMap<u32, u64> = BTreeMap::new();
    for partition in topics.iter().flat_map(|topic| &topic.partitions) {
        let Some(first) = partition.replicas.first() else { continue };
        if partition.leader.is_some_and(|leader| leader != *first) && partition.isr.contains(first) {
            *waiting.entry(first.0).or_default() += 1;
        }
    }
    let idle = view.brokers.iter().filter(|broker| is_idle(broker));
    idle.filter_map(|broker| {
        let (id, count) = (broker.broker_id, waiting.get(&broker.broker_id)?);
        let come = if *count == 1 { "comes back to it by itself" } else { "come back to it by themselves" };
        Some(format!(
            "broker {id} leads nothing yet: {} {come} within some seconds \
             (leader_rebalance_interval_ms of the controllers)",
            counted(*count, "partition")
        ))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use holdfast_client::metadata::PartitionView;
    use holdfast_proto::{
        ids::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId},
        v1::ControllerInfo,
    };

    use super::*;

    #[test]
    fn what_is_under_way_is_told() {
        let broker = BrokerInfo { broker_id: 1, draining: true, replica_count: 7, ..Default::default() };
        let view = DescribeClusterResponse {
            moving_partition_count: 2,
            move_bytes_per_second: 50_000_000,
            brokers: vec![broker],
            controllers: vec![ControllerInfo {
                node_id: 9,
                address: "127.0.0.1:9402".into(),
                voter: false,
                ..Default::default()
            }],
            ..Default::default()
        };
        let expected = [
            "2 partitions are moving: holdfast partition ls --moving",
            "each broker copies at most 50.0 MB/s for moves",
            "broker 1 is being drained, 7 replicas left",
            "controller 9 (127.0.0.1:9402) is a learner: it is catching up",
        ];
        assert_eq!(notices(&view), expected);
    }

    #[test]
    fn a_broker_that_came_back_is_told_to_get_its_leaders_back() {
        let ids = |ids: &[u32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
        let partition = |index, leader, replicas: &[u32], isr: &[u32]| PartitionView {
            partition: PartitionIndex(index),
            leader: Some(BrokerId(leader)),
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(1),
            replicas: ids(replicas),
            isr: ids(isr),
            elr: vec![],
            adding: vec![],
            removing: vec![],
        };
        // Broker 1 came back, 2 leads, and 3 is never the first: it leads nothing, and nothing comes to it.
        let partitions = vec![
            partition(0, 2, &[1, 2, 3], &[1, 2, 3]),
            partition(1, 2, &[1, 2, 3], &[1, 2, 3]),
            partition(2, 2, &[1, 2, 3], &[2, 3]),
            partition(3, 2, &[2, 1, 3], &[1, 2, 3]),
        ];
        let topics = [TopicView { name: "t".into(), id: TopicId::from_bytes(&[1; 16]).unwrap(), partitions }];
        let broker =
            |broker_id, leader_count| BrokerInfo { broker_id, replica_count: 4, leader_count, ..Default::default() };
        let mut view =
            DescribeClusterResponse { brokers: vec![broker(1, 0), broker(2, 4), broker(3, 0)], ..Default::default() };
        let told = returning(&view, &topics);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("broker 1 leads nothing yet: 2 partitions come back to it by themselves"),
            "{told:?}"
        );
        view.brokers[0].fenced = true;
        assert!(returning(&view, &topics).is_empty(), "it is away");
    }
}
