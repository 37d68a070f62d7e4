use super::*;

fn tp(partition: u32) -> TopicPartition {
    TopicPartition { topic_id: TopicId(Uuid::from_u128(9)), partition: PartitionIndex(partition) }
}

fn distrusted(reason: &str) -> Entry {
    Entry::Distrusted(Distrust {
        cause: if reason == "halted" { Cause::Halted } else { Cause::Vanished },
        reason: reason.to_owned(),
        last_epoch: Some(LeaderEpoch(3)),
        end: Some(Offset(1 << 40)),
    })
}

/// A file of three frames with its entries after each frame, and where each frame begins.
fn file() -> (Vec<u8>, [Entries; 3], [usize; 3]) {
    let header = Header::new(7);
    let first: Entries = [(tp(0), Entry::Held), (tp(1), distrusted("damaged"))].into();
    let mut bytes = header.file(&first);
    let mut second = first.clone();
    let changes = [(tp(2), Some(Entry::Held)), (tp(0), None)];
    changes.iter().cloned().for_each(|change| apply(&mut second, change));
    let second_at = bytes.len();
    bytes.extend(header.frame(1, &changes));
    let mut third = second.clone();
    let changes = [(tp(2), Some(distrusted("halted")))];
    changes.iter().cloned().for_each(|change| apply(&mut third, change));
    let third_at = bytes.len();
    bytes.extend(header.frame(2, &changes));
    (bytes, [first, second, third], [HEADER, second_at, third_at])
}

#[test]
fn the_bytes_of_a_list_stay_as_they_are() {
    let bytes = Header::new(7).file(&[(tp(258), Entry::Held)].into());
    let expected = [
        b"HFRL".as_slice(),
        &[1, 0, 0, 0],
        &[0, 0, 0, 0, 0, 0, 0, 7],
        b"HFRF",
        &[0, 0, 0, 0],
        &[0, 0, 0, 21],
        &[157, 130, 70, 13],
        &[1],
        &[0; 15],
        &[9],
        &[0, 0, 1, 2],
    ];
    assert_eq!(bytes, expected.concat());
}

#[test]
fn a_list_is_read_back_and_an_unfinished_frame_is_dropped() {
    let (bytes, [first, second, third], [_, second_at, third_at]) = file();
    for cut in 0..=bytes.len() {
        let expected = match cut {
            _ if cut < second_at => None,
            _ if cut < third_at => Some(&first),
            _ if cut < bytes.len() => Some(&second),
            _ => Some(&third),
        };
        assert_eq!(decode(&bytes[..cut], 0).as_ref().ok(), expected, "cut at {cut}");
    }
    let mut torn = bytes.clone();
    torn[third_at..third_at + 20].fill(0);
    assert_eq!(decode(&torn, 0).as_ref(), Ok(&second), "the end of a frame without its beginning");
    torn.truncate(third_at);
    torn.extend([0; 5000]);
    assert_eq!(decode(&torn, 0).as_ref(), Ok(&second), "a length without bytes");
}

#[test]
fn no_flipped_bit_gives_other_entries() {
    let (bytes, [_, second, _], [_, _, third_at]) = file();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            match decode(&flipped, 0) {
                Ok(entries) => assert!(at >= third_at && entries == second, "byte {at} bit {bit}"),
                Err(problem) => assert!(at < third_at && matches!(problem, Problem::Lost(_)), "byte {at}: {problem:?}"),
            }
        }
    }
}

#[test]
fn a_frame_that_is_missing_means_that_the_list_is_lost() {
    let (mut bytes, _, [_, second_at, third_at]) = file();
    bytes.drain(second_at..third_at);
    assert!(matches!(decode(&bytes, 0), Err(Problem::Lost(_))));
}

#[test]
fn a_newer_list_is_told_from_a_damaged_one() {
    let mut header = Header::new(7);
    header.0[4] = 2;
    assert_eq!(decode(&header.file(&Entries::new()), 0), Err(Problem::Newer(2)));
}

#[test]
fn a_list_of_an_earlier_start_is_lost() {
    let bytes = Header::new(7).file(&Entries::new());
    assert!(
        [6, 7].into_iter().all(|written_by| decode(&bytes, written_by).is_ok()),
        "one that was not finished after it"
    );
    assert!(matches!(decode(&bytes, 8), Err(Problem::Lost(_))));
}

#[test]
fn a_long_reason_is_cut_between_letters() {
    let reason = "\u{e4}".repeat(MAX_REASON);
    let bytes = Header::new(7).file(&[(tp(0), distrusted(&reason))].into());
    let kept = decode(&bytes, 0).unwrap();
    let Some(Entry::Distrusted(distrust)) = kept.get(&tp(0)) else { panic!("{kept:?}") };
    assert_eq!(distrust.reason.len(), MAX_REASON);
}
