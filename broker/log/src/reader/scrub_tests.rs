//! Damage that no reader has met.

use std::fs;

use holdfast_proto::ids::Offset;

use crate::{
    Error, LogReader, files,
    test_support::{Sample, fill, open, small, tempdir},
};

/// A whole pass in steps, and how many bytes were read.
fn pass(reader: &LogReader, max_bytes: u64) -> Result<u64, Error> {
    let (mut from, mut bytes) = (Some(Offset(0)), 0);
    while let Some(at) = from {
        let done = reader.scrub(at, max_bytes)?;
        assert!(done.next.is_none_or(|next| next > at), "{at}: {done:?}");
        (from, bytes) = (done.next, bytes + done.bytes);
    }
    Ok(bytes)
}

#[test]
fn a_pass_reads_everything_once_in_steps_of_any_size() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    assert_eq!(pass(&log.reader(), 1).unwrap(), 0, "an empty log");
    fill(&mut log, 90);
    for max_bytes in [1, 300, 5_000, u64::MAX] {
        assert_eq!(pass(&log.reader(), max_bytes).unwrap(), log.reader().size_bytes());
    }
    log.close().unwrap();
    fs::remove_file(files::file(&folder.path().join("p"), Offset(0), files::DIGEST)).unwrap();
    let (log, _) = open(folder.path(), small());
    for max_bytes in [1, 300] {
        assert_eq!(pass(&log.reader(), max_bytes).unwrap(), log.reader().size_bytes(), "without digests of a segment");
    }
}

#[test]
fn every_flipped_bit_is_found_wherever_it_is() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    fill(&mut log, 40);
    let reader = log.reader();
    for base in files::list(&folder.path().join("p")).unwrap().segments {
        let path = files::file(&folder.path().join("p"), base, files::LOG);
        let bytes = fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(7) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            write_over(&path, &flipped);
            assert!(pass(&reader, 500).is_err_and(|error| error.is_damage()), "{base}, byte {at}");
        }
        write_over(&path, &bytes);
    }
    assert_eq!(pass(&reader, 500).unwrap(), reader.size_bytes());
}

#[test]
fn a_batch_of_another_place_is_found_in_closed_segments_and_the_one_that_is_written() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    fill(&mut log, 40);
    let reader = log.reader();
    let segments = files::list(&folder.path().join("p")).unwrap().segments;
    for base in [segments[0], segments[segments.len() - 1]] {
        let path = files::file(&folder.path().join("p"), base, files::LOG);
        let bytes = fs::read(&path).unwrap();
        let own = Sample { timestamp: base.0 as i64 * 10, ..Sample::at(base.0) };
        let other = Sample { producer: Some((9, 1)), ..own }.build();
        let mut swapped = bytes.clone();
        assert_eq!(bytes[..other.len()], own.build()[..]);
        swapped[..other.len()].copy_from_slice(&other);
        write_over(&path, &swapped);
        let found = pass(&reader, 500);
        assert!(matches!(&found, Err(Error::Damaged { at, .. }) if *at == base), "{found:?}");
        write_over(&path, &bytes);
    }
}

#[test]
fn a_segment_that_retention_took_or_a_cut_shortened_is_no_damage() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    fill(&mut log, 90);
    let reader = log.reader();
    let first = reader.scrub(Offset(0), 1).unwrap().next.unwrap();
    log.advance_log_start(Offset(50)).unwrap();
    let next = reader.scrub(first, 1).unwrap().next.unwrap();
    assert!(next > Offset(50), "{next}");
    log.truncate_to(Offset(55)).unwrap();
    assert_eq!(reader.scrub(Offset(80), 1).unwrap().next, None);
    assert!(pass(&reader, 100).is_ok());
}

/// Without another file in its place: the log holds its own open.
fn write_over(path: &std::path::Path, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, 0).unwrap();
}
