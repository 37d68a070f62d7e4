//! The life of a broker's replicas, without a clock or a disk.

use std::collections::BTreeMap;

use uuid::Uuid;

use holdfast_metadata::{
    Record,
    trust::{Distrust, DistrustReason, PartitionRecovery},
};
use holdfast_proto::ids::{MetadataIndex, PartitionIndex, TopicId};

use super::*;

const OWN: BrokerId = BrokerId(1);

/// Closed while the state with partition epoch 1 was the newest.
const AT_1: ClosedAt = Some(PartitionEpoch(1));

fn topic() -> TopicId {
    TopicId(Uuid::from_u128(1))
}

fn tp() -> TopicPartition {
    TopicPartition { topic_id: topic(), partition: PartitionIndex(0) }
}

fn state(replicas: &[u32], leader_epoch: u32, partition_epoch: u32) -> PartitionState {
    let replicas: Vec<BrokerId> = replicas.iter().copied().map(BrokerId).collect();
    PartitionState {
        leader: replicas.first().copied(),
        leader_epoch: LeaderEpoch(leader_epoch),
        partition_epoch: PartitionEpoch(partition_epoch),
        isr: replicas.clone(),
        replicas,
        ..PartitionState::default()
    }
}

fn image(records: &[Record]) -> Image {
    let named = Record::Topic { topic_id: topic(), name: "orders".to_owned() };
    let config = Record::TopicConfig { topic_id: topic(), configs: BTreeMap::new() };
    let all: Vec<Record> = [named, config].into_iter().chain(records.iter().cloned()).collect();
    Image::from_records(MetadataIndex(1), &all).unwrap()
}

fn placed(state: PartitionState) -> Image {
    image(&[Record::Partition { topic_id: topic(), partition: PartitionIndex(0), state }])
}

fn deleted() -> Image {
    image(&[Record::RemoveTopic { topic_id: topic() }])
}

fn step(roster: &mut Roster, image: &Image, event: &Event<'_>, known: KnownEpochs) -> Vec<Effect> {
    let mut effects = Vec::new();
    roster.step(image, event, |_| known, &mut effects);
    effects
}

fn told(partition_epoch: u32, leader_epoch: u32) -> KnownEpochs {
    KnownEpochs {
        partition_epoch: Some(PartitionEpoch(partition_epoch)),
        leader_epoch: Some(LeaderEpoch(leader_epoch)),
    }
}

/// A roster with one open replica.
fn open() -> Roster {
    let mut roster = Roster::new(OWN);
    let image = placed(state(&[1, 2], 1, 1));
    let all = Event::Metadata(&Changed::All);
    assert_eq!(step(&mut roster, &image, &all, KnownEpochs::default()), [Effect::Open(tp())]);
    assert_eq!(step(&mut roster, &image, &all, KnownEpochs::default()), [], "it is being opened");
    let effects = step(&mut roster, &image, &Event::Opened(tp()), KnownEpochs::default());
    assert!(matches!(effects[..], [Effect::Assign { .. }]), "{effects:?}");
    roster
}

#[test]
fn metadata_that_has_gone_back_deletes_nothing() {
    let newest = state(&[], 5, 20);
    let check = |partition_epoch: Option<u32>, leader_epoch: Option<u32>| {
        let known = KnownEpochs {
            partition_epoch: partition_epoch.map(PartitionEpoch),
            leader_epoch: leader_epoch.map(LeaderEpoch),
        };
        is_as_new(&newest, known)
    };
    assert!(check(None, None) && check(Some(20), Some(5)) && check(Some(7), Some(1)) && check(None, Some(5)));
    assert!(!check(Some(21), Some(5)), "the replica was told a newer state");
    assert!(!check(None, Some(6)), "its log holds records of a newer leadership");

    let all = Event::Metadata(&Changed::All);
    let older = placed(state(&[2, 3], 1, 4));
    assert_eq!(step(&mut open(), &older, &all, told(5, 1)), [Effect::CloseStray(tp())]);
    let mut recovered = Roster::new(OWN);
    recovered.recovered(tp(), Some(LeaderEpoch(2)));
    assert_eq!(step(&mut recovered, &older, &all, KnownEpochs::default()), [Effect::CloseStray(tp())]);
}

#[test]
fn a_replica_that_was_moved_away_is_deleted_and_begins_empty_if_it_comes_back() {
    let mut roster = open();
    let all = Event::Metadata(&Changed::All);
    let away = placed(state(&[2, 3], 1, 4));
    let effects = step(&mut roster, &away, &all, told(4, 1));
    let [Effect::Delete(partition, Reason::MovedAway(assignment))] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((*partition, assignment.partition_epoch), (tp(), PartitionEpoch(4)));
    let back = placed(state(&[2, 3, 1], 1, 5));
    assert_eq!(step(&mut roster, &back, &all, KnownEpochs::default()), [], "not before its folder is gone");
    assert_eq!(step(&mut roster, &back, &Event::Deleted(tp()), KnownEpochs::default()), [Effect::Open(tp())]);
}

#[test]
fn a_stray_is_opened_again_only_once_it_is_closed() {
    let mut roster = open();
    let all = Event::Metadata(&Changed::All);
    let absent = placed(state(&[2, 3], 1, 4));
    assert_eq!(step(&mut roster, &absent, &all, told(5, 1)), [Effect::CloseStray(tp())]);
    assert_eq!(step(&mut roster, &absent, &all, KnownEpochs::default()), [], "once is enough");
    let back = placed(state(&[1, 2, 3], 1, 6));
    assert_eq!(step(&mut roster, &back, &all, KnownEpochs::default()), [], "its writer may not be done");
    assert_eq!(step(&mut roster, &back, &Event::Closed(tp()), KnownEpochs::default()), [Effect::Open(tp())]);
}

#[test]
fn absence_deletes_nothing_and_the_deletion_of_the_topic_does() {
    let all = Event::Metadata(&Changed::All);
    assert_eq!(step(&mut open(), &image(&[]), &all, told(1, 1)), [Effect::CloseStray(tp())]);
    assert_eq!(step(&mut open(), &deleted(), &all, told(9, 9)), [Effect::Delete(tp(), Reason::TopicDeleted)]);

    let mut recovered = Roster::new(OWN);
    recovered.recovered(tp(), None);
    let some = Changed::Some { partitions: [tp()].into(), topics: [].into(), move_limit: false };
    assert_eq!(step(&mut recovered, &image(&[]), &Event::Metadata(&some), KnownEpochs::default()), []);
    assert_eq!(step(&mut recovered, &deleted(), &all, KnownEpochs::default()).len(), 1);
}

#[test]
fn a_log_of_the_start_is_adopted_and_nothing_is_opened_while_closing() {
    let mut roster = Roster::new(OWN);
    roster.recovered(tp(), Some(LeaderEpoch(9)));
    let image = placed(state(&[1, 2], 1, 1));
    let all = Event::Metadata(&Changed::All);
    assert_eq!(step(&mut roster, &image, &all, KnownEpochs::default()), [Effect::Adopt(tp())]);
    step(&mut roster, &image, &Event::Closing, KnownEpochs::default());
    assert_eq!(step(&mut roster, &image, &Event::Opened(tp()), KnownEpochs::default()), []);
    assert_eq!(step(&mut roster, &image, &all, KnownEpochs::default()), []);
}

#[test]
fn what_changed_while_a_log_was_opened_counts_once_it_is_open() {
    let mut roster = Roster::new(OWN);
    let all = Event::Metadata(&Changed::All);
    let here = placed(state(&[1, 2], 1, 1));
    assert_eq!(step(&mut roster, &here, &all, KnownEpochs::default()), [Effect::Open(tp())]);
    assert_eq!(step(&mut roster, &deleted(), &all, KnownEpochs::default()), [], "not before it is open");
    let effects = step(&mut roster, &deleted(), &Event::Opened(tp()), KnownEpochs::default());
    assert_eq!(effects, [Effect::Delete(tp(), Reason::TopicDeleted)]);
    assert_eq!(step(&mut roster, &deleted(), &all, KnownEpochs::default()), [], "once");
    assert_eq!(step(&mut roster, &deleted(), &Event::Deleted(tp()), KnownEpochs::default()), []);
}

#[test]
fn only_what_a_change_concerns_is_told() {
    let mut arriving = state(&[2, 1], 1, 2);
    let arrived = placed(arriving.clone());
    arriving.adding = vec![OWN];
    let arriving = placed(arriving);
    let tells = |image: &Image, topics: &[TopicId], move_limit: bool| {
        let changed = Changed::Some { partitions: [].into(), topics: topics.iter().copied().collect(), move_limit };
        step(&mut open(), image, &Event::Metadata(&changed), told(1, 1)).iter().any(|effect| match effect {
            Effect::Assign { is_arriving, .. } => {
                assert_eq!(*is_arriving, *image == arriving);
                true
            }
            other => panic!("{other:?}"),
        })
    };
    assert!(tells(&arrived, &[topic()], false), "other settings of its topic");
    assert!(!tells(&arrived, &[TopicId(Uuid::from_u128(2))], false), "those of another topic");
    assert!(tells(&arriving, &[], true) && !tells(&arrived, &[], true), "the limit for moves concerns who arrives");
    assert!(!tells(&arriving, &[], false));
}

/// The leadership of the state in [`not_believed`].
const LED_BY_2: Leadership = (BrokerId(2), LeaderEpoch(2));

const ANSWERED: Event<'static> = Event::LeaderAnswered(
    TopicPartition { topic_id: TopicId(Uuid::from_u128(1)), partition: PartitionIndex(0) },
    LED_BY_2,
);

/// The state in which the replica here is not believed, and `leader` leads.
fn not_believed(leader: Option<u32>) -> PartitionState {
    let leader = leader.map(BrokerId);
    let distrusted = vec![Distrust { broker_id: OWN, reason: DistrustReason::Damaged }];
    PartitionState { leader, isr: leader.into_iter().collect(), distrusted, ..state(&[1, 2], 2, 2) }
}

#[test]
fn a_replica_that_is_not_vouched_for_begins_again_once_that_is_committed_and_another_leads() {
    let mut roster = open();
    let nothing = KnownEpochs::default();
    let all = Event::Metadata(&Changed::All);
    let before = placed(state(&[1, 2], 1, 1));
    assert_eq!(step(&mut roster, &before, &Event::Distrusted(tp()), nothing), [Effect::Distrust(tp(), AT_1)]);
    assert_eq!(step(&mut roster, &before, &Event::Distrusted(tp()), nothing), [], "it is being closed");
    assert_eq!(step(&mut roster, &before, &all, nothing), [], "nothing is told to what is being closed");
    let told = [Effect::TellAgain(tp(), AT_1)];
    assert_eq!(step(&mut roster, &before, &Event::Closed(tp()), nothing), told, "the controllers still believe it");
    assert_eq!(step(&mut roster, &placed(not_believed(None)), &all, nothing), [], "nobody to copy from");
    let committed = placed(not_believed(Some(2)));
    assert_eq!(step(&mut roster, &committed, &all, nothing), [Effect::AskLeader(tp(), LED_BY_2)]);
    assert_eq!(step(&mut roster, &committed, &all, nothing), [], "it is asked");
    assert_eq!(step(&mut roster, &committed, &ANSWERED, nothing), [Effect::Renew(tp())]);
    assert_eq!(step(&mut roster, &committed, &all, nothing), [], "it is being opened");
    assert_eq!(step(&mut roster, &committed, &ANSWERED, nothing), [], "once");
    let effects = step(&mut roster, &committed, &Event::Opened(tp()), nothing);
    assert!(matches!(effects[..], [Effect::Assign { .. }]), "{effects:?}");
}

#[test]
fn a_replica_that_copies_again_and_is_found_wrong_again_begins_only_in_a_newer_state() {
    let mut roster = open();
    let nothing = KnownEpochs::default();
    let all = Event::Metadata(&Changed::All);
    // It was not believed, was made again, and has copied all: its leader may be about to take it into the ISR.
    let before = placed(not_believed(Some(2)));
    assert_eq!(step(&mut roster, &before, &all, nothing).len(), 1);
    let closed_at = Some(PartitionEpoch(2));
    assert_eq!(step(&mut roster, &before, &Event::Distrusted(tp()), nothing), [Effect::Distrust(tp(), closed_at)]);
    let told = [Effect::TellAgain(tp(), closed_at)];
    assert_eq!(step(&mut roster, &before, &Event::Closed(tp()), nothing), told, "that was said of the one before it");
    let taken_in = placed(PartitionState { leader: Some(BrokerId(2)), ..state(&[1, 2], 2, 3) });
    assert_eq!(step(&mut roster, &taken_in, &all, nothing), told, "the leader took it in meanwhile");
    let again = placed(PartitionState { partition_epoch: PartitionEpoch(4), ..not_believed(Some(2)) });
    assert_eq!(step(&mut roster, &again, &all, nothing), [Effect::AskLeader(tp(), LED_BY_2)]);
    assert_eq!(step(&mut roster, &again, &ANSWERED, nothing), [Effect::Renew(tp())]);
}

#[test]
fn a_recovered_replica_that_is_found_wrong_again_does_not_begin_empty_by_the_same_word() {
    let nothing = KnownEpochs::default();
    let all = Event::Metadata(&Changed::All);
    let leads = PartitionState { distrusted: Vec::new(), ..state(&[1, 2], 5, 5) };
    let partition = Record::Partition { topic_id: topic(), partition: PartitionIndex(0), state: leads };
    let recovered = image(&[recovery(5), partition]);
    let mut roster = open();
    assert_eq!(step(&mut roster, &recovered, &all, nothing).len(), 1);
    let closed_at = Some(PartitionEpoch(5));
    assert_eq!(step(&mut roster, &recovered, &Event::Distrusted(tp()), nothing), [Effect::Distrust(tp(), closed_at)]);
    let told = [Effect::TellAgain(tp(), closed_at)];
    assert_eq!(step(&mut roster, &recovered, &Event::Closed(tp()), nothing), told, "it was acknowledged since");
}

/// An operator let the partition go on with the replica here, in this leader epoch.
fn recovery(leader_epoch: u32) -> Record {
    Record::PartitionRecovery(PartitionRecovery {
        topic_id: topic(),
        topic: "orders".to_owned(),
        partition: PartitionIndex(0),
        broker_id: OWN,
        leader_epoch: LeaderEpoch(leader_epoch),
        end: None,
        high_watermark: None,
        high_watermark_epoch: None,
        high_watermark_is_old: false,
        claims: Vec::new(),
        absent: Vec::new(),
        at_ms: 0,
    })
}

#[test]
fn a_replica_that_is_not_vouched_for_goes_on_with_what_is_left_only_where_an_operator_said_so() {
    let mut roster = Roster::new(OWN);
    roster.distrusted(tp());
    let leads = PartitionState { distrusted: Vec::new(), ..state(&[1, 2], 5, 5) };
    let all = Event::Metadata(&Changed::All);
    let nothing = KnownEpochs::default();
    assert_eq!(
        step(&mut roster, &placed(leads.clone()), &all, nothing),
        [Effect::TellAgain(tp(), None)],
        "an older state"
    );
    let partition = Record::Partition { topic_id: topic(), partition: PartitionIndex(0), state: leads };
    assert_eq!(step(&mut roster, &image(&[recovery(5), partition]), &all, nothing), [Effect::Salvage(tp())]);
}

#[test]
fn a_replica_that_is_not_vouched_for_goes_with_its_topic_or_where_others_lead() {
    let nothing = KnownEpochs::default();
    let all = Event::Metadata(&Changed::All);
    let mut roster = Roster::new(OWN);
    roster.distrusted(tp());
    let nobody_leads = PartitionState { leader: None, ..state(&[2, 3], 9, 9) };
    assert_eq!(step(&mut roster, &placed(nobody_leads), &all, nothing), [], "it may be the last trace");
    let effects = step(&mut roster, &deleted(), &all, nothing);
    assert_eq!(effects, [Effect::Delete(tp(), Reason::TopicDeleted)]);
    let mut roster = Roster::new(OWN);
    roster.distrusted(tp());
    let effects = step(&mut roster, &placed(state(&[2, 3], 9, 9)), &all, nothing);
    assert!(matches!(effects[..], [Effect::Delete(_, Reason::MovedAway(_))]), "{effects:?}");
}

#[test]
fn a_replica_that_is_not_vouched_for_and_comes_back_is_told_again() {
    let nothing = KnownEpochs::default();
    let all = Event::Metadata(&Changed::All);
    let mut roster = Roster::new(OWN);
    roster.distrusted(tp());
    let back =
        PartitionState { adding: vec![OWN], isr: vec![BrokerId(2)], leader: Some(BrokerId(2)), ..state(&[1, 2], 2, 9) };
    assert_eq!(step(&mut roster, &placed(back), &all, nothing), [Effect::TellAgain(tp(), None)]);
    let committed = placed(not_believed(Some(2)));
    assert_eq!(step(&mut roster, &committed, &all, nothing), [Effect::AskLeader(tp(), LED_BY_2)]);
}

/// The metadata names a leader that may be dead: nobody has noticed, or nobody could take its place. What is left here may be all
/// that is left.
#[test]
fn what_is_left_of_a_replica_stays_until_the_leader_of_then_has_answered() {
    let nothing = KnownEpochs::default();
    let all = Event::Metadata(&Changed::All);
    let mut roster = Roster::new(OWN);
    roster.distrusted(tp());
    let led = placed(not_believed(Some(2)));
    assert_eq!(step(&mut roster, &led, &all, nothing), [Effect::AskLeader(tp(), LED_BY_2)]);
    let unled = placed(PartitionState { leader_epoch: LeaderEpoch(3), ..not_believed(None) });
    assert_eq!(step(&mut roster, &unled, &all, nothing), []);
    assert_eq!(step(&mut roster, &unled, &ANSWERED, nothing), [], "it answered, and leads no more");
    let by_3 = (BrokerId(3), LeaderEpoch(4));
    let later = PartitionState { leader_epoch: by_3.1, replicas: vec![OWN, by_3.0], ..not_believed(Some(3)) };
    let later = placed(later);
    assert_eq!(step(&mut roster, &later, &all, nothing), [Effect::AskLeader(tp(), by_3)]);
    assert_eq!(step(&mut roster, &later, &ANSWERED, nothing), [], "that was the one before");
    assert_eq!(step(&mut roster, &later, &Event::LeaderAnswered(tp(), by_3), nothing), [Effect::Renew(tp())]);

    // The answer comes before the metadata that says that it leads no more: it is looked at again.
    let mut roster = Roster::new(OWN);
    roster.distrusted(tp());
    step(&mut roster, &led, &all, nothing);
    assert_eq!(step(&mut roster, &later, &ANSWERED, nothing), [Effect::AskLeader(tp(), by_3)]);
    let gone = step(&mut roster, &deleted(), &Event::LeaderAnswered(tp(), by_3), nothing);
    assert_eq!(gone, [Effect::Delete(tp(), Reason::TopicDeleted)]);
}

#[test]
fn a_log_that_cannot_be_opened_is_not_vouched_for() {
    let mut roster = Roster::new(OWN);
    let placed_here = placed(state(&[1, 2], 1, 1));
    let nothing = KnownEpochs::default();
    assert_eq!(step(&mut roster, &placed_here, &Event::Metadata(&Changed::All), nothing), [Effect::Open(tp())]);
    assert_eq!(step(&mut roster, &placed_here, &Event::OpenFailed(tp()), nothing), [Effect::Distrust(tp(), None)]);
    let asked = [Effect::AskLeader(tp(), LED_BY_2)];
    assert_eq!(step(&mut roster, &placed(not_believed(Some(2))), &Event::Closed(tp()), nothing), asked);
}

#[test]
fn what_cannot_be_opened_is_tried_as_long_as_it_is_placed_here_and_deleted_with_its_topic() {
    let here = placed(state(&[1, 2], 1, 1));
    let (all, not_opened) = (Event::Metadata(&Changed::All), Event::NotOpened(tp()));
    let unread = || {
        let mut roster = Roster::new(OWN);
        roster.unread(tp());
        roster
    };
    let nothing = KnownEpochs::default();
    let delete = [Effect::Delete(tp(), Reason::TopicDeleted)];
    let mut roster = unread();
    assert_eq!(step(&mut roster, &here, &all, nothing), [Effect::Open(tp())]);
    assert_eq!(step(&mut roster, &deleted(), &all, nothing), [], "it is being opened");
    assert_eq!(step(&mut roster, &deleted(), &not_opened, nothing), delete);
    assert_eq!(step(&mut roster, &deleted(), &Event::Deleted(tp()), nothing), []);

    assert_eq!(step(&mut unread(), &deleted(), &all, nothing), delete, "at a start");
    let elsewhere = placed(state(&[2, 3], 1, 2));
    assert_eq!(step(&mut unread(), &elsewhere, &all, nothing), [], "nothing is said against what it holds");
    let mut roster = unread();
    assert_eq!(step(&mut roster, &here, &not_opened, nothing), [Effect::Open(tp())], "again");
}

/// A partition epoch and a leader epoch of after the controllers were recovered.
const SINCE: (u32, u32) = (recovery::PARTITION_EPOCH_LEAP + 7, recovery::LEADER_EPOCH_LEAP + 3);

#[test]
fn no_state_since_the_controllers_were_recovered_deletes_what_is_from_before() {
    let all = Event::Metadata(&Changed::All);
    let elsewhere = placed(state(&[2, 3], SINCE.1, SINCE.0));
    let recovered = |latest| {
        let mut roster = Roster::new(OWN);
        roster.recovered(tp(), Some(LeaderEpoch(latest)));
        step(&mut roster, &elsewhere, &all, KnownEpochs::default())
    };
    assert_eq!(recovered(5), [Effect::CloseStray(tp())], "it may have moved here by what is lost");
    assert!(matches!(recovered(SINCE.1 - 2)[..], [Effect::Delete(..)]), "it was placed here since");
    assert_eq!(step(&mut open(), &elsewhere, &all, told(5, 5)), [Effect::CloseStray(tp())]);
    let effects = step(&mut open(), &elsewhere, &all, told(SINCE.0 - 1, SINCE.1 - 1));
    assert!(matches!(effects[..], [Effect::Delete(..)]), "{effects:?}");
}

#[test]
fn nor_what_is_not_vouched_for() {
    let all = Event::Metadata(&Changed::All);
    let nothing = KnownEpochs::default();
    let elsewhere = placed(state(&[2, 3], SINCE.1, SINCE.0));
    let mut roster = Roster::new(OWN);
    roster.distrusted(tp());
    assert_eq!(step(&mut roster, &elsewhere, &all, nothing), [], "it may be the last trace of what moved here");
    // It was told a state of since: that it is elsewhere now is known.
    let mut roster = open();
    let here = placed(state(&[1, 2], SINCE.1, SINCE.0 - 1));
    step(&mut roster, &here, &all, nothing);
    step(&mut roster, &here, &Event::Distrusted(tp()), nothing);
    step(&mut roster, &here, &Event::Closed(tp()), nothing);
    let effects = step(&mut roster, &elsewhere, &all, nothing);
    assert!(matches!(effects[..], [Effect::Delete(..)]), "{effects:?}");
}
