//! Headers, checksums, what a producer may send, and batches one after another.

use bytes::{Bytes, BytesMut};

use holdfast_proto::{
    batch::{BatchHeader, Compression, Error, split, validate_produce, verify_crc},
    error::ErrorCode,
    ids::LeaderEpoch,
};

use crate::sample::{fix_crc, plain};

/// A valid batch of five records, with bytes put at a place and the checksum made right again.
fn changed(place: usize, bytes: &[u8]) -> BytesMut {
    let mut batch = BytesMut::from(&plain(Compression::None, 5)[..]);
    batch[place..place + bytes.len()].copy_from_slice(bytes);
    fix_crc(&mut batch);
    batch
}

#[track_caller]
fn check_refused(batch: &[u8], error: &Error, code: ErrorCode) {
    assert_eq!(validate_produce(batch, 1 << 20).as_ref(), Err(error));
    assert_eq!(error.code(), code);
}

#[test]
fn a_header_is_read_from_its_bytes_alone() {
    let batch = plain(Compression::None, 5);
    let header = BatchHeader::parse(&batch[..BatchHeader::SIZE]).unwrap();
    assert_eq!(header.size_bytes, batch.len());
    assert_eq!(header.leader_epoch, LeaderEpoch(0), "-1 is read as 0");
    assert_eq!((header.record_count, header.last_offset_delta), (5, 4));
    assert!(!header.has_producer() && !header.is_control() && !header.is_transactional());
    assert_eq!(BatchHeader::parse(&batch[..60]), Err(Error::Truncated { needed: 61, have: 60 }));
}

#[test]
fn fields_out_of_range_are_named() {
    for (place, bytes, field, value) in [
        (0, &[0xff; 8][..], "baseOffset", -1),
        (0, &i64::MAX.to_be_bytes(), "baseOffset", i64::MAX),
        (8, &48_i32.to_be_bytes(), "batchLength", 48),
        (8, &(-1_i32).to_be_bytes(), "batchLength", -1),
        (12, &(-2_i32).to_be_bytes(), "partitionLeaderEpoch", -2),
        (23, &(-1_i32).to_be_bytes(), "lastOffsetDelta", -1),
        (43, &(-2_i64).to_be_bytes(), "producerId", -2),
        (51, &(-2_i16).to_be_bytes(), "producerEpoch", -2),
        (53, &(-2_i32).to_be_bytes(), "baseSequence", -2),
        (57, &(-1_i32).to_be_bytes(), "recordCount", -1),
    ] {
        check_refused(&changed(place, bytes), &Error::FieldOutOfRange { field, value }, ErrorCode::InvalidRecord);
    }
}

#[test]
fn a_producer_may_send_plain_whole_batches_only() {
    use ErrorCode::{CorruptMessage, InvalidRecord, MessageTooLarge, UnsupportedCompressionType};

    let good = plain(Compression::None, 5);
    validate_produce(&good, good.len()).unwrap();
    assert_eq!(validate_produce(&good, good.len() - 1).map_err(|error| error.code()), Err(MessageTooLarge));
    let cut = &good[..good.len() - 1];
    check_refused(cut, &Error::Truncated { needed: good.len(), have: cut.len() }, CorruptMessage);
    check_refused(&[&good[..], &good[..]].concat(), &Error::TrailingBytes(good.len()), InvalidRecord);
    check_refused(&changed(16, &[1]), &Error::UnsupportedMagic(1), InvalidRecord);
    check_refused(&changed(21, &[0, 5]), &Error::UnsupportedCompression(5), UnsupportedCompressionType);
    check_refused(
        &changed(21, &[0, 8]),
        &Error::NotForProducers("timestamps of the type LogAppendTime"),
        InvalidRecord,
    );
    check_refused(
        &changed(21, &[0, 16]),
        &Error::NotForProducers("a transactional batch: transactions are not supported"),
        InvalidRecord,
    );
    check_refused(&changed(21, &[0, 32]), &Error::NotForProducers("a control batch"), InvalidRecord);
    check_refused(&changed(21, &[0, 64]), &Error::NotForProducers("a delete horizon"), InvalidRecord);
    check_refused(
        &changed(21, &[0, 128]),
        &Error::NotForProducers("attribute bits that have no meaning"),
        InvalidRecord,
    );
    check_refused(
        &changed(43, &7_i64.to_be_bytes()),
        &Error::NotForProducers("a producer id without an epoch and a sequence, or these without an id"),
        InvalidRecord,
    );
    check_refused(&changed(57, &0_i32.to_be_bytes()), &Error::Empty, InvalidRecord);
    let counts = |record_count| Error::RecordCount { record_count, last_offset_delta: 4 };
    check_refused(&changed(57, &4_i32.to_be_bytes()), &counts(4), InvalidRecord);
    check_refused(&changed(57, &6_i32.to_be_bytes()), &counts(6), InvalidRecord);

    let mut damaged = good.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(validate_produce(&damaged, 1 << 20).map_err(|error| error.code()), Err(CorruptMessage));
}

#[test]
fn the_checksum_covers_the_batch_and_nothing_behind_it() {
    let batch = plain(Compression::None, 5);
    verify_crc(&[&batch[..], b"behind"].concat()).unwrap();
    for place in 21..batch.len() {
        let mut damaged = batch.to_vec();
        damaged[place] ^= 0x10;
        assert!(verify_crc(&damaged).is_err(), "a changed byte {place} was not seen");
    }
}

#[test]
fn batches_are_split_as_they_stand() {
    let batches = [plain(Compression::None, 5), plain(Compression::Zstd, 50), plain(Compression::None, 1)];
    let joined = Bytes::from(batches.concat());
    let found: Result<Vec<Bytes>, Error> = split(joined.clone()).collect();
    assert_eq!(found.unwrap(), batches);
    assert_eq!(split(Bytes::new()).next(), None);

    let cut = joined.len() - 1;
    let mut found = split(joined.slice(..cut));
    assert_eq!(found.next(), Some(Ok(batches[0].clone())));
    assert_eq!(found.next(), Some(Ok(batches[1].clone())));
    let size = batches[2].len();
    assert_eq!(found.next(), Some(Err(Error::Truncated { needed: size, have: size - 1 })));
    assert_eq!(found.next(), None, "nothing follows an error");
}
