use std::{fs, path::Path};

use holdfast_proto::ids::Offset;

use crate::{
    Binding, Error, LogConfig, LogReader, PartitionLog, RangeDigest, files,
    test_support::{Sample, open, tempdir},
};

/// Segments of some pieces each.
fn config() -> LogConfig {
    LogConfig { segment_bytes: 300_000, ..LogConfig::default() }
}

fn fill(log: &mut PartitionLog, count: u64) {
    for _ in 0..count {
        let base = log.log_end_offset().0;
        log.append(&[Sample { value_bytes: 10_000, ..Sample::at(base) }.build()]).unwrap();
    }
    log.flush().unwrap();
}

fn side_file(folder: &Path, base: Offset) -> std::path::PathBuf {
    files::file(&folder.join("p"), base, files::DIGEST)
}

/// Reads it to its end, in steps of so many bytes.
fn whole(reader: &LogReader, mut binding: Binding, max_bytes: u64) -> Result<Binding, Error> {
    while !binding.is_whole() {
        let before = binding.bytes();
        binding = reader.go_on_binding(&binding, max_bytes)?;
        assert!(binding.is_whole() || binding.bytes() > before);
    }
    Ok(binding)
}

#[test]
fn lost_digests_are_made_again_as_they_were() {
    for max_bytes in [1, 70_000, u64::MAX] {
        let folder = tempdir().unwrap();
        let (mut log, _) = open(folder.path(), config());
        fill(&mut log, 100);
        let reader = log.reader();
        assert!(reader.unbound(Offset(0)).unwrap().is_none());
        let closed = reader.segment_count() - 1;
        assert!(closed > 2);
        let all = reader.digest_of(Offset(0), Offset(100)).unwrap();
        let bases = files::list(&folder.path().join("p")).unwrap().segments;
        let before: Vec<_> =
            bases[..closed].iter().map(|base| fs::read(side_file(folder.path(), *base)).unwrap()).collect();
        for base in &bases[..closed] {
            fs::write(side_file(folder.path(), *base), "harmed").unwrap();
        }
        assert_eq!(reader.digest_of(Offset(0), Offset(100)).unwrap(), RangeDigest::Unknown);
        for (base, next) in bases[..closed].iter().zip(&bases[1..]) {
            let binding = reader.unbound(*base).unwrap().unwrap();
            assert_eq!((binding.base(), binding.next()), (*base, *next));
            log.bind(&whole(&reader, binding, max_bytes).unwrap()).unwrap();
        }
        for (base, before) in bases.iter().zip(before) {
            assert!(fs::read(side_file(folder.path(), *base)).unwrap() == before, "{base}");
        }
        assert_eq!(reader.digest_of(Offset(0), Offset(100)).unwrap(), all);
        assert!(reader.unbound(Offset(0)).unwrap().is_none());
    }
}

#[test]
fn what_stands_there_and_is_damaged_is_not_bound() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), config());
    fill(&mut log, 100);
    let reader = log.reader();
    fs::remove_file(side_file(folder.path(), Offset(0))).unwrap();
    let binding = reader.unbound(Offset(0)).unwrap().unwrap();
    let file = files::file(&folder.path().join("p"), Offset(0), files::LOG);
    let mut bytes = fs::read(&file).unwrap();
    bytes[150_000] ^= 1;
    fs::write(&file, bytes).unwrap();
    let found = whole(&reader, binding, 20_000);
    assert!(matches!(&found, Err(Error::Damaged { at, .. }) if *at > Offset(5)), "{found:?}");
}

#[test]
fn what_is_read_of_a_segment_that_is_cut_or_bound_meanwhile_goes_nowhere() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), config());
    fill(&mut log, 100);
    let reader = log.reader();
    let path = side_file(folder.path(), Offset(0));
    let sound = fs::read(&path).unwrap();
    fs::write(&path, "harmed").unwrap();
    let unfinished = reader.unbound(Offset(0)).unwrap().unwrap();
    log.bind(&unfinished).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"harmed", "not all of it was read");
    let binding = whole(&reader, unfinished, u64::MAX).unwrap();
    fs::write(&path, &sound).unwrap();
    log.bind(&binding).unwrap();
    assert!(reader.unbound(Offset(0)).unwrap().is_none(), "what is there is believed again");
    log.truncate_to(Offset(7)).unwrap();
    fs::write(&path, "of the segment that was cut").unwrap();
    log.bind(&binding).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"of the segment that was cut");
}

/// Once may be chance: the next read asks for it again, and a start is not needed.
#[test]
fn digests_that_the_disk_did_not_read_once_bind_again() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), config());
    fill(&mut log, 100);
    let reader = log.reader();
    let known = reader.digest_of(Offset(0), Offset(100)).unwrap();
    let path = side_file(folder.path(), Offset(0));
    let kept = folder.path().join("kept");
    fs::rename(&path, &kept).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", &path).unwrap();
    assert_eq!(fs::read(&path).unwrap_err().raw_os_error(), Some(5), "as of a disk that fails");
    assert_eq!(reader.digest_of(Offset(0), Offset(100)).unwrap(), RangeDigest::Unknown);
    assert!(reader.unbound(Offset(0)).unwrap().is_some());
    fs::remove_file(&path).unwrap();
    fs::rename(&kept, &path).unwrap();
    assert_eq!(reader.digest_of(Offset(0), Offset(100)).unwrap(), known);
    assert!(reader.unbound(Offset(0)).unwrap().is_none());
}

#[test]
fn a_start_that_reads_a_segment_through_binds_it() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), config());
    fill(&mut log, 100);
    log.close().unwrap();
    let path = side_file(folder.path(), Offset(0));
    let before = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::remove_file(path.with_extension("index")).unwrap();
    let (log, recovered) = open(folder.path(), config());
    assert_eq!(recovered.recovered_segments, 1);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(log.reader().unbound(Offset(0)).unwrap().is_none());
}
