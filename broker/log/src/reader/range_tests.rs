//! Digests of ranges, by enumeration of all ranges of small logs.

use std::{fs, path::Path};

use holdfast_proto::{batch::BatchHeader, ids::Offset};

use super::*;
use crate::{
    PartitionLog, files,
    test_support::{Sample, open, partition, small, tempdir},
};

/// Batches of one to three records, the first at offset 0.
fn samples(count: u64) -> Vec<Sample> {
    let mut base = 0;
    (0..count)
        .map(|n| {
            let sample = Sample { records: 1 + (n % 3) as u32, ..Sample::at(base) };
            base += u64::from(sample.records);
            sample
        })
        .collect()
}

/// A log of them that is appended to in steps of this many batches, so that its segments end where the step wants.
fn filled(folder: &Path, samples: &[Sample], step: usize) -> PartitionLog {
    let (mut log, _) = open(folder, small());
    for some in samples.chunks(step) {
        log.append(&some.iter().map(|sample| sample.build()).collect::<Vec<_>>()).unwrap();
    }
    log.flush().unwrap();
    log
}

/// What the range holds, summed up from the batches themselves; `None` if it is not made of whole ones.
fn expected(samples: &[Sample], from: u64, to: u64) -> Option<Digest> {
    let end = |sample: &Sample| sample.base + u64::from(sample.records);
    let inside: Vec<_> = samples.iter().filter(|sample| sample.base >= from && end(sample) <= to).collect();
    let is_whole = inside.first()?.base == from && end(inside.last()?) == to;
    let sum = inside.iter().fold(Digest::default(), |sum, sample| {
        sum.plus(Digest::of(partition(), &BatchHeader::parse(&sample.build()).unwrap()))
    });
    is_whole.then_some(sum)
}

#[test]
fn every_range_has_the_sum_of_its_batches_wherever_segments_end() {
    let samples = samples(60);
    let end = samples.last().map(|last| last.base + u64::from(last.records)).unwrap();
    for step in [1, 7] {
        let folder = tempdir().unwrap();
        let mut log = filled(folder.path(), &samples, step);
        for is_restarted in [false, true] {
            if is_restarted {
                log.close().unwrap();
                log = open(folder.path(), small()).0;
            }
            let reader = log.reader();
            assert!(reader.segment_count() > 2);
            for from in 0..end {
                for to in from + 1..=end {
                    let found = reader.digest_of(Offset(from), Offset(to)).unwrap();
                    let known = expected(&samples, from, to).map_or(RangeDigest::InsideBatch, RangeDigest::Known);
                    assert_eq!(found, known, "{from} to {to}, in steps of {step}, {is_restarted}");
                }
            }
            let beyond = RangeDigest::OutOfRange { log_start: Offset(0), log_end: Offset(end) };
            assert_eq!(reader.digest_of(Offset(3), Offset(end + 1)).unwrap(), beyond);
            assert_eq!(reader.digest_of(Offset(3), Offset(3)).unwrap(), beyond, "nothing is no range");
        }
    }
}

#[test]
fn a_range_costs_its_batches_and_the_pieces_at_its_ends() {
    let samples = samples(60);
    let end = samples.last().map(|last| last.base + u64::from(last.records)).unwrap();
    let folder = tempdir().unwrap();
    let log = filled(folder.path(), &samples, 7);
    let reader = log.reader();
    for from in 0..end {
        for to in from + 1..=end {
            let touched =
                samples.iter().filter(|sample| sample.base + u64::from(sample.records) > from && sample.base < to);
            let least: u64 = touched.map(|sample| sample.build().len() as u64).sum();
            let bytes = reader.range_bytes(Offset(from), Offset(to)).unwrap();
            assert!(least <= bytes && bytes <= reader.size_bytes(), "{from} to {to}: {bytes}, not {least}");
        }
    }
    assert_eq!(reader.range_bytes(Offset(0), Offset(end)).unwrap(), reader.size_bytes());
}

#[test]
fn halving_comes_to_each_batch() {
    let samples = samples(50);
    let folder = tempdir().unwrap();
    let reader = filled(folder.path(), &samples, 3).reader();
    assert!(reader.middle(Offset(0), Offset(50)).is_err(), "its log is closed");
    let log = open(folder.path(), small()).0;
    let (reader, end) = (log.reader(), log.log_end_offset());
    for wanted in &samples {
        let (mut from, mut to, mut steps) = (Offset(0), end, 0);
        while let Some(middle) = reader.middle(from, to).unwrap() {
            assert!(from < middle && middle < to);
            (from, to) = if Offset(wanted.base) < middle { (from, middle) } else { (middle, to) };
            steps += 1;
        }
        assert_eq!((from.0, to.0), (wanted.base, wanted.base + u64::from(wanted.records)));
        assert!(steps <= 12, "{steps}");
    }
}

#[test]
fn ranges_end_with_segments_and_cover_all() {
    let folder = tempdir().unwrap();
    let log = filled(folder.path(), &samples(60), 1);
    let (reader, end) = (log.reader(), log.log_end_offset());
    for (max_bytes, most) in [(0, 0), (1, reader.segment_count()), (3_000, reader.segment_count() - 1), (u64::MAX, 1)] {
        let (mut at, mut count) = (Offset(0), 0);
        while let Some(next) = reader.range_end(at, end, max_bytes) {
            assert!(next > at);
            (at, count) = (next, count + 1);
        }
        assert!(count <= most && (at == end || max_bytes == 0), "{max_bytes}: {count} ranges up to {at}");
    }
    assert_eq!(reader.range_end(Offset(0), Offset(3), u64::MAX), Some(Offset(3)));
    assert_eq!(reader.range_end(end, end, u64::MAX), None);
}

#[test]
fn retention_a_cut_and_a_lost_side_file_are_no_errors() {
    let samples = samples(120);
    let folder = tempdir().unwrap();
    let mut log = filled(folder.path(), &samples, 1);
    let reader = log.reader();
    let segments = files::list(&folder.path().join("p")).unwrap().segments;
    fs::remove_file(files::file(&folder.path().join("p"), segments[1], files::DIGEST)).unwrap();
    let of = |from: Offset, to: Offset| reader.digest_of(from, to).unwrap();
    assert_eq!(of(segments[0], segments[2]), RangeDigest::Unknown);
    assert!(matches!(of(segments[0], segments[1]), RangeDigest::Known(_)), "the others are known");

    let cut = segments[segments.len() - 1];
    log.truncate_to(cut).unwrap();
    let known = expected(&samples, segments[2].0, cut.0).map(RangeDigest::Known);
    assert_eq!(Some(of(segments[2], cut)), known, "what is left has the same digest");
    let gone = RangeDigest::OutOfRange { log_start: Offset(0), log_end: cut };
    assert_eq!(of(segments[2], cut.plus(1)), gone);

    log.advance_log_start(segments[2]).unwrap();
    assert_eq!(of(segments[0], segments[1]), RangeDigest::OutOfRange { log_start: segments[2], log_end: cut });
    assert_eq!(Some(of(segments[2], cut)), known);
}

#[test]
fn a_batch_that_was_not_appended_there_is_damage_where_it_is_met() {
    let folder = tempdir().unwrap();
    let samples = samples(12);
    let log = filled(folder.path(), &samples, 12);
    let path = files::file(&folder.path().join("p"), Offset(0), files::LOG);
    let mut bytes = fs::read(&path).unwrap();
    let other = Sample { timestamp: 7, ..samples[0] }.build();
    bytes[..other.len()].copy_from_slice(&other);
    fs::write(&path, bytes).unwrap();
    let inner = samples[3].base;
    assert!(log.reader().digest_of(Offset(0), Offset(inner)).is_err_and(|error| error.is_damage()));
}
