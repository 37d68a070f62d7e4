//! Bytes from outside: no panic, no memory past the limits.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use holdfast_proto::{
    batch::{BatchHeader, Compression, DecodeLimits, Error, decode, restamp, split, validate_produce, verify_crc},
    error::ErrorCode,
};

use crate::sample::{build, compressions, fix_crc, plain, records};

const LIMITS: DecodeLimits = DecodeLimits { max_decompressed_bytes: 1 << 20, max_built_bytes: 16 << 20 };

/// Everything that takes bytes from outside.
fn try_all(bytes: &Bytes) {
    let _ = BatchHeader::parse(bytes);
    let _ = verify_crc(bytes);
    let _ = validate_produce(bytes, 1 << 20);
    let _ = restamp(bytes.clone(), None);
    for batch in split(bytes.clone()).flatten() {
        let _ = decode(batch, &LIMITS);
    }
    if let Ok(records) = decode(bytes.clone(), &LIMITS) {
        let header = BatchHeader::parse(bytes).unwrap();
        assert_eq!(records.len(), header.record_count as usize);
        assert!(records.iter().all(|record| (header.base_offset..=header.last_offset()).contains(&record.offset)));
    }
}

/// A batch whose header is right and whose body is `body`.
pub(crate) fn with_body(compression: Compression, record_count: u32, body: &[u8]) -> Bytes {
    let mut batch = plain(Compression::None, 1).to_vec();
    batch.truncate(BatchHeader::SIZE);
    batch.extend_from_slice(body);
    let length = batch.len() as i32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[22] = compression.number();
    batch[23..27].copy_from_slice(&record_count.saturating_sub(1).to_be_bytes());
    batch[57..61].copy_from_slice(&record_count.to_be_bytes());
    fix_crc(&mut batch);
    Bytes::from(batch)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..300)) {
        try_all(&Bytes::from(bytes));
    }

    #[test]
    fn arbitrary_bodies_do_not_panic(
        compression in compressions(),
        record_count in prop_oneof![0..10_u32, Just(i32::MAX as u32)],
        body in vec(any::<u8>(), 0..300),
    ) {
        try_all(&with_body(compression, record_count, &body));
    }

    #[test]
    fn mutated_batches_do_not_panic(
        compression in compressions(),
        records in records(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        shorten: bool,
    ) {
        let mut batch = build(compression, &records, None).to_vec();
        for (place, byte) in changes {
            // Magic and length stay mostly right, so that more of the decoder is reached.
            let place = 21 + place.index(batch.len() - 21);
            batch[place] = byte;
        }
        if shorten {
            batch.truncate(BatchHeader::SIZE + cut.index(batch.len() - BatchHeader::SIZE));
            let length = batch.len() as i32 - 12;
            batch[8..12].copy_from_slice(&length.to_be_bytes());
        }
        fix_crc(&mut batch);
        try_all(&Bytes::from(batch));
    }

    #[test]
    fn a_flipped_bit_is_always_seen(
        compression in compressions(),
        records in records(),
        place in any::<prop::sample::Index>(),
        bit in 0..8,
    ) {
        let mut batch = build(compression, &records, None).to_vec();
        let place = 16 + place.index(batch.len() - 16);
        batch[place] ^= 1_u8 << bit;
        prop_assert!(validate_produce(&batch, usize::MAX).is_err());
        prop_assert!(decode(batch.into(), &LIMITS).is_err());
    }
}

#[test]
fn a_decompression_bomb_is_refused() {
    // A gigabyte of zeros would fit; the limit comes first.
    let zeros = vec![0; 64 << 20];
    for (compression, bomb) in [
        (Compression::Gzip, bombs::gzip(&zeros)),
        (Compression::Snappy, bombs::snappy(&zeros)),
        (Compression::Lz4, bombs::lz4(&zeros)),
        (Compression::Zstd, zstd::bulk::compress(&zeros, 3).unwrap()),
    ] {
        assert!(bomb.len() < zeros.len() / 20, "{compression}: {} bytes are no bomb", bomb.len());
        let error = decode(with_body(compression, 1, &bomb), &LIMITS).unwrap_err();
        assert_eq!(error, Error::DecompressedTooLarge { max: 1 << 20 }, "{compression}");
        assert_eq!(error.code(), ErrorCode::MessageTooLarge);
    }
    // A bare block that claims four gigabytes.
    let claim = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    let error = decode(with_body(Compression::Snappy, 1, &claim), &LIMITS).unwrap_err();
    assert_eq!(error.code(), ErrorCode::MessageTooLarge);
}

#[test]
fn the_limit_is_exact() {
    let records = plain(Compression::None, 100);
    let size = records.len() - BatchHeader::SIZE;
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let batch = plain(compression, 100);
        assert_eq!(decode(batch.clone(), &DecodeLimits { max_decompressed_bytes: size, ..LIMITS }).unwrap().len(), 100);
        assert_eq!(
            decode(batch, &DecodeLimits { max_decompressed_bytes: size - 1, ..LIMITS }),
            Err(Error::DecompressedTooLarge { max: size - 1 })
        );
    }
}

#[test]
fn a_huge_record_count_reserves_nothing() {
    let error = decode(with_body(Compression::None, i32::MAX as u32, &[0; 70]), &LIMITS).unwrap_err();
    assert!(matches!(error, Error::MalformedRecord { index: 0, .. }), "{error}");
}

#[test]
fn malformed_records_are_named() {
    // length, attributes, timestamp delta, offset delta, key length, value length, header count
    for (record, reason) in [
        (&[12, 0, 0, 0, 1, 1][..], "a number is cut short or too long"),
        (&[12, 0, 0, 0, 1], "it ends after its batch"),
        (&[0], "it has no attributes"),
        (&[1], "its length is negative"),
        (&[3], "a length is negative"),
        (&[12, 0, 0, 1, 1, 1, 0], "its offset delta is negative"),
        (&[12, 0, 0, 2, 1, 1, 0], "its offset is past the batch's last one"),
        (&[12, 0, 0, 0, 8, 1, 0], "a field ends after its record"),
        (&[12, 0, 0, 0, 1, 1, 1], "its header count is negative"),
        (&[12, 0, 0, 0, 1, 1, 2], "it has more headers than bytes for them"),
        (&[16, 0, 0, 0, 1, 1, 2, 1, 1], "a header has no key"),
        (&[14, 0, 0, 0, 1, 1, 0, 0], "bytes follow its headers"),
    ] {
        let mut body = record.to_vec();
        if reason == "a number is cut short or too long" {
            body[0] = 10; // the record ends before its header count
        }
        let expected = Error::MalformedRecord { index: 0, reason };
        assert_eq!(decode(with_body(Compression::None, 1, &body), &LIMITS), Err(expected), "{record:?}");
    }
    let good = [12, 0, 0, 0, 1, 1, 0];
    assert_eq!(decode(with_body(Compression::None, 1, &good), &LIMITS).unwrap().len(), 1);
    let two = [good, good].concat();
    assert_eq!(decode(with_body(Compression::None, 1, &two), &LIMITS), Err(Error::TrailingRecords(1)));
    let reason = "its offset does not follow the one before it";
    assert_eq!(
        decode(with_body(Compression::None, 2, &two), &LIMITS),
        Err(Error::MalformedRecord { index: 1, reason })
    );
}

pub(crate) mod bombs {
    use std::io::{Read, Write};

    pub(crate) fn gzip(zeros: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        flate2::bufread::GzEncoder::new(zeros, flate2::Compression::fast()).read_to_end(&mut out).unwrap();
        out
    }

    pub(crate) fn lz4(zeros: &[u8]) -> Vec<u8> {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(zeros).unwrap();
        encoder.finish().unwrap()
    }

    /// One block without any framing.
    pub(crate) fn snappy(zeros: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(zeros).unwrap()
    }
}
