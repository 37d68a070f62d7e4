use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::*;
use crate::test_support::{fill, open, partition, read_all, small, tempdir, try_open};

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

/// Every name of a folder by another one, as what is set aside has.
fn link(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        fs::hard_link(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn batches_of(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let is_log = |name: &String| Path::new(name).extension().is_some_and(|ending| ending == files::LOG);
    let read = |name: String| (name.clone(), fs::read(folder.join(name)).unwrap());
    let mut all: Vec<_> =
        entries.map(|entry| entry.file_name().into_string().unwrap()).filter(is_log).map(read).collect();
    all.sort();
    all
}

#[test]
fn what_lies_before_the_damage_is_read_and_written_on_and_the_rest_is_kept_aside() {
    for segment in 0..3 {
        let (folder, path, segments) = log(60);
        let last = segments.len() - 1;
        assert!(last >= 2, "{segments:?}");
        let base = segments[[0, last - 1, last][segment]];
        let file = files::file(&path, base, files::LOG);
        let middle = fs::read(&file).unwrap().len() / 2;
        flip(&file, middle);
        for ending in [files::INDEX, files::TIME_INDEX] {
            fs::remove_file(files::file(&path, base, ending)).unwrap(); // so that it is read through
        }
        let damaged = batches_of(&path);
        let Err(Error::Damaged { at, .. }) = try_open(folder.path(), small()) else { panic!("it is not damaged") };
        assert!(at > base && at < Offset(60), "{at}");

        let aside = folder.path().join("aside");
        let keep = || {
            link(&path, &aside);
            Ok(())
        };
        let (mut log, recovered) = salvage(&Disk::new(), &path, partition(), small(), keep).unwrap();
        assert_eq!((recovered.log_start_offset, recovered.log_end_offset), (Offset(0), at));
        assert_eq!(read_all(&log, 0).unwrap(), (0..at.0).collect::<Vec<_>>());
        fill(&mut log, 40);
        drop(log);
        assert_eq!(batches_of(&aside), damaged, "nothing of it was changed");
        let (log, recovered) = open(folder.path(), small());
        assert_eq!(recovered.log_end_offset, at.plus(40));
        assert_eq!(read_all(&log, 0).unwrap(), (0..at.0 + 40).collect::<Vec<_>>());
    }
}

#[test]
fn a_log_whose_end_is_gone_goes_on_from_there() {
    let (folder, path, segments) = log(60);
    let base = *segments.last().unwrap();
    let file = files::file(&path, base, files::LOG);
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(0).unwrap();
    assert!(try_open(folder.path(), small()).is_err_and(|error| error.is_damage()));
    let (log, recovered) = salvage(&Disk::new(), &path, partition(), small(), || Ok(())).unwrap();
    assert_eq!((recovered.log_end_offset, read_all(&log, 0).unwrap()), (base, (0..base.0).collect()));
}

#[test]
fn a_sound_log_is_not_touched_and_one_without_its_beginning_begins_later() {
    let (_folder, path, segments) = log(60);
    let keep = || panic!("nothing is cut");
    let (log, recovered) = salvage(&Disk::new(), &path, partition(), small(), keep).unwrap();
    assert_eq!(recovered.log_end_offset, Offset(60));
    drop(log);
    fs::remove_file(files::file(&path, segments[0], files::LOG)).unwrap();
    let left = batches_of(&path);
    let (log, recovered) = salvage(&Disk::new(), &path, partition(), small(), || Ok(())).unwrap();
    assert_eq!((recovered.log_start_offset, recovered.log_end_offset), (segments[1], Offset(60)));
    assert_eq!(read_all(&log, segments[1].0).unwrap(), (segments[1].0..60).collect::<Vec<_>>());
    assert_eq!(batches_of(&path), left);
    drop(log);
    segments[1..].iter().for_each(|base| fs::remove_file(files::file(&path, *base, files::LOG)).unwrap());
    let result = salvage(&Disk::new(), &path, partition(), small(), || Ok(()));
    assert!(result.is_err_and(|error| error.is_damage()), "no segment is there");
}
