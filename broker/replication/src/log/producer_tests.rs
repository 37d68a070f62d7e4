//! Verdicts on sequences, and what is remembered.

use holdfast_proto::ids::LeaderEpoch;

use super::*;

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
        table.record(&placed(100 + sequence as u64, batch(7, 3, sequence, 1)));
    }
    table
}

#[track_caller]
fn check(table: &ProducerTable, info: BatchInfo, expected: BatchVerdict) {
    assert_eq!(table.check(&info), expected, "{info:?}");
}

#[test]
fn sequences_of_a_known_producer() {
    let table = table();
    check(&table, batch(7, 3, 10, 4), BatchVerdict::Append);
    check(&table, batch(7, 3, 9, 1), BatchVerdict::Duplicate { base_offset: Offset(109) });
    check(&table, batch(7, 3, 5, 1), BatchVerdict::Duplicate { base_offset: Offset(105) });
    check(&table, batch(7, 3, 4, 1), BatchVerdict::Refuse(ErrorCode::DuplicateSequenceNumber));
    check(&table, batch(7, 3, 9, 2), BatchVerdict::Refuse(ErrorCode::DuplicateSequenceNumber));
    check(&table, batch(7, 3, 11, 1), BatchVerdict::Refuse(ErrorCode::OutOfOrderSequenceNumber));
}

#[test]
fn epochs_fence_and_start_at_zero() {
    let table = table();
    check(&table, batch(7, 2, 10, 1), BatchVerdict::Refuse(ErrorCode::InvalidProducerEpoch));
    check(&table, batch(7, 4, 10, 1), BatchVerdict::Refuse(ErrorCode::OutOfOrderSequenceNumber));
    check(&table, batch(7, 4, 0, 1), BatchVerdict::Append);
}

#[test]
fn a_producer_that_is_not_known_starts_at_zero() {
    let table = table();
    check(&table, batch(8, 0, 0, 1), BatchVerdict::Append);
    check(&table, batch(8, 0, 1, 1), BatchVerdict::Refuse(ErrorCode::UnknownProducerId));
    check(&table, batch(-1, -1, -1, 1), BatchVerdict::Append);
}

#[test]
fn a_new_epoch_forgets_the_batches_of_the_old_one() {
    let mut table = table();
    table.record(&placed(110, batch(7, 4, 0, 5)));
    check(&table, batch(7, 4, 0, 5), BatchVerdict::Duplicate { base_offset: Offset(110) });
    check(&table, batch(7, 4, 5, 1), BatchVerdict::Append);
    check(&table, batch(7, 3, 10, 1), BatchVerdict::Refuse(ErrorCode::InvalidProducerEpoch));
    assert_eq!(table.end_offset(), Offset(115));
}

#[test]
fn sequences_wrap() {
    let mut table = ProducerTable::new();
    table.record(&placed(0, batch(1, 0, i32::MAX - 1, 3)));
    check(&table, batch(1, 0, 1, 1), BatchVerdict::Append);
    check(&table, batch(1, 0, i32::MAX - 1, 3), BatchVerdict::Duplicate { base_offset: Offset(0) });
    check(&table, batch(1, 0, i32::MAX - 5, 1), BatchVerdict::Refuse(ErrorCode::DuplicateSequenceNumber));
    check(&table, batch(1, 0, 2, 1), BatchVerdict::Refuse(ErrorCode::OutOfOrderSequenceNumber));
}

#[test]
fn the_longest_idle_producer_gives_way() {
    let mut table = ProducerTable::with_limit(2);
    table.record(&placed(0, batch(1, 0, 0, 1)));
    table.record(&placed(1, batch(2, 0, 0, 1)));
    table.record(&placed(2, batch(1, 0, 1, 1)));
    table.record(&placed(3, batch(3, 0, 0, 1)));
    let ids: Vec<i64> = table.iter().map(|(id, _)| id.0).collect();
    assert_eq!(ids, [1, 3]);
}

#[test]
fn a_snapshot_gives_the_same_table() {
    let mut table = table();
    table.record(&placed(110, batch(9, 0, 0, 2)));
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
