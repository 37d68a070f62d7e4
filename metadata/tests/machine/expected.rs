//! Brokers that the metadata does not know and that there are, by the operator who lets the controllers go on: nobody leads
//! before they were heard.

use holdfast_metadata::{Command, Image, RecoveryError, Response, recover_controllers, recovery::RecoverControllers};
use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, TopicId},
};

use crate::{
    cluster::{Cluster, b},
    recovery::{back, formed, leader, order, report},
};

/// Goes on from what is known, with these for brokers that there are.
fn expecting(expected: &[u32]) -> RecoverControllers {
    RecoverControllers { expected: expected.iter().copied().map(BrokerId).collect(), ..order(&[]) }
}

fn recover(c: &mut Cluster, order: &RecoverControllers) {
    c.replace(recover_controllers(&c.image, order).expect("recovered"));
}

fn unheard(c: &Cluster) -> Vec<u32> {
    c.image.unheard_brokers().map(|broker| broker.0).collect()
}

/// Gives up the disk of a broker that never registered.
fn given_up(n: u32) -> Command {
    Command::LoseDisk { broker_id: b(n), broker_epoch: BrokerEpoch(0), at_ms: 5 }
}

/// Gives up the disk of broker `n`, which is registered and goes down.
fn lose(c: &mut Cluster, n: u32) {
    c.fence(n);
    let broker_epoch = c.epoch(n);
    c.ok(&Command::LoseDisk { broker_id: b(n), broker_epoch, at_ms: 5 });
}

/// Nobody knows any more: all moved to 4, 5 and 6. 1, 2 and 3 did not learn of it, and were heard; they end in the same leadership.
fn moved() -> (Cluster, TopicId) {
    let (mut c, t) = formed(3);
    recover(&mut c, &expecting(&[1, 2, 3, 4, 5, 6]));
    assert_eq!(c.image.controller_recoveries()[0].expected, [b(4), b(5), b(6)], "the others are known");
    assert_eq!(unheard(&c), [1, 2, 3, 4, 5, 6]);
    for n in 1..=3 {
        back(&mut c, n, &[report(t, 7, 50)]);
    }
    assert_eq!((leader(&c, t), unheard(&c)), (None, vec![4, 5, 6]));
    (c, t)
}

#[test]
fn nobody_leads_before_brokers_were_heard_that_the_metadata_does_not_know() {
    let (mut c, t) = moved();
    let refused = c.refused(&c.recovering(t, 1));
    assert!(refused.message.contains("broker 4, 5, 6 has not said since"), "nor does an operator choose: {refused}");
    back(&mut c, 4, &[report(t, 7, 90)]);
    back(&mut c, 5, &[report(t, 7, 85)]);
    assert_eq!((leader(&c, t), unheard(&c)), (None, vec![6]));
    back(&mut c, 6, &[report(t, 7, 80)]);
    let state = c.state(t);
    assert_eq!((state.leader, state.strays().count(), unheard(&c).len()), (Some(b(4)), 0, 0), "{state:?}");
}

#[test]
fn one_that_never_comes_is_given_up_without_a_registration() {
    let (mut c, t) = moved();
    back(&mut c, 4, &[report(t, 7, 90)]);
    back(&mut c, 5, &[report(t, 7, 85)]);
    let (_, Response::DiskLost { lost }) = c.ok(&given_up(6)) else { panic!("another answer") };
    assert_eq!((lost.replicas, lost.led, c.image.lost_disks()), (0, 1, &[lost][..]));
    let state = c.state(t);
    assert_eq!((state.leader, state.strays().count(), unheard(&c).len()), (Some(b(4)), 0, 0), "{state:?}");
    assert_eq!(c.ok(&given_up(6)).0, [], "again changes nothing");
    // It comes all the same, and counts like any other since.
    back(&mut c, 6, &[]);
    assert_eq!(c.refused(&given_up(6)).code, ErrorCode::StaleBrokerEpoch, "it has registered");
}

#[test]
fn only_who_is_expected_is_given_up_without_a_registration() {
    let (mut c, _) = moved();
    assert_eq!(c.refused(&given_up(9)).code, ErrorCode::BrokerIdNotRegistered);
    assert_eq!(c.refused(&given_up(1)).code, ErrorCode::StaleBrokerEpoch);
    let guessed = Command::LoseDisk { broker_id: b(6), broker_epoch: BrokerEpoch(7), at_ms: 5 };
    assert_eq!(c.refused(&guessed).code, ErrorCode::BrokerIdNotRegistered);
    assert_eq!(unheard(&c), [4, 5, 6]);
}

#[test]
fn who_was_heard_and_is_forgotten_is_not_waited_for_again() {
    let (mut c, t) = moved();
    back(&mut c, 6, &[]);
    c.fence(6);
    c.ok(&Command::UnregisterBroker { broker_id: b(6) });
    assert_eq!((leader(&c, t), unheard(&c)), (None, vec![4, 5]));
    assert_eq!(c.refused(&given_up(6)).code, ErrorCode::BrokerIdNotRegistered);
}

#[test]
fn who_was_not_heard_is_expected_by_the_next_recovery_too() {
    let (mut c, t) = moved();
    back(&mut c, 4, &[report(t, 7, 90)]);
    c.ok(&given_up(6));
    recover(&mut c, &expecting(&[]));
    assert_eq!(c.image.controller_recoveries()[1].expected, [b(5)], "4 is known by now, and 6 is given up");
    assert_eq!(unheard(&c), [1, 2, 3, 4, 5]);
    // Said to be there, it is waited for although its disk was given up before.
    recover(&mut c, &expecting(&[6]));
    assert_eq!(c.image.controller_recoveries()[2].expected, [b(5), b(6)]);
    assert_eq!(unheard(&c), [1, 2, 3, 4, 5, 6]);
    // Given up with a recovery.
    recover(&mut c, &order(&[5]));
    let last = &c.image.controller_recoveries()[3];
    assert_eq!((&last.without[..], &last.expected[..]), (&[b(5)][..], &[b(6)][..]));
    assert_eq!(unheard(&c), [1, 2, 3, 4, 6]);
    let snapshot = Image::from_records(c.image.index(), &c.image.records()).expect("a snapshot fits");
    assert_eq!(snapshot, c.image);
}

#[test]
fn who_is_said_to_be_there_is_waited_for_although_its_disk_was_given_up_before() {
    let (mut c, t) = formed(3);
    let before = c.epoch(3);
    lose(&mut c, 2);
    lose(&mut c, 3);
    let unnamed = recover_controllers(&c.image, &expecting(&[1])).expect("recovered");
    assert_eq!(unnamed.unheard_brokers().collect::<Vec<_>>(), [b(1)], "nobody said that the others are there");
    recover(&mut c, &expecting(&[1, 2, 3]));
    assert_eq!(unheard(&c), [1, 2, 3]);
    // A process that went on meanwhile is told to start again, not that another one took its place.
    let old = Command::UnfenceBroker { broker_id: b(3), broker_epoch: before };
    assert_eq!(c.refused(&old).code, ErrorCode::BrokerIdNotRegistered);
    let left = Command::UnfenceBroker { broker_id: b(3), broker_epoch: c.epoch(3) };
    assert_eq!(c.refused(&left).code, ErrorCode::StaleBrokerEpoch, "it is no registration since the recovery");
    back(&mut c, 1, &[report(t, 7, 50)]);
    assert_eq!((leader(&c, t), unheard(&c)), (None, vec![2, 3]), "they may hold more");
    back(&mut c, 3, &[report(t, 7, 90)]);
    assert_eq!((leader(&c, t), unheard(&c)), (None, vec![2]));
    back(&mut c, 2, &[]);
    assert_eq!(unheard(&c), Vec::<u32>::new());
}

#[test]
fn who_was_said_to_be_there_once_is_waited_for_until_it_is_heard_or_given_up_again() {
    let (mut c, _) = formed(3);
    lose(&mut c, 3);
    recover(&mut c, &expecting(&[3]));
    recover(&mut c, &expecting(&[]));
    assert_eq!(unheard(&c), [1, 2, 3], "named once");
    let again = Command::LoseDisk { broker_id: b(3), broker_epoch: c.epoch(3), at_ms: 6 };
    c.ok(&again);
    assert_eq!((unheard(&c), c.image.lost_disks().len()), (vec![1, 2], 2), "both times are on record");
    recover(&mut c, &expecting(&[1, 2]));
    assert_eq!(unheard(&c), [1, 2], "given up since, and not named again");
    recover(&mut c, &expecting(&[3]));
    assert_eq!(unheard(&c), [1, 2, 3]);
    let snapshot = Image::from_records(c.image.index(), &c.image.records()).expect("a snapshot fits");
    assert_eq!(snapshot, c.image);
    back(&mut c, 3, &[]);
    recover(&mut c, &expecting(&[]));
    assert_eq!(unheard(&c), [1, 2, 3], "heard, and waited for like any other by the next one");
}

#[test]
fn an_older_process_is_told_that_it_was_replaced_unless_its_registration_was_raised() {
    let (mut c, _) = formed(4);
    let replaced = c.epoch(4);
    c.fence(4);
    back(&mut c, 4, &[]);
    lose(&mut c, 3);
    let lost = c.epoch(3);
    recover(&mut c, &expecting(&[1, 2, 3, 4]));
    let refused =
        |c: &mut Cluster, n, broker_epoch| c.refused(&Command::UnfenceBroker { broker_id: b(n), broker_epoch });
    // Another process of it came since, before the recovery.
    assert_eq!(refused(&mut c, 4, replaced).code, ErrorCode::StaleBrokerEpoch);
    assert_eq!(refused(&mut c, 3, lost).code, ErrorCode::BrokerIdNotRegistered);
    // It stays raised where the controllers are recovered once more.
    recover(&mut c, &expecting(&[]));
    assert_eq!(refused(&mut c, 4, replaced).code, ErrorCode::StaleBrokerEpoch);
    assert_eq!(refused(&mut c, 3, lost).code, ErrorCode::BrokerIdNotRegistered);
    back(&mut c, 3, &[]);
    assert_eq!(refused(&mut c, 3, lost).code, ErrorCode::StaleBrokerEpoch, "another process came since");
}

#[test]
fn nobody_is_there_and_gone_for_good() {
    let (c, _) = formed(3);
    let both = RecoverControllers { expected: vec![b(2), b(3)], ..order(&[3]) };
    assert_eq!(recover_controllers(&c.image, &both), Err(RecoveryError::GivenUpAndExpected(b(3))));
    let unknown = RecoverControllers { expected: vec![b(4)], ..order(&[5]) };
    assert!(matches!(recover_controllers(&c.image, &unknown), Err(RecoveryError::UnknownBroker(BrokerId(5), _))));
    // All that are known are gone, and others may hold everything.
    let moved_away = RecoverControllers { expected: vec![b(4)], ..order(&[1, 2, 3]) };
    recover_controllers(&c.image, &moved_away).expect("one is left");
    let too_many = RecoverControllers { expected: (4..=1_001).map(BrokerId).collect(), ..order(&[]) };
    assert_eq!(recover_controllers(&c.image, &too_many), Err(RecoveryError::NoRoom("list of brokers")));
}
