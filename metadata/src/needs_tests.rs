use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

use holdfast_proto::ids::{
    BrokerEpoch, BrokerId, ClusterId, ControllerId, DirectoryId, FolderToken, IncarnationId, LeaderEpoch,
    MetadataIndex, Offset, PartitionEpoch, PartitionIndex, TopicId, TopicPartition,
};

use super::*;
use crate::{
    command::{
        AlterPartition, AlterReplicas, AlterTopic, ControllerVersions, CreateTopic, DistrustReplicas,
        DistrustedReplica, EndedSession, FinalizeVersion, IsrChange, IsrMember, RecoverPartition, RegisterBroker,
        ReplicaMove,
    },
    config::{KEYS, TopicConfig},
    history::HistoryHash,
    trust::{DistrustReason, FolderProof, ReplicaReport, Vouch},
    version::{SUPPORTED, VersionRange},
};

/// A command of each kind, with something in every list.
fn one_of_each() -> Vec<Command> {
    let (broker_id, broker_epoch) = (BrokerId(1), BrokerEpoch(2));
    let topic_id = TopicId(Uuid::from_u128(3));
    let partition = PartitionIndex(4);
    vec![
        Command::FormCluster { cluster_id: ClusterId(Uuid::from_u128(5)) },
        Command::RegisterBroker(RegisterBroker {
            broker_id,
            incarnation_id: IncarnationId(Uuid::from_u128(6)),
            directory_id: DirectoryId(Uuid::from_u128(7)),
            boot_counter: 8,
            client_address: "client:9".to_owned(),
            peer_address: "peer:10".to_owned(),
            rack: Some("eleven".to_owned()),
            versions: VersionRange::from_numbers(1, 2),
            old_session_alive: true,
            replaces: Some(broker_epoch),
            folder: Some(FolderProof {
                known: vec![FolderToken(Uuid::from_u128(17))],
                next: FolderToken(Uuid::from_u128(18)),
                replicas: vec![ReplicaReport {
                    topic_id,
                    partition,
                    leader_epoch: Some(LeaderEpoch(19)),
                    end: Offset(20),
                    vouch: Vouch::Not(DistrustReason::Vanished),
                }],
                list_lost: true,
            }),
        }),
        Command::FenceBroker { broker_id, broker_epoch },
        Command::FenceBrokers { brokers: vec![EndedSession { broker_id, broker_epoch }] },
        Command::UnfenceBroker { broker_id, broker_epoch },
        Command::BeginControlledShutdown { broker_id, broker_epoch },
        Command::UnregisterBroker { broker_id },
        Command::CreateTopic(CreateTopic {
            name: "t".to_owned(),
            topic_id,
            partition_count: 1,
            replication_factor: 1,
            configs: BTreeMap::from([("retention.ms".to_owned(), "12".to_owned())]),
        }),
        Command::DeleteTopic { topic_id },
        Command::AlterTopic(AlterTopic { topic_id, configs: BTreeMap::new(), partition_count: Some(2) }),
        Command::AlterPartition(AlterPartition {
            broker_id,
            broker_epoch,
            changes: vec![IsrChange {
                topic_id,
                partition,
                leader_epoch: LeaderEpoch(13),
                partition_epoch: PartitionEpoch(14),
                new_isr: vec![IsrMember { broker_id, broker_epoch }],
                high_watermark: Some(Offset(21)),
                high_watermark_epoch: Some(LeaderEpoch(22)),
            }],
        }),
        Command::AlterReplicas(AlterReplicas {
            moves: vec![ReplicaMove { topic_id, partition, new_replicas: vec![broker_id] }],
            move_bytes_per_second: Some(15),
        }),
        Command::SetBrokerDrain { broker_id, draining: true },
        Command::ElectLeaders { partitions: vec![TopicPartition { topic_id, partition }] },
        Command::AllocateProducerIds { broker_id, broker_epoch },
        Command::FinalizeVersion(FinalizeVersion {
            version: MetadataVersion(2),
            controllers: vec![ControllerVersions { controller_id: ControllerId(1), versions: Some(SUPPORTED) }],
        }),
        Command::RenewFolderToken { broker_id, broker_epoch, token: FolderToken(Uuid::from_u128(22)) },
        Command::DistrustReplicas(DistrustReplicas {
            broker_id,
            broker_epoch,
            replicas: vec![DistrustedReplica {
                topic_id,
                partition,
                partition_epoch: PartitionEpoch(0),
                reason: DistrustReason::Damaged,
            }],
        }),
        Command::RecoverPartition(RecoverPartition {
            topic_id,
            partition,
            broker_id,
            partition_epoch: PartitionEpoch(23),
            at_ms: 24,
        }),
        Command::LoseDisk { broker_id, broker_epoch, at_ms: 25 },
        Command::BeginHistory,
        Command::CheckHistory { index: MetadataIndex(16), hash: HistoryHash::START },
    ]
}

/// Every way to add a field to an object of it; not to a map of settings, whose keys are data.
fn with_a_field_more(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(fields) => {
            let mut more = fields.clone();
            more.insert("added_later".to_owned(), Value::from(1));
            let mut all = vec![Value::Object(more)];
            for (name, field) in fields.iter().filter(|(name, _)| *name != "configs") {
                for changed in with_a_field_more(field) {
                    let mut changed_fields = fields.clone();
                    changed_fields.insert(name.clone(), changed);
                    all.push(Value::Object(changed_fields));
                }
            }
            all
        }
        Value::Array(items) => {
            let mut all = Vec::new();
            for (at, item) in items.iter().enumerate() {
                for changed in with_a_field_more(item) {
                    let mut changed_items = items.clone();
                    changed_items[at] = changed;
                    all.push(Value::Array(changed_items));
                }
            }
            all
        }
        _ => Vec::new(),
    }
}

#[test]
fn what_this_build_does_not_know_is_refused_and_nowhere_left_out() {
    let mut tried = 0;
    for command in one_of_each() {
        let stored = serde_json::to_value(&command).expect("a command is JSON");
        assert_eq!(serde_json::from_value::<Command>(stored.clone()).expect("read again"), command);
        for unknown in with_a_field_more(&stored) {
            tried += 1;
            let read = serde_json::from_value::<Command>(unknown.clone());
            assert!(read.is_err(), "{unknown} was read as {read:?}");
        }
    }
    assert!(tried > 35, "fields were added to {tried} objects");
    assert!(serde_json::from_str::<Command>(r#"{"added_later":{}}"#).is_err(), "a command that came later");
    assert!(serde_json::from_str::<Record>(r#"{"added_later":{}}"#).is_err(), "a record that came later");
}

#[test]
fn the_present_version_has_every_command() {
    for command in one_of_each() {
        let needed = (SHIPPED.command)(&command);
        assert!(SUPPORTED.contains(needed), "{command} is of version {needed}, and this build supports {SUPPORTED}");
        assert_eq!(SHIPPED.check_command(needed, &command), Ok(()));
    }
}

/// Settings are looked at where a command is decided: builds that take different ones decide differently. A key or a value
/// more needs a metadata version, before which it is refused.
#[test]
fn the_settings_that_the_first_version_takes_are_these() {
    let is_taken =
        |key: &str, value: &str| TopicConfig::parse(&BTreeMap::from([(key.to_owned(), value.to_owned())])).is_ok();
    let words = [
        ("cleanup.policy", &["delete"][..]),
        ("compression.type", &["producer"]),
        ("flush.policy", &["ack", "interval"]),
    ];
    let most = i64::MAX;
    let ranges = [
        ("flush.messages", 1, most),
        ("flush.ms", 1, most),
        ("max.message.bytes", 1_024, 16 << 20),
        ("min.insync.replicas", 1, 15),
        ("retention.bytes", -1, most),
        ("retention.ms", -1, most),
        ("segment.bytes", 16_384, i64::from(i32::MAX)),
        ("segment.ms", 100, most),
    ];
    let mut keys: Vec<&str> = words.map(|(key, _)| key).into_iter().chain(ranges.map(|(key, ..)| key)).collect();
    keys.sort_unstable();
    assert_eq!(keys, KEYS);
    let candidates =
        ["delete", "compact", "compact,delete", "producer", "gzip", "snappy", "lz4", "zstd", "uncompressed"];
    for (key, taken) in words {
        for value in candidates.iter().chain(&["ack", "interval", ""]) {
            assert_eq!(is_taken(key, value), taken.contains(value), "{key}={value}");
        }
    }
    for (key, least, greatest) in ranges {
        let [below, above] = [i128::from(least) - 1, i128::from(greatest) + 1].map(|value| value.to_string());
        assert!(is_taken(key, &least.to_string()) && is_taken(key, &greatest.to_string()), "{key}");
        assert!(!is_taken(key, &below) && !is_taken(key, &above), "{key}");
    }
}
