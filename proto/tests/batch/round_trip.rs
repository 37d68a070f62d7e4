//! What is built is read back.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use holdfast_proto::{
    batch::{
        BatchBuilder, BatchHeader, Compression, DecodeLimits, Error, Header, ProducerStamp, RecordRef, decode, restamp,
        set_base_offset_and_epoch, validate_produce, verify_crc,
    },
    ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs},
};

use crate::sample::{STAMP, build, compressions, plain, records, stamps};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn records_survive_every_codec(compression in compressions(), records in records(), stamp in stamps()) {
        let batch = build(compression, &records, stamp);
        let header = validate_produce(&batch, batch.len()).unwrap();
        prop_assert_eq!(header.size_bytes, batch.len());
        prop_assert_eq!(header.record_count as usize, records.len());
        prop_assert_eq!(header.base_timestamp, records[0].timestamp);
        prop_assert_eq!(header.max_timestamp, records.iter().map(|record| record.timestamp).max().unwrap());
        prop_assert_eq!(header.producer_id, stamp.map_or(ProducerId::NONE, |stamp| stamp.id));
        prop_assert_eq!(decode(batch, &DecodeLimits::default()).unwrap(), records);
    }

    #[test]
    fn the_size_is_known_beforehand(compression in compressions(), records in records()) {
        let mut builder = BatchBuilder::new(compression);
        for record in &records {
            let expected = builder.size_bytes() + builder.added_size(&record.as_ref());
            prop_assert!(builder.would_fit(&record.as_ref(), expected));
            prop_assert!(!builder.would_fit(&record.as_ref(), expected - 1));
            builder.append(&record.as_ref()).unwrap();
            prop_assert_eq!(builder.size_bytes(), expected);
        }
        let announced = builder.size_bytes();
        let batch = builder.build(None).unwrap();
        if compression == Compression::None {
            prop_assert_eq!(batch.len(), announced);
        } else {
            prop_assert!(batch.len() <= announced, "{} > {}", batch.len(), announced);
        }
    }

    #[test]
    fn what_the_leader_sets_leaves_the_checksum_right(
        records in records(),
        base_offset in 0..i64::MAX as u64 - 100,
        leader_epoch in 0..=i32::MAX as u32,
    ) {
        let mut batch = BytesMut::from(&build(Compression::None, &records, None)[..]);
        set_base_offset_and_epoch(&mut batch, Offset(base_offset), LeaderEpoch(leader_epoch));
        verify_crc(&batch).unwrap();
        let header = BatchHeader::parse(&batch).unwrap();
        prop_assert_eq!(header.base_offset, Offset(base_offset));
        prop_assert_eq!(header.leader_epoch, LeaderEpoch(leader_epoch));
        prop_assert_eq!(header.next_offset(), Offset(base_offset + records.len() as u64));
        let decoded = decode(batch.freeze(), &DecodeLimits::default()).unwrap();
        prop_assert_eq!(decoded.last().unwrap().offset, header.last_offset());
    }
}

#[test]
fn a_compressible_batch_gets_smaller_in_every_codec() {
    let uncompressed = plain(Compression::None, 500).len();
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let batch = plain(compression, 500);
        assert!(batch.len() * 2 < uncompressed, "{compression}: {} of {uncompressed}", batch.len());
        assert_eq!(BatchHeader::parse(&batch).unwrap().compression(), compression);
    }
}

#[test]
fn records_that_do_not_get_smaller_stay_uncompressed() {
    let mut builder = BatchBuilder::new(Compression::Zstd);
    builder.append(&RecordRef { value: Some(b"x"), ..RecordRef::default() }).unwrap();
    let batch = builder.build(None).unwrap();
    assert_eq!(BatchHeader::parse(&batch).unwrap().compression(), Compression::None);
    assert_eq!(decode(batch, &DecodeLimits::default()).unwrap().len(), 1);
}

#[test]
fn absent_and_empty_stay_apart() {
    let headers = [Header { key: "a".into(), value: None }, Header { key: "a".into(), value: Some(Bytes::new()) }];
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(&RecordRef { timestamp: TimestampMs(5), key: Some(b""), value: None, headers: &headers }).unwrap();
    builder.append(&RecordRef { timestamp: TimestampMs(4), key: None, value: Some(b""), headers: &[] }).unwrap();
    let records = decode(builder.build(None).unwrap(), &DecodeLimits::default()).unwrap();
    assert_eq!(records[0].key.as_deref(), Some(&b""[..]));
    assert_eq!(records[0].value, None);
    assert_eq!(records[0].headers, headers);
    assert_eq!(records[1].key, None);
    assert_eq!(records[1].value.as_deref(), Some(&b""[..]));
    assert_eq!(records[1].timestamp, TimestampMs(4));
}

#[test]
fn values_share_the_memory_of_an_uncompressed_batch() {
    let batch = plain(Compression::None, 3);
    let range = batch.as_ptr_range();
    for record in decode(batch.clone(), &DecodeLimits::default()).unwrap() {
        assert!(range.contains(&record.value.unwrap().as_ptr()), "a value was copied");
    }
}

#[test]
fn a_batch_can_be_stamped_again() {
    let batch = plain(Compression::Lz4, 10);
    let shared = batch.clone();
    let stamped = restamp(batch, Some(STAMP)).unwrap();
    let header = validate_produce(&stamped, usize::MAX).unwrap();
    assert_eq!((header.producer_id, header.producer_epoch), (STAMP.id, STAMP.epoch));
    assert_eq!(header.base_sequence, STAMP.base_sequence);
    assert_eq!(header.last_sequence(), Sequence(26));
    assert_eq!(restamp(stamped, None).unwrap(), shared, "without a stamp it is what it was");

    let end = ProducerStamp { base_sequence: Sequence(i32::MAX - 4), epoch: ProducerEpoch(i16::MAX), ..STAMP };
    let stamped = restamp(shared, Some(end)).unwrap();
    assert_eq!(BatchHeader::parse(&stamped).unwrap().last_sequence(), Sequence(4));
    assert_eq!(restamp(stamped.slice(..70), None), Err(Error::Truncated { needed: stamped.len(), have: 70 }));
}

#[test]
fn a_builder_refuses_what_the_format_cannot_say() {
    let mut builder = BatchBuilder::new(Compression::None);
    let record = RecordRef { timestamp: TimestampMs(-2), ..RecordRef::default() };
    assert_eq!(builder.append(&record), Err(Error::FieldOutOfRange { field: "timestamp", value: -2 }));
    assert!(builder.is_empty());
    assert_eq!(builder.build(None), Err(Error::Empty));
}
