use std::{fs, sync::Arc};

use holdfast_proto::ids::{LeaderEpoch, Offset, TimestampMs};

use crate::{
    Disk, Error, LogConfig, Retention,
    clocks::steady,
    disk::tests::Fault,
    files,
    test_support::{Sample, bases, fill, open, open_on, read_all, small, tempdir, try_open},
};

#[test]
fn what_is_appended_is_read_back_over_several_segments() {
    let folder = tempdir().unwrap();
    let (mut log, recovered) = open(folder.path(), small());
    assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (Offset(0), 0));
    fill(&mut log, 100);
    assert!(log.reader().segment_count() > 3, "{} segments", log.reader().segment_count());
    let all: Vec<u64> = (0..100).collect();
    assert_eq!(read_all(&log, 0).unwrap(), all);
    for from in 0..100 {
        assert_eq!(read_all(&log, from).unwrap(), all[from as usize..], "from {from}");
    }
    assert_eq!(log.reader().verify(Offset(0)).unwrap(), Offset(100));
}

#[test]
fn a_read_keeps_to_its_bounds() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), LogConfig::default());
    let batches: Vec<_> = (0..10).map(|n| Sample { records: 3, ..Sample::at(n * 3) }.build()).collect();
    let size = batches[0].len();
    log.append(&batches).unwrap();
    let reader = log.reader();
    let read = |from, max, up_to| bases(&reader.read(Offset(from), max, Offset(up_to)).unwrap());
    assert_eq!(read(4, 0, 30), [3], "the first batch comes whole");
    assert_eq!(read(4, size * 2, 30), [3, 6]);
    assert_eq!(read(4, size * 3 - 1, 30), [3, 6]);
    assert_eq!(read(0, 1 << 20, 9), [0, 3, 6], "never at or past up_to");
    assert_eq!(read(0, 1 << 20, 8), [0, 3]);
    assert_eq!(read(9, 1 << 20, 9), [] as [u64; 0]);
    assert_eq!(read(30, 1 << 20, 99), [] as [u64; 0]);
    assert!(matches!(reader.read(Offset(31), 9, Offset(99)), Err(Error::OffsetOutOfRange { .. })));
    assert_eq!((reader.written_end(), reader.flushed_end()), (Offset(30), Offset(0)));
    assert_eq!(reader.size_bytes(), size as u64 * 10);
}

#[test]
fn the_segment_files_are_kafkas() {
    let folder = tempdir().unwrap();
    let config = LogConfig { index_interval_bytes: 200, ..LogConfig::default() };
    let (mut log, _) = open(folder.path(), config);
    // Times fall now and then.
    let times = [50, 70, 60, 90, 80, 85, 86, 99, 98];
    let mut bytes = Vec::new();
    for (n, timestamp) in times.into_iter().enumerate() {
        let batch = Sample { timestamp, records: 2, value_bytes: 1, ..Sample::at(n as u64 * 2) }.build();
        assert_eq!(batch.len(), 77);
        bytes.extend_from_slice(&batch);
        log.append(&[batch]).unwrap();
    }
    log.close().unwrap();
    let read = |ending| fs::read(files::file(&folder.path().join("p"), Offset(0), ending)).unwrap();
    assert_eq!(read(files::LOG), bytes);
    // An entry when more than 200 bytes lie behind the last one: batches 3 and 6, with their last offsets.
    assert_eq!(read(files::INDEX), [[0, 0, 0, 7, 0, 0, 0, 231], [0, 0, 0, 13, 0, 0, 1, 206]].concat());
    // Largest time so far (each batch's second record is 1 ms later) with the last offset of its batch; once.
    assert_eq!(read(files::TIME_INDEX), [0, 0, 0, 0, 0, 0, 0, 91, 0, 0, 0, 7]);
}

#[test]
fn a_closed_segment_has_its_largest_time_indexed() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), LogConfig { segment_bytes: 1024, ..LogConfig::default() });
    fill(&mut log, 20);
    let times = fs::read(files::file(&folder.path().join("p"), Offset(0), files::TIME_INDEX)).unwrap();
    let last = log.reader().segment_count() as u64;
    assert!(last > 1);
    assert_eq!(times.len(), 12, "below the interval only the close writes one");
    let offset = u32::from_be_bytes(times[8..].try_into().unwrap());
    assert_eq!(u64::from_be_bytes(times[..8].try_into().unwrap()), u64::from(offset) * 10);
}

#[test]
fn a_time_finds_the_first_record_at_or_after_it() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    for n in 0..60u64 {
        let timestamp = [100, 10, 55][n as usize % 3] + n as i64 * 100;
        log.append(&[Sample { timestamp, records: 3, ..Sample::at(n * 3) }.build()]).unwrap();
    }
    let all: Vec<i64> =
        (0..60).flat_map(|n| (0..3).map(move |r| [100, 10, 55][n as usize % 3] + n * 100 + r)).collect();
    let reader = log.reader();
    for timestamp in 0..6100 {
        let expected = all.iter().position(|time| *time >= timestamp);
        let found = reader.offset_for_timestamp(TimestampMs(timestamp)).unwrap();
        assert_eq!(found.map(|(offset, _)| offset.0), expected.map(|at| at as u64), "time {timestamp}");
        assert_eq!(found.map(|(_, time)| time.0), expected.map(|at| all[at]));
    }
}

#[test]
fn a_closed_log_opens_without_reading_and_a_killed_one_by_reading_its_last_segment() {
    for is_closed in [true, false] {
        let folder = tempdir().unwrap();
        let (mut log, _) = open(folder.path(), small());
        for n in 0..50 {
            let sample = Sample { producer: Some((n as i64 % 3, n as i32 / 3)), epoch: n as u32 / 20, ..Sample::at(n) };
            log.append(&[sample.build()]).unwrap();
        }
        log.begin_epoch(LeaderEpoch(9), Offset(50)).unwrap();
        log.store_high_watermark(Offset(44));
        log.flush().unwrap();
        let (epochs, producers) = (log.epochs().clone(), log.producers().clone());
        if is_closed {
            log.close().unwrap();
        } else {
            drop(log);
        }
        let (log, recovered) = open(folder.path(), small());
        assert_eq!(recovered.was_clean, is_closed);
        assert_eq!(recovered.recovered_segments, usize::from(!is_closed));
        assert_eq!((recovered.log_start_offset, recovered.log_end_offset), (Offset(0), Offset(50)));
        assert_eq!(recovered.high_watermark, Offset(44));
        assert_eq!(recovered.epochs, epochs);
        assert_eq!(recovered.producers, producers);
        assert_eq!(read_all(&log, 0).unwrap().len(), 50);
        assert_eq!(log.flushed_end(), Offset(50));
    }
}

#[test]
fn truncation_leaves_the_prefix_with_its_producers_and_epochs() {
    for to in [0, 1, 7, 24, 25, 26, 49, 50] {
        let folder = tempdir().unwrap();
        let (mut log, _) = open(folder.path(), small());
        let (mut producers, mut epochs) = (log.producers().clone(), log.epochs().clone());
        for n in 0..50 {
            let sample = Sample { producer: Some((n as i64 % 3, n as i32 / 3)), epoch: n as u32 / 20, ..Sample::at(n) };
            log.append(&[sample.build()]).unwrap();
            if n + 1 == to {
                (producers, epochs) = (log.producers().clone(), log.epochs().clone());
            }
        }
        log.flush().unwrap();
        log.truncate_to(Offset(to)).unwrap();
        assert_eq!((log.log_end_offset(), log.flushed_end()), (Offset(to), Offset(to)));
        assert_eq!(log.producers(), &producers, "to {to}");
        assert_eq!(
            log.epochs().end_offset_for(LeaderEpoch(0), Offset(to)).1,
            epochs.end_offset_for(LeaderEpoch(0), Offset(to)).1
        );
        assert_eq!(read_all(&log, 0).unwrap(), (0..to).collect::<Vec<_>>());
        log.append(&[Sample { epoch: 7, ..Sample::at(to) }.build()]).unwrap();
        log.flush().unwrap();
        let epochs = log.epochs().clone();
        drop(log);
        let (log, recovered) = open(folder.path(), small());
        assert_eq!(recovered.log_end_offset, Offset(to + 1));
        assert_eq!(recovered.epochs, epochs);
        assert_eq!(read_all(&log, 0).unwrap(), (0..=to).collect::<Vec<_>>());
    }
}

#[test]
fn a_truncation_inside_a_batch_is_refused_and_nothing_is_done() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    log.append(&[Sample { records: 5, ..Sample::at(0) }.build(), Sample { records: 5, ..Sample::at(5) }.build()])
        .unwrap();
    let error = log.truncate_to(Offset(7)).unwrap_err();
    assert!(matches!(error, Error::InsideBatch { to: Offset(7), next: Offset(10) }), "{error}");
    assert_eq!(read_all(&log, 0).unwrap(), [0, 5]);
}

#[test]
fn starting_over_leaves_nothing() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    fill(&mut log, 60);
    let reader = log.reader();
    log.start_over(Offset(1000)).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(1000), Offset(1000)));
    assert!(log.epochs().is_empty() && log.producers().is_empty());
    assert!(matches!(reader.read(Offset(5), 100, Offset(9)), Err(Error::OffsetOutOfRange { .. })));
    fill(&mut log, 3);
    drop(log);
    let (log, recovered) = open(folder.path(), small());
    assert_eq!((recovered.log_start_offset, recovered.log_end_offset), (Offset(1000), Offset(1003)));
    assert_eq!(read_all(&log, 1000).unwrap(), [1000, 1001, 1002]);
}

#[test]
fn retention_deletes_whole_segments_below_the_start() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    fill(&mut log, 100);
    let reader = log.reader();
    let (count, size) = (reader.segment_count(), reader.size_bytes());
    let by_size = |bytes| Retention { ms: None, bytes: Some(bytes) };
    let now = TimestampMs(i64::MAX / 2);
    assert_eq!(reader.retention_start(Retention::default(), now, Offset(100)), None);
    assert_eq!(reader.retention_start(by_size(size), now, Offset(100)), None);
    assert_eq!(reader.retention_start(by_size(0), now, Offset(3)), None, "nothing above the high watermark goes");
    let start = reader.retention_start(by_size(size / 2), now, Offset(100)).unwrap();
    log.advance_log_start(start).unwrap();
    assert!(reader.segment_count() < count && reader.size_bytes() >= size / 2);
    assert_eq!(reader.log_start_offset(), start);
    log.advance_log_start(Offset(start.0 + 3)).unwrap();
    assert!(matches!(reader.read(start, 1, Offset(100)), Err(Error::OffsetOutOfRange { .. })));
    assert_eq!(read_all(&log, start.0 + 3).unwrap().len() as u64, 100 - start.0 - 3);
    drop(log);
    let (mut log, recovered) = open(folder.path(), small());
    assert_eq!(recovered.log_start_offset, Offset(start.0 + 3));
    let by_age = Retention { ms: Some(1000), bytes: None };
    assert_eq!(log.reader().retention_start(by_age, now, Offset(100)), Some(Offset(100)));
    log.advance_log_start(Offset(100)).unwrap();
    assert_eq!((log.reader().segment_count(), log.reader().size_bytes()), (1, 0));
    fill(&mut log, 5);
    assert_eq!(read_all(&log, 100).unwrap().len(), 5);
    assert_eq!(
        fs::read_dir(folder.path().join("p")).unwrap().count(),
        8,
        "one segment, its snapshot and four small files"
    );
}

#[test]
fn an_old_segment_is_closed_at_the_next_append() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), LogConfig { segment_ms: 1, ..LogConfig::default() });
    fill(&mut log, 1);
    let before = steady();
    while steady().0 <= before.0 + 2 {
        std::hint::spin_loop();
    }
    fill(&mut log, 1);
    assert_eq!(log.reader().segment_count(), 2);
    assert_eq!(read_all(&log, 0).unwrap(), [0, 1]);
}

#[test]
fn a_failed_fsync_is_final() {
    let folder = tempdir().unwrap();
    let disk = Disk::new();
    let mut log = open_on(&disk, folder.path(), small());
    fill(&mut log, 5);
    log.append(&[Sample::at(5).build()]).unwrap();
    disk.inject(Fault::At { doing: "cannot fsync", path_ends_with: ".log" });
    let first = log.flush().unwrap_err().to_string();
    assert_eq!(log.flush().unwrap_err().to_string(), first);
    assert_eq!(log.append(&[Sample::at(6).build()]).unwrap_err().to_string(), first);
    assert_eq!(log.truncate_to(Offset(2)).unwrap_err().to_string(), first);
    assert_eq!(log.flushed_end(), Offset(5));
}

#[test]
fn bytes_that_are_no_batches_are_refused() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    let good = Sample::at(0).build();
    assert!(matches!(log.append(&[good.clone(), good.slice(..70)]), Err(Error::BadBatch(_))));
    assert_eq!(log.log_end_offset(), Offset(0));
    log.append(&[good]).unwrap();
    assert_eq!(read_all(&log, 0).unwrap(), [0]);
}

#[test]
#[should_panic(expected = "did the core and the log part ways")]
fn a_gap_between_offsets_ends_the_process() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    let _ = log.append(&[Sample::at(3).build()]);
}

#[test]
fn a_batch_larger_than_a_segment_gets_one_of_its_own() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    fill(&mut log, 2);
    log.append(&[Sample { value_bytes: 9000, ..Sample::at(2) }.build(), Sample::at(3).build()]).unwrap();
    log.flush().unwrap();
    assert_eq!(log.reader().segment_count(), 3);
    assert_eq!(read_all(&log, 0).unwrap(), [0, 1, 2, 3]);
    drop(log);
    assert_eq!(read_all(&open(folder.path(), small()).0, 0).unwrap(), [0, 1, 2, 3]);
}

#[test]
fn readers_and_a_truncating_writer_do_not_disturb_each_other() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    fill(&mut log, 40);
    let reader = log.reader();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_done = Arc::clone(&done);
    let reading = std::thread::spawn(move || {
        let mut reads = 0u64;
        while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
            match reader.read(Offset(reads % 60), 700, Offset(u64::MAX)) {
                Ok(bytes) => drop(bases(&bytes)),
                Err(Error::OffsetOutOfRange { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            let _ = reader.offset_for_timestamp(TimestampMs(reads as i64 % 600)).unwrap();
            reads += 1;
        }
        reads
    });
    for round in 0..200u64 {
        log.truncate_to(Offset(round * 7 % 30 + 1)).unwrap();
        // Other sizes, so that the batch borders move.
        for n in 0..20 {
            let value_bytes = (round * 31 + n * 13) as usize % 90;
            let base = log.log_end_offset().0;
            log.append(&[Sample { value_bytes, timestamp: base as i64 * 10, ..Sample::at(base) }.build()]).unwrap();
        }
        log.flush().unwrap();
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(reading.join().unwrap() > 0);
    assert!(try_open(&folder.path().join("other"), small()).is_ok());
}
