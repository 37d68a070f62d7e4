use std::{fs, path::Path, sync::Arc, time::UNIX_EPOCH};

use holdfast_proto::ids::TimestampMs;

use super::*;
use crate::{
    Counted, Disk, PartitionLog, files,
    test_support::{fill, open, open_on, small, tempdir},
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
    log.reader().retention_start(retention, at, Offset(u64::MAX))
}

/// Leaves a partition's folder as an earlier program does: there are no times.
fn forget_times(folder: &Path) {
    fs::remove_file(folder.join(files::SEGMENT_TIMES)).unwrap();
    let mut mark = fs::read(folder.join(files::MARK)).unwrap();
    mark[60..4096].fill(0);
    mark[4096 + 60..].fill(0);
    fs::write(folder.join(files::MARK), mark).unwrap();
    backdate(folder);
}

/// A disk whose folder has counted so far, on an earlier boot.
fn counted(counted_ms: i64) -> Arc<Disk> {
    let disk = Disk::new();
    disk.ages().begin(Some(Counted { counted_ms, look: None }));
    disk
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
        forget_times(&folder.path().join("p"));
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
fn a_truncation_keeps_the_ages_and_without_a_time_nothing_goes() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    fill(&mut log, 90);
    log.truncate_to(Offset(40)).unwrap();
    let appended = next_tick();
    drop(log);
    let (log, _) = open(folder.path(), small());
    assert_eq!(start_when_old(&log, appended), Some(Offset(40)));
    let nothing = Retention { ms: None, bytes: None };
    assert_eq!(log.reader().retention_start(nothing, TimestampMs(i64::MAX), Offset(90)), None);
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
fn a_time_that_lies_ahead_counts_from_when_it_is_found() {
    let folder = tempdir().unwrap();
    let mut log = open_on(&counted(1 << 40), folder.path(), small());
    fill(&mut log, 90);
    log.close().unwrap();
    // The count was lost, and is far behind what was kept; then it was found again.
    let disk = counted(0);
    let log = open_on(&disk, folder.path(), small());
    // What a look takes off comes after what it is taken from: a moment between them is left open.
    let found = TimestampMs(disk.ages().look().0 + 60_000);
    assert_eq!(start_when_old(&log, TimestampMs(-1)), None);
    assert_eq!(start_when_old(&log, found), Some(Offset(90)));
    drop(log);
    let log = open_on(&counted(found.0), folder.path(), small());
    assert_eq!(start_when_old(&log, found), Some(Offset(90)), "it is kept so");
}

#[test]
fn times_of_what_an_earlier_program_wrote_again_are_not_believed() {
    let folder = tempdir().unwrap();
    let mut log = open_on(&counted(0), folder.path(), small());
    fill(&mut log, 90);
    log.close().unwrap();
    // It knows nothing of the times of segments, and leaves those of the segments that it wrote again.
    let path = folder.path().join("p").join(files::MARK);
    let mut mark = fs::read(&path).unwrap();
    mark[60..4096].fill(0);
    mark[4096 + 60..].fill(0);
    fs::write(path, mark).unwrap();
    let disk = counted(30 * 24 * 3_600_000);
    let log = open_on(&disk, folder.path(), small());
    let retention = Retention { ms: Some(24 * 3_600_000), bytes: None };
    assert_eq!(log.reader().retention_start(retention, disk.ages().look(), Offset(u64::MAX)), None);
}

#[test]
fn what_idles_through_many_starts_grows_old_whether_or_not_its_age_was_known() {
    for (is_known, is_closed) in [(true, true), (true, false), (false, true), (false, false)] {
        let folder = tempdir().unwrap();
        let mut log = open_on(&counted(0), folder.path(), small());
        fill(&mut log, 90);
        log.close().unwrap();
        if !is_known {
            forget_times(&folder.path().join("p"));
        }
        let retention = Retention { ms: Some(24 * 3_600_000), bytes: None };
        let mut gone = Vec::new();
        // A start every ten hours: far more often than the retention.
        for start in 0..4 {
            let disk = counted(start * 10 * 3_600_000);
            let log = open_on(&disk, folder.path(), small());
            gone.push(log.reader().retention_start(retention, disk.ages().look(), Offset(u64::MAX)));
            if is_closed {
                log.close().unwrap();
            }
        }
        assert_eq!(gone, [None, None, None, Some(Offset(90))], "known: {is_known}, closed: {is_closed}");
    }
}
