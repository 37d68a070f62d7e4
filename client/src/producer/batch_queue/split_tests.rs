//! What becomes of batches that are larger than their topic takes.

use std::time::Duration;

use holdfast_proto::error::ErrorCode;

use super::{
    Next,
    rig_for_tests::{IDENTITY, NEXT_IDENTITY, Rig},
};

/// Epoch, first sequence and correlation ids of so many batches that are sent now.
fn sent(rig: &mut Rig, count: usize) -> (Vec<(i16, i32)>, Vec<u64>) {
    (0..count).map(|_| rig.send()).map(|(correlation, epoch, sequence)| ((epoch, sequence), correlation)).unzip()
}

#[test]
fn a_batch_that_is_too_large_is_sent_in_parts_at_once_and_in_its_place() {
    let mut rig = Rig::new();
    rig.batch_of(4);
    rig.batch_of(1);
    let whole = rig.sends(2);
    rig.refuse(whole[0], ErrorCode::MessageTooLarge);
    assert!(rig.is_idle(), "one answer is missing");
    rig.refuse(whole[1], ErrorCode::OutOfOrderSequenceNumber);
    let (parts, out) = sent(&mut rig, 3);
    assert_eq!(parts, [(0, 0), (0, 2), (0, 4)], "the sequences that the records had, without a pause");

    rig.ok(out[0], 10);
    rig.refuse(out[1], ErrorCode::MessageTooLarge);
    rig.refuse(out[2], ErrorCode::OutOfOrderSequenceNumber);
    let (parts, out) = sent(&mut rig, 3);
    assert_eq!(parts, [(0, 2), (0, 3), (0, 4)]);
    for (correlation, offset) in out.into_iter().zip([20, 30, 40]) {
        rig.ok(correlation, offset);
    }
    assert_eq!(rig.finished(), ["+10", "+20", "+30", "+40"]);
    assert!(rig.queue.is_empty());
}

#[test]
fn of_a_batch_the_one_record_that_is_too_large_fails_alone() {
    let mut rig = Rig::new();
    rig.batch_of(2);
    let whole = rig.send().0;
    rig.refuse(whole, ErrorCode::MessageTooLarge);
    let (_, out) = sent(&mut rig, 2);
    rig.refuse(out[0], ErrorCode::MessageTooLarge);
    rig.refuse(out[1], ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(rig.finished(), ["-MESSAGE_TOO_LARGE"]);
    rig.pass(Duration::from_secs(1));
    assert!(matches!(rig.next(), Next::NeedIdentity(IDENTITY)));
    rig.identity = NEXT_IDENTITY;
    let (parts, out) = sent(&mut rig, 1);
    assert_eq!(parts, [(1, 0)]);
    rig.ok(out[0], 7);
    assert_eq!(rig.finished(), ["+7"]);
}

#[test]
fn no_more_parts_are_out_than_a_leader_remembers() {
    let mut rig = Rig::new();
    for _ in 0..5 {
        rig.batch_of(2);
    }
    for whole in rig.sends(5) {
        rig.refuse(whole, ErrorCode::MessageTooLarge);
    }
    let (parts, out) = sent(&mut rig, 5);
    assert_eq!(parts, [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4)]);
    assert!(rig.is_idle(), "five are out");
    rig.ok(out[0], 0);
    assert_eq!(sent(&mut rig, 1).0, [(0, 5)]);
}

#[test]
fn a_batch_that_may_be_in_the_log_is_not_split() {
    let mut rig = Rig::new();
    rig.batch_of(2);
    rig.lose_then_refuse_as_too_large();
    assert_eq!(rig.finished(), ["?MESSAGE_TOO_LARGE"]);
}

#[test]
fn batches_that_come_later_are_smaller() {
    let mut rig = Rig::new();
    rig.queue.rules.batch_size_bytes = 64 << 10;
    rig.batch_of(1_000);
    let whole = rig.send().0;
    rig.refuse(whole, ErrorCode::MessageTooLarge);
    let now = rig.queue.rules.batch_size_bytes;
    assert!((1 << 10..10 << 10).contains(&now), "{now}");
}
