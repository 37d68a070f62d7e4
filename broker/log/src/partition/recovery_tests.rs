use std::{collections::BTreeMap, fs, path::Path};

use tempfile::TempDir;

use holdfast_proto::ids::{LeaderEpoch, Offset};

use crate::{
    Disk, Error, LogConfig, PartitionLog,
    disk::tests::Fault,
    files,
    test_support::{Sample, fill, open, partition, read_all, small, tempdir, try_open},
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
pub(in crate::partition) fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder.join("p")).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

pub(in crate::partition) fn is_log(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == files::LOG)
}

pub(in crate::partition) fn restore(folder: &Path, contents: &BTreeMap<String, Vec<u8>>) {
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
                let cut_off = &bytes[ends[whole as usize] as usize..cut];
                let is_in_doubt = cut_off.iter().any(|byte| *byte != 0);
                assert_eq!(recovered.doubt.is_some(), is_in_doubt, "cut at {cut}: a clean border hides nothing");
                let last = recovered.epochs.of_last_record(Offset(0), Offset(whole), true);
                assert_eq!(last, Some(LeaderEpoch(1 + (whole as u32 - 1) / 5)));
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
fn a_flipped_bit_is_damage_below_the_mark_and_leaves_a_doubt_past_it() {
    let (folder, ends) = killed(6, 3);
    let before = contents(folder.path());
    let bytes = fs::read(log_file(&folder)).unwrap();
    for at in 0..bytes.len() {
        let batch = ends.iter().filter(|end| **end <= at as u64).count() - 1;
        // The epoch lies outside the CRC: below the mark the digest knows it, past it the checkpoint of the epochs.
        for bit in [0, 3, 7] {
            restore(folder.path(), &before);
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            fs::write(log_file(&folder), &flipped).unwrap();
            let context = format!("byte {at} bit {bit} of batch {batch}");
            match try_open(folder.path(), LogConfig::default()) {
                Err(error) => {
                    assert!(error.is_damage() && batch < 6, "{context}: {error}");
                    assert_eq!(fs::read(log_file(&folder)).unwrap(), flipped, "left as it is");
                }
                Ok((_, recovered)) => {
                    assert!(batch >= 6, "{context}");
                    assert_eq!(recovered.log_end_offset, Offset(batch as u64), "{context}");
                    assert!(recovered.doubt.is_some(), "{context}");
                }
            }
        }
    }
}

#[test]
fn an_unsynced_round_can_reach_the_disk_in_any_pieces() {
    let (folder, ends) = killed(4, 5);
    let before = contents(folder.path());
    let bytes = fs::read(log_file(&folder)).unwrap();
    for lost in 1u32..1 << 5 {
        restore(folder.path(), &before);
        let mut left = bytes.clone();
        let is_lost = |batch: usize| lost & 1 << (batch - 4) != 0;
        for batch in (4..9).filter(|batch| is_lost(*batch)) {
            left[ends[batch] as usize..ends[batch + 1] as usize].fill(0);
        }
        fs::write(log_file(&folder), &left).unwrap();
        let first = (4..9).find(|batch| is_lost(*batch)).unwrap();
        let is_followed = (first..9).any(|batch| !is_lost(batch));
        let (_, recovered) = open(folder.path(), LogConfig::default());
        assert_eq!(recovered.log_end_offset, Offset(first as u64), "{lost:b}");
        assert_eq!(recovered.doubt.is_some(), is_followed, "{lost:b}: zeros alone hide nothing");
    }
}

#[test]
fn a_doubt_stands_until_it_is_settled() {
    let (folder, ends) = killed(3, 2);
    let cut = ends[4] + 20;
    fs::OpenOptions::new().write(true).open(log_file(&folder)).unwrap().set_len(cut).unwrap();
    let (log, recovered) = open(folder.path(), LogConfig::default());
    let doubt = recovered.doubt.unwrap();
    assert!(doubt.contains("20 bytes") && doubt.contains("at offset 4"), "{doubt}");
    log.close().unwrap();
    let (log, recovered) = open(folder.path(), LogConfig::default());
    assert_eq!((recovered.doubt.as_ref(), recovered.was_clean), (Some(&doubt), true));
    drop(log);
    let path = folder.path().join("p").join(files::DOUBT);
    for damaged in [b"".as_slice(), b"\xff"] {
        fs::write(&path, damaged).unwrap();
        assert!(open(folder.path(), LogConfig::default()).1.doubt.is_some(), "its presence counts");
    }
    let doubt = open(folder.path(), LogConfig::default()).1.doubt.unwrap();
    assert!(crate::partition::settle_doubt(&Disk::new(), &folder.path().join("p"), &doubt).unwrap());
    assert_eq!(open(folder.path(), LogConfig::default()).1.doubt, None);
}

#[test]
fn what_stands_in_the_page_cache_alone_is_not_recovered() {
    let (folder, ends) = killed(4, 4);
    let before = contents(folder.path());
    for forgotten in 0..ends[8] {
        restore(folder.path(), &before);
        let disk = Disk::new();
        disk.inject(Fault::Forgot { from: forgotten });
        let whole = ends.iter().filter(|end| **end <= forgotten).count() as u64 - 1;
        match PartitionLog::open(&disk, &folder.path().join("p"), partition(), LogConfig::default()) {
            Ok((_, recovered)) => {
                assert!(whole >= 4, "byte {forgotten}");
                assert_eq!((recovered.log_end_offset, recovered.doubt.is_some()), (Offset(whole), true));
                assert_eq!(fs::metadata(log_file(&folder)).unwrap().len(), ends[whole as usize]);
            }
            Err(error) => assert!(error.is_damage() && whole < 4, "byte {forgotten}: {error}"),
        }
    }
}

#[test]
fn a_log_that_ends_below_the_high_watermark_is_in_doubt() {
    for (lost, is_in_doubt) in [(0, false), (1, false), (2, true)] {
        let folder = tempdir().unwrap();
        let (mut log, _) = open(folder.path(), LogConfig::default());
        fill(&mut log, 3);
        log.store_high_watermark(Offset(4));
        log.sync_mark().unwrap();
        let size = fs::metadata(log_file(&folder)).unwrap().len();
        log.append(&[Sample::at(3).build(), Sample::at(4).build()]).unwrap();
        drop(log);
        let kept = size / 3 * (5 - lost);
        fs::OpenOptions::new().write(true).open(log_file(&folder)).unwrap().set_len(kept).unwrap();
        for _ in 0..2 {
            let (_, recovered) = open(folder.path(), LogConfig::default());
            assert_eq!((recovered.log_end_offset, recovered.doubt.is_some()), (Offset(5 - lost), is_in_doubt));
        }
    }
}

#[test]
fn a_lost_mark_leaves_a_doubt_or_damage() {
    for is_closed in [true, false] {
        let folder = tempdir().unwrap();
        let (mut log, _) = open(folder.path(), LogConfig::default());
        fill(&mut log, 5);
        if is_closed {
            log.close().unwrap();
        }
        fs::remove_file(folder.path().join("p").join(files::MARK)).unwrap();
        let before = contents(folder.path());
        let (log, recovered) = open(folder.path(), LogConfig::default());
        assert_eq!(recovered.log_end_offset, Offset(5));
        assert!(recovered.doubt.unwrap().contains("mark"));
        drop(log);
        assert!(open(folder.path(), LogConfig::default()).1.doubt.is_some(), "the new mark does not settle it");
        restore(folder.path(), &before);
        let bytes = fs::read(log_file(&folder)).unwrap();
        fs::write(log_file(&folder), &bytes[..bytes.len() - 1]).unwrap();
        assert!(try_open(folder.path(), LogConfig::default()).unwrap_err().is_damage());
    }
}

/// As one whose leader cut its segments elsewhere.
#[test]
fn a_lost_mark_is_no_damage_where_the_log_starts_within_the_last_segment() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), LogConfig::default());
    fill(&mut log, 9);
    log.flush().unwrap();
    log.advance_log_start(Offset(4)).unwrap();
    drop(log);
    fs::remove_file(folder.path().join("p").join(files::MARK)).unwrap();
    let (_, recovered) = open(folder.path(), LogConfig::default());
    assert_eq!(recovered.log_end_offset, Offset(9));
    assert!(recovered.doubt.is_some());
}

/// An earlier program noted the epochs that it copied later than their batches.
#[test]
fn epochs_that_an_earlier_program_noted_late_cut_nothing() {
    let (folder, _) = killed(4, 5);
    let checkpoint = folder.path().join("p").join(files::EPOCHS);
    let earlier = "0\n1\n1 0\n";
    fs::write(&checkpoint, format!("{earlier}crc32c: {:08x}\n", crc32c::crc32c(earlier.as_bytes()))).unwrap();
    let (_, recovered) = open(folder.path(), LogConfig::default());
    assert_eq!((recovered.log_end_offset, recovered.truncated_bytes, recovered.doubt), (Offset(9), 0, None));
    assert!(fs::read_to_string(&checkpoint).unwrap().contains("noted-crc32c: "));
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
    assert_eq!(recovered.doubt, None);
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

/// Removes the first segments of a log with all that belongs to them. Where it begins then.
fn lose_beginning(folder: &Path, count: usize) -> Offset {
    let path = folder.join("p");
    let segments = files::list(&path).unwrap().segments;
    for base in &segments[..count] {
        for ending in [files::LOG, files::INDEX, files::TIME_INDEX, files::DIGEST, files::SNAPSHOT] {
            let _ = fs::remove_file(files::file(&path, *base, ending));
        }
    }
    segments[count]
}

#[test]
fn a_log_without_mark_and_beginning_is_damaged_whatever_else_is_lost() {
    for epochs in ["kept", "lost", "without a checksum"] {
        let folder = tempdir().unwrap();
        let (mut log, _) = open(folder.path(), small());
        let created = fs::read(folder.path().join("p").join(files::MARK)).unwrap();
        fill(&mut log, 90);
        drop(log);
        let path = folder.path().join("p");
        let (mark, file) = (path.join(files::MARK), path.join(files::EPOCHS));
        match epochs {
            "lost" => fs::remove_file(&file).unwrap(),
            "without a checksum" => fs::write(&file, "0\n1\n0 0\n").unwrap(),
            _ => {}
        }
        fs::remove_file(&mark).unwrap();
        let whole = contents(folder.path());
        let (_, recovered) = open(folder.path(), small());
        let found = (recovered.log_start_offset, recovered.log_end_offset, recovered.doubt.is_some());
        assert_eq!(found, (Offset(0), Offset(90), true), "the mark alone, epochs {epochs}");
        restore(folder.path(), &whole);
        let first = lose_beginning(folder.path(), 2);
        let left = contents(folder.path());
        for _ in 0..2 {
            let error = try_open(folder.path(), small()).unwrap_err();
            assert!(error.is_damage() && error.to_string().contains(&first.to_string()), "epochs {epochs}: {error}");
        }
        assert_eq!(contents(folder.path()), left, "left as it is, epochs {epochs}");
        if epochs == "kept" {
            // A mark that claims nothing, as the first one of a log does.
            fs::write(&mark, created).unwrap();
            assert!(try_open(folder.path(), small()).unwrap_err().is_damage());
        }
    }
}

#[test]
fn a_log_without_mark_whose_beginning_retention_took_is_whole() {
    for is_border in [true, false] {
        let folder = tempdir().unwrap();
        let (mut log, _) = open(folder.path(), small());
        fill(&mut log, 90);
        let path = folder.path().join("p");
        let segments = files::list(&path).unwrap().segments;
        log.advance_log_start(if is_border { segments[2] } else { segments[2].plus(1) }).unwrap();
        drop(log);
        fs::remove_file(path.join(files::MARK)).unwrap();
        let before = contents(folder.path());
        let (_, recovered) = open(folder.path(), small());
        let found = (recovered.log_start_offset, recovered.log_end_offset, recovered.doubt.is_some());
        assert_eq!(found, (segments[2], Offset(90), true));
        restore(folder.path(), &before);
        fs::remove_file(path.join(files::EPOCHS)).unwrap();
        assert!(try_open(folder.path(), small()).unwrap_err().is_damage(), "nothing tells where it begins");
        restore(folder.path(), &before);
        lose_beginning(folder.path(), 1);
        assert!(try_open(folder.path(), small()).unwrap_err().is_damage(), "more is gone than retention took");
    }
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
