//! One flipped bit in what stands before the records of a batch, as readers meet it.

use std::{fs, os::unix::fs::FileExt, path::Path};

use holdfast_proto::{batch::BatchHeader, ids::Offset};

use crate::{
    LogConfig, LogReader, files,
    test_support::{Sample, bases, fill, open, small, tempdir},
};

const RECORDS: u64 = 40;
/// Where the leader epoch stands in a batch. Only digests bind it, with which a piece is compared once it has an end, and once
/// in the life of a process: the scrub finds what changes later.
const EPOCH: std::ops::Range<usize> = 12..16;

/// A reader that begins at any batch hears of damage, or gets batches at their offsets with their records.
#[test]
fn no_flipped_bit_of_a_header_makes_an_answer_empty_or_wrong() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    fill(&mut log, RECORDS);
    let reader = log.reader();
    let segments = files::list(&folder.path().join("p")).unwrap().segments;
    assert!(segments.len() > 1);
    for base in &segments {
        let path = files::file(&folder.path().join("p"), *base, files::LOG);
        let right = fs::read(&path).unwrap();
        let batches = begins(&right);
        let mut refused = 0;
        for (_, begin) in &batches {
            for bit in 0..BatchHeader::SIZE * 8 {
                let byte = begin + bit / 8;
                write_over(&path, byte, right[byte] ^ 1 << (bit % 8));
                let is_bound = !EPOCH.contains(&(bit / 8));
                for (offset, position) in &batches {
                    refused += u64::from(!is_right(&reader, *offset, &right[*position..], is_bound));
                }
                write_over(&path, byte, right[byte]);
            }
        }
        assert!(refused > 0, "nothing was found in {base}");
        assert_eq!(all(&reader), RECORDS as usize);
    }
}

/// An index is only a hint: whatever it says, the batches are found.
#[test]
fn no_flipped_bit_of_an_index_keeps_anybody_from_what_is_right() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    fill(&mut log, RECORDS);
    let reader = log.reader();
    let segments = files::list(&folder.path().join("p")).unwrap().segments;
    let path = files::file(&folder.path().join("p"), segments[0], files::INDEX);
    let right = fs::read(&path).unwrap();
    assert!(right.len() > 8, "several entries");
    for bit in 0..right.len() * 8 {
        write_over(&path, bit / 8, right[bit / 8] ^ 1 << (bit % 8));
        for offset in segments[0].0..segments[1].0 {
            let read = reader.read(Offset(offset), 300, Offset(u64::MAX)).unwrap();
            assert_eq!(bases(&read)[0], offset, "bit {bit}");
        }
        write_over(&path, bit / 8, right[bit / 8]);
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(all(&reader), RECORDS as usize, "without the index");
}

/// The offset of a batch is under no checksum, and without digests only the end of the segment binds the last.
#[test]
fn a_last_batch_that_says_an_offset_too_low_is_damage_also_where_nothing_binds_the_batches() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), LogConfig { index_interval_bytes: 1, ..small() });
    fill(&mut log, RECORDS);
    log.close().unwrap();
    let path = |kind| files::file(&folder.path().join("p"), Offset(0), kind);
    fs::remove_file(path(files::DIGEST)).unwrap();
    let right = fs::read(path(files::LOG)).unwrap();
    let (last, begin) = *begins(&right).last().unwrap();
    let (log, _) = open(folder.path(), small());
    write_over(&path(files::LOG), begin + 7, 3); // the lowest byte of its offset
    let read = log.reader().read(last, 500, Offset(u64::MAX));
    assert!(read.as_ref().is_err_and(crate::Error::is_damage), "{last}: {read:?}");
    assert!(log.reader().scrub(last, 1).is_err_and(|error| error.is_damage()));
}

/// A limit inside a batch is the one honest reason to give nothing.
#[test]
fn a_batch_that_really_ends_past_the_limit_is_not_given() {
    let folder = tempdir().unwrap();
    let (mut log, _) = open(folder.path(), small());
    log.append(&[Sample { records: 5, ..Sample::at(0) }.build()]).unwrap();
    log.flush().unwrap();
    assert!(log.reader().read(Offset(2), 500, Offset(4)).unwrap().is_empty());
    assert_eq!(bases(&log.reader().read(Offset(2), 500, Offset(5)).unwrap()), [0]);
}

/// True if the read gave batches, all of which have to be right; false if it told of damage.
fn is_right(reader: &LogReader, offset: Offset, right: &[u8], is_bound: bool) -> bool {
    match reader.read(offset, 300, Offset(u64::MAX)) {
        Ok(bytes) => {
            assert!(!bytes.is_empty(), "nothing at offset {offset}, without an error");
            assert!(!is_bound || right.starts_with(&bytes), "wrong bytes at offset {offset}");
            true
        }
        Err(error) => {
            assert!(error.is_damage(), "{error}");
            false
        }
    }
}

/// Offset and place of each batch of one record.
fn begins(bytes: &[u8]) -> Vec<(Offset, usize)> {
    let mut begin = 0;
    let place = |base| {
        let size = BatchHeader::parse(&bytes[begin..]).unwrap().size_bytes;
        begin += size;
        (Offset(base), begin - size)
    };
    bases(bytes).into_iter().map(place).collect()
}

/// Number of batches that a reader of everything gets.
fn all(reader: &LogReader) -> usize {
    let mut next = 0;
    while next < RECORDS {
        next += bases(&reader.read(Offset(next), 300, Offset(u64::MAX)).unwrap()).len() as u64;
    }
    next as usize
}

/// Without another file in its place: the log may hold its own open.
fn write_over(path: &Path, at: usize, byte: u8) {
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(&[byte], at as u64).unwrap();
}
