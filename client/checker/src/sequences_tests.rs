use super::*;

const HERE: Place = Place { partition: 0, offset: 0 };

fn tally(numbers: &[u64], last: Option<(u64, &str)>) -> Tally {
    let mut sequences = Sequences::default();
    for number in numbers {
        sequences.read(b"k", HERE, *number, None);
    }
    if let Some((number, text)) = last {
        sequences.read(b"k", HERE, number, Holes::from_text(text.as_bytes()));
    }
    sequences.finish(0)
}

#[track_caller]
fn check(numbers: &[u64], last: Option<(u64, &str)>, counts: [u64; 5]) {
    let tally = tally(numbers, last);
    let found = [tally.lost, tally.duplicated, tally.reordered, tally.unfinished, tally.excused];
    assert_eq!(found, counts, "{tally:?}");
}

#[test]
fn dense_sequences_with_an_end_marker_are_clean() {
    check(&[0, 1, 2], Some((3, "")), [0; 5]);
    check(&[], Some((0, "")), [0; 5]);
    assert!(tally(&[0], Some((1, ""))).is_clean());
}

#[test]
fn holes_are_losses_unless_excused() {
    check(&[0, 3], Some((4, "")), [2, 0, 0, 0, 0]);
    check(&[0, 3], Some((4, "1-2")), [0, 0, 0, 0, 2]);
    check(&[0, 1], Some((5, "2,3")), [1, 0, 0, 0, 2]);
    check(&[1], Some((2, "")), [1, 0, 0, 0, 0]);
    check(&[0, 1], Some((2, "1")), [0; 5]);
    check(&[0, 9], Some((10, "7-8,2-3,8,5-4,3")), [4, 0, 0, 0, 4]);
    check(&[0, 3, 6], Some((7, "0-4")), [1, 0, 0, 0, 3]);
}

#[test]
fn a_number_of_any_size_is_judged_at_once() {
    let most = u64::MAX - 1;
    check(&[most], None, [most, 0, 0, 1, 0]);
    check(&[most], Some((u64::MAX, "1-18446744073709551614")), [1, 0, 0, 0, most - 1]);
    let mut sequences = Sequences::default();
    sequences.read(b"a", HERE, most, None);
    sequences.read(b"b", HERE, most, None);
    let tally = sequences.finish(0);
    assert_eq!((tally.lost, tally.examples.len()), (u64::MAX, 4), "{tally:?}");
    assert!(!Tally { duplicated: 1, ..tally }.is_clean());
}

#[test]
fn a_lost_tail_takes_the_end_marker_with_it() {
    check(&[0, 1], None, [0, 0, 0, 1, 0]);
}

#[test]
fn a_key_of_which_nothing_is_left_is_lost() {
    let mut sequences = Sequences::default();
    for key in [&b"audit/run/0/0"[..], b"audit/run/0/2"] {
        sequences.read(key, HERE, 0, Some(Holes::default()));
        sequences.announce(key, b"0-3");
    }
    sequences.announce(b"audit/run/0/0", b"x");
    let tally = sequences.finish(0);
    assert_eq!((tally.keys, tally.lost), (2, 2), "{tally:?}");
    assert!(tally.examples[0].contains("audit/run/0/1"), "{tally:?}");
}

#[test]
fn a_second_time_is_a_duplicate_and_a_late_one_is_out_of_order() {
    check(&[0, 1, 1], Some((2, "")), [0, 1, 0, 0, 0]);
    check(&[0, 2, 1], Some((3, "")), [0, 0, 1, 0, 0]);
    check(&[0, 4, 2, 2], Some((5, "")), [2, 1, 1, 0, 0]);
    check(&[0, 1], Some((1, "")), [0, 1, 0, 0, 0]);
}

/// A run with a key in each of three partitions, of which the last two state of each other; `keep` says of which
/// partitions anything is left, and up to which number.
fn stated(keep: [u64; 3]) -> Tally {
    let mut sequences = Sequences::default();
    for (partition, kept) in (0..).zip(keep) {
        let key = format!("audit/run/0/{partition}");
        for number in 0..kept {
            sequences.read(key.as_bytes(), Place { partition, offset: 10 + number }, number, None);
            sequences.reached(partition, 11 + number);
        }
        if kept > 0 {
            let text = ["1:4@13;2:4@13", "2:4@13;0:3@12", "0:4@13/1;1:4@13"][partition as usize];
            sequences.state(key.as_bytes(), text.as_bytes());
        }
    }
    sequences.finish(4)
}

#[test]
fn an_emptied_partition_is_contradicted_by_the_others() {
    let tally = stated([4, 4, 4]);
    assert!(tally.is_clean(), "{tally:?}");
    assert_eq!((tally.unfinished, &tally.unvouched[..]), (3, &[3][..]), "{tally:?}");

    let tally = stated([4, 0, 4]);
    assert_eq!((tally.keys, tally.lost, tally.unfinished), (2, 4, 3), "{tally:?}");
    assert_eq!(tally.cut, [Cut { partition: 1, from: 0, to: 13 }]);
    assert!(tally.examples[0].contains("partition 1 holds nothing") && tally.examples[0].contains("offset 13"));
    assert!(tally.examples.iter().any(|text| text.contains("audit/run/0/1 numbers 0 to 3 are nowhere")), "{tally:?}");

    // Two of three: the one that is left speaks for both, and what may be absent is excused.
    let tally = stated([0, 0, 4]);
    assert_eq!((tally.lost, tally.excused, tally.cut.len()), (7, 1, 2), "{tally:?}");
}

#[test]
fn a_partition_that_lost_its_end_is_contradicted_by_the_others() {
    let tally = stated([4, 3, 4]);
    assert_eq!((tally.lost, &tally.cut[..]), (1, &[Cut { partition: 1, from: 13, to: 13 }][..]), "{tally:?}");
    assert!(tally.examples[0].contains("partition 1 ends at offset 13"), "{tally:?}");
    assert!(!tally.is_clean());
    let mut sequences = Sequences::default();
    sequences.reached(1, 20);
    sequences.state(b"audit/run/0/0", b"1:4@13");
    let tally = sequences.finish(2);
    assert_eq!((tally.lost, tally.cut.len()), (4, 0), "offsets are there, and hold other records: {tally:?}");
}

#[test]
fn a_partition_that_nothing_speaks_for_is_named() {
    let mut sequences = Sequences::default();
    sequences.read(b"audit/run/0/1", Place { partition: 1, offset: 0 }, 0, Some(Holes::default()));
    sequences.read(b"audit/killed/0/2", Place { partition: 2, offset: 0 }, 0, None);
    sequences.announce(b"audit/run/0/1", b"0-1");
    let tally = sequences.finish(4);
    assert_eq!(tally.unvouched, [2, 3], "{tally:?}");
    assert!(tally.examples.iter().any(|text| text.contains("nothing says how far it must reach")), "{tally:?}");
}

#[test]
fn a_gap_is_named_with_its_place() {
    let mut sequences = Sequences::default();
    sequences.read(b"k", HERE, 0, None);
    sequences.read(b"k", Place { partition: 7, offset: 44 }, 3, Some(Holes::default()));
    let tally = sequences.finish(0);
    assert_eq!(tally.examples, ["lost: k numbers 1 to 2 are nowhere, before offset 44 of partition 7"]);
}

/// Partition 1 of three, whose key's numbers stand at ten above; all of it is stated by partition 0. Of it the numbers `kept`
/// are left, and it begins at this offset if its settings allow that.
fn expired(kept: Range<u64>, log_start: Option<u64>) -> Tally {
    let mut sequences = Sequences::default();
    sequences.read(b"audit/run/0/0", HERE, 0, Some(Holes::default()));
    sequences.state(b"audit/run/0/0", b"1:6@15");
    for number in kept {
        let last = (number == 5).then(Holes::default);
        sequences.read(b"audit/run/0/1", Place { partition: 1, offset: 10 + number }, number, last);
        sequences.reached(1, 11 + number);
    }
    if let Some(log_start) = log_start {
        sequences.begins(1, log_start);
    }
    sequences.finish(2)
}

#[test]
fn what_retention_removed_is_no_loss() {
    for (kept, log_start, expected) in [(3..6, 13, 3), (0..6, 10, 0), (6..6, 16, 6)] {
        let tally = expired(kept.clone(), Some(log_start));
        assert!(tally.is_clean(), "{kept:?}: {tally:?}");
        assert_eq!((tally.expired, tally.unfinished), (expected, 0), "{kept:?}: {tally:?}");
    }
}

#[test]
fn what_lies_behind_the_log_start_offset_is_a_loss_also_with_retention() {
    // The settings keep everything; the partition begins before what is missing; it is empty and begins at 0 again.
    for (kept, log_start, lost) in [(3..6, None, 3), (3..6, Some(11), 3), (6..6, Some(0), 6), (6..6, Some(13), 6)] {
        let tally = expired(kept.clone(), log_start);
        assert_eq!((tally.lost, tally.expired), (lost, 0), "{kept:?}, {log_start:?}: {tally:?}");
    }
    assert_eq!(expired(6..6, Some(13)).cut, [Cut { partition: 1, from: 13, to: 15 }]);
    // In the middle nothing expires.
    let mut sequences = Sequences::default();
    for (number, offset) in [(3, 13), (5, 14)] {
        sequences.read(b"audit/run/0/1", Place { partition: 1, offset }, number, None);
        sequences.reached(1, offset + 1);
    }
    sequences.begins(1, 15);
    let tally = sequences.finish(2);
    assert_eq!((tally.lost, tally.expired), (1, 3), "{tally:?}");
}

/// Of partition 3 the log went on from offset 5, and 5 to 7 had been acknowledged.
#[test]
fn what_an_operator_gave_up_is_counted_apart() {
    let at = |offset| Place { partition: 3, offset };
    let read = |given_up: Option<GivenUp>| {
        let mut sequences = Sequences::default();
        for (number, offset) in [(0, 3), (1, 4), (5, 5), (6, 6)] {
            sequences.read(b"a/3", at(offset), number, None);
        }
        sequences.read(b"a/3", at(7), 7, Some(Holes::default()));
        if let Some(given_up) = given_up {
            sequences.gave_up(3, given_up);
        }
        sequences.finish(4)
    };
    let lost = read(None);
    assert_eq!((lost.lost, lost.given_up), (3, 0), "{lost:?}");
    let exact = GivenUp { end: Some(5), high_watermark: Some(8), is_exact: true };
    let known = read(Some(exact));
    assert_eq!((known.lost, known.given_up, known.examples.len()), (0, 3, 0), "{known:?}");
    let expected = "given up: 3 records, a/3 numbers 2 to 4 are nowhere, before offset 5 of partition 3";
    assert_eq!(known.given_up_examples, [expected]);
    let more = read(Some(GivenUp { high_watermark: Some(7), ..exact }));
    assert_eq!((more.lost, more.given_up), (1, 2), "more is missing than was given up: {more:?}");
}

#[test]
fn a_partition_that_lost_its_end_by_an_operator_is_no_cut() {
    let read = |given_up: Option<GivenUp>| {
        let mut sequences = Sequences::default();
        sequences.read(b"a/0", HERE, 0, Some(Holes::default()));
        sequences.state(b"a/0", b"1:5@431");
        if let Some(given_up) = given_up {
            sequences.gave_up(1, given_up);
        }
        sequences.finish(2)
    };
    let lost = read(None);
    assert_eq!((lost.lost, lost.given_up, lost.cut.len()), (5, 0, 1), "{lost:?}");
    let known = read(Some(GivenUp { end: Some(0), high_watermark: Some(432), is_exact: true }));
    assert_eq!((known.lost, known.given_up, known.cut.len()), (0, 5, 0), "{known:?}");
    let before = read(Some(GivenUp { end: Some(0), high_watermark: Some(431), is_exact: true }));
    assert_eq!((before.lost, before.cut.len()), (5, 1), "what came later was not given up: {before:?}");
}
