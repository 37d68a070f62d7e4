//! The kafka-protocol crate as an independent implementation of the same format, in both directions.

use bytes::BytesMut;
use kafka_protocol::{
    indexmap::IndexMap,
    protocol::StrBytes,
    records::{self as kafka, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions},
};
use proptest::prelude::*;

use holdfast_proto::{
    batch::{BatchHeader, Compression, DecodeLimits, Record, decode, validate_produce},
    ids::{LeaderEpoch, Offset, TimestampMs},
};

use crate::sample::{STAMP, build, compressions, records};

const fn theirs(compression: Compression) -> kafka::Compression {
    match compression {
        Compression::None => kafka::Compression::None,
        Compression::Gzip => kafka::Compression::Gzip,
        Compression::Snappy => kafka::Compression::Snappy,
        Compression::Lz4 => kafka::Compression::Lz4,
        Compression::Zstd => kafka::Compression::Zstd,
    }
}

/// The oracle keeps headers in a map, so each name may stand once.
fn with_unique_headers(mut records: Vec<Record>) -> Vec<Record> {
    for record in &mut records {
        for (index, header) in record.headers.iter_mut().enumerate() {
            header.key = format!("{index}{}", header.key);
        }
    }
    records
}

/// Times near each other: the oracle counts deltas from the smallest, which overflows where -1 meets `i64::MAX`.
fn with_near_times(mut records: Vec<Record>) -> Vec<Record> {
    for record in &mut records {
        record.timestamp = TimestampMs(1_700_000_000_000 + record.timestamp.0.rem_euclid(1_000_000) - 500_000);
    }
    records
}

fn their_record(record: &Record) -> kafka::Record {
    let headers = record.headers.iter().map(|header| (StrBytes::from_string(header.key.clone()), header.value.clone()));
    kafka::Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 9,
        producer_id: STAMP.id.0,
        producer_epoch: STAMP.epoch.0,
        timestamp_type: kafka::TimestampType::Creation,
        offset: record.offset.0 as i64,
        sequence: STAMP.base_sequence.0 + record.offset.0 as i32,
        timestamp: record.timestamp.0,
        key: record.key.clone(),
        value: record.value.clone(),
        headers: headers.collect::<IndexMap<_, _>>(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_oracle_reads_what_we_write(compression in compressions(), records in records()) {
        let records = with_near_times(with_unique_headers(records));
        let mut batch = build(compression, &records, Some(STAMP));
        let written = BatchHeader::parse(&batch).unwrap().compression();
        let set = RecordBatchDecoder::decode(&mut batch).unwrap();
        prop_assert!(batch.is_empty());
        prop_assert_eq!(set.compression, theirs(written));
        let expected: Vec<kafka::Record> = records
            .iter()
            .map(|record| kafka::Record { partition_leader_epoch: -1, ..their_record(record) })
            .collect();
        prop_assert_eq!(set.records, expected);
    }

    #[test]
    fn we_read_what_the_oracle_writes(compression in compressions(), records in records(), base_offset in 0..1_u64 << 40) {
        let mut records = with_near_times(with_unique_headers(records));
        let mut encoded = BytesMut::new();
        for record in &mut records {
            record.offset = Offset(base_offset + record.offset.0);
        }
        let sequence_of = |record: &Record| STAMP.base_sequence.plus((record.offset.0 - base_offset) as u32).0;
        let their: Vec<kafka::Record> = records
            .iter()
            .map(|record| kafka::Record { sequence: sequence_of(record), ..their_record(record) })
            .collect();
        let options = RecordEncodeOptions { version: 2, compression: theirs(compression) };
        RecordBatchEncoder::encode(&mut encoded, &their, &options).unwrap();
        let batch = encoded.freeze();

        let header = validate_produce(&batch, batch.len()).unwrap();
        prop_assert_eq!(header.compression(), compression);
        prop_assert_eq!(header.base_offset, Offset(base_offset));
        prop_assert_eq!(header.leader_epoch, LeaderEpoch(9));
        prop_assert_eq!(header.producer_id, STAMP.id);
        prop_assert_eq!(header.producer_epoch, STAMP.epoch);
        prop_assert_eq!(header.base_sequence, STAMP.base_sequence);
        prop_assert_eq!(decode(batch, &DecodeLimits::default()).unwrap(), records);
    }
}
