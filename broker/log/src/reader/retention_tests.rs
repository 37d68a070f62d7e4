use std::{fs, path::Path, time::UNIX_EPOCH};

use holdfast_proto::ids::TimestampMs;

use super::*;
use crate::{
    PartitionLog, files,
    test_support::{fill, open, small, tempdir},
};

const MS: u64 = 1000;

fn clock() -> TimestampMs {
    crate::steady()
}

/// Waits until the clock shows a later millisecond, and gives the one before.
fn next_tick() -> TimestampMs {
    let before = clock();
    while clock() == before {
        std::hint::spin_loop();
    }
    before
}

/// What goes at the time at which everything that was appended up to `last` is just too old.
fn start_when_old(log: &PartitionLog, last: TimestampMs) -> Option<Offset> {
    let retention = Retention { ms: Some(MS), bytes: None };
    let at = TimestampMs(last.0 + MS as i64 + 1);
    log.reader().retention_start(retention, Now { wall: at, steady: at }, Offset(u64::MAX))
}

/// Gives every file of the folder a date in 1970.
fn backdate(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let file = fs::OpenOptions::new().write(true).open(entry.unwrap().path()).unwrap();
        file.set_modified(UNIX_EPOCH).unwrap();
    }
}

#[test]
fn the_age_of_a_segment_survives_its_process() {
    for is_closed in [true, false] {
        let folder = tempdir().unwrap();
        let (mut log, _) = open(folder.path(), small());
        fill(&mut log, 90);
        let appended = next_tick();
        if is_closed {
            log.close().unwrap();
        } else {
            drop(log);
        }
        for _ in 0..2 {
            let (log, _) = open(folder.path(), small());
            assert_eq!(start_when_old(&log, TimestampMs(appended.0 - 60_000)), None);
            assert_eq!(start_when_old(&log, appended), Some(Offset(90)), "closed: {is_closed}");
        }
    }
}

#[test]
fn the_date_of_a_file_says_nothing() {
    for is_closed in [true, false] {
        let folder = tempdir().unwrap();
        let (mut log, _) = open(folder.path(), small());
        fill(&mut log, 90);
        let appended = next_tick();
        if is_closed {
            log.close().unwrap();
        } else {
            drop(log);
        }
        backdate(&folder.path().join("p"));
        let (log, _) = open(folder.path(), small());
        assert_eq!(start_when_old(&log, TimestampMs(appended.0 - 60_000)), None, "closed: {is_closed}");
    }
}

#[test]
fn an_age_that_is_not_known_is_counted_from_the_start_that_first_saw_it() {
    for is_closed in [true, false] {
        let folder = tempdir().unwrap();
        let (mut log, _) = open(folder.path(), small());
        fill(&mut log, 90);
        if is_closed {
            log.close().unwrap();
        } else {
            drop(log);
        }
        // As an earlier program leaves a folder: there are no times.
        let file = |name| folder.path().join("p").join(name);
        fs::remove_file(file(files::SEGMENT_TIMES)).unwrap();
        let mut mark = fs::read(file(files::MARK)).unwrap();
        mark[60..4096].fill(0);
        mark[4096 + 60..].fill(0);
        fs::write(file(files::MARK), mark).unwrap();
        backdate(&folder.path().join("p"));
        let appended = next_tick();
        let (log, recovered) = open(folder.path(), small());
        assert_eq!((recovered.was_clean, recovered.doubt), (is_closed, None));
        assert_eq!(start_when_old(&log, appended), None, "closed: {is_closed}");
        let seen = next_tick();
        drop(log);
        let (log, _) = open(folder.path(), small());
        assert_eq!(start_when_old(&log, seen), Some(Offset(90)), "closed: {is_closed}");
    }
}

#[test]
fn what_was_appended_past_the_mark_counts_as_appended_now() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), crate::LogConfig::default());
    fill(&mut log, 3);
    log.append(&[crate::test_support::Sample::at(3).build()]).unwrap();
    drop(log);
    let appended = next_tick();
    let (log, recovered) = open(folder.path(), crate::LogConfig::default());
    assert_eq!(recovered.log_end_offset, Offset(4));
    assert_eq!(start_when_old(&log, appended), None);
}

#[test]
fn a_truncation_keeps_the_ages_and_a_clock_that_is_not_trusted_deletes_nothing() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    fill(&mut log, 90);
    log.truncate_to(Offset(40)).unwrap();
    let appended = next_tick();
    drop(log);
    let (log, _) = open(folder.path(), small());
    assert_eq!(start_when_old(&log, appended), Some(Offset(40)));
    let untrusted = Retention { ms: None, bytes: None };
    assert_eq!(
        log.reader().retention_start(
            untrusted,
            Now { wall: TimestampMs(i64::MAX), steady: TimestampMs(i64::MAX) },
            Offset(90)
        ),
        None
    );
}

#[test]
fn a_read_that_retention_overtook_tells_the_log_start_that_it_found() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    fill(&mut log, 200);
    let reader = log.reader();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for to in 1..=200 {
                log.advance_log_start(Offset(to)).unwrap();
            }
        });
        let mut at = Offset(0);
        while at < Offset(200) {
            let before = reader.log_start_offset();
            match reader.read(at, 100, Offset(200)) {
                Ok(bytes) => at = Offset(crate::test_support::bases(&bytes)[0]),
                Err(crate::Error::OffsetOutOfRange { log_start, .. }) => {
                    assert!(log_start > at && log_start >= before && log_start <= reader.log_start_offset());
                    at = log_start;
                }
                Err(error) => panic!("{error}"),
            }
        }
    });
}

#[test]
fn a_time_from_a_clock_that_was_years_ahead_counts_from_when_it_is_found() {
    const YEARS_MS: i64 = 10 * 365 * 24 * 60 * 60 * 1000;
    let folder = tempdir().unwrap();
    let disk = crate::Disk::new();
    disk.time().trust(Some(TimestampMs(clock().0 + YEARS_MS)));
    let mut log = crate::test_support::open_on(&disk, folder.path(), small());
    fill(&mut log, 90);
    log.close().unwrap();
    let (log, _) = open(folder.path(), small());
    let found = next_tick();
    assert_eq!(start_when_old(&log, found), None, "it is looked at");
    assert_eq!(start_when_old(&log, next_tick()), Some(Offset(90)));
}

#[test]
fn what_is_appended_while_no_clock_is_trusted_counts_from_the_next_start() {
    let folder = tempdir().unwrap();
    let disk = crate::Disk::new();
    let mut log = crate::test_support::open_on(&disk, folder.path(), small());
    fill(&mut log, 90);
    let appended = next_tick();
    assert_eq!(start_when_old(&log, appended), Some(Offset(90)), "this process knows how long ago it was");
    log.close().unwrap();
    let (log, _) = open(folder.path(), small());
    assert_eq!(start_when_old(&log, appended), None);
    assert_eq!(start_when_old(&log, next_tick()), Some(Offset(90)));
}
