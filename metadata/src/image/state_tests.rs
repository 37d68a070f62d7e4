//! Records that do not fit are refused and change nothing; those that fit are found again.

use std::collections::BTreeMap;

use uuid::Uuid;

use holdfast_proto::ids::{DirectoryId, IncarnationId};

use super::*;
use crate::{status::PartitionHealth, version::VersionRange};

const TOPIC: TopicId = TopicId(Uuid::from_u128(1));

fn state(leader: Option<u32>, epochs: (u32, u32), isr: &[u32]) -> PartitionState {
    PartitionState {
        leader: leader.map(BrokerId),
        leader_epoch: LeaderEpoch(epochs.0),
        partition_epoch: PartitionEpoch(epochs.1),
        replicas: vec![BrokerId(1), BrokerId(2), BrokerId(3)],
        isr: isr.iter().copied().map(BrokerId).collect(),
        ..PartitionState::default()
    }
}

fn partition(index: u32, state: PartitionState) -> Record {
    Record::Partition { topic_id: TOPIC, partition: PartitionIndex(index), state }
}

fn broker(epoch: u64) -> Record {
    Record::Broker(BrokerRegistration {
        broker_id: BrokerId(1),
        broker_epoch: BrokerEpoch(epoch),
        incarnation_id: IncarnationId(Uuid::from_u128(1)),
        directory_id: DirectoryId(Uuid::from_u128(1)),
        boot_counter: 1,
        client_address: "a:1".into(),
        peer_address: "a:2".into(),
        rack: None,
        versions: VersionRange::default(),
        fenced: false,
        shutting_down: false,
        token: None,
    })
}

/// An image of one topic with two partitions, at index 5.
fn image() -> Image {
    let records = [
        Record::Cluster { cluster_id: ClusterId(Uuid::from_u128(9)) },
        Record::NextBrokerEpoch { next_broker_epoch: BrokerEpoch(8) },
        Record::NextProducerId { next_producer_id: ProducerId(3_000) },
        broker(7),
        Record::RemoveTopic { topic_id: TopicId(Uuid::from_u128(2)) },
        Record::Topic { topic_id: TOPIC, name: "t".into() },
        partition(0, state(Some(1), (4, 6), &[1, 2])),
        partition(1, state(None, (1, 1), &[])),
    ];
    Image::from_records(MetadataIndex(5), &records).expect("fits")
}

#[test]
fn records_that_do_not_fit_change_nothing() {
    let went_back = |leader, partition| {
        let tp = TopicPartition { topic_id: TOPIC, partition: PartitionIndex(0) };
        let (old, new) = ((LeaderEpoch(4), PartitionEpoch(6)), (LeaderEpoch(leader), PartitionEpoch(partition)));
        Error::PartitionWentBack(tp, old.0, old.1, new.0, new.1)
    };
    let other = TopicId(Uuid::from_u128(3));
    let deleted = TopicId(Uuid::from_u128(2));
    let cluster = |n| ClusterId(Uuid::from_u128(n));
    let cases: Vec<(Record, Error)> = vec![
        (partition(0, state(None, (3, 7), &[])), went_back(3, 7)),
        (partition(0, state(None, (5, 5), &[])), went_back(5, 5)),
        (partition(3, state(None, (0, 0), &[])), Error::PartitionGap(TOPIC, PartitionIndex(3), PartitionIndex(2))),
        (
            Record::Partition { topic_id: other, partition: PartitionIndex(0), state: state(None, (0, 0), &[]) },
            Error::UnknownTopic(other),
        ),
        (Record::TopicConfig { topic_id: other, configs: BTreeMap::new() }, Error::UnknownTopic(other)),
        (Record::Topic { topic_id: TOPIC, name: "u".into() }, Error::TopicIdUsed(TOPIC)),
        (Record::Topic { topic_id: deleted, name: "u".into() }, Error::TopicIdUsed(deleted)),
        (Record::Topic { topic_id: other, name: "t".into() }, Error::NameTaken(other, "t".into())),
        (broker(6), Error::BrokerWentBack(BrokerId(1), BrokerEpoch(7), BrokerEpoch(6))),
        (Record::RemoveBroker { broker_id: BrokerId(2) }, Error::UnknownBroker(BrokerId(2))),
        (
            Record::NextBrokerEpoch { next_broker_epoch: BrokerEpoch(7) },
            Error::CounterWentBack("next broker epoch", 8, 7),
        ),
        (
            Record::NextProducerId { next_producer_id: ProducerId(2_999) },
            Error::CounterWentBack("next producer id", 3_000, 2_999),
        ),
        (Record::Cluster { cluster_id: cluster(8) }, Error::ClusterIdChanged(cluster(9), cluster(8))),
    ];
    for (record, error) in cases {
        let mut changed = image();
        assert_eq!(changed.apply(&record), Err(error), "{record:?}");
        assert_eq!(changed, image(), "{record:?}");
        // After one that fits, the whole index is still refused.
        let fits = partition(0, state(Some(2), (5, 7), &[2]));
        assert!(changed.apply_all(MetadataIndex(6), [&fits, &record]).is_err());
        assert_eq!(changed, image(), "{record:?}");
    }
}

#[test]
fn the_index_only_grows() {
    let mut image = image();
    assert_eq!(image.advance_to(MetadataIndex(5)), Err(Error::IndexWentBack(MetadataIndex(5), MetadataIndex(5))));
    image.apply_all(MetadataIndex(9), []).expect("fits");
    assert_eq!(image.index(), MetadataIndex(9));
}

#[test]
fn a_brokers_image_needs_only_the_records_that_travel() {
    let all = image();
    let told = Image::from_records(all.index(), all.records().iter().filter(|record| record.travels())).expect("fits");
    assert!(told.topics().eq(all.topics()));
    assert_eq!((told.brokers(), told.deleted_topics()), (all.brokers(), all.deleted_topics()));
    assert_eq!(told.cluster_id(), None);
}

#[test]
fn a_copy_does_not_change_with_its_original() {
    let mut original = image();
    let copy = original.clone();
    original.apply(&partition(0, state(Some(2), (5, 7), &[2]))).expect("fits");
    original.apply(&Record::RemoveTopic { topic_id: TOPIC }).expect("fits");
    assert_eq!(original.topic_by_name("t"), None);
    assert_eq!(copy.topic_by_name("t").map(Topic::topic_id), Some(TOPIC));
    assert_eq!(copy, image());
}

#[test]
fn partitions_are_found_and_ranked() {
    let mut image = image();
    let led: Vec<u32> = image.partitions_led_by(BrokerId(1)).map(|(tp, ..)| tp.partition.0).collect();
    assert_eq!(led, [0]);
    assert_eq!(image.partitions_of(BrokerId(3)).count(), 2);
    assert_eq!(image.partitions_of(BrokerId(4)).count(), 0);
    image.apply(&partition(2, state(Some(1), (0, 0), &[1]))).expect("fits");
    image.apply(&partition(3, state(Some(1), (0, 0), &[1, 2, 3]))).expect("fits");
    let topic = image.topic(TOPIC).expect("there");
    let health: Vec<PartitionHealth> = topic.partitions().map(|(_, state)| topic.health(state)).collect();
    assert_eq!(
        health,
        [
            PartitionHealth::UnderReplicated,
            PartitionHealth::Offline,
            PartitionHealth::UnderMinIsr,
            PartitionHealth::Healthy
        ]
    );
    let counts = image.counts();
    assert_eq!((counts.partitions, counts.offline, counts.under_min_isr, counts.under_replicated), (4, 1, 2, 3));
    assert_eq!((counts.topics, counts.brokers, counts.fenced_brokers), (1, 1, 0));
}
