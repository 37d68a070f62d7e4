use uuid::Uuid;

use holdfast_metadata::{
    AlterPartition, DistrustReplicas, EndedSession, FinalizeVersion, PartitionState, RecoverPartition,
};
use holdfast_proto::ids::{BrokerEpoch, BrokerId, MetadataVersion, PartitionEpoch, TopicPartition};

use super::*;
use crate::test_support::registration;

const TOPIC: TopicId = TopicId(Uuid::from_u128(1));

/// The topic `orders`, of which one replica in sync is enough.
fn image() -> Image {
    let configs = [(MIN_ISR.to_owned(), "1".to_owned())].into();
    let mut image = Image::default();
    for record in
        [Record::Topic { topic_id: TOPIC, name: "orders".to_owned() }, Record::TopicConfig { topic_id: TOPIC, configs }]
    {
        image.apply(&record).expect("it fits");
    }
    image
}

/// Something changed by it.
fn changed() -> Vec<Record> {
    vec![Record::NextBrokerEpoch { next_broker_epoch: BrokerEpoch(9) }]
}

/// The state that a partition of the topic got.
fn state(partition: u32) -> Record {
    let state = PartitionState { isr: vec![BrokerId(3), BrokerId(1)], ..PartitionState::default() };
    Record::Partition { topic_id: TOPIC, partition: PartitionIndex(partition), state }
}

fn told(command: &Command, records: &[Record]) -> Option<String> {
    OpenEntry::of(7, command, &image(), records).map(|entry| entry.text)
}

#[track_caller]
fn check(command: &Command, text: &str, weight: Weight) {
    let expected = OpenEntry { index: 7, text: text.to_owned(), weight };
    assert_eq!(OpenEntry::of(7, command, &image(), &changed()), Some(expected));
}

fn alter(configs: &[(&str, Option<&str>)], partition_count: Option<u32>) -> Command {
    let configs = configs.iter().map(|(key, value)| ((*key).to_owned(), value.map(ToOwned::to_owned))).collect();
    Command::AlterTopic(AlterTopic { topic_id: TOPIC, configs, partition_count })
}

#[test]
fn each_entry_is_told_with_the_names_and_the_values_of_before() {
    let of_default = |key| value_of(&TopicConfig::default(), key);
    let (policy, min_isr) = (of_default("flush.policy"), of_default(MIN_ISR));
    assert_ne!(min_isr, "1", "else nothing changes");
    let command =
        alter(&[("flush.policy", Some("interval")), (MIN_ISR, None), ("retention.ms", Some("604800000"))], Some(3));
    let altered = format!(
        "alter topic orders: flush.policy {policy} -> interval, min.insync.replicas 1 -> {min_isr}, 0 -> 3 partitions"
    );
    check(&command, &altered, Weight::Grave);
    let kept = "alter topic orders: retention.ms 604800000 -> -1";
    check(&alter(&[("retention.ms", Some("-1")), (MIN_ISR, Some("1"))], None), kept, Weight::Ordered);
    check(&Command::DeleteTopic { topic_id: TOPIC }, "delete topic orders", Weight::Ordered);
    let unknown = TopicId(Uuid::from_u128(2));
    check(&Command::DeleteTopic { topic_id: unknown }, &format!("delete topic {unknown}"), Weight::Ordered);
    let (broker_id, broker_epoch, partition) = (BrokerId(3), BrokerEpoch(5), PartitionIndex(0));
    let recover =
        RecoverPartition { topic_id: TOPIC, partition, broker_id, partition_epoch: PartitionEpoch(1), at_ms: 5 };
    check(&Command::RecoverPartition(recover), "recover partition orders-0 with broker 3", Weight::Grave);
    check(&Command::UnregisterBroker { broker_id }, "unregister broker 3", Weight::Grave);
    let lost = "give up the disk of broker 3, broker epoch 5";
    check(&Command::LoseDisk { broker_id, broker_epoch, at_ms: 5 }, lost, Weight::Grave);
    let finalize = FinalizeVersion { version: MetadataVersion(3), controllers: Vec::new() };
    check(&Command::FinalizeVersion(finalize), "finalise metadata version 3", Weight::Grave);
    let elect = Command::ElectLeaders { partitions: vec![TopicPartition { topic_id: TOPIC, partition }] };
    check(&elect, "elect 1 preferred leaders", Weight::Ordered);
}

#[test]
fn what_changes_nothing_that_counts_is_not_told() {
    let default = value_of(&TopicConfig::default(), "retention.ms");
    assert_eq!(
        told(&alter(&[("retention.ms", Some(default.as_str()))], None), &changed()),
        None,
        "it is so by default"
    );
    assert_eq!(told(&Command::DeleteTopic { topic_id: TOPIC }, &[]), None, "it was refused");
}

#[test]
fn of_an_entry_that_decides_item_by_item_what_was_accepted_is_told() {
    let (broker_id, broker_epoch) = (BrokerId(3), BrokerEpoch(5));
    let isr = Command::AlterPartition(AlterPartition { broker_id, broker_epoch, changes: Vec::new() });
    assert_eq!(told(&isr, &[state(4)]).as_deref(), Some("leader 3 changes who is in sync: orders-4 to 3,1"));
    let distrust = Command::DistrustReplicas(DistrustReplicas { broker_id, broker_epoch, replicas: Vec::new() });
    assert_eq!(told(&distrust, &[state(4)]).as_deref(), Some("distrust replicas of broker 3: orders-4"));
    let to = |partition, ids: &[u32]| {
        let new_replicas = ids.iter().copied().map(BrokerId).collect();
        ReplicaMove { topic_id: TOPIC, partition: PartitionIndex(partition), new_replicas }
    };
    let moves = vec![to(0, &[1, 2]), to(1, &[]), to(2, &[1, 2]), to(1, &[4])];
    let moved = Command::AlterReplicas(AlterReplicas { moves, move_bytes_per_second: Some(0) });
    let limit = Record::MoveLimit { bytes_per_second: 0 };
    assert_eq!(told(&moved, &[state(0), state(1)]).as_deref(), Some("move replicas: orders-0 to 1,2, orders-1 back"));
    assert_eq!(told(&moved, std::slice::from_ref(&limit)).as_deref(), Some("no limit for moves"));
    let both = "move replicas: orders-2 to 1,2; no limit for moves";
    assert_eq!(told(&moved, &[limit, state(2)]).as_deref(), Some(both));
}

#[test]
fn of_many_partitions_and_brokers_some_are_named() {
    let (broker_id, broker_epoch) = (BrokerId(3), BrokerEpoch(5));
    let isr = Command::AlterPartition(AlterPartition { broker_id, broker_epoch, changes: Vec::new() });
    let seven: Vec<Record> = (0..7).map(state).collect();
    assert!(told(&isr, &seven).expect("it is told").ends_with("orders-4 to 3,1, and 2 more"));
    let ended = |id| EndedSession { broker_id: BrokerId(id), broker_epoch };
    let fence = Command::FenceBrokers { brokers: (1..=12).map(ended).collect() };
    let fenced = |id| Record::Broker(registration(BrokerId(id), broker_epoch));
    assert_eq!(told(&fence, &[fenced(1), fenced(3)]).as_deref(), Some("fence brokers 1, 3"));
    let all: Vec<Record> = (1..=12).map(fenced).collect();
    assert!(told(&fence, &all).expect("it is told").ends_with("9, 10, and 2 more"));
}

#[test]
fn what_matters_more_is_told_first_and_then_what_is_newer() {
    let mut entries = OpenEntries::default();
    assert!(entries.is_empty());
    let last = 2 * MAX_TOLD as u64;
    for index in 1..=last {
        let weight = match index {
            1 | 2 => Weight::Grave,
            _ if index % 2 == 0 => Weight::Ordered,
            _ => Weight::Own,
        };
        entries.add(OpenEntry { index, text: String::new(), weight });
    }
    let (told, more) = entries.told();
    let told: Vec<u64> = told.iter().map(|entry| entry.index).collect();
    assert_eq!((told.len(), more), (MAX_TOLD, MAX_TOLD));
    let own = last - 1;
    // Both grave ones, though they are the oldest, and the newest of those that were ordered.
    assert_eq!((told[0], told[1], told[2]), (1, 2, 6), "{told:?}");
    assert!(!told.contains(&4) && !told.contains(&own), "{told:?}");
    // More of one weight than are told.
    (1..=60).for_each(|n| entries.add(OpenEntry { index: last + n, text: String::new(), weight: Weight::Grave }));
    let (told, more) = entries.told();
    assert_eq!((told[0].index, told.len(), more), (last + 11, MAX_TOLD, 2 * MAX_TOLD + 10), "the newest");
}
