use std::collections::BTreeMap;

use uuid::Uuid;

use holdfast_proto::ids::{
    BrokerEpoch, BrokerId, ClusterId, DirectoryId, IncarnationId, LeaderEpoch, MetadataVersion, PartitionEpoch,
    PartitionIndex, ProducerId, TopicId,
};

use super::*;
use crate::{
    record::{BrokerRegistration, PartitionState, Record},
    version::VersionRange,
};

/// One record of each kind, no field at its default.
fn one_of_each() -> Vec<Record> {
    let topic_id = TopicId(Uuid::from_u128(1));
    let brokers = |ids: &[u32]| ids.iter().copied().map(BrokerId).collect();
    vec![
        Record::Cluster { cluster_id: ClusterId(Uuid::from_u128(2)) },
        Record::Broker(BrokerRegistration {
            broker_id: BrokerId(3),
            broker_epoch: BrokerEpoch(4),
            incarnation_id: IncarnationId(Uuid::from_u128(5)),
            directory_id: DirectoryId(Uuid::from_u128(6)),
            boot_counter: 7,
            client_address: "client:8".to_owned(),
            peer_address: "peer:9".to_owned(),
            rack: Some("ten".to_owned()),
            versions: VersionRange::from_numbers(1, 2),
            fenced: true,
            shutting_down: true,
            token: None,
        }),
        Record::RemoveBroker { broker_id: BrokerId(11) },
        Record::Topic { topic_id, name: "twelve".to_owned() },
        Record::RemoveTopic { topic_id },
        Record::TopicConfig { topic_id, configs: BTreeMap::from([("retention.ms".to_owned(), "13".to_owned())]) },
        Record::Partition {
            topic_id,
            partition: PartitionIndex(14),
            state: PartitionState {
                leader: Some(BrokerId(15)),
                leader_epoch: LeaderEpoch(16),
                partition_epoch: PartitionEpoch(17),
                replicas: brokers(&[15, 18, 19]),
                isr: brokers(&[15]),
                elr: brokers(&[18]),
                adding: brokers(&[19]),
                removing: brokers(&[18]),
                ..PartitionState::default()
            },
        },
        Record::BrokerDrain { broker_id: BrokerId(20), draining: true },
        Record::MoveLimit { bytes_per_second: 21 },
        Record::NextProducerId { next_producer_id: ProducerId(22) },
        Record::NextBrokerEpoch { next_broker_epoch: BrokerEpoch(23) },
        Record::Version { version: MetadataVersion(2) },
        Record::History { hash: HistoryHash([24; BYTES]) },
    ]
}

/// If this fails, what a record looks like in snapshots has changed: controllers of the build before would find that they
/// differ. A new field belongs to a newer metadata version, and is left out until that is finalised.
#[test]
fn the_hash_of_what_a_version_has_never_changes() {
    let mut of_defaults = one_of_each();
    of_defaults.push(Record::Partition {
        topic_id: TopicId(Uuid::from_u128(1)),
        partition: PartitionIndex(0),
        state: PartitionState::default(),
    });
    let hash = HistoryHash::START.then(MetadataIndex(7), &of_defaults);
    assert_eq!(hash.to_string(), "ff468432e44b77ca8ca516e437ea2330");
}

#[test]
fn another_record_order_index_or_past_is_another_hash() {
    let records = one_of_each();
    let all = HistoryHash::START.then(MetadataIndex(1), &records);
    for without in 0..records.len() {
        let mut fewer = records.clone();
        let last = fewer.remove(without);
        assert_ne!(HistoryHash::START.then(MetadataIndex(1), &fewer), all, "without {last:?}");
        fewer.push(last);
        let is_other = HistoryHash::START.then(MetadataIndex(1), &fewer) != all;
        assert_eq!(is_other, without + 1 < records.len(), "in another order");
    }
    assert_ne!(HistoryHash::START.then(MetadataIndex(2), &records), all);
    assert_ne!(all.then(MetadataIndex(1), &records), all);
    assert_eq!(all.then(MetadataIndex(2), &Vec::<Record>::new()), all, "an index without a change");
}

#[test]
fn it_is_stored_and_travels_as_it_is() {
    let hash = HistoryHash::START.then(MetadataIndex(1), &one_of_each());
    let json = serde_json::to_string(&hash).expect("stored");
    assert_eq!(json.len(), 2 * BYTES + 2);
    assert_eq!(serde_json::from_str::<HistoryHash>(&json).expect("read"), hash);
    assert_eq!(HistoryHash::from_bytes(&hash.to_bytes()), Some(hash));
    assert_eq!(HistoryHash::from_bytes(&[]), None);
    for bad in ["", "zz", &"g".repeat(32), &"é".repeat(16), &"0".repeat(33)] {
        assert!(HistoryHash::try_from(bad.to_owned()).is_err(), "{bad}");
    }
}
