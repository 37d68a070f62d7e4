//! Each clause of the rule, and the situations that a roll meets.

use std::collections::BTreeMap;

use uuid::Uuid;

use holdfast_metadata::{PartitionState, Record};
use holdfast_proto::ids::{LeaderEpoch, MetadataIndex, PartitionEpoch, PartitionIndex, TopicId};

use super::*;

const ME: BrokerId = BrokerId(1);

fn ids(ids: &[u32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

fn partition(leader: Option<u32>, replicas: &[u32], isr: &[u32]) -> PartitionState {
    PartitionState {
        leader: leader.map(BrokerId),
        leader_epoch: LeaderEpoch(1),
        partition_epoch: PartitionEpoch(1),
        replicas: ids(replicas),
        isr: ids(isr),
        ..PartitionState::default()
    }
}

/// An image of one topic.
fn image(min_isr: u32, partitions: Vec<PartitionState>) -> Image {
    let topic_id = TopicId(Uuid::from_u128(1));
    let configs = BTreeMap::from([("min.insync.replicas".to_owned(), min_isr.to_string())]);
    let mut records = vec![Record::Topic { topic_id, name: "t".to_owned() }, Record::TopicConfig { topic_id, configs }];
    records.extend(partitions.into_iter().enumerate().map(|(index, state)| Record::Partition {
        topic_id,
        partition: PartitionIndex(index as u32),
        state,
    }));
    Image::from_records(MetadataIndex(1), &records).unwrap()
}

fn count(min_isr: u32, state: PartitionState) -> usize {
    blockers(&image(min_isr, vec![state]), ME).count
}

#[test]
fn a_replica_that_is_not_back_holds_the_next_stop_up() {
    assert_eq!(count(2, partition(Some(2), &[1, 2, 3], &[2, 3])), 1);
}

#[test]
fn clause_1_it_is_back() {
    assert_eq!(count(2, partition(Some(2), &[1, 2, 3], &[1, 2, 3])), 0);
}

#[test]
fn clause_2_offline_waits_for_nobody() {
    assert_eq!(count(2, partition(None, &[1, 2, 3], &[])), 0);
    assert_eq!(count(2, partition(None, &[1, 2, 3], &[2])), 0);
}

#[test]
fn clause_3_another_may_stop_without_taking_it_below() {
    assert_eq!(count(1, partition(Some(2), &[1, 2, 3], &[2, 3])), 0);
    assert_eq!(count(1, partition(Some(2), &[1, 2, 3], &[2])), 1);
    assert_eq!(count(2, partition(Some(2), &[1, 2, 3, 4], &[2, 3, 4])), 0);
}

#[test]
fn clause_4_a_move_to_here_holds_nothing_up() {
    let moving = PartitionState { adding: ids(&[1]), removing: ids(&[3]), ..partition(Some(2), &[2, 1, 3], &[2, 3]) };
    assert_eq!(count(2, moving), 0);
    let moving_elsewhere =
        PartitionState { adding: ids(&[4]), removing: ids(&[3]), ..partition(Some(2), &[1, 2, 4, 3], &[2, 3]) };
    assert_eq!(count(2, moving_elsewhere), 1);
}

#[test]
fn partitions_of_others_are_theirs_to_answer_for() {
    assert_eq!(count(2, partition(Some(2), &[2, 3, 4], &[2])), 0);
}

/// All pods start at once: nobody leads until the last holders are there, and the first ones must not wait for them.
#[test]
fn a_cold_start_of_all_has_no_deadlock() {
    // No leader yet anywhere.
    assert_eq!(count(2, partition(None, &[1, 2, 3], &[])), 0);
    // The first two are back and one leads: they are in the ISR, and only the third still has to join.
    let led = partition(Some(2), &[1, 2, 3], &[2, 1]);
    assert_eq!(count(2, led.clone()), 0);
    assert_eq!(blockers(&image(2, vec![led]), BrokerId(3)).count, 1);
}

/// Broker 3 is lost for good: 1 and 2 answer yes, so a roll goes through them, one at a time.
#[test]
fn a_cluster_that_another_brokers_loss_degraded_can_be_rolled() {
    let degraded = image(2, vec![partition(Some(2), &[1, 2, 3], &[1, 2]), partition(Some(1), &[1, 2, 3], &[1, 2])]);
    assert_eq!(blockers(&degraded, BrokerId(1)).count, 0);
    assert_eq!(blockers(&degraded, BrokerId(2)).count, 0);
    // While 1 is being rolled, min ISR does not stand: 1 is not safe until it is back.
    let rolled = image(2, vec![partition(Some(2), &[1, 2, 3], &[2])]);
    assert_eq!(blockers(&rolled, BrokerId(1)).count, 1);
}

#[test]
fn a_single_replica_never_holds_a_stop_up_elsewhere() {
    // Back and leading; or still offline, because its only holder is not yet unfenced.
    assert_eq!(count(1, partition(Some(1), &[1], &[1])), 0);
    assert_eq!(count(1, partition(None, &[1], &[])), 0);
    // What counts as min ISR is never above the number of replicas.
    assert_eq!(count(2, partition(Some(1), &[1], &[1])), 0);
}

/// min ISR = number of replicas: each stop halts writes, by consent; the next waits until this one is back.
#[test]
fn min_isr_of_all_replicas_waits_for_each() {
    assert_eq!(count(3, partition(Some(2), &[1, 2, 3], &[2, 3])), 1);
    assert_eq!(count(3, partition(Some(2), &[1, 2, 3], &[1, 2, 3])), 0);
}

#[test]
fn some_are_named_and_all_are_counted() {
    let behind = || partition(Some(2), &[1, 2, 3], &[2, 3]);
    let found = blockers(&image(2, vec![behind(), behind(), behind(), behind(), behind(), behind(), behind()]), ME);
    assert_eq!((found.count, found.named.len()), (7, 5));
    assert_eq!(found.named[1], "t-1 (ISR 2,3, min 2)");
}
