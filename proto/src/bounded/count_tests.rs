use prost::Message;

use super::*;
use crate::{bounded::table::bounds, v1};

fn refused(message: &impl prost::Name) -> Result<(), Error> {
    check(&message.encode_to_vec(), &bounds(name(message)))
}

fn name<M: prost::Name>(_: &M) -> &'static str {
    M::NAME
}

#[test]
fn as_many_as_are_allowed_pass_and_one_more_does_not() {
    let fetch =
        |count| v1::FetchRequest { partitions: vec![v1::FetchPartition::default(); count], ..Default::default() };
    assert_eq!(refused(&fetch(10_000)), Ok(()));
    assert_eq!(refused(&fetch(10_001)), Err(Error::TooMany { name: "partitions", most: 10_000 }));
    let metadata = v1::GetMetadataRequest { topics: vec!["t".to_owned(); 50_001], ..Default::default() };
    assert_eq!(refused(&metadata), Err(Error::TooMany { name: "topics", most: 50_000 }));
}

#[test]
fn what_stands_in_entries_is_counted_over_all_of_them() {
    let plain = |records: usize, headers: usize| {
        let record = v1::PlainRecord { headers: vec![v1::Header::default(); headers], ..Default::default() };
        v1::ProduceRecordsRequest { records: vec![record; records], ..Default::default() }
    };
    assert_eq!(refused(&plain(2_500, 100)), Ok(()));
    assert_eq!(refused(&plain(2_501, 100)), Err(Error::TooMany { name: "records.headers", most: 250_000 }));
}

#[test]
fn numbers_are_counted_in_one_piece_and_apart() {
    let plan = |count| v1::PlanMovesRequest { drain_brokers: vec![300; count], ..Default::default() };
    assert_eq!(refused(&plan(10_000)), Ok(()));
    let too_many = Err(Error::TooMany { name: "drain_brokers", most: 10_000 });
    assert_eq!(refused(&plan(10_001)), too_many);
    let apart = [0x08, 0x01].repeat(10_001);
    assert_eq!(check(&apart, &bounds("PlanMovesRequest")), too_many);
    assert_eq!(v1::PlanMovesRequest::decode(&apart[..]).unwrap().drain_brokers.len(), 10_001, "prost takes both");
}

#[test]
fn little_may_stand_beside_a_batch_however_large_that_is() {
    let request = v1::ProduceRequest { topic: "t".to_owned(), batch: vec![0; 1 << 20].into(), ..Default::default() };
    assert_eq!(refused(&request), Ok(()));
    // A field that nobody knows, and a batch that a second one replaces.
    let padded = [&request.encode_to_vec()[..], &[0xa2, 0x06, 0x88, 0x27], &[0; 5_000]].concat();
    assert!(v1::ProduceRequest::decode(&padded[..]).is_ok());
    assert!(matches!(check(&padded, &bounds("ProduceRequest")), Err(Error::TooMuchBeside { name: "batch", .. })));
    let twice =
        [request.encode_to_vec(), v1::ProduceRequest { batch: vec![1].into(), ..Default::default() }.encode_to_vec()];
    assert!(matches!(check(&twice.concat(), &bounds("ProduceRequest")), Err(Error::TooMuchBeside { .. })));
}

#[test]
fn what_cannot_be_read_is_refused() {
    let cases: [&[u8]; 5] = [&[0x0a], &[0x0a, 5, 1], &[0x0b, 0x0c], &[0xff; 11], &[0x09, 1, 2]];
    for bytes in cases {
        assert_eq!(check(bytes, &bounds("GetMetadataRequest")), Err(Error::Malformed), "{bytes:?}");
        assert!(v1::GetMetadataRequest::decode(bytes).is_err(), "{bytes:?}");
    }
}
