//! What a leader takes: whatever passes can be read by all; what cannot is refused before it is stored.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use holdfast_proto::{
    batch::{
        BatchBuilder, BatchHeader, Compression, DecodeLimits, Error, RecordRef, check_records, decode, validate_produce,
    },
    error::ErrorCode,
    ids::TimestampMs,
};

use crate::{
    hostile::{bombs, with_body},
    sample::{build, compressions, fix_crc, records},
};

/// What a topic allows unless told otherwise.
const MAX_MESSAGE_BYTES: usize = (1 << 20) + 4096;

/// As a leader looks at what a producer sent.
fn take(batch: &[u8]) -> Result<(), Error> {
    let header = validate_produce(batch, usize::MAX)?;
    check_records(&header, batch, &DecodeLimits::default(), MAX_MESSAGE_BYTES)
}

fn compress(compression: Compression, body: &[u8]) -> Vec<u8> {
    match compression {
        Compression::None => body.to_vec(),
        Compression::Gzip => bombs::gzip(body),
        Compression::Snappy => bombs::snappy(body),
        Compression::Lz4 => bombs::lz4(body),
        Compression::Zstd => zstd::bulk::compress(body, 3).unwrap(),
    }
}

/// A batch of so many records with this body, its times those of its one record.
fn batch(compression: Compression, record_count: u32, body: &[u8]) -> Bytes {
    let mut batch = with_body(compression, record_count, &compress(compression, body)).to_vec();
    let base = batch[27..35].to_vec();
    batch[35..43].copy_from_slice(&base);
    fix_crc(&mut batch);
    batch.into()
}

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        -3_i64..3,
        253_402_300_799_997_i64..253_402_300_800_003,
        1_700_000_000_000_i64..1_700_000_100_000
    ]
}

proptest! {
    #[test]
    fn what_a_builder_makes_passes(compression in compressions(), records in records()) {
        let batch = build(compression, &records, None);
        prop_assert_eq!(take(&batch), Ok(()));
    }

    #[test]
    fn a_builder_refuses_the_record_that_a_leader_would_refuse_with_all_others(times in vec(any_time(), 1..10)) {
        let mut builder = BatchBuilder::new(Compression::None);
        let taken = times.iter().filter(|time| {
            builder.append(&RecordRef { timestamp: TimestampMs(**time), ..RecordRef::default() }).is_ok()
        });
        let expected = times.iter().filter(|time| (-1..=253_402_300_799_999).contains(*time)).count();
        prop_assert_eq!(taken.count(), expected);
        if expected > 0 {
            prop_assert_eq!(take(&builder.build(None).unwrap()), Ok(()));
        }
    }

    #[test]
    fn what_passes_can_be_read(
        compression in compressions(),
        records in records(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut batch = build(compression, &records, None).to_vec();
        for (place, byte) in changes {
            let place = 21 + place.index(batch.len() - 21);
            batch[place] = byte;
        }
        fix_crc(&mut batch);
        if take(&batch).is_ok() {
            let header = BatchHeader::parse(&batch).unwrap();
            let read = decode(batch.into(), &DecodeLimits::default()).unwrap();
            prop_assert_eq!(read.len() as u32, header.last_offset_delta + 1);
            prop_assert_eq!(read.iter().map(|record| record.timestamp).max(), Some(header.max_timestamp));
        }
    }
}

// length, attributes, timestamp delta, offset delta, key length, value length, header count
const FIRST: [u8; 7] = [12, 0, 0, 0, 1, 1, 0];
const SECOND: [u8; 7] = [12, 0, 0, 2, 1, 1, 0];

#[test]
fn a_batch_that_promises_other_records_than_it_holds_is_refused() {
    for compression in Compression::ALL {
        assert_eq!(take(&batch(compression, 1, &FIRST)), Ok(()));
        assert_eq!(take(&batch(compression, 2, &[FIRST, SECOND].concat())), Ok(()));
        let refused = |count, body: &[u8]| take(&batch(compression, count, body)).unwrap_err();
        assert!(matches!(refused(1_000, &FIRST), Error::MalformedRecord { index: 1, .. }));
        assert_eq!(refused(1, &[FIRST, SECOND].concat()), Error::TrailingRecords(1));
        assert!(
            matches!(refused(2, &[FIRST, FIRST].concat()), Error::MalformedRecord { index: 1, .. }),
            "twice offset 0"
        );
        assert!(matches!(refused(1, &SECOND), Error::MalformedRecord { index: 0, .. }), "offset 0 is missing");
        assert!(matches!(refused(1, b"garbage behind a good header"), Error::MalformedRecord { index: 0, .. }));
    }
}

#[test]
fn every_malformed_record_is_refused() {
    for record in [
        &[10, 0, 0, 0, 1, 1, 0][..],
        &[14, 0, 0, 0, 1, 1, 0, 0],
        &[12, 0, 0, 0, 1],
        &[0],
        &[1],
        &[3],
        &[],
        &[12, 0, 0, 0, 8, 1, 0],
        &[12, 0, 0, 0, 3, 1, 0],
        &[12, 0, 0, 0, 1, 1, 1],
        &[12, 0, 0, 0, 1, 1, 2],
        &[16, 0, 0, 0, 1, 1, 2, 1, 1],
        &[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 1, 1, 0],
    ] {
        for compression in Compression::ALL {
            let error = take(&batch(compression, 1, record)).unwrap_err();
            assert!(matches!(error, Error::MalformedRecord { index: 0, .. }), "{record:?}: {error}");
        }
    }
}

#[test]
fn the_largest_time_is_that_of_the_records_and_a_time_at_all() {
    let mut said = batch(Compression::None, 1, &FIRST).to_vec();
    said[35..43].copy_from_slice(&i64::MAX.to_be_bytes());
    fix_crc(&mut said);
    let error = take(&said).unwrap_err();
    assert!(matches!(error, Error::MaxTimestamp { .. }), "{error}");
    assert_eq!(error.code(), ErrorCode::InvalidRecord);
    for time in [i64::MAX, i64::MIN, -2, 253_402_300_800_000] {
        let mut far = batch(Compression::None, 1, &FIRST).to_vec();
        for at in [27, 35] {
            far[at..at + 8].copy_from_slice(&time.to_be_bytes());
        }
        fix_crc(&mut far);
        assert!(matches!(take(&far), Err(Error::MalformedRecord { .. })), "{time}");
    }
}

#[test]
fn a_small_batch_that_grows_past_what_readers_take_is_refused() {
    // One record of 65 MiB of zeros; one of 33 million headers of two bytes; nine million records of seven.
    let long = |value: u64| {
        let mut rest = value << 1;
        let mut out = Vec::new();
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
        out
    };
    let with_length = |body: Vec<u8>| [long(body.len() as u64), body].concat();
    let zeros = with_length([&[0, 0, 0, 1][..], &long(65 << 20), &vec![0; 65 << 20], &[0]].concat());
    let headers = with_length([&[0, 0, 0, 1, 1][..], &long(33_000_000), &vec![0; 66_000_000]].concat());
    for compression in [Compression::Gzip, Compression::Lz4, Compression::Zstd, Compression::Snappy] {
        let error = take(&batch(compression, 1, &zeros)).unwrap_err();
        assert!(matches!(error, Error::DecompressedTooLarge { .. }), "{compression}: {error}");
        let error = take(&batch(compression, 1, &headers)).unwrap_err();
        assert!(
            matches!(error, Error::TooManyParts { .. } | Error::DecompressedTooLarge { .. }),
            "{compression}: {error}"
        );
        assert_eq!(error.code(), ErrorCode::MessageTooLarge);
    }
    // What reads does not build it either.
    let error = decode(batch(Compression::Gzip, 1, &headers[..]), &DecodeLimits::default()).unwrap_err();
    assert!(matches!(error, Error::TooManyParts { .. }), "{error}");
}

/// A number of the records' format.
fn number(value: usize) -> Vec<u8> {
    let mut rest = (value as u64) << 1;
    let mut out = Vec::new();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    out
}

/// One record with this value and one header with this key.
fn record(value: &[u8], header_key: &[u8]) -> Vec<u8> {
    let fields = [&[0, 0, 0, 1][..], &number(value.len()), value, &[2], &number(header_key.len()), header_key, &[1]];
    let fields = fields.concat();
    [number(fields.len()), fields].concat()
}

#[test]
fn the_text_of_a_headers_key_counts_as_what_is_built() {
    for byte in [0xff, b'x'] {
        let body = record(b"", &vec![byte; 45 << 20]);
        let batch = batch(Compression::Zstd, 1, &body);
        assert_eq!(decode(batch, &DecodeLimits::default()).unwrap_err(), Error::TooManyParts { max: 128 << 20 });
        // Not so small that it is refused for that.
        let mut walked = self::batch(Compression::None, 1, &body).to_vec();
        fix_crc(&mut walked);
        assert_eq!(take(&walked).unwrap_err(), Error::TooManyParts { max: 128 << 20 });
    }
}

#[test]
fn what_a_topic_allows_is_taken_however_well_it_compresses() {
    for compression in Compression::ALL {
        assert_eq!(take(&batch(compression, 1, &record(&vec![0; 1 << 20], b"k"))), Ok(()), "{compression}");
    }
    let error = take(&batch(Compression::Zstd, 1, &record(&vec![0; 8 << 20], b"k"))).unwrap_err();
    assert_eq!(error, Error::DecompressedTooLarge { max: MAX_MESSAGE_BYTES });
}

#[test]
fn a_snappy_block_that_says_more_than_it_can_hold_takes_no_memory() {
    let mut block = vec![0x80, 0x80, 0x80, 0x20]; // 64 MiB
    block.resize(64 << 10, 0);
    let error = decode(with_body(Compression::Snappy, 1, &block), &DecodeLimits::default()).unwrap_err();
    assert!(error.to_string().contains("cannot hold the 67108864"), "{error}");
}
