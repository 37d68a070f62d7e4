use std::collections::BTreeMap;

use uuid::Uuid;

use holdfast_metadata::{Record, trust::PartitionRecovery};
use holdfast_proto::ids::{BrokerId, LeaderEpoch, MetadataIndex, PartitionIndex, TopicId, TopicPartition};

use super::*;

const TOPIC: TopicId = TopicId(Uuid::from_u128(1));
const PARTITION: PartitionIndex = PartitionIndex(0);

/// A folder whose log knew of this leader epoch.
fn aside(latest_epoch: Option<u32>, has_halted: bool) -> Aside {
    Aside {
        partition: TopicPartition { topic_id: TOPIC, partition: PARTITION },
        path: PathBuf::from("aside"),
        age_ms: 1,
        bytes: 1,
        has_halted,
        latest_epoch: latest_epoch.map(LeaderEpoch),
    }
}

fn ids(brokers: &[u32]) -> Vec<BrokerId> {
    brokers.iter().copied().map(BrokerId).collect()
}

fn image(leader: Option<u32>, isr: &[u32], others: &[Record]) -> Image {
    let state = PartitionState {
        leader: leader.map(BrokerId),
        leader_epoch: LeaderEpoch(7),
        replicas: ids(&[1, 2, 3]),
        isr: ids(isr),
        ..PartitionState::default()
    };
    let mut records = vec![
        Record::Topic { topic_id: TOPIC, name: "orders".to_owned() },
        Record::TopicConfig { topic_id: TOPIC, configs: BTreeMap::new() },
        Record::Partition { topic_id: TOPIC, partition: PARTITION, state },
    ];
    records.extend_from_slice(others);
    Image::from_records(MetadataIndex(1), &records).expect("an image")
}

#[test]
fn it_is_spare_only_where_most_replicas_are_in_sync_with_a_leader() {
    let damaged = aside(Some(7), false);
    assert_eq!(worth(&image(Some(2), &[2, 3], &[]), &damaged), AsideWorth::Spare);
    assert_eq!(worth(&image(Some(2), &[2], &[]), &damaged), AsideWorth::Needed, "one more disk, and it is the last");
    assert_eq!(worth(&image(None, &[], &[]), &damaged), AsideWorth::Needed);
    assert_eq!(worth(&Image::default(), &damaged), AsideWorth::Needed, "nothing is known");
    let removed = image(Some(2), &[2, 3], &[Record::RemoveTopic { topic_id: TOPIC }]);
    assert_eq!(worth(&removed, &damaged), AsideWorth::Nothing);
    assert_eq!(worth(&removed, &aside(None, true)), AsideWorth::Nothing);
}

#[test]
fn one_that_halted_or_is_of_before_a_recovery_may_hold_what_was_given_up() {
    assert_eq!(worth(&image(Some(2), &[1, 2, 3], &[]), &aside(Some(7), true)), AsideWorth::Needed);
    let recovery = Record::PartitionRecovery(PartitionRecovery {
        topic_id: TOPIC,
        topic: "orders".to_owned(),
        partition: PARTITION,
        broker_id: BrokerId(2),
        leader_epoch: LeaderEpoch(5),
        end: None,
        high_watermark: None,
        high_watermark_epoch: None,
        high_watermark_is_old: false,
        claims: Vec::new(),
        absent: Vec::new(),
        at_ms: 0,
    });
    let recovered = image(Some(2), &[1, 2, 3], &[recovery]);
    for before in [Some(4), None] {
        assert_eq!(worth(&recovered, &aside(before, false)), AsideWorth::Needed);
    }
    assert_eq!(worth(&recovered, &aside(Some(5), false)), AsideWorth::Spare, "it was copied since");
}
