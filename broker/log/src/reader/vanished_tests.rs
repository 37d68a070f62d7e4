//! Files that vanished under a log that is open, and those that its own work removes.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use rustix::io::Errno;

use holdfast_proto::ids::{LeaderEpoch, Offset};

use crate::{
    Disk, Error, PartitionLog,
    disk::tests::Fault,
    files,
    read_at::tests::BadSector,
    test_support::{fill, open, open_on, partition, small, tempdir},
};

/// True if a read at this offset, and a scrub from it on, tell of damage.
fn is_damaged(log: &PartitionLog, from: u64) -> bool {
    let read = log.reader().read(Offset(from), 300, Offset(u64::MAX)).err();
    let scrubbed = log.reader().scrub(Offset(from), 1).err();
    assert_eq!(read.as_ref().map(Error::is_damage), scrubbed.as_ref().map(Error::is_damage), "{read:?} {scrubbed:?}");
    read.is_some_and(|error| error.is_damage())
}

#[test]
fn a_closed_segment_whose_file_is_gone_is_damage_unless_retention_took_it() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    fill(&mut log, 90);
    let segments = files::list(&folder.path().join("p")).unwrap().segments;
    let (gone, behind) = (segments[1], segments[2]);
    fs::remove_file(files::file(&folder.path().join("p"), gone, files::LOG)).unwrap();
    assert!(is_damaged(&log, gone.0) && is_damaged(&log, behind.0 - 1));
    let found = log.reader().read(gone, 300, Offset(u64::MAX));
    assert!(matches!(&found, Err(Error::Damaged { at, .. }) if *at == gone), "{found:?}");
    assert!(!is_damaged(&log, 0) && !is_damaged(&log, behind.0), "the others are there");
    log.advance_log_start(behind).unwrap();
    assert_eq!(log.reader().verify(Offset(0)).unwrap(), Offset(90));
}

/// It is held open: what is written there is lost with the process, and no read of it fails.
#[test]
fn a_scrub_finds_that_the_segment_that_is_written_has_no_name_any_more() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    fill(&mut log, 5);
    assert!(log.reader().verify(Offset(0)).is_ok());
    fs::remove_file(files::file(&folder.path().join("p"), Offset(0), files::LOG)).unwrap();
    assert!(log.reader().read(Offset(0), 300, Offset(u64::MAX)).is_ok());
    assert!(log.reader().verify(Offset(0)).is_err_and(|error| error.is_damage()));
}

#[test]
fn a_file_system_that_refuses_to_read_is_as_a_disk_that_does() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    fill(&mut log, 90);
    let path = files::file(&folder.path().join("p"), Offset(0), files::LOG);
    for errno in [Errno::UCLEAN, Errno::BADMSG, Errno::STALE] {
        let _sector = BadSector::new(&path, 0..1, errno);
        let found = log.reader().read(Offset(0), 300, Offset(u64::MAX));
        assert!(found.is_err_and(|error| error.is_unreadable()) && BadSector::met() > 0, "{errno}");
    }
}

/// A folder that somebody removed ends the log in it, and no other of the disk.
#[test]
fn a_log_whose_folder_is_gone_fails_alone() {
    for change in ["a new start", "a new epoch", "its close"] {
        let (lost, sound) = (tempdir().unwrap(), tempdir().unwrap());
        let disk = Disk::new();
        let (mut first, mut second) = (open_on(&disk, lost.path(), small()), open_on(&disk, sound.path(), small()));
        fill(&mut first, 3);
        fs::remove_dir_all(lost.path().join("p")).unwrap();
        let failed = match change {
            "a new start" => first.advance_log_start(Offset(3)),
            "a new epoch" => first.begin_epoch(LeaderEpoch(1), Offset(3)),
            _ => first.close(),
        };
        assert!(failed.is_err(), "{change}");
        assert!(disk.failure().is_none(), "{:?}", disk.failure());
        fill(&mut second, 90);
        assert_eq!(second.reader().verify(Offset(0)).unwrap(), Offset(90));
        assert!(PartitionLog::open(&disk, &lost.path().join("p"), partition(), small()).is_ok());
    }
}

/// Want of handles holds it up between the old files and the new one.
#[test]
fn a_reader_takes_no_start_over_for_a_loss() {
    let (folder, disk) = (tempdir().unwrap(), Disk::new());
    let mut log = open_on(&disk, folder.path(), small());
    let (reader, is_over, reads) = (log.reader(), AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                let from = reader.log_start_offset();
                let found = [reader.read(from, 300, Offset(u64::MAX)).err(), reader.scrub(from, 1).err()];
                assert!(!found.iter().flatten().any(Error::is_damage), "{found:?}");
                reads.fetch_add(1, Ordering::Release);
            }
        });
        for n in 1..10 {
            fill(&mut log, 60);
            let before = reads.load(Ordering::Acquire);
            while reads.load(Ordering::Acquire) == before && !reading.is_finished() {
                std::thread::yield_now();
            }
            disk.inject(Fault::RanOut { doing: "cannot open" });
            log.start_over(Offset(n * 1000)).unwrap();
            assert!(!disk.is_pending());
        }
        is_over.store(true, Ordering::Release);
    });
}
