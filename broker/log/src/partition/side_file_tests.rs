//! Logs whose side files are lost or changed.

use std::{collections::BTreeMap, fs, path::Path};

use holdfast_proto::ids::{LeaderEpoch, Offset, TimestampMs};

use super::recovery::tests::{contents, is_log, restore};
use crate::{
    files,
    test_support::{Sample, open, read_all, small, tempdir, try_open},
};

/// What can happen to a small file.
type Damage = (&'static str, fn(&Path));

const DAMAGES: [Damage; 5] = [
    ("removed", |path| fs::remove_file(path).unwrap()),
    ("emptied", |path| fs::write(path, b"").unwrap()),
    ("halved", |path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }),
    ("zeroed", |path| {
        let len = fs::metadata(path).unwrap().len() as usize;
        fs::write(path, vec![0; len]).unwrap();
    }),
    ("garbled", |path| {
        let garbled: Vec<u8> = fs::read(path).unwrap().into_iter().map(|byte| byte ^ 0x5a).collect();
        fs::write(path, garbled).unwrap();
    }),
];

#[test]
fn every_side_file_can_be_lost_or_damaged() {
    for is_closed in [true, false] {
        let folder = tempdir().unwrap();
        let (mut log, _) = open(folder.path(), small());
        for n in 0..80 {
            let producer = Some((n as i64 % 3, n as i32 / 3));
            log.append(&[Sample { producer, epoch: n as u32 / 30, ..Sample::at(n) }.build()]).unwrap();
        }
        log.flush().unwrap();
        let (epochs, producers) = (log.epochs().clone(), log.producers().clone());
        if is_closed {
            log.close().unwrap();
        } else {
            drop(log);
        }
        let before = contents(folder.path());
        for name in before.keys().filter(|name| !is_log(name)) {
            for (what, damage) in DAMAGES {
                restore(folder.path(), &before);
                damage(&folder.path().join("p").join(name));
                let context = format!("{name} {what}, closed: {is_closed}");
                let (mut log, recovered) = try_open(folder.path(), small()).expect(&context);
                assert_eq!(
                    (recovered.log_start_offset, recovered.log_end_offset),
                    (Offset(0), Offset(80)),
                    "{context}"
                );
                assert_eq!(recovered.epochs, epochs, "{context}");
                assert_eq!(recovered.producers, producers, "{context}");
                for from in 0..80 {
                    assert_eq!(read_all(&log, from).expect(&context).len() as u64, 80 - from, "{context}");
                }
                log.append(&[Sample { epoch: 5, ..Sample::at(80) }.build()]).unwrap();
                log.truncate_to(Offset(37)).unwrap();
                assert_eq!(read_all(&log, 0).expect(&context).len(), 37);
                drop(log);
                assert_eq!(open(folder.path(), small()).1.log_end_offset, Offset(37), "{context}");
            }
        }
    }
}

/// The disk fails to read one (EIO), again and again, though it reads every batch.
#[test]
fn a_side_file_that_the_disk_does_not_read_is_made_again() {
    for is_closed in [true, false] {
        let (folder, before) = closed(is_closed);
        let epochs = open(folder.path(), small()).1.epochs;
        let is_spare = |name: &&String| {
            name.ends_with(files::SNAPSHOT) || [files::EPOCHS, files::SEGMENT_TIMES].contains(&name.as_str())
        };
        for name in before.keys().filter(is_spare) {
            restore(folder.path(), &before);
            let path = folder.path().join("p").join(name);
            fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink("/proc/self/mem", &path).unwrap();
            assert_eq!(fs::read(&path).unwrap_err().raw_os_error(), Some(5), "as of a disk that fails");
            let (log, recovered) = try_open(folder.path(), small()).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!((recovered.log_end_offset, &recovered.epochs), (Offset(80), &epochs), "{name}");
            assert_eq!(read_all(&log, 0).unwrap().len(), 80, "{name}");
        }
    }
}

/// Times that fall now and then, with the largest of a segment far from its end.
fn time_of(n: i64) -> i64 {
    [100, 10, 55][n as usize % 3] + n * 100 + if n % 10 == 4 { 3000 } else { 0 }
}

/// A log of 80 records over several segments and epochs, and its files.
fn closed(is_closed: bool) -> (tempfile::TempDir, BTreeMap<String, Vec<u8>>) {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    for n in 0..80 {
        let timestamp = time_of(n as i64);
        log.append(&[Sample { timestamp, epoch: n as u32 / 25 + 1, ..Sample::at(n) }.build()]).unwrap();
    }
    log.flush().unwrap();
    if is_closed {
        log.close().unwrap();
    } else {
        drop(log);
    }
    let files = contents(folder.path());
    (folder, files)
}

#[test]
fn a_flipped_bit_of_the_epochs_changes_none() {
    for is_closed in [true, false] {
        let (folder, before) = closed(is_closed);
        let epochs = open(folder.path(), small()).1.epochs;
        for at in 0..before[files::EPOCHS].len() {
            restore(folder.path(), &before);
            let mut flipped = before[files::EPOCHS].clone();
            flipped[at] ^= 1;
            fs::write(folder.path().join("p").join(files::EPOCHS), flipped).unwrap();
            let (log, recovered) = open(folder.path(), small());
            assert_eq!(recovered.epochs, epochs, "byte {at}, closed: {is_closed}");
            log.close().unwrap();
            assert_eq!(open(folder.path(), small()).1.epochs, epochs);
        }
    }
}

#[test]
fn epochs_of_an_earlier_program_are_held_against_the_segments() {
    for is_closed in [true, false] {
        let (folder, before) = closed(is_closed);
        let epochs = open(folder.path(), small()).1.epochs;
        let path = folder.path().join("p").join(files::EPOCHS);
        let old = "0\n4\n1 0\n2 25\n3 50\n4 75\n";
        for wrong in [old, "0\n1\n1 0\n", "0\n3\n2 25\n3 50\n4 75\n", "0\n2\n1 0\n7 25\n"] {
            restore(folder.path(), &before);
            fs::write(&path, wrong).unwrap();
            let (log, recovered) = open(folder.path(), small());
            assert_eq!(recovered.epochs, epochs, "{wrong:?}, closed: {is_closed}");
            log.close().unwrap();
            let written = fs::read_to_string(&path).unwrap();
            assert!(written.starts_with(&format!("{old}noted-crc32c: ")), "{written}");
        }
    }
}

#[test]
fn a_closed_segment_that_begins_with_another_epoch_is_damaged() {
    let (folder, before) = closed(true);
    let segments: Vec<&String> = before.keys().filter(|name| is_log(name)).collect();
    for name in &segments[..segments.len() - 1] {
        restore(folder.path(), &before);
        let mut flipped = before[*name].clone();
        flipped[15] ^= 8;
        fs::write(folder.path().join("p").join(name), flipped).unwrap();
        let error = try_open(folder.path(), small()).unwrap_err();
        assert!(error.is_damage() && error.to_string().contains("leader epoch"), "{name}: {error}");
    }
}

#[test]
fn an_epoch_without_records_survives_a_checkpoint_that_is_made_again() {
    let (folder, _) = closed(true);
    let (mut log, _) = open(folder.path(), small());
    log.begin_epoch(LeaderEpoch(9), Offset(80)).unwrap();
    drop(log);
    assert_eq!(open(folder.path(), small()).1.epochs.latest(), Some(LeaderEpoch(9)));
}

#[test]
fn no_change_of_a_time_index_hides_a_record() {
    let times: Vec<i64> = (0..80).map(time_of).collect();
    let (folder, before) = closed(true);
    let indexes: Vec<&String> = before.keys().filter(|name| name.ends_with(files::TIME_INDEX)).collect();
    for name in indexes {
        let bytes = &before[name];
        let flips = (0..bytes.len()).map(|at| {
            let mut flipped = bytes.clone();
            flipped[at] ^= 3;
            flipped
        });
        let cuts = (0..bytes.len()).step_by(12).map(|end| bytes[..end].to_vec());
        for changed in flips.chain(cuts) {
            restore(folder.path(), &before);
            fs::write(folder.path().join("p").join(name), &changed).unwrap();
            let (log, _) = open(folder.path(), small());
            for timestamp in (0..11_100).step_by(37) {
                let expected = times.iter().position(|time| *time >= timestamp).map(|at| Offset(at as u64));
                let found = log.reader().offset_for_timestamp(TimestampMs(timestamp)).unwrap();
                assert_eq!(found.map(|(offset, _)| offset), expected, "time {timestamp}, {name} {changed:?}");
            }
        }
    }
}
