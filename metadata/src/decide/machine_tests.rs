use std::collections::BTreeMap;

use uuid::Uuid;

use holdfast_proto::{
    error::ErrorCode,
    ids::{
        BrokerEpoch, BrokerId, ClusterId, DirectoryId, IncarnationId, MetadataVersion, PartitionIndex, ProducerId,
        TopicId,
    },
};

use super::*;
use crate::{
    command::{AlterReplicas, CreateTopic, RegisterBroker},
    record::{BrokerRegistration, PartitionState},
    response::Response,
    version::{self, VersionRange},
};

const TOPIC: TopicId = TopicId(Uuid::from_u128(1));

/// A broker, and a topic of one partition on it.
fn image() -> Image {
    let mut image = Image::default();
    let commands = [
        Command::RegisterBroker(RegisterBroker {
            broker_id: BrokerId(1),
            incarnation_id: IncarnationId(Uuid::from_u128(2)),
            directory_id: DirectoryId(Uuid::from_u128(3)),
            boot_counter: 1,
            client_address: "a:1".to_owned(),
            peer_address: "a:2".to_owned(),
            rack: None,
            versions: VersionRange::default(),
            old_session_alive: false,
            replaces: None,
            folder: None,
        }),
        Command::UnfenceBroker { broker_id: BrokerId(1), broker_epoch: BrokerEpoch(1) },
        Command::CreateTopic(CreateTopic {
            name: "t".to_owned(),
            topic_id: TOPIC,
            partition_count: 1,
            replication_factor: 1,
            configs: BTreeMap::new(),
        }),
    ];
    for (index, command) in (1..).map(MetadataIndex).zip(&commands) {
        apply_command(&mut image, index, command).result.expect("carried out");
    }
    image
}

fn state(leader: u32, replicas: &[u32]) -> PartitionState {
    let replicas: Vec<BrokerId> = replicas.iter().copied().map(BrokerId).collect();
    PartitionState { leader: Some(BrokerId(leader)), isr: replicas.clone(), replicas, ..PartitionState::default() }
}

fn partition(partition: u32, state: PartitionState) -> Record {
    Record::Partition { topic_id: TOPIC, partition: PartitionIndex(partition), state }
}

/// Records of every kind, all of which fit.
fn of_every_kind(image: &Image) -> Vec<Record> {
    let other = TopicId(Uuid::from_u128(9));
    let broker = image.broker(BrokerId(1)).expect("a broker").clone();
    vec![
        Record::Cluster { cluster_id: ClusterId(Uuid::from_u128(5)) },
        Record::Broker(BrokerRegistration { broker_id: BrokerId(7), ..broker.clone() }),
        Record::BrokerDrain { broker_id: BrokerId(7), draining: true },
        Record::RemoveBroker { broker_id: BrokerId(7) },
        Record::Broker(BrokerRegistration { client_address: "b:1".to_owned(), ..broker }),
        Record::BrokerDrain { broker_id: BrokerId(1), draining: true },
        Record::MoveLimit { bytes_per_second: 5 },
        Record::Topic { topic_id: other, name: "u".to_owned() },
        Record::TopicConfig { topic_id: TOPIC, configs: [("retention.ms".to_owned(), "5".to_owned())].into() },
        partition(0, state(1, &[1])),
        partition(1, state(1, &[1])),
        Record::RemoveTopic { topic_id: TOPIC },
        Record::NextProducerId { next_producer_id: ProducerId(1_000) },
        Record::NextBrokerEpoch { next_broker_epoch: BrokerEpoch(9) },
        Record::Version { version: MetadataVersion(2) },
        Record::History { hash: HistoryHash::START },
    ]
}

#[test]
fn records_that_break_a_rule_are_taken_back_and_refused() {
    let before = image();
    let command = Command::DeleteTopic { topic_id: TOPIC };
    let other = TopicId(Uuid::from_u128(8));
    let bad = [
        // In sync without being assigned; a gap; a topic that is not there; a cluster that changes its id.
        vec![partition(0, PartitionState { isr: vec![BrokerId(2)], ..state(2, &[1]) })],
        vec![partition(3, state(1, &[1]))],
        vec![Record::TopicConfig { topic_id: other, configs: BTreeMap::new() }],
        vec![
            Record::Cluster { cluster_id: ClusterId(Uuid::from_u128(5)) },
            Record::Cluster { cluster_id: ClusterId(Uuid::from_u128(6)) },
        ],
    ];
    for bad in bad {
        let mut records: Vec<Record> = of_every_kind(&before);
        // The topic has to be there for what is wrong to be wrong in it.
        records.retain(|record| !matches!(record, Record::RemoveTopic { .. } | Record::Cluster { .. }));
        records.extend(bad);
        let mut after = before.clone();
        let outcome = Outcome { records, result: Ok(Response::TopicDeleted) };
        let outcome = carry_out(&mut after, MetadataIndex(4), &command, outcome);
        let fault = outcome.result.expect_err("refused");
        assert!(fault.is_fault());
        assert_eq!(fault.message.matches("report it").count(), 1, "{fault}");
        assert_eq!((outcome.records.len(), after.index()), (0, MetadataIndex(4)));
        assert_eq!(after.records(), before.records(), "everything is as before");
    }
}

#[test]
fn a_fault_is_told_once_and_with_one_of_the_rules_that_it_would_break() {
    let before = image();
    let command = Command::DeleteTopic { topic_id: TOPIC };
    let text = |outcome| {
        let outcome = carry_out(&mut before.clone(), MetadataIndex(4), &command, outcome);
        outcome.result.expect_err("refused").message
    };
    let bad = |number| partition(number, PartitionState { isr: vec![BrokerId(2)], ..state(2, &[1]) });
    let records: Vec<Record> = (0..1_000).map(bad).collect();
    let broken = text(Outcome { records, result: Ok(Response::TopicDeleted) });
    assert!(broken.len() < 1_000, "{broken}");
    let decided = Outcome { records: Vec::new(), result: Err(Rejection::fault("no leader")) };
    assert_eq!(text(decided), "a fault of the controllers, report it: no leader");
}

/// The table as a later build has it: electing leaders came with version 2, and so did the limit for moves.
const LATER: Needs = Needs {
    command: |command| match command {
        Command::ElectLeaders { .. } => MetadataVersion(2),
        _ => version::FIRST,
    },
    record: |record| match record {
        Record::MoveLimit { .. } => MetadataVersion(2),
        _ => version::FIRST,
    },
};

#[test]
fn what_came_with_a_version_waits_until_it_is_finalised() {
    let mut image = image();
    let elect = Command::ElectLeaders { partitions: Vec::new() };
    let refused = decide_by(&LATER, &image, &elect).expect_err("version 1 does not have it");
    assert_eq!(refused.code, ErrorCode::UnsupportedVersion);
    assert!(refused.message.contains("needs metadata version 2") && !refused.is_fault(), "{refused}");
    let limit = AlterReplicas { moves: Vec::new(), move_bytes_per_second: Some(1) };
    let limit = Command::AlterReplicas(limit);
    let refused = decide_by(&LATER, &image, &limit).expect_err("its record is not of version 1");
    assert!(refused.is_fault(), "{refused}");
    image.apply(&Record::Version { version: MetadataVersion(2) }).expect("upwards");
    decide_by(&LATER, &image, &elect).expect("version 2 has it");
    decide_by(&LATER, &image, &limit).expect("and its record");
}

#[test]
fn the_same_command_with_other_records_is_another_history() {
    let command = Command::DeleteTopic { topic_id: TOPIC };
    let history = |records: Vec<Record>| {
        let mut image = image();
        carry_out(&mut image, MetadataIndex(4), &command, Outcome { records, result: Ok(Response::TopicDeleted) });
        image.history().expect("from the beginning")
    };
    let drain = |draining| vec![Record::BrokerDrain { broker_id: BrokerId(1), draining }];
    assert_eq!(history(drain(true)), history(drain(true)));
    assert_ne!(history(drain(true)), history(drain(false)));
    assert_ne!(history(drain(false)), history(Vec::new()), "though the state is the same");
    let faulty = history(vec![Record::RemoveBroker { broker_id: BrokerId(99) }]);
    assert_eq!(faulty, history(Vec::new()), "what was taken back is no change");
}

#[test]
fn a_fault_of_one_change_is_a_fault_of_the_outcome() {
    let refused = || Rejection::new(ErrorCode::InvalidRequest, "named twice");
    let altered = |results| Outcome { records: Vec::new(), result: Ok(Response::ReplicasAltered { results }) };
    assert_eq!(altered(vec![Ok(()), Err(refused())]).fault(), None);
    let faulty = altered(vec![Ok(()), Err(refused()), Err(Rejection::fault("no leader"))]);
    assert_eq!(faulty.fault(), Some(&Rejection::fault("no leader")));
    let results = vec![Err(refused()), Err(Rejection::fault("no leader"))];
    let faulty = Outcome { records: Vec::new(), result: Ok(Response::PartitionsAltered { results }) };
    assert!(faulty.fault().is_some());
}

#[test]
fn every_kind_of_record_can_be_taken_back() {
    let before = image();
    let mut after = before.clone();
    let mut records = of_every_kind(&before);
    records.push(Record::RemoveBroker { broker_id: BrokerId(99) });
    apply(&mut after, &records).expect_err("nobody knows broker 99");
    assert_eq!(after, before);
}

#[test]
#[should_panic(expected = "the state was broken before")]
fn a_state_that_is_broken_already_ends_the_process() {
    let mut broken = image();
    broken.apply(&partition(0, state(2, &[2]))).expect("it fits");
    let records = vec![partition(0, PartitionState { isr: Vec::new(), ..state(1, &[1]) })];
    let outcome = Outcome { records, result: Ok(Response::TopicDeleted) };
    carry_out(&mut broken, MetadataIndex(4), &Command::DeleteTopic { topic_id: TOPIC }, outcome);
}
