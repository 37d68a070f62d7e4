//! Valid values pass, hostile ones are named.

use bytes::Bytes;
use uuid::Uuid;

use super::*;

const CLUSTER: ClusterId = ClusterId(Uuid::from_u128(1));

#[test]
fn ids_have_sixteen_bytes() {
    let id = TopicId(Uuid::from_u128(9));
    assert_eq!(required_id(&id.to_bytes(), "topic_id"), Ok(id));
    assert_eq!(required_id::<TopicId>(b"", "topic_id"), Err(Error::Missing { field: "topic_id" }));
    assert_eq!(optional_id::<TopicId>(b"", "topic_id"), Ok(None));
    let error = optional_id::<TopicId>(b"short", "topic_id").unwrap_err();
    assert_eq!(error, Error::IdLength { field: "topic_id", length: 5 });
    assert_eq!(ErrorDetail::from(error).code, ErrorCode::InvalidRequest);
}

#[test]
fn numbers_stay_in_the_range_of_batches() {
    assert_eq!(offset(i64::MAX as u64, "o"), Ok(Offset(i64::MAX as u64)));
    assert_eq!(offset(1 << 63, "o"), Err(Error::OutOfRange { field: "o", value: 1 << 63 }));
    assert!(leader_epoch(1 << 31, "e").is_err());
    assert!(partition(1 << 31, "p").is_err());
    assert!(producer_id(-1, "id").is_err());
    assert_eq!(producer_epoch(32_767, "e"), Ok(ProducerEpoch(i16::MAX)));
    assert!(producer_epoch(32_768, "e").is_err());
}

#[test]
fn acks_are_all_unless_said_otherwise() {
    assert_eq!(acks(0), Ok(v1::Acks::All));
    assert_eq!(acks(1), Ok(v1::Acks::None));
    assert_eq!(acks(3), Ok(v1::Acks::All));
    assert_eq!(acks(-1), Err(Error::OutOfRange { field: "acks", value: -1 }));
}

#[test]
fn a_call_names_this_cluster_and_this_node() {
    let check = |header, any_node| check_peer(header, CLUSTER, 5, any_node).map_err(|detail| detail.code);
    assert_eq!(check(Some(peer_header(CLUSTER, 5, 8)), false), Ok(Peer { node_id: 8 }));
    assert_eq!(check(Some(peer_header(CLUSTER, 0, 8)), true), Ok(Peer { node_id: 8 }));
    assert_eq!(check(Some(peer_header(CLUSTER, 0, 8)), false), Err(ErrorCode::WrongNode));
    assert_eq!(check(Some(peer_header(CLUSTER, 6, 8)), true), Err(ErrorCode::WrongNode));
    let other = ClusterId(Uuid::from_u128(2));
    assert_eq!(check(Some(peer_header(other, 5, 8)), true), Err(ErrorCode::InconsistentClusterId));
    assert_eq!(check(None, true), Err(ErrorCode::InvalidRequest));
    let header = v1::PeerHeader { cluster_id: Bytes::from_static(b"x"), ..peer_header(CLUSTER, 5, 8) };
    assert_eq!(check(Some(header), true), Err(ErrorCode::InvalidRequest));
}

#[test]
fn every_partition_error_comes_back() {
    let leader = LeaderHint { broker_id: BrokerId(2), leader_epoch: LeaderEpoch(4), address: "b:1".to_owned() };
    for code in ErrorCode::ALL {
        let detail = ErrorDetail::new(*code, "why").with_leader(leader.clone());
        assert_eq!(ErrorDetail::from(produce_error(detail.clone())), detail);
        let elsewhere = partition_error(detail.clone());
        assert_eq!(elsewhere.outcome, 0);
        assert_eq!(elsewhere.name, code.name());
        assert_eq!(ErrorDetail::from(elsewhere), detail);
    }
}

#[test]
fn an_unknown_partition_error_keeps_what_it_says() {
    let error = v1::PartitionError { code: 31_999, retriable: true, outcome: 77, ..v1::PartitionError::default() };
    let detail = ErrorDetail::from(error);
    assert_eq!(detail.code, ErrorCode::UnknownServerError);
    assert!(detail.retriable);
    assert_eq!(detail.outcome, Outcome::Unknown);
}
