//! What messages hold, as types: checks of everything that comes from outside, in one place for broker, controller and
//! client.
//!
//! Invariant: nothing here panics, and nothing invalid passes. Every problem names its field, so that the author of the
//! other side finds it. The converse, from types to messages, cannot fail.

use crate::{
    batch,
    detail::{ErrorDetail, LeaderHint},
    error::{ErrorCode, Outcome},
    ids::{
        BrokerId, ClusterId, DirectoryId, FolderToken, IncarnationId, LeaderEpoch, Offset, PartitionIndex,
        ProducerEpoch, ProducerId, TimestampMs, TopicId,
    },
    limits::{MAX_TOPIC_NAME_BYTES, shortened},
    v1,
};

/// A message that a peer of this version would not have sent. Travels as INVALID_REQUEST, or INVALID_TOPIC_EXCEPTION for
/// a topic's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A field that has to be set is not.
    #[error("'{field}' is missing")]
    Missing {
        /// Name of the field.
        field: &'static str,
    },
    /// An id of another length than 16 bytes.
    #[error("'{field}' is not an id: it has {length} bytes, an id has 16")]
    IdLength {
        /// Name of the field.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// A topic's name that no topic can have because of its length; it is not sent back.
    #[error("a topic's name has 1 to {MAX_TOPIC_NAME_BYTES} characters, not {length}")]
    NameLength {
        /// Its length in bytes.
        length: usize,
    },
    /// A number or an enum value without a meaning.
    #[error("'{field}' is {value}, which is out of range")]
    OutOfRange {
        /// Name of the field.
        field: &'static str,
        /// The value that was refused.
        value: i128,
    },
}

impl From<Error> for ErrorDetail {
    fn from(error: Error) -> Self {
        let code = match error {
            Error::NameLength { .. } => ErrorCode::InvalidTopic,
            _ => ErrorCode::InvalidRequest,
        };
        Self::new(code, error.to_string())
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        ErrorDetail::from(error).into()
    }
}

/// A 16-byte id that travels as bytes.
pub trait UniqueId: Sized {
    /// The id that these bytes hold; `None` unless there are exactly 16.
    fn from_id_bytes(bytes: &[u8]) -> Option<Self>;
}

macro_rules! unique_id {
    ($($name:ident)*) => {
        $(impl UniqueId for $name {
            fn from_id_bytes(bytes: &[u8]) -> Option<Self> {
                Self::from_bytes(bytes)
            }
        })*
    };
}

unique_id!(TopicId ClusterId DirectoryId IncarnationId FolderToken);

/// The value of a field that has to be set.
pub fn required<T>(value: Option<T>, field: &'static str) -> Result<T, Error> {
    value.ok_or(Error::Missing { field })
}

/// An id that has to be there.
pub fn required_id<T: UniqueId>(bytes: &[u8], field: &'static str) -> Result<T, Error> {
    required(optional_id(bytes, field)?, field)
}

/// An id that may be left out: no bytes at all mean none.
pub fn optional_id<T: UniqueId>(bytes: &[u8], field: &'static str) -> Result<Option<T>, Error> {
    if bytes.is_empty() {
        return Ok(None);
    }
    T::from_id_bytes(bytes).map(Some).ok_or(Error::IdLength { field, length: bytes.len() })
}

/// A topic's name, if a topic can have one of its length. Checked before it is repeated in an answer or a log.
pub fn topic_name(name: String) -> Result<String, Error> {
    check_topic_name(&name).map(|()| name)
}

/// Refuses a name that no topic can have because of its length.
pub fn check_topic_name(name: &str) -> Result<(), Error> {
    if name.len() <= MAX_TOPIC_NAME_BYTES { Ok(()) } else { Err(Error::NameLength { length: name.len() }) }
}

/// An offset; the format of batches leaves 63 bits for it.
pub fn offset(value: u64, field: &'static str) -> Result<Offset, Error> {
    i64::try_from(value).map(|_| Offset(value)).map_err(|_| out_of_range(field, value))
}

/// A leader epoch; the format of batches leaves 31 bits for it.
pub fn leader_epoch(value: u32, field: &'static str) -> Result<LeaderEpoch, Error> {
    i32::try_from(value).map(|_| LeaderEpoch(value)).map_err(|_| out_of_range(field, value))
}

/// Index of a partition; Kafka's clients have 31 bits for it.
pub fn partition(value: u32, field: &'static str) -> Result<PartitionIndex, Error> {
    i32::try_from(value).map(|_| PartitionIndex(value)).map_err(|_| out_of_range(field, value))
}

/// A producer id that somebody holds.
pub fn producer_id(value: i64, field: &'static str) -> Result<ProducerId, Error> {
    if value < 0 { Err(out_of_range(field, value)) } else { Ok(ProducerId(value)) }
}

/// A producer epoch that somebody holds.
pub fn producer_epoch(value: u32, field: &'static str) -> Result<ProducerEpoch, Error> {
    i16::try_from(value).map(ProducerEpoch).map_err(|_| out_of_range(field, value))
}

/// When to acknowledge, never unspecified: what is not set means all.
pub fn acks(value: i32) -> Result<v1::Acks, Error> {
    match v1::Acks::try_from(value) {
        Ok(v1::Acks::Unspecified) => Ok(v1::Acks::All),
        Ok(acks) => Ok(acks),
        Err(_) => Err(out_of_range("acks", value)),
    }
}

fn out_of_range(field: &'static str, value: impl Into<i128>) -> Error {
    Error::OutOfRange { field, value: value.into() }
}

/// Who calls, after it was checked that it means this cluster and this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Id of the node that calls.
    pub node_id: u64,
}

/// Checks a call between nodes: it has to name this cluster and this node. Target 0 means any node, where `any_node`
/// allows it.
pub fn check_peer(
    header: Option<v1::PeerHeader>,
    cluster_id: ClusterId,
    node_id: u64,
    any_node: bool,
) -> Result<Peer, ErrorDetail> {
    let header = required(header, "header")?;
    let theirs: ClusterId = required_id(&header.cluster_id, "header.cluster_id")?;
    if theirs != cluster_id {
        let message = format!("the caller belongs to cluster {theirs}, this node to {cluster_id}; check the addresses");
        return Err(ErrorDetail::new(ErrorCode::InconsistentClusterId, message));
    }
    let target = header.target_node_id;
    if target != node_id && !(any_node && target == 0) {
        let message = format!("the call was meant for node {target}, this is node {node_id}; check the addresses");
        return Err(ErrorDetail::new(ErrorCode::WrongNode, message));
    }
    Ok(Peer { node_id: header.source_node_id })
}

/// The header of a call to another node.
pub fn peer_header(cluster_id: ClusterId, target_node_id: u64, source_node_id: u64) -> v1::PeerHeader {
    v1::PeerHeader { cluster_id: cluster_id.to_bytes(), target_node_id, source_node_id }
}

/// The error of one partition's part of a request that is no produce.
pub fn partition_error(detail: ErrorDetail) -> v1::PartitionError {
    v1::PartitionError {
        code: detail.code.number(),
        name: detail.code.name().to_owned(),
        message: shortened(&detail.message).to_owned(),
        retriable: detail.retriable,
        outcome: v1::Outcome::Unspecified.into(),
        leader: detail.leader.map(Into::into),
    }
}

/// The error of one partition's part of a produce: it also says what became of the records.
pub fn produce_error(detail: ErrorDetail) -> v1::PartitionError {
    let outcome = match detail.outcome {
        Outcome::NotAppended => v1::Outcome::NotAppended,
        Outcome::Unknown => v1::Outcome::Unknown,
    };
    v1::PartitionError { outcome: outcome.into(), ..partition_error(detail) }
}

impl From<v1::PartitionError> for ErrorDetail {
    /// Cannot fail: a number that this version does not know, or none, is [`ErrorCode::UnknownServerError`], and an
    /// outcome that it does not know is [`Outcome::Unknown`].
    fn from(error: v1::PartitionError) -> Self {
        let code = ErrorCode::from_number(error.code).unwrap_or(ErrorCode::UnknownServerError);
        let outcome = match v1::Outcome::try_from(error.outcome) {
            Ok(v1::Outcome::Unspecified) => code.outcome(),
            Ok(v1::Outcome::NotAppended) => Outcome::NotAppended,
            Ok(v1::Outcome::Unknown) | Err(_) => Outcome::Unknown,
        };
        Self {
            code,
            message: error.message,
            retriable: error.retriable,
            outcome,
            leader: error.leader.map(Into::into),
            controller: None,
            refusal: None,
        }
    }
}

impl From<v1::LeaderHint> for LeaderHint {
    fn from(hint: v1::LeaderHint) -> Self {
        Self {
            broker_id: BrokerId(hint.broker_id),
            leader_epoch: LeaderEpoch(hint.leader_epoch),
            address: hint.address,
        }
    }
}

impl From<LeaderHint> for v1::LeaderHint {
    fn from(hint: LeaderHint) -> Self {
        Self { broker_id: hint.broker_id.0, leader_epoch: hint.leader_epoch.0, address: hint.address }
    }
}

impl From<v1::Header> for batch::Header {
    fn from(header: v1::Header) -> Self {
        Self { key: header.key, value: header.value }
    }
}

impl From<batch::Header> for v1::Header {
    fn from(header: batch::Header) -> Self {
        Self { key: header.key, value: header.value }
    }
}

impl From<v1::ConsumedRecord> for batch::Record {
    fn from(record: v1::ConsumedRecord) -> Self {
        Self {
            offset: Offset(record.offset),
            timestamp: TimestampMs(record.timestamp_ms),
            key: record.key,
            value: record.value,
            headers: record.headers.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<batch::Record> for v1::ConsumedRecord {
    fn from(record: batch::Record) -> Self {
        Self {
            offset: record.offset.0,
            timestamp_ms: record.timestamp.0,
            key: record.key,
            value: record.value,
            headers: record.headers.into_iter().map(Into::into).collect(),
        }
    }
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
