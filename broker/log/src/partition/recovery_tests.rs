use std::{collections::BTreeMap, fs, path::Path};

use tempfile::TempDir;

use holdfast_proto::ids::{LeaderEpoch, Offset};

use crate::{
    Disk, Error, LogConfig, PartitionLog,
    disk::tests::Fault,
    files,
    test_support::{Sample, fill, open, open_on, partition, read_all, small, tempdir, try_open},
};

/// A killed log: `flushed` batches are durable, `more` were written behind them. Ends of the batches in the file.
fn killed(flushed: u64, more: u64) -> (TempDir, Vec<u64>) {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), LogConfig::default());
    let mut ends = vec![0];
    let sample = |n: u64| {
        let producer = Some((n as i64 % 2, n as i32 / 2));
        Sample { epoch: 1 + n as u32 / 5, value_bytes: 5 + n as usize, producer, ..Sample::at(n) }.build()
    };
    for n in 0..flushed + more {
        let batch = sample(n);
        ends.push(ends[n as usize] + batch.len() as u64);
        log.append(&[batch]).unwrap();
        if n + 1 == flushed {
            log.flush().unwrap();
        }
    }
    drop(log);
    (folder, ends)
}

fn log_file(folder: &TempDir) -> std::path::PathBuf {
    files::file(&folder.path().join("p"), Offset(0), files::LOG)
}

/// Every file of a log with its bytes.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder.join("p")).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

fn is_log(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == files::LOG)
}

fn restore(folder: &Path, contents: &BTreeMap<String, Vec<u8>>) {
    let folder = folder.join("p");
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    for (name, bytes) in contents {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

#[test]
fn a_file_cut_anywhere_is_torn_past_the_mark_and_damaged_below_it() {
    let (folder, ends) = killed(6, 4);
    let before = contents(folder.path());
    let bytes = fs::read(log_file(&folder)).unwrap();
    for cut in (0..bytes.len()).rev() {
        restore(folder.path(), &before);
        fs::write(log_file(&folder), &bytes[..cut]).unwrap();
        let whole = ends.iter().filter(|end| **end <= cut as u64).count() as u64 - 1;
        match try_open(folder.path(), LogConfig::default()) {
            Ok((mut log, recovered)) => {
                assert!(whole >= 6, "cut at {cut}");
                assert_eq!((recovered.log_end_offset, log.flushed_end()), (Offset(whole), Offset(whole)));
                assert_eq!(recovered.truncated_bytes, cut as u64 - ends[whole as usize]);
                assert_eq!(recovered.epochs.latest(), Some(LeaderEpoch(1 + (whole as u32 - 1) / 5)));
                let batch = Sample { epoch: 9, ..Sample::at(whole) }.build();
                log.append(&[batch]).unwrap();
                assert_eq!(read_all(&log, 0).unwrap(), (0..=whole).collect::<Vec<_>>());
            }
            Err(Error::Damaged { at, .. }) => {
                assert!(whole < 6, "cut at {cut}");
                assert_eq!(at, Offset(whole));
                assert_eq!(fs::read(log_file(&folder)).unwrap(), bytes[..cut], "left as it is");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_flipped_bit_is_damage_unless_it_is_in_the_last_unfinished_write() {
    let (folder, ends) = killed(6, 3);
    let before = contents(folder.path());
    let bytes = fs::read(log_file(&folder)).unwrap();
    for at in 0..bytes.len() {
        let batch = ends.iter().filter(|end| **end <= at as u64).count() - 1;
        let field = at as u64 - ends[batch];
        // Base offset and epoch lie outside the CRC.
        let (in_offset, in_epoch) = (field < 8, (12..16).contains(&field));
        for bit in [0, 3, 7] {
            restore(folder.path(), &before);
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            fs::write(log_file(&folder), &flipped).unwrap();
            match try_open(folder.path(), LogConfig::default()) {
                Err(error) => {
                    assert!(error.is_damage(), "{error}");
                    assert!(batch < 8 || in_offset, "byte {at} of the last batch is no damage: {error}");
                    assert_eq!(fs::read(log_file(&folder)).unwrap(), flipped);
                }
                // Only that epochs do not fall is seen.
                Ok((_, recovered)) if in_epoch => assert!(recovered.log_end_offset >= Offset(6)),
                Ok((_, recovered)) => {
                    assert_eq!((batch, recovered.log_end_offset), (8, Offset(8)), "byte {at} bit {bit}");
                }
            }
        }
    }
}

#[test]
fn a_torn_write_whose_records_are_batches_themselves_is_torn() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), LogConfig::default());
    fill(&mut log, 3);
    drop(log);
    // The records of the unfinished batch hold a sound batch with a later offset.
    let inner = Sample { value_bytes: 40, ..Sample::at(9) }.build();
    let mut outer = Sample { value_bytes: 400, ..Sample::at(3) }.build().to_vec();
    outer[80..80 + inner.len()].copy_from_slice(&inner);
    let mut bytes = fs::read(log_file(&folder)).unwrap();
    bytes.extend_from_slice(&outer[..300]);
    fs::write(log_file(&folder), bytes).unwrap();
    let (_, recovered) = open(folder.path(), LogConfig::default());
    assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (Offset(3), 300));
}

#[test]
fn a_tail_of_zeros_is_torn() {
    let (folder, ends) = killed(6, 0);
    let file = fs::OpenOptions::new().write(true).open(log_file(&folder)).unwrap();
    file.set_len(ends[6] + 5000).unwrap();
    let (_, recovered) = open(folder.path(), LogConfig::default());
    assert_eq!((recovered.log_end_offset, recovered.truncated_bytes), (Offset(6), 5000));
}

#[test]
fn a_lost_segment_is_damage() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    fill(&mut log, 90);
    drop(log);
    let before = contents(folder.path());
    let segments: Vec<&String> = before.keys().filter(|name| is_log(name)).collect();
    assert!(segments.len() > 3);
    for segment in &segments {
        restore(folder.path(), &before);
        fs::remove_file(folder.path().join("p").join(segment)).unwrap();
        assert!(try_open(folder.path(), small()).unwrap_err().is_damage(), "without {segment}");
        restore(folder.path(), &before);
        let path = folder.path().join("p").join(segment);
        let shorter = &before[*segment][..before[*segment].len() - 1];
        fs::write(&path, shorter).unwrap();
        assert!(try_open(folder.path(), small()).unwrap_err().is_damage(), "{segment} without its last byte");
        assert_eq!(fs::read(&path).unwrap(), shorter);
    }
    for segment in &segments {
        let _ = fs::remove_file(folder.path().join("p").join(segment));
    }
    assert!(try_open(folder.path(), small()).unwrap_err().is_damage(), "without any");
}

#[test]
fn damage_in_a_closed_segment_is_found_when_it_is_read() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    fill(&mut log, 90);
    let path = files::file(&folder.path().join("p"), Offset(0), files::LOG);
    let mut bytes = fs::read(&path).unwrap();
    bytes[300] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = read_all(&log, 0).unwrap_err();
    assert!(error.is_damage(), "{error}");
    assert!(log.reader().verify(Offset(0)).unwrap_err().is_damage());
    let next = log.reader().verify(Offset(50)).unwrap();
    assert_eq!(next, Offset(90), "what lies behind it is sound");
    let config = LogConfig { verify_on_read: false, ..small() };
    log.configure(config).unwrap();
    assert_eq!(read_all(&log, 0).unwrap().len(), 90, "unless nobody looks");
}

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
        for name in before.keys().filter(|name| !is_log(name) && *name != files::METADATA) {
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

/// Does `change` on a log of 60 records of which 20 to 60 are there, failing at each disk operation in turn, and opens
/// the log again. Gives what was recovered to `check`, with true if the change was done.
fn crash_everywhere(
    change: impl Fn(&mut PartitionLog) -> Result<(), Error>,
    check: impl Fn(bool, &PartitionLog, &crate::Recovered),
) {
    let mut failed_at = 0;
    loop {
        let folder = tempdir().unwrap();
        let disk = Disk::new();
        let mut log = open_on(&disk, folder.path(), small());
        fill(&mut log, 60);
        log.advance_log_start(Offset(20)).unwrap();
        disk.inject(Fault::After(failed_at));
        let is_done = change(&mut log).is_ok();
        drop(log);
        let context = format!("failed at operation {failed_at}");
        let (mut log, recovered) = try_open(folder.path(), small()).expect(&context);
        assert!(recovered.log_start_offset <= recovered.log_end_offset, "{context}");
        check(is_done, &log, &recovered);
        // It goes on from there.
        let (start, end) = (recovered.log_start_offset.0, recovered.log_end_offset.0);
        log.append(&[Sample { epoch: 50, ..Sample::at(end) }.build()]).unwrap();
        log.flush().unwrap();
        assert_eq!(read_all(&log, start).expect(&context), (start..=end).collect::<Vec<_>>());
        drop(log);
        assert_eq!(open(folder.path(), small()).1.log_end_offset, Offset(end + 1), "{context}");
        if is_done {
            break;
        }
        failed_at += 1;
    }
    assert!(failed_at > 1, "the change has {failed_at} steps");
}

#[test]
fn a_crash_at_any_step_of_a_truncation_leaves_a_log() {
    for to in [21, 40, 58] {
        crash_everywhere(
            |log| log.truncate_to(Offset(to)),
            |is_done, _, recovered| {
                let end = recovered.log_end_offset.0;
                assert!(if is_done { end == to } else { (to..=60).contains(&end) }, "{end}");
                assert_eq!(recovered.log_start_offset, Offset(20));
            },
        );
    }
}

#[test]
fn a_crash_at_any_step_of_a_start_over_leaves_a_log() {
    for at in [0, 30, 60, 500] {
        crash_everywhere(
            |log| log.start_over(Offset(at)),
            |is_done, _, recovered| {
                let range = (recovered.log_start_offset.0, recovered.log_end_offset.0);
                assert!(!is_done || range == (at, at), "{range:?}");
                assert!(range.1 == at || range.1 <= 60, "{range:?}");
            },
        );
    }
}

#[test]
fn a_crash_at_any_step_of_retention_keeps_the_rest() {
    for to in [21, 45, 60] {
        crash_everywhere(
            |log| log.advance_log_start(Offset(to)),
            |is_done, _, recovered| {
                let start = recovered.log_start_offset.0;
                assert!(start == to || (!is_done && start == 20), "{start}");
                assert_eq!(recovered.log_end_offset, Offset(60));
            },
        );
    }
}

#[test]
fn a_crash_at_any_step_of_appending_over_segments_keeps_what_was_flushed() {
    let flushed = std::cell::Cell::new(0);
    crash_everywhere(
        |log| {
            flushed.set(60);
            for base in 60..100 {
                log.append(&[Sample { producer: Some((1, base as i32 - 60)), ..Sample::at(base) }.build()])?;
                log.flush()?;
                flushed.set(base + 1);
            }
            log.begin_epoch(LeaderEpoch(3), Offset(100))
        },
        |_, _, recovered| {
            assert!(recovered.log_end_offset.0 >= flushed.get());
            assert_eq!(recovered.producers.len(), usize::from(recovered.log_end_offset.0 > 60));
        },
    );
}

#[test]
fn a_crash_at_any_step_of_creation_or_recovery_leaves_a_log() {
    for is_killed in [false, true] {
        let mut failed_at = 0;
        loop {
            let folder = tempdir().unwrap();
            if is_killed {
                let (mut log, _) = open(folder.path(), small());
                fill(&mut log, 40);
                drop(log);
                let mark = folder.path().join("p").join(files::MARK);
                fs::remove_file(mark).unwrap();
            }
            let disk = Disk::new();
            disk.inject(Fault::After(failed_at));
            let is_done = PartitionLog::open(&disk, &folder.path().join("p"), partition(), small()).is_ok();
            let (_, recovered) = open(folder.path(), small());
            assert_eq!(recovered.log_end_offset, Offset(if is_killed { 40 } else { 0 }), "step {failed_at}");
            if is_done {
                break;
            }
            failed_at += 1;
        }
        assert!(failed_at > 3);
    }
}
