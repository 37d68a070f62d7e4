use std::collections::BTreeMap;

use uuid::Uuid;

use holdfast_metadata::{BrokerRegistration, Record, VersionRange, trust::ReplicaClaim};
use holdfast_proto::ids::{
    BrokerEpoch, DirectoryId, IncarnationId, MetadataIndex, MetadataVersion, Offset, PartitionIndex, TopicId,
};

use super::*;

const OWN: BrokerId = BrokerId(1);

fn tp() -> TopicPartition {
    TopicPartition { topic_id: TopicId(Uuid::from_u128(1)), partition: PartitionIndex(0) }
}

fn ids(brokers: &[u32]) -> Vec<BrokerId> {
    brokers.iter().copied().map(BrokerId).collect()
}

/// Brokers 1 to 3, of which these are alive, and one partition that they hold.
fn image(version: MetadataVersion, alive: &[u32], leader: u32, isr: &[u32], elr: &[u32]) -> Image {
    let TopicPartition { topic_id, partition } = tp();
    let brokers = (1..=3).map(|id| {
        Record::Broker(BrokerRegistration {
            broker_id: BrokerId(id),
            broker_epoch: BrokerEpoch(id.into()),
            incarnation_id: IncarnationId(Uuid::from_u128(id.into())),
            directory_id: DirectoryId(Uuid::from_u128(id.into())),
            boot_counter: 1,
            client_address: String::new(),
            peer_address: String::new(),
            rack: None,
            versions: VersionRange::default(),
            fenced: !alive.contains(&id),
            shutting_down: false,
            token: None,
        })
    });
    let state = PartitionState {
        leader: Some(BrokerId(leader)),
        replicas: ids(&[1, 2, 3]),
        isr: ids(isr),
        elr: ids(elr),
        ..PartitionState::default()
    };
    let records = brokers.chain([
        Record::Version { version },
        Record::Topic { topic_id, name: "orders".to_owned() },
        Record::TopicConfig { topic_id, configs: BTreeMap::new() },
        Record::Partition { topic_id, partition, state },
    ]);
    Image::from_records(MetadataIndex(1), &records.collect::<Vec<_>>()).expect("an image")
}

#[track_caller]
fn check(image: &Image, reason: DistrustReason, expected: Consequence) {
    let finding =
        Finding { reason, detail: String::new(), log: None, is_dead: false, is_unreadable: false, readable_end: None };
    assert_eq!(of(image, OWN, tp(), &finding), expected);
}

const DAMAGED: DistrustReason = DistrustReason::Damaged;
const FIRST: MetadataVersion = holdfast_metadata::version::FIRST;

#[test]
fn a_damaged_replica_is_closed_unless_it_is_the_last() {
    check(&image(TRUST, &[1, 2], 1, &[1, 2], &[]), DAMAGED, Consequence::Close);
    check(&image(TRUST, &[1, 2], 1, &[1], &[2]), DAMAGED, Consequence::Close);
    check(&image(TRUST, &[1], 1, &[1], &[2]), DAMAGED, Consequence::Stay(Why::Last));
    check(&image(TRUST, &[1], 2, &[2], &[3]), DAMAGED, Consequence::Close);
    let last = image(TRUST, &[1, 2, 3], 1, &[1], &[]);
    check(&last, DAMAGED, Consequence::Stay(Why::Last));
    check(&last, DistrustReason::Halted, Consequence::Close);
    check(&Image::default(), DAMAGED, Consequence::Close);
}

/// The image with a claim of broker 2, which is eligible and alive beside the leader, broker 1.
fn beside_a_claim(doubtful: bool, unread: bool) -> Image {
    let mut records = image(TRUST, &[1, 2], 1, &[1], &[2]).records();
    for record in &mut records {
        if let Record::Partition { state, .. } = record {
            state.claims.push(ReplicaClaim {
                broker_id: BrokerId(2),
                leader_epoch: None,
                end: Offset(5),
                doubtful,
                unread,
                not_held: false,
            });
        }
    }
    Image::from_records(MetadataIndex(1), &records).expect("an image")
}

#[test]
fn one_that_is_alive_and_could_not_lead_leaves_the_damaged_one_the_last() {
    check(&beside_a_claim(false, false), DAMAGED, Consequence::Close);
    check(&beside_a_claim(false, true), DAMAGED, Consequence::Stay(Why::Last));
    check(&beside_a_claim(true, false), DAMAGED, Consequence::Stay(Why::Last));
}

#[test]
fn one_that_the_disk_does_not_let_open_is_given_up_only_where_another_leads() {
    assert!(gives_up_unopened(&image(TRUST, &[2], 2, &[2], &[1]), OWN, tp()));
    assert!(!gives_up_unopened(&image(FIRST, &[2], 2, &[2], &[1]), OWN, tp()), "nobody could be told");
    assert!(!gives_up_unopened(&image(TRUST, &[1], 1, &[1], &[]), OWN, tp()));
    assert!(!gives_up_unopened(&Image::default(), OWN, tp()));
    let mut records = image(TRUST, &[2], 2, &[2], &[1]).records();
    for record in &mut records {
        if let Record::Partition { state, .. } = record {
            (state.leader, state.isr) = (None, Vec::new());
        }
    }
    let unled = Image::from_records(MetadataIndex(1), &records).expect("an image");
    assert!(!gives_up_unopened(&unled, OWN, tp()), "nobody else holds it, for all that is known");
}

#[test]
fn the_last_one_is_opened_again_when_its_log_takes_nothing_more() {
    let detail = String::new();
    let dead = Finding { reason: DAMAGED, detail, log: None, is_dead: true, is_unreadable: false, readable_end: None };
    for version in [FIRST, TRUST] {
        assert_eq!(of(&image(version, &[1], 1, &[1], &[2]), OWN, tp(), &dead), Consequence::Reopen);
        assert_eq!(of(&image(version, &[1, 2], 1, &[1, 2], &[]), OWN, tp(), &dead), Consequence::Close);
    }
}

#[test]
fn before_the_version_a_damaged_leader_goes_on_until_another_leads() {
    let led = image(FIRST, &[1, 3], 1, &[1, 2, 3], &[]);
    check(&led, DAMAGED, Consequence::Stay(Why::HandsOver));
    check(&led, DistrustReason::Halted, Consequence::Close);
    check(&image(FIRST, &[1, 2, 3], 1, &[1], &[2]), DAMAGED, Consequence::Stay(Why::NotFinalised));
    check(&image(FIRST, &[1, 2, 3], 3, &[1, 2, 3], &[]), DAMAGED, Consequence::Close);
}

#[test]
fn the_first_that_is_in_sync_and_alive_is_to_lead_and_the_own_comes_last() {
    let led = image(FIRST, &[1, 3], 1, &[1, 2, 3], &[]);
    assert_eq!(order(&led, OWN, tp()), Some(ids(&[3, 2, 1])));
    assert_eq!(order(&image(TRUST, &[1, 3], 1, &[1, 2, 3], &[]), OWN, tp()), None, "it can be said");
    assert_eq!(order(&image(FIRST, &[1, 3], 3, &[1, 2, 3], &[]), OWN, tp()), None, "another leads");
    assert_eq!(order(&image(FIRST, &[1], 1, &[1, 2, 3], &[]), OWN, tp()), None, "nobody is there");
}

#[test]
fn an_order_that_is_so_already_is_not_asked_for_again() {
    let led = image(FIRST, &[1, 2, 3], 3, &[1, 2, 3], &[]);
    assert_eq!(order(&led, BrokerId(3), tp()), None, "broker 1 comes first already");
}
