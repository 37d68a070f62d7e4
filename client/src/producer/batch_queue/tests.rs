//! The queue's promises, step by step.

use std::time::Duration;

use holdfast_proto::error::ErrorCode;

use super::{
    Next,
    rig_for_tests::{DELIVERY_TIMEOUT, IDENTITY, LINGER, NEXT_IDENTITY, Rig},
};

#[test]
fn a_lone_record_goes_at_once_and_the_next_waits_the_longer_the_more_is_out() {
    let mut rig = Rig::new();
    assert!(rig.is_idle());
    rig.record();
    let first = rig.send().0;
    rig.record();
    let Next::WaitUntil(due) = rig.next() else { panic!("it did not wait") };
    assert_eq!(due, rig.now + LINGER / 5);
    rig.pass(LINGER / 5);
    rig.send();
    rig.record();
    let Next::WaitUntil(due) = rig.next() else { panic!("it did not wait") };
    assert_eq!(due, rig.now + LINGER * 2 / 5);
    rig.ok(first, 0);
    let Next::WaitUntil(due) = rig.next() else { panic!("it did not wait") };
    assert_eq!(due, rig.now + LINGER / 5);
}

#[test]
fn five_are_in_flight_at_most_and_finish_in_order() {
    let mut rig = Rig::new();
    for _ in 0..7 {
        rig.batch();
    }
    let sent = rig.sends(5);
    assert!(rig.is_idle());
    rig.ok(sent[1], 1);
    assert!(rig.finished().is_empty(), "the second waits for the first");
    rig.ok(sent[0], 0);
    assert_eq!(rig.finished(), ["+0", "+1"]);
    assert_eq!(rig.send().2, 5);
    assert_eq!(rig.send().2, 6);
}

#[test]
fn after_a_refusal_all_are_sent_again_in_order_once_all_are_answered_and_a_pause_has_passed() {
    let mut rig = Rig::new();
    for _ in 0..4 {
        rig.batch();
    }
    let sent = rig.sends(3);
    rig.refuse(sent[0], ErrorCode::NotLeaderOrFollower);
    assert!(rig.is_idle(), "two answers are missing");
    rig.refuse(sent[1], ErrorCode::OutOfOrderSequenceNumber);
    rig.refuse(sent[2], ErrorCode::OutOfOrderSequenceNumber);
    assert!(matches!(rig.next(), Next::WaitUntil(_)));
    rig.pass(Duration::from_millis(130));
    let again: Vec<_> = (0..4).map(|_| rig.send()).map(|(_, epoch, sequence)| (epoch, sequence)).collect();
    assert_eq!(again, [(0, 0), (0, 1), (0, 2), (0, 3)]);
    assert!(rig.finished().is_empty());
}

#[test]
fn a_new_leader_ends_the_pause() {
    let mut rig = Rig::new();
    rig.batch();
    let sent = rig.sends(1);
    rig.refuse(sent[0], ErrorCode::NotLeaderOrFollower);
    assert!(matches!(rig.next(), Next::WaitUntil(_)));
    rig.queue.moved(rig.now);
    assert_eq!(rig.send().2, 0);
}

#[test]
fn an_answer_to_what_was_given_up_is_not_used() {
    let mut rig = Rig::new();
    rig.batch();
    let old = rig.send().0;
    rig.queue.abandon(rig.now);
    rig.pass(Duration::from_secs(1));
    let new = rig.send().0;
    rig.ok(old, 55);
    assert!(rig.finished().is_empty());
    rig.ok(new, 0);
    assert_eq!(rig.finished(), ["+0"]);
}

#[test]
fn a_batch_refused_for_good_leaves_the_rest_to_the_next_epoch() {
    let mut rig = Rig::new();
    for _ in 0..4 {
        rig.batch();
    }
    let sent = rig.sends(3);
    rig.refuse(sent[0], ErrorCode::MessageTooLarge);
    assert_eq!(rig.finished(), ["-MESSAGE_TOO_LARGE"]);
    assert!(rig.is_idle(), "two answers are missing");
    rig.refuse(sent[1], ErrorCode::OutOfOrderSequenceNumber);
    rig.refuse(sent[2], ErrorCode::OutOfOrderSequenceNumber);
    rig.pass(Duration::from_secs(1));
    assert!(matches!(rig.next(), Next::NeedIdentity(IDENTITY)));
    rig.identity = NEXT_IDENTITY;
    let again: Vec<_> = (0..3).map(|_| rig.send()).map(|(_, epoch, sequence)| (epoch, sequence)).collect();
    assert_eq!(again, [(1, 0), (1, 1), (1, 2)]);
}

#[test]
fn behind_a_batch_in_doubt_what_is_in_doubt_is_resolved_under_the_old_epoch() {
    let mut rig = Rig::new();
    rig.batch();
    rig.send();
    rig.pass(DELIVERY_TIMEOUT / 2);
    for _ in 0..3 {
        rig.batch();
    }
    rig.sends(2);
    rig.pass(DELIVERY_TIMEOUT / 2);
    rig.queue.abandon(rig.now);
    rig.queue.expire(rig.now);
    assert_eq!(rig.finished(), ["?OUTCOME_UNKNOWN"]);
    rig.pass(Duration::from_secs(2));

    // The second is in the log: the leader knows it. The third is not, but a copy may still arrive.
    let (second, epoch, sequence) = rig.send();
    assert_eq!((epoch, sequence), (0, 1));
    assert!(rig.is_idle(), "one by one");
    rig.ok(second, 1);
    let (third, epoch, sequence) = rig.send();
    assert_eq!((epoch, sequence), (0, 2));
    rig.refuse(third, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(rig.finished(), ["+1", "?OUT_OF_ORDER_SEQUENCE_NUMBER"]);

    // The fourth was never sent: it goes under the next epoch.
    assert!(matches!(rig.next(), Next::NeedIdentity(IDENTITY)));
    rig.identity = NEXT_IDENTITY;
    let (_, epoch, sequence) = rig.send();
    assert_eq!((epoch, sequence), (1, 0));
}

#[test]
fn a_duplicate_that_the_leader_does_not_remember_is_in_doubt_and_leaves_no_hole() {
    let mut rig = Rig::new();
    rig.batch();
    let sent = rig.send().0;
    rig.refuse(sent, ErrorCode::DuplicateSequenceNumber);
    assert_eq!(rig.finished(), ["?DUPLICATE_SEQUENCE_NUMBER"]);
    rig.batch();
    let (_, epoch, sequence) = rig.send();
    assert_eq!((epoch, sequence), (0, 1));
}

#[test]
fn what_was_never_sent_expires_as_not_appended_and_says_why() {
    let mut rig = Rig::new();
    rig.batch();
    rig.record();
    rig.queue.blocked(ErrorCode::LeaderNotAvailable);
    rig.pass(DELIVERY_TIMEOUT);
    rig.queue.expire(rig.now);
    assert_eq!(rig.finished(), ["-LEADER_NOT_AVAILABLE", "-LEADER_NOT_AVAILABLE"]);
    assert!(rig.queue.is_empty());
}

#[test]
fn the_answer_to_an_attempt_that_is_out_is_waited_for_a_little_past_the_timeout() {
    let mut rig = Rig::new();
    for _ in 0..2 {
        rig.batch();
    }
    let sent = rig.sends(2);
    rig.pass(DELIVERY_TIMEOUT);
    rig.queue.expire(rig.now);
    assert!(rig.finished().is_empty());
    rig.refuse(sent[0], ErrorCode::NotEnoughReplicas);
    rig.queue.expire(rig.now);
    assert_eq!(rig.finished(), ["-NOT_ENOUGH_REPLICAS"]);
    rig.pass(Duration::from_secs(1));
    rig.queue.expire(rig.now);
    assert_eq!(rig.finished(), ["?OUTCOME_UNKNOWN"]);
}

#[test]
fn an_attempt_with_unknown_outcome_is_never_called_not_appended() {
    let mut rig = Rig::new();
    rig.batch();
    rig.lose_then_refuse_as_too_large();
    assert_eq!(rig.finished(), ["?MESSAGE_TOO_LARGE"]);
}

#[test]
fn another_partitions_new_epoch_is_taken_up_only_while_nothing_is_under_way() {
    let mut rig = Rig::new();
    rig.batch();
    rig.batch();
    let sent = rig.send();
    rig.identity = NEXT_IDENTITY;
    let second = rig.send();
    assert_eq!((sent.1, second.1, second.2), (0, 0, 1));
    rig.ok(sent.0, 0);
    rig.ok(second.0, 1);
    rig.batch();
    let third = rig.send();
    assert_eq!((third.1, third.2), (1, 0));
}

#[test]
fn everything_ends_when_all_is_given_up() {
    let mut rig = Rig::new();
    for _ in 0..7 {
        rig.batch();
    }
    rig.sends(5);
    rig.queue.fail_all(ErrorCode::ShuttingDown);
    let finished = rig.finished();
    assert_eq!(finished.len(), 7);
    assert_eq!(finished[4], "?SHUTTING_DOWN");
    assert_eq!(finished[5], "-SHUTTING_DOWN");
    assert!(rig.queue.is_empty());
}
