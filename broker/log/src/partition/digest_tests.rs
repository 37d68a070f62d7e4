//! Batches that are whole, and stand where they do not belong.

use std::{fs, path::Path};

use bytes::Bytes;

use holdfast_proto::{
    batch::BatchHeader,
    ids::{LeaderEpoch, Offset},
};

use super::recovery::tests::{contents, is_log};
use crate::{
    Error, LogConfig, PartitionLog, files,
    test_support::{Sample, open, read_all, small, tempdir, try_open},
};

/// The batch of another partition for the same place: as long, at the same offset, of the same epoch, with a right CRC.
fn other(n: u64) -> Bytes {
    Sample { producer: Some((7, 0)), ..Sample::at(n) }.build()
}

/// A log of 80 batches in several segments.
fn filled(folder: &Path) -> PartitionLog {
    let (mut log, _) = open(folder, small());
    for n in 0..80 {
        log.append(&[Sample::at(n).build()]).unwrap();
    }
    log.flush().unwrap();
    log
}

/// Puts the batch of another partition into the place of batch `n`, in whichever segment that is.
fn swap(folder: &Path, n: u64) -> std::path::PathBuf {
    let folder = folder.join("p");
    let base = *files::list(&folder).unwrap().segments.iter().rfind(|base| base.0 <= n).unwrap();
    let path = files::file(&folder, base, files::LOG);
    let mut bytes = fs::read(&path).unwrap();
    let mut at = 0;
    loop {
        let header = BatchHeader::parse(&bytes[at..]).unwrap();
        if header.base_offset == Offset(n) {
            let swapped = other(n);
            assert_eq!(swapped.len(), header.size_bytes);
            assert_ne!(bytes[at..at + swapped.len()], swapped[..]);
            bytes[at..at + swapped.len()].copy_from_slice(&swapped);
            fs::write(&path, bytes).unwrap();
            return path;
        }
        at += header.size_bytes;
    }
}

/// Leaves the mark as an earlier program writes it.
fn forget_behind_mark(folder: &Path) {
    let path = folder.join("p").join(files::MARK);
    let mut mark = fs::read(&path).unwrap();
    mark[60..4096].fill(0);
    mark[4096 + 60..].fill(0);
    fs::write(path, mark).unwrap();
}

#[test]
fn what_an_earlier_program_wrote_again_is_not_held_against_the_digests_of_before() {
    for is_closed in [true, false] {
        let folder = tempdir().unwrap();
        let log = filled(folder.path());
        if is_closed {
            log.close().unwrap();
        } else {
            drop(log);
        }
        let digests = || {
            let files = fs::read_dir(folder.path().join("p")).unwrap().map(|entry| entry.unwrap().path());
            files.filter(|path| path.extension().is_some_and(|ending| ending == files::DIGEST)).count()
        };
        assert!(digests() > 0);
        // It cut its segments, and filled them up to the same places.
        (0..80).step_by(7).for_each(|n| drop(swap(folder.path(), n)));
        forget_behind_mark(folder.path());
        for _ in 0..2 {
            let (log, _) = open(folder.path(), small());
            assert_eq!(read_all(&log, 0).unwrap().len(), 80, "closed: {is_closed}");
            assert_eq!(log.reader().verify(Offset(0)).unwrap(), Offset(80));
            assert_eq!(digests(), 0, "nothing is left that could be believed later");
        }
    }
}

/// A read of batch `n` alone.
fn read_one(log: &PartitionLog, n: u64) -> Result<Bytes, Error> {
    log.reader().read(Offset(n), 1, Offset(u64::MAX))
}

#[test]
fn a_read_finds_a_batch_of_another_place_in_a_closed_segment() {
    for is_restarted in [false, true] {
        for n in [0, 3, 20, 41] {
            let folder = tempdir().unwrap();
            let mut log = filled(folder.path());
            if is_restarted {
                log.close().unwrap();
                swap(folder.path(), n);
                log = open(folder.path(), small()).0;
            } else {
                swap(folder.path(), n);
            }
            let found = read_one(&log, n);
            assert!(matches!(&found, Err(Error::Damaged { at, .. }) if at.0 <= n), "{n} {is_restarted}: {found:?}");
            assert!(log.reader().verify(Offset(0)).is_err_and(|error| error.is_damage()));
            assert_eq!(read_one(&log, 60).map(|bytes| bytes.is_empty()).ok(), Some(false), "others are read on");
        }
    }
}

/// Twelve batches of 20 KB fill one segment and begin another: a piece of the first is four of them.
#[test]
fn what_lies_before_the_damage_is_read_and_the_damage_is_refused_where_it_begins() {
    let large = |n: u64, producer| Sample { value_bytes: 20_000, producer, ..Sample::at(n) }.build();
    // A batch of another partition hides in its whole piece; one whose checksum is wrong shows itself.
    for (harmed, first_refused) in [(large(6, Some((7, 0))), 4), (changed(&large(6, None)), 6)] {
        let folder = tempdir().unwrap();
        let config = LogConfig { segment_bytes: 250_000, ..LogConfig::default() };
        let (mut log, _) = open(folder.path(), config);
        for n in 0..16 {
            log.append(&[large(n, None)]).unwrap();
        }
        log.close().unwrap();
        let path = files::file(&folder.path().join("p"), Offset(0), files::LOG);
        let mut bytes = fs::read(&path).unwrap();
        assert!(bytes.len() < 300_000, "the segment is closed");
        let at = 6 * harmed.len();
        assert_ne!(bytes[at..at + harmed.len()], harmed[..]);
        bytes[at..at + harmed.len()].copy_from_slice(&harmed);
        fs::write(&path, bytes).unwrap();
        let (log, _) = open(folder.path(), config);
        let read = |from| log.reader().read(Offset(from), 1 << 20, Offset(u64::MAX));
        assert_eq!(read(0).unwrap().len(), first_refused as usize * harmed.len());
        assert!(read(first_refused).is_err_and(|error| error.is_damage()));
        assert!(read(6).is_err_and(|error| error.is_damage()));
        assert!(read(8).is_ok_and(|bytes| !bytes.is_empty()), "what lies behind it is read");
    }
}

/// The batch with another last byte, and the checksum of before.
fn changed(batch: &Bytes) -> Bytes {
    let mut bytes = batch.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    bytes.into()
}

#[test]
fn a_restart_finds_a_batch_of_another_place_in_the_last_segment() {
    for is_closed in [false, true] {
        let folder = tempdir().unwrap();
        let log = filled(folder.path());
        if is_closed {
            log.close().unwrap();
        } else {
            drop(log);
        }
        swap(folder.path(), 79);
        let before = contents(folder.path());
        match try_open(folder.path(), small()) {
            // After a clean close no segment is read: the first read finds it.
            Ok((log, recovered)) => {
                assert!(is_closed && recovered.was_clean);
                assert!(read_one(&log, 79).is_err_and(|error| error.is_damage()));
            }
            Err(error) => {
                assert!(error.is_damage() && !is_closed, "{error}");
                let logs = |all: std::collections::BTreeMap<String, Vec<u8>>| -> Vec<_> {
                    all.into_iter().filter(|(name, _)| is_log(name)).collect()
                };
                assert_eq!(logs(contents(folder.path())), logs(before), "nothing is cut");
            }
        }
    }
}

#[test]
fn a_rebuilt_index_and_a_truncation_find_it_too() {
    let folder = tempdir().unwrap();
    let mut log = filled(folder.path());
    swap(folder.path(), 2);
    assert!(log.truncate_to(Offset(4)).is_err_and(|error| error.is_damage()));
    log.close().unwrap();
    fs::remove_file(files::file(&folder.path().join("p"), Offset(0), files::INDEX)).unwrap();
    assert!(try_open(folder.path(), small()).is_err_and(|error| error.is_damage()));
}

#[test]
fn nothing_is_believed_of_a_side_file_that_is_lost_or_of_another_segment() {
    let garbled = |path: &Path| fs::write(path, b"HFDG and something else").unwrap();
    let removed = |path: &Path| fs::remove_file(path).unwrap();
    let of_another = |path: &Path| {
        let last = files::list(path.parent().unwrap()).unwrap().segments[1];
        fs::copy(files::file(path.parent().unwrap(), last, files::DIGEST), path).unwrap();
    };
    let harms: [&dyn Fn(&Path); 3] = [&garbled, &removed, &of_another];
    for harm in harms {
        let folder = tempdir().unwrap();
        filled(folder.path()).close().unwrap();
        harm(&files::file(&folder.path().join("p"), Offset(0), files::DIGEST));
        let (log, _) = open(folder.path(), small());
        assert_eq!(read_all(&log, 0).unwrap().len(), 80);
        drop(log);
        swap(folder.path(), 70);
        let (log, _) = open(folder.path(), small());
        assert!(read_one(&log, 70).is_err(), "the other segments are bound all the same");
    }
}

#[test]
fn what_a_truncation_leaves_and_what_follows_is_bound() {
    let folder = tempdir().unwrap();
    let mut log = filled(folder.path());
    log.truncate_to(Offset(33)).unwrap();
    for n in 33..60 {
        log.append(&[Sample { epoch: 1, ..Sample::at(n) }.build()]).unwrap();
    }
    log.begin_epoch(LeaderEpoch(1), Offset(33)).unwrap();
    log.flush().unwrap();
    assert_eq!(read_all(&log, 0).unwrap().len(), 60);
    drop(log);
    let (log, recovered) = open(folder.path(), small());
    assert_eq!((recovered.log_end_offset, recovered.doubt), (Offset(60), None));
    assert_eq!(log.reader().verify(Offset(0)).unwrap(), Offset(60));
    log.close().unwrap();
    assert_eq!(read_all(&open(folder.path(), small()).0, 0).unwrap().len(), 60);
}

#[test]
fn large_segments_have_pieces_and_one_of_them_alone_is_bad() {
    let folder = tempdir().unwrap();
    let config = LogConfig::default();
    let (mut log, _) = open(folder.path(), config);
    let batch = |n: u64, timestamp| Sample { value_bytes: 9_000, timestamp, ..Sample::at(n) }.build();
    for n in 0..64 {
        log.append(&[batch(n, 1)]).unwrap();
    }
    log.flush().unwrap();
    let path = files::file(&folder.path().join("p"), Offset(0), files::LOG);
    let mut bytes = fs::read(&path).unwrap();
    let (swapped, size) = (batch(20, 2), batch(20, 1).len());
    bytes[20 * size..21 * size].copy_from_slice(&swapped);
    fs::write(&path, bytes).unwrap();
    let bad: Vec<u64> = (0..64).filter(|n| read_one(&log, *n).is_err()).collect();
    assert!(bad.contains(&20) && bad.len() <= 9, "{bad:?}");
    assert!(try_open(folder.path(), config).is_err_and(|error| error.is_damage()), "by the mark");
}
