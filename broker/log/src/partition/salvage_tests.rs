use std::{fs, path::PathBuf};

use rustix::io::Errno;
use tempfile::TempDir;

use super::*;
use crate::{
    read_at::tests::BadSector,
    test_support::{Sample, fill, open, partition, read_all, small, tempdir, try_open},
};

/// A log of so many batches in some segments, and one that a kill left open.
fn log(count: u64) -> (TempDir, PathBuf, Vec<Offset>) {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    fill(&mut log, count);
    drop(log);
    let path = folder.path().join("p");
    let segments = files::list(&path).unwrap().segments;
    (folder, path, segments)
}

/// Turns one bit of a file.
fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Sets a log aside as a data folder does: every file by another name. Gives where, and what is there.
fn set_aside(folder: &TempDir, log: &Path) -> (PathBuf, Vec<(String, Vec<u8>)>) {
    let aside = folder.path().join("aside");
    fs::create_dir(&aside).unwrap();
    for entry in fs::read_dir(log).unwrap().map(Result::unwrap) {
        fs::hard_link(entry.path(), aside.join(entry.file_name())).unwrap();
    }
    let files = files_of(&aside);
    (aside, files)
}

fn files_of(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let read = |name: String| (name.clone(), fs::read(folder.join(name)).unwrap());
    let mut all: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).map(read).collect();
    all.sort();
    all
}

fn salvaged(path: &Path) -> Result<(PartitionLog, Recovered), Error> {
    salvage(&Disk::new(), path, partition(), small(), Unreadable::MayPass)
}

/// The log reads up to `end` and is written on, and nothing is changed of what was set aside of it.
fn goes_on(path: &Path, end: Offset, (aside, files): &(PathBuf, Vec<(String, Vec<u8>)>)) {
    let (mut log, recovered) = salvaged(path).unwrap();
    assert_eq!((recovered.log_start_offset, recovered.log_end_offset), (Offset(0), end));
    assert_eq!(read_all(&log, 0).unwrap(), (0..end.0).collect::<Vec<_>>());
    assert_eq!(log.reader().verify(Offset(0)).unwrap(), end);
    fill(&mut log, 40);
    log.close().unwrap();
    assert!(files_of(aside) == *files, "nothing of it was changed");
    let (log, recovered) = PartitionLog::open(&Disk::new(), path, partition(), small()).unwrap();
    assert_eq!(recovered.log_end_offset, end.plus(40));
    assert_eq!(read_all(&log, 0).unwrap(), (0..end.0 + 40).collect::<Vec<_>>());
}

#[test]
fn what_lies_before_the_damage_is_read_and_written_on_and_the_rest_is_kept_aside() {
    for (segment, has_indexes) in [(0, true), (0, false), (1, true), (1, false), (2, true), (2, false)] {
        let (folder, path, segments) = log(60);
        let last = segments.len() - 1;
        assert!(last >= 2, "{segments:?}");
        let base = segments[[0, last - 1, last][segment]];
        let file = files::file(&path, base, files::LOG);
        let middle = fs::read(&file).unwrap().len() / 2;
        flip(&file, middle);
        if !has_indexes {
            for ending in [files::INDEX, files::TIME_INDEX] {
                fs::remove_file(files::file(&path, base, ending)).unwrap();
            }
        }
        let opened = try_open(folder.path(), small()).and_then(|(log, _)| log.reader().verify(Offset(0)));
        let Err(Error::Damaged { at, .. }) = opened else { panic!("it is not damaged") };
        assert!(at > base && at < Offset(60), "{at}");
        let aside = set_aside(&folder, &path);
        goes_on(&path, at, &aside);
    }
}

/// No checksum of a batch tells that it is of another place.
#[test]
fn a_batch_of_another_time_is_cut_off_with_all_that_follows() {
    let (_folder, path, segments) = log(60);
    let file = files::file(&path, segments[1], files::LOG);
    let mut bytes = fs::read(&file).unwrap();
    let other = Sample { timestamp: 7, ..Sample::at(segments[1].0) }.build();
    bytes[..other.len()].copy_from_slice(&other);
    fs::write(&file, bytes).unwrap();
    let (log, recovered) = salvaged(&path).unwrap();
    assert_eq!((recovered.log_end_offset, read_all(&log, 0).unwrap()), (segments[1], (0..segments[1].0).collect()));
}

#[test]
fn what_the_disk_does_not_read_is_damage_once_it_does_not_pass() {
    for segment in [0, 1] {
        let (folder, path, segments) = log(60);
        let base = [segments[1], *segments.last().unwrap()][segment];
        let file = files::file(&path, base, files::LOG);
        let aside = set_aside(&folder, &path);
        let sector = BadSector::new(&file, 150..151, Errno::IO);
        assert!(salvaged(&path).is_err_and(|error| error.is_unreadable()));
        assert_eq!(files::list(&path).unwrap().segments, segments, "it may pass");
        let (log, recovered) = salvage(&Disk::new(), &path, partition(), small(), Unreadable::IsDamage).unwrap();
        let end = recovered.log_end_offset;
        assert!(end > base && end < Offset(60), "{end}");
        drop((log, sector));
        goes_on(&path, end, &aside);
    }
}

#[test]
fn a_log_whose_end_is_gone_goes_on_from_there() {
    let (folder, path, segments) = log(60);
    let base = *segments.last().unwrap();
    let file = files::file(&path, base, files::LOG);
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(0).unwrap();
    assert!(try_open(folder.path(), small()).is_err_and(|error| error.is_damage()));
    let (log, recovered) = salvaged(&path).unwrap();
    assert_eq!((recovered.log_end_offset, read_all(&log, 0).unwrap()), (base, (0..base.0).collect()));
}

#[test]
fn a_sound_log_goes_on_as_it_is_and_what_is_aside_stays() {
    let (folder, path, _) = log(60);
    let aside = set_aside(&folder, &path);
    goes_on(&path, Offset(60), &aside);
}

#[test]
fn a_log_without_its_beginning_begins_later_and_has_no_end_that_is_lost() {
    for has_mark in [true, false] {
        let (folder, path, segments) = log(60);
        let (mut open, _) = open(folder.path(), small());
        for base in 60..63 {
            // Epochs that the mark alone notes.
            open.append(&[Sample { epoch: base as u32 - 59, ..Sample::at(base) }.build()]).unwrap();
        }
        drop(open);
        assert_eq!(files::list(&path).unwrap().segments, segments);
        fs::remove_file(files::file(&path, segments[0], files::LOG)).unwrap();
        if !has_mark {
            fs::remove_file(path.join(files::MARK)).unwrap();
        }
        let (log, recovered) = salvaged(&path).unwrap();
        assert_eq!((recovered.log_start_offset, recovered.log_end_offset), (segments[1], Offset(63)));
        assert_eq!(read_all(&log, segments[1].0).unwrap(), (segments[1].0..63).collect::<Vec<_>>());
        drop(log);
        segments[1..].iter().for_each(|base| fs::remove_file(files::file(&path, *base, files::LOG)).unwrap());
        assert!(salvaged(&path).is_err_and(|error| error.is_damage()), "no segment is there");
    }
}

/// What lies below the log start is nobody's any more.
#[test]
fn damage_before_the_log_start_cuts_nothing() {
    let folder = tempdir().unwrap();
    let large = LogConfig { segment_bytes: 300_000, ..LogConfig::default() };
    let (mut log, _) = open(folder.path(), large);
    for base in 0..500 {
        log.append(&[Sample { value_bytes: 1000, ..Sample::at(base) }.build()]).unwrap();
    }
    log.advance_log_start(Offset(200)).unwrap();
    drop(log);
    let path = folder.path().join("p");
    flip(&files::file(&path, Offset(0), files::LOG), 100);
    let (log, recovered) = salvage(&Disk::new(), &path, partition(), large, Unreadable::MayPass).unwrap();
    assert_eq!((recovered.log_start_offset, recovered.log_end_offset), (Offset(200), Offset(500)));
    assert_eq!(log.reader().verify(Offset(0)).unwrap(), Offset(500));
}
