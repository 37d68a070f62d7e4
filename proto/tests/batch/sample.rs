//! Records and batches that the tests share.

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};

use holdfast_proto::{
    batch::{BatchBuilder, Compression, Header, ProducerStamp, Record},
    ids::{Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs},
};

/// A stamp as an idempotent producer has it.
pub(crate) const STAMP: ProducerStamp =
    ProducerStamp { id: ProducerId(4711), epoch: ProducerEpoch(3), base_sequence: Sequence(17) };

/// Whether a batch has a producer.
pub(crate) fn stamps() -> impl Strategy<Value = Option<ProducerStamp>> {
    prop_oneof![Just(None), Just(Some(STAMP))]
}

/// Any of the codecs, or none.
pub(crate) fn compressions() -> impl Strategy<Value = Compression> {
    prop::sample::select(&Compression::ALL[..])
}

/// One to forty records with dense offsets from 0, small and large, with and without parts.
pub(crate) fn records() -> impl Strategy<Value = Vec<Record>> {
    vec((times(), option::of(content()), option::of(content()), headers()), 1..40).prop_map(|parts| {
        let number = |(index, (timestamp, key, value, headers))| Record {
            offset: Offset(index as u64),
            timestamp,
            key,
            value,
            headers,
        };
        parts.into_iter().enumerate().map(number).collect()
    })
}

fn times() -> impl Strategy<Value = TimestampMs> {
    prop_oneof![
        8 => 1_700_000_000_000_i64..1_700_000_100_000,
        1 => Just(-1_i64),
        1 => 0..=253_402_300_799_999_i64,
    ]
    .prop_map(TimestampMs)
}

/// Made from a seed: drawing each byte alone would take most of the tests' time.
fn content() -> impl Strategy<Value = Bytes> {
    let noise = |(seed, length): (u64, usize)| {
        let mut state = seed | 1;
        let byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        std::iter::repeat_with(byte).take(length).collect::<Vec<u8>>()
    };
    let text = |(letter, length): (u8, usize)| vec![b'a' + letter % 26; length];
    prop_oneof![
        6 => (any::<u64>(), 0..200_usize).prop_map(noise),
        3 => (any::<u8>(), 0..500_usize).prop_map(text),
        1 => (any::<u64>(), 0..40_000_usize).prop_map(noise),
    ]
    .prop_map(Bytes::from)
}

fn headers() -> impl Strategy<Value = Vec<Header>> {
    let keys = prop::sample::select(&["", "a", "trace-id", "größe", "\u{1f980}"][..]).prop_map(str::to_owned);
    vec((keys, option::of(content())), 0..4)
        .prop_map(|headers| headers.into_iter().map(|(key, value)| Header { key, value }).collect())
}

/// The batch of these records.
pub(crate) fn build(compression: Compression, records: &[Record], stamp: Option<ProducerStamp>) -> Bytes {
    let mut builder = BatchBuilder::new(compression);
    for record in records {
        builder.append(&record.as_ref()).unwrap();
    }
    builder.build(stamp).unwrap()
}

/// A compressible batch of `count` records.
pub(crate) fn plain(compression: Compression, count: u64) -> Bytes {
    let records: Vec<Record> = (0..count)
        .map(|index| Record {
            offset: Offset(index),
            timestamp: TimestampMs(1_700_000_000_000 + index as i64),
            key: Some(Bytes::from(format!("key-{index}"))),
            value: Some(Bytes::from(format!("a value that repeats itself, value number {index}"))),
            headers: Vec::new(),
        })
        .collect();
    build(compression, &records, None)
}

/// Gives bytes that were changed behind the header the checksum that belongs to them.
pub(crate) fn fix_crc(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}
