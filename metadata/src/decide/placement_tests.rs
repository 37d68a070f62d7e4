//! Placement: even, apart in racks, repeatable.

use std::collections::BTreeMap;

use uuid::Uuid;

use holdfast_proto::ids::{BrokerEpoch, DirectoryId, IncarnationId, PartitionIndex, TopicId};

use super::*;
use crate::{
    record::{BrokerRegistration, PartitionState, Record},
    version::VersionRange,
};

/// An image with these live brokers.
fn cluster(racks: &[Option<&str>]) -> Image {
    let mut image = Image::default();
    for (n, rack) in racks.iter().enumerate() {
        let id = n as u32 + 1;
        let registration = BrokerRegistration {
            broker_id: BrokerId(id),
            broker_epoch: BrokerEpoch(u64::from(id)),
            incarnation_id: IncarnationId(Uuid::from_u128(id.into())),
            directory_id: DirectoryId(Uuid::from_u128(id.into())),
            boot_counter: 1,
            client_address: "host:1".into(),
            peer_address: "host:2".into(),
            rack: rack.map(str::to_owned),
            versions: VersionRange::default(),
            fenced: false,
            shutting_down: false,
            token: None,
        };
        image.apply(&Record::Broker(registration)).expect("fits");
    }
    image
}

fn ids(replicas: &[BrokerId]) -> Vec<u32> {
    replicas.iter().map(|broker| broker.0).collect()
}

/// Largest minus smallest number of times a broker is counted.
fn spread(brokers: u32, counted: impl Iterator<Item = BrokerId>) -> usize {
    let mut load: BTreeMap<BrokerId, usize> = (1..=brokers).map(|id| (BrokerId(id), 0)).collect();
    for broker in counted {
        *load.get_mut(&broker).expect("known") += 1;
    }
    load.values().max().expect("some") - load.values().min().expect("some")
}

#[test]
fn replicas_go_round_with_a_shift() {
    let placed = place(&cluster(&[None; 3]), 0, 6, 2).expect("enough");
    let placed: Vec<Vec<u32>> = placed.iter().map(|replicas| ids(replicas)).collect();
    assert_eq!(placed, [[1, 2], [2, 3], [3, 1], [1, 3], [2, 1], [3, 2]]);
}

#[test]
fn leaders_and_replicas_are_even_for_any_size() {
    for brokers in 1..=7_u32 {
        for factor in 1..=brokers.min(3) {
            for count in [1, 2, 5, 6, 12, 31] {
                let placed = place(&cluster(&vec![None; brokers as usize]), 0, count, factor).expect("enough");
                assert!(spread(brokers, placed.iter().map(|r| r[0])) <= 1, "{brokers} {factor} {count}: {placed:?}");
                let all = spread(brokers, placed.iter().flatten().copied());
                assert!(all <= factor as usize, "{brokers} {factor} {count}: {placed:?}");
                for replicas in &placed {
                    assert_eq!(replicas.iter().collect::<BTreeSet<_>>().len(), factor as usize);
                }
            }
        }
    }
}

#[test]
fn a_partition_is_spread_over_the_racks() {
    let racks = [Some("a"), Some("a"), Some("b"), Some("b"), Some("c"), Some("c")];
    let placed = place(&cluster(&racks), 0, 24, 3).expect("enough");
    for replicas in &placed {
        let used: BTreeSet<_> = replicas.iter().map(|broker| racks[broker.0 as usize - 1]).collect();
        assert_eq!(used.len(), 3, "{replicas:?}");
    }
    assert_eq!(spread(6, placed.iter().map(|r| r[0])), 0);
    // Four replicas over three racks: one rack twice, no rack empty.
    for replicas in place(&cluster(&racks), 0, 24, 4).expect("enough") {
        let used: BTreeSet<_> = replicas.iter().map(|broker| racks[broker.0 as usize - 1]).collect();
        assert_eq!(used.len(), 3, "{replicas:?}");
    }
}

#[test]
fn a_broker_without_a_rack_makes_racks_not_count() {
    let placed = place(&cluster(&[Some("a"), Some("a"), None]), 0, 3, 2).expect("enough");
    assert_eq!(placed.iter().map(|r| ids(r)).collect::<Vec<_>>(), [[1, 2], [2, 3], [3, 1]]);
}

#[test]
fn small_topics_take_turns_to_lead() {
    let mut image = cluster(&[None; 3]);
    let mut leaders = Vec::new();
    for n in 0..4_u128 {
        let replicas = place(&image, 0, 1, 1).expect("enough").remove(0);
        leaders.push(replicas[0].0);
        let topic_id = TopicId(Uuid::from_u128(n));
        let state = PartitionState { replicas, ..PartitionState::default() };
        image.apply(&Record::Topic { topic_id, name: format!("t{n}") }).expect("fits");
        image.apply(&Record::Partition { topic_id, partition: PartitionIndex(0), state }).expect("fits");
    }
    assert_eq!(leaders, [1, 2, 3, 1]);
}

#[test]
fn too_few_live_brokers_are_counted() {
    assert_eq!(place(&cluster(&[None; 2]), 0, 1, 3), Err(2));
    assert_eq!(place(&Image::default(), 0, 1, 1), Err(0));
}
