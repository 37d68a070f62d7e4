//! The epoch chain by example, and against a log that knows the epoch of every record.

use proptest::prelude::*;

use super::*;

fn chain(entries: &[(u32, u64)]) -> EpochChain {
    let entry = |&(epoch, start)| EpochEntry { leader_epoch: LeaderEpoch(epoch), start_offset: Offset(start) };
    EpochChain::from_entries(entries.iter().map(entry)).expect("increasing")
}

fn entries(chain: &EpochChain) -> Vec<(u32, u64)> {
    chain.iter().map(|entry| (entry.leader_epoch.0, entry.start_offset.0)).collect()
}

#[test]
fn an_old_epoch_that_goes_on_behind_an_empty_newer_one_keeps_its_start() {
    let mut chain = chain(&[(6, 300), (7, 380), (8, 490)]);
    assert!(chain.assign(LeaderEpoch(7), Offset(490)));
    assert_eq!(entries(&chain), [(6, 300), (7, 380)]);
    assert_eq!(chain.end_offset_for(LeaderEpoch(6), Offset(500)), (LeaderEpoch(6), Offset(380)));
}

#[test]
fn assign_replaces_what_contradicts_it() {
    let mut epochs = chain(&[(2, 0), (3, 7), (6, 12)]);
    assert!(!epochs.assign(LeaderEpoch(6), Offset(15)), "the same leadership goes on");
    assert!(epochs.assign(LeaderEpoch(8), Offset(12)), "epoch 6 was empty");
    assert_eq!(entries(&epochs), [(2, 0), (3, 7), (8, 12)]);
    assert!(epochs.assign(LeaderEpoch(4), Offset(12)), "an older leader's record replaces the empty epoch 8");
    assert_eq!(entries(&epochs), [(2, 0), (3, 7), (4, 12)]);
}

#[test]
fn a_log_that_was_cut_below_an_empty_epoch_does_not_look_newer() {
    let of = |entries: &[(u32, u64)], start, end, is_whole| {
        let epoch = chain(entries).of_last_record(Offset(start), Offset(end), is_whole);
        epoch.map(|epoch| epoch.0)
    };
    assert_eq!(of(&[(1, 0), (2, 143)], 0, 150, true), Some(2));
    assert_eq!(of(&[(1, 0), (2, 143)], 0, 143, true), Some(1), "epoch 2 has no record");
    assert_eq!(of(&[(1, 0), (2, 90)], 0, 90, false), Some(1), "cut below the begin of epoch 2, which recovery keeps");
    assert_eq!(of(&[(2, 0)], 0, 0, false), None, "cut to nothing");
    assert_eq!(of(&[(2, 500)], 500, 500, true), Some(2), "retention left nothing");
}

#[test]
fn an_end_is_that_of_the_largest_epoch_at_or_below() {
    let epochs = chain(&[(2, 5), (3, 7), (6, 12)]);
    let end_of = |epoch| {
        let (epoch, end) = epochs.end_offset_for(LeaderEpoch(epoch), Offset(20));
        (epoch.0, end.0)
    };
    assert_eq!(end_of(1), (1, 5));
    assert_eq!(end_of(2), (2, 7));
    assert_eq!(end_of(3), (3, 12));
    assert_eq!(end_of(5), (3, 12));
    assert_eq!(end_of(6), (6, 20));
    assert_eq!(end_of(9), (6, 20));
    assert_eq!(EpochChain::new().end_offset_for(LeaderEpoch(4), Offset(9)), (LeaderEpoch(4), Offset(9)));
}

#[test]
fn a_cut_log_still_knows_the_newest_epoch_that_was_begun() {
    let mut epochs = chain(&[(2, 0), (3, 7), (6, 12)]);
    assert!(!epochs.truncate_to(Offset(12)));
    assert!(epochs.truncate_to(Offset(7)));
    assert_eq!(entries(&epochs), [(2, 0), (6, 7)]);
    assert_eq!(epochs.epoch_at(Offset(6)), Some(LeaderEpoch(2)));
    assert_eq!(epochs.end_offset_for(LeaderEpoch(3), Offset(7)), (LeaderEpoch(2), Offset(7)));
}

#[test]
fn retention_moves_the_oldest_start() {
    let mut epochs = chain(&[(2, 0), (3, 7), (6, 12)]);
    assert!(epochs.truncate_from_start(Offset(8)));
    assert_eq!(entries(&epochs), [(3, 8), (6, 12)]);
    assert!(!epochs.truncate_from_start(Offset(8)));
    assert!(epochs.truncate_from_start(Offset(30)), "all records are gone, the epoch of the last one is not");
    assert_eq!(entries(&epochs), [(6, 30)]);
    assert_eq!(epochs.epoch_at(Offset(29)), None);
    assert!(!EpochChain::new().truncate_from_start(Offset(3)));
}

#[test]
fn entries_from_a_disk_must_increase() {
    let entry = |epoch, start| EpochEntry { leader_epoch: LeaderEpoch(epoch), start_offset: Offset(start) };
    assert!(EpochChain::from_entries([entry(1, 0), entry(1, 5)]).is_none());
    assert!(EpochChain::from_entries([entry(1, 5), entry(2, 5)]).is_none());
    assert!(EpochChain::from_entries([]).is_some());
}

/// Appends runs of records, each of an epoch that does not go back, and sometimes cuts the log.
fn histories() -> impl Strategy<Value = Vec<(u32, u64, u64)>> {
    prop::collection::vec((0..3_u32, 0..4_u64, 0..6_u64), 0..30)
}

proptest! {
    #[test]
    fn a_chain_answers_as_the_records_do(history in histories(), asked in 0..40_u32) {
        let (mut chain, mut log, mut epoch) = (EpochChain::new(), Vec::<u32>::new(), 1);
        for (step, records, cut) in history {
            epoch += step;
            if cut == 0 && !log.is_empty() {
                // One that cuts follows a leader of a later epoch.
                log.truncate(log.len() / 2);
                chain.truncate_to(Offset(log.len() as u64));
                epoch += 1;
            }
            for _ in 0..records {
                chain.assign(LeaderEpoch(epoch), Offset(log.len() as u64));
                log.push(epoch);
            }
        }
        let end = Offset(log.len() as u64);
        for (offset, epoch) in log.iter().enumerate() {
            prop_assert_eq!(chain.epoch_at(Offset(offset as u64)), Some(LeaderEpoch(*epoch)));
        }
        // The end is where the first record of a later epoch stands.
        let expected = log.iter().position(|epoch| *epoch > asked).map_or(end, |first| Offset(first as u64));
        let (floor, found) = chain.end_offset_for(LeaderEpoch(asked), end);
        prop_assert_eq!(found, expected);
        prop_assert!(floor <= LeaderEpoch(asked));
        if let Some(last) = log[..expected.0 as usize].last() {
            prop_assert!(floor >= LeaderEpoch(*last), "{floor} ends at {found}, the record before it is of {last}");
        }
        prop_assert_eq!(EpochChain::from_entries(chain.iter()), Some(chain));
    }
}
