//! What is told of a topic.

use holdfast_proto::ids::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId};

use super::*;

#[test]
fn a_partition_counts_as_offline_or_as_under_replicated_and_not_as_both() {
    let check = |partitions: &[(Option<u32>, u32, u32)], expected| {
        let ids = |count| (1..=count).map(BrokerId).collect::<Vec<_>>();
        let partition = |(index, (leader, replicas, isr)): (usize, &(Option<u32>, u32, u32))| PartitionView {
            partition: PartitionIndex(index as u32),
            leader: leader.map(BrokerId),
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(1),
            replicas: ids(*replicas),
            isr: ids(*isr),
            elr: vec![],
            adding: vec![],
            removing: vec![],
        };
        let partitions = partitions.iter().enumerate().map(partition).collect();
        let topic = TopicView { name: "t".into(), id: TopicId::from_bytes(&[1; 16]).unwrap(), partitions };
        assert_eq!(health(&topic), expected);
    };
    check(&[(Some(1), 3, 3)], "ok");
    check(&[(None, 1, 1), (Some(1), 3, 2)], "1 offline, 1 under-replicated");
    check(&[(None, 3, 0), (None, 3, 1), (None, 3, 1)], "3 offline");
    check(&[(Some(1), 3, 1), (Some(1), 3, 2)], "2 under-replicated");
}
