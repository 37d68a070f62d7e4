//! What a disk does not read, what is missing at the end of a file, and lengths that are lies: readers get what lies before.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::PathBuf,
};

use bytes::Bytes;
use rustix::io::Errno;

use holdfast_proto::ids::Offset;

use crate::{
    Error, LogConfig, PartitionLog, files,
    read_at::tests::BadSector,
    test_support::{Sample, bases, fill, open, small, tempdir},
};

/// The batch in which the harm begins.
const HARMED: u64 = 9;

fn read(log: &PartitionLog, from: u64) -> Result<Bytes, Error> {
    log.reader().read(Offset(from), 1 << 20, Offset(u64::MAX))
}

/// A log of several segments, its first file, and where in it the harmed batch begins.
fn filled(folder: &std::path::Path) -> (PartitionLog, PathBuf, u64) {
    let (mut log, _) = open(folder, small());
    fill(&mut log, 80);
    let before = log.reader().read(Offset(0), 1 << 20, Offset(HARMED)).unwrap().len() as u64;
    log.close().unwrap();
    let (log, _) = open(folder, small());
    (log, files::file(&folder.join("p"), Offset(0), files::LOG), before)
}

#[test]
fn batches_before_an_unreadable_place_are_given_and_the_error_comes_to_who_begins_there() {
    let folder = tempdir().unwrap();
    let (log, path, before) = filled(folder.path());
    for harmed in [before, before + 30, before + 70] {
        let _sector = BadSector::new(&path, harmed..harmed + 1, Errno::IO);
        for from in 0..HARMED {
            assert_eq!(bases(&read(&log, from).unwrap()), (from..HARMED).collect::<Vec<_>>());
        }
        assert!(BadSector::met() > 0);
        assert!(read(&log, HARMED).is_err_and(|error| error.is_unreadable()));
        assert!(log.reader().scrub(Offset(0), 1).is_err_and(|error| error.is_unreadable()));
    }
    assert_eq!(bases(&read(&log, 0).unwrap())[HARMED as usize], HARMED, "it was chance");
}

#[test]
fn batches_before_the_end_of_a_file_that_was_cut_are_given_and_what_is_missing_is_damage() {
    let folder = tempdir().unwrap();
    let (log, path, before) = filled(folder.path());
    for left in [before + 70, before + 1, before] {
        OpenOptions::new().write(true).open(&path).unwrap().set_len(left).unwrap();
        for from in 0..HARMED {
            assert_eq!(bases(&read(&log, from).unwrap()), (from..HARMED).collect::<Vec<_>>());
        }
        let found = read(&log, HARMED);
        assert!(matches!(&found, Err(Error::Damaged { at, .. }) if at.0 == HARMED), "{left}: {found:?}");
    }
}

/// No checksum covers the length of a batch, and what it says is to be read into memory.
#[test]
fn a_batch_longer_than_any_is_damage_before_it_is_read() {
    const TOO_LONG: u32 = 17 << 20;
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), LogConfig::default());
    for n in 0..20 {
        log.append(&[Sample { value_bytes: 1 << 20, ..Sample::at(n) }.build()]).unwrap();
    }
    log.flush().unwrap();
    let path = files::file(&folder.path().join("p"), Offset(0), files::LOG);
    assert!(fs::metadata(&path).unwrap().len() > u64::from(TOO_LONG), "the file goes on so far");
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&TOO_LONG.to_be_bytes(), 8).unwrap();
    for found in [read(&log, 0).err(), log.reader().scrub(Offset(0), 1).err()] {
        let Some(Error::Damaged { reason, .. }) = &found else { panic!("{found:?}") };
        assert!(reason.contains("at most 16777216 are allowed"), "{reason}");
    }
}

#[test]
fn a_batch_longer_than_any_is_not_appended() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), LogConfig::default());
    let refused = log.append(&[Sample { value_bytes: 16 << 20, ..Sample::at(0) }.build()]);
    assert!(matches!(refused, Err(Error::BadBatch(_))), "{refused:?}");
    log.append(&[Sample { value_bytes: (16 << 20) - 100, ..Sample::at(0) }.build()]).unwrap();
    assert_eq!(bases(&read(&log, 0).unwrap()), [0]);
}
