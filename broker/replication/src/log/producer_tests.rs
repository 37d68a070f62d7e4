//! Verdicts on sequences, and what is remembered.

use holdfast_proto::ids::LeaderEpoch;

use super::*;

const NOW: Millis = Millis(1_000_000);

fn batch(id: i64, epoch: i16, base_sequence: i32, record_count: u32) -> BatchInfo {
    BatchInfo {
        record_count,
        size_bytes: 100,
        producer_id: ProducerId(id),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: Sequence(base_sequence),
    }
}

fn placed(base_offset: u64, info: BatchInfo) -> PlacedBatch {
    PlacedBatch { base_offset: Offset(base_offset), leader_epoch: LeaderEpoch(1), info }
}

/// A table that holds ten single-record batches of producer 7, epoch 3: sequences 0 to 9 at offsets 100 to 109.
fn table() -> ProducerTable {
    let mut table = ProducerTable::new();
    for sequence in 0..10 {
        table.record(&placed(100 + sequence as u64, batch(7, 3, sequence, 1)), NOW);
    }
    table
}

#[track_caller]
fn check(table: &mut ProducerTable, info: BatchInfo, expected: BatchVerdict) {
    assert_eq!(table.check(&info, NOW), expected, "{info:?}");
}

#[test]
fn sequences_of_a_known_producer() {
    let mut table = table();
    check(&mut table, batch(7, 3, 10, 4), BatchVerdict::Append);
    check(&mut table, batch(7, 3, 9, 1), BatchVerdict::Duplicate { base_offset: Offset(109) });
    check(&mut table, batch(7, 3, 5, 1), BatchVerdict::Duplicate { base_offset: Offset(105) });
    check(&mut table, batch(7, 3, 4, 1), BatchVerdict::Refuse(ErrorCode::DuplicateSequenceNumber));
    check(&mut table, batch(7, 3, 9, 2), BatchVerdict::Refuse(ErrorCode::DuplicateSequenceNumber));
    check(&mut table, batch(7, 3, 11, 1), BatchVerdict::Refuse(ErrorCode::OutOfOrderSequenceNumber));
}

#[test]
fn epochs_fence_and_start_at_zero() {
    let mut table = table();
    check(&mut table, batch(7, 2, 10, 1), BatchVerdict::Refuse(ErrorCode::InvalidProducerEpoch));
    check(&mut table, batch(7, 4, 10, 1), BatchVerdict::Refuse(ErrorCode::OutOfOrderSequenceNumber));
    check(&mut table, batch(7, 4, 0, 1), BatchVerdict::Append);
}

#[test]
fn a_producer_that_is_not_known_starts_at_zero() {
    let mut table = table();
    check(&mut table, batch(8, 0, 0, 1), BatchVerdict::Append);
    check(&mut table, batch(8, 0, 1, 1), BatchVerdict::Refuse(ErrorCode::UnknownProducerId));
    check(&mut table, batch(-1, -1, -1, 1), BatchVerdict::Append);
}

#[test]
fn a_new_epoch_forgets_the_batches_of_the_old_one() {
    let mut table = table();
    table.record(&placed(110, batch(7, 4, 0, 5)), NOW);
    check(&mut table, batch(7, 4, 0, 5), BatchVerdict::Duplicate { base_offset: Offset(110) });
    check(&mut table, batch(7, 4, 5, 1), BatchVerdict::Append);
    check(&mut table, batch(7, 3, 10, 1), BatchVerdict::Refuse(ErrorCode::InvalidProducerEpoch));
    assert_eq!(table.end_offset(), Offset(115));
}

#[test]
fn sequences_wrap() {
    let mut table = ProducerTable::new();
    table.record(&placed(0, batch(1, 0, i32::MAX - 1, 3)), NOW);
    check(&mut table, batch(1, 0, 1, 1), BatchVerdict::Append);
    check(&mut table, batch(1, 0, i32::MAX - 1, 3), BatchVerdict::Duplicate { base_offset: Offset(0) });
    check(&mut table, batch(1, 0, i32::MAX - 5, 1), BatchVerdict::Refuse(ErrorCode::DuplicateSequenceNumber));
    check(&mut table, batch(1, 0, 2, 1), BatchVerdict::Refuse(ErrorCode::OutOfOrderSequenceNumber));
}

const LIMITS: Limits = Limits { idle: 2, most: 4, kept_ms: 100 };

fn ids(table: &ProducerTable) -> Vec<i64> {
    table.iter().map(|(id, _)| id.0).collect()
}

/// Producers 1 to `most`, each with one batch, at the times 0, 1, 2 and so on.
fn full() -> ProducerTable {
    let mut table = ProducerTable::with_limits(LIMITS);
    for id in 1..=LIMITS.most as u64 {
        table.record(&placed(id, batch(id as i64, 0, 0, 1)), Millis(id));
    }
    table
}

#[test]
fn the_longest_idle_producer_gives_way_once_no_retry_of_it_can_come() {
    let mut table = ProducerTable::with_limits(LIMITS);
    table.record(&placed(0, batch(1, 0, 0, 1)), Millis(0));
    table.record(&placed(1, batch(2, 0, 0, 1)), Millis(1));
    table.record(&placed(2, batch(1, 0, 1, 1)), Millis(2));
    table.record(&placed(3, batch(3, 0, 0, 1)), Millis(101));
    assert_eq!(ids(&table), [1, 2, 3], "producer 2 wrote 100 ms ago");
    table.record(&placed(4, batch(4, 0, 0, 1)), Millis(102));
    assert_eq!(ids(&table), [1, 3, 4]);
}

#[test]
fn those_that_are_idle_for_long_are_forgotten_when_it_is_asked_for() {
    let mut table = ProducerTable::with_limits(LIMITS);
    table.record(&placed(0, batch(1, 0, 0, 1)), Millis(0));
    table.record(&placed(1, batch(2, 0, 0, 1)), Millis(50));
    table.expire(Millis(100));
    assert_eq!(ids(&table), [1, 2], "a retry may come after so long");
    table.expire(Millis(101));
    assert_eq!(ids(&table), [2]);
    table.expire(Millis(1_000));
    assert!(table.is_empty());
    let mut read_again = full().ageless();
    read_again.expire(Millis(5_000));
    assert_eq!(read_again.len(), LIMITS.most, "nobody knows how old they are");
    read_again.expire(Millis(5_101));
    assert!(read_again.is_empty());
}

#[test]
fn a_retry_is_recognised_however_many_producers_come_after_it() {
    let mut table = full();
    let retry = batch(1, 0, 0, 1);
    let newcomer = batch(99, 0, 0, 1);
    assert_eq!(table.check(&newcomer, Millis(101)), BatchVerdict::Refuse(ErrorCode::TooManyProducers));
    assert_eq!(table.check(&retry, Millis(101)), BatchVerdict::Duplicate { base_offset: Offset(1) });
    assert_eq!(table.check(&batch(1, 0, 1, 1), Millis(101)), BatchVerdict::Append, "who is known goes on");
    assert_eq!(table.check(&newcomer, Millis(102)), BatchVerdict::Append);
    table.record(&placed(5, newcomer), Millis(102));
    assert_eq!(ids(&table), [2, 3, 4, 99]);
}

#[test]
fn what_was_read_again_counts_from_when_the_table_is_first_asked() {
    let mut table = full().ageless();
    let newcomer = batch(99, 0, 0, 1);
    assert_eq!(table.check(&newcomer, Millis(5000)), BatchVerdict::Refuse(ErrorCode::TooManyProducers));
    assert_eq!(table.check(&newcomer, Millis(5100)), BatchVerdict::Refuse(ErrorCode::TooManyProducers));
    assert_eq!(table.check(&newcomer, Millis(5101)), BatchVerdict::Append);
}

#[test]
fn a_log_with_too_many_young_producers_is_the_truth() {
    let mut table = full();
    table.record(&placed(5, batch(5, 0, 0, 1)), Millis(5));
    assert_eq!(ids(&table), [2, 3, 4, 5]);
    table.replay(&placed(6, batch(6, 0, 0, 1)));
    assert_eq!(ids(&table), [3, 4, 5, 6]);
}

#[test]
fn a_snapshot_gives_the_same_table() {
    let mut table = table();
    table.record(&placed(110, batch(9, 0, 0, 2)), NOW);
    let mut restored = ProducerTable::new();
    for (id, entry) in table.iter() {
        assert!(restored.restore(id, entry.epoch(), entry.batches()));
    }
    assert_eq!(restored, table);
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let mut table = table();
    let one = RememberedBatch { base_offset: Offset(500), ..RememberedBatch::default() };
    assert!(!table.restore(ProducerId(7), ProducerEpoch(0), &[one]), "known already");
    assert!(!table.restore(ProducerId::NONE, ProducerEpoch(0), &[one]));
    assert!(!table.restore(ProducerId(8), ProducerEpoch(0), &[]));
    assert!(!table.restore(ProducerId(8), ProducerEpoch(0), &[one, one]));
    assert!(!table.restore(ProducerId(8), ProducerEpoch(0), &[one; 6]));
    assert!(table.restore(ProducerId(8), ProducerEpoch(0), &[one]));
}
