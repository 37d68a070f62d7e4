//! Errors as gRPC status, and back. The only place that builds a [`tonic::Status`].
//!
//! A status of ours carries a `google.rpc.ErrorInfo` with the error's name as reason, [`DOMAIN`] and the keys of
//! [`key`]. Clients in any language read that, never the message.
//!
//! A status without it was not sent by a Holdfast node: the connection broke, a deadline passed, something else
//! answered. [`classify`] says what that means for the request. What the gRPC library of a node refuses by itself gets its
//! `ErrorInfo` by [`named`].

use std::{collections::HashMap, error::Error as StdError, str::FromStr};

use tonic::{Code, ConnectError, Status};
use tonic_types::{ErrorDetails, ErrorInfo, StatusExt};

use crate::{
    detail::{ControllerHint, ErrorDetail, LeaderHint},
    error::{Class, ErrorCode, Outcome},
    ids::{BrokerId, ControllerId, LeaderEpoch},
    limits::shortened,
    refusal::Refusal,
};

/// Domain of every `ErrorInfo` of ours.
pub const DOMAIN: &str = "holdfast";

/// Keys of the metadata in an `ErrorInfo` of ours.
pub mod key {
    /// Number of the error, decimal.
    pub const NUMBER: &str = "number";
    /// `true` if the same request may succeed later without any change, else `false`.
    pub const RETRIABLE: &str = "retriable";
    /// What became of what was asked for, as the enum `Outcome` spells it: `OUTCOME_NOT_APPENDED` or `OUTCOME_UNKNOWN`.
    pub const OUTCOME: &str = "outcome";
    /// Broker id of the partition's leader, decimal. Only with the next two.
    pub const LEADER_ID: &str = "leader_id";
    /// Leader epoch of that leadership, decimal.
    pub const LEADER_EPOCH: &str = "leader_epoch";
    /// Address of the leader, host:port.
    pub const LEADER_ADDRESS: &str = "leader_address";
    /// Raft id of the active controller, decimal. Only with the next one.
    pub const CONTROLLER_ID: &str = "controller_id";
    /// Address of the active controller, host:port.
    pub const CONTROLLER_ADDRESS: &str = "controller_address";
}

const NOT_APPENDED: &str = "OUTCOME_NOT_APPENDED";
const OUTCOME_UNKNOWN: &str = "OUTCOME_UNKNOWN";

/// The status of an error with a message of its own.
pub fn status(code: ErrorCode, message: impl Into<String>) -> Status {
    to_status(&ErrorDetail::new(code, message))
}

/// The status of an error.
pub fn to_status(detail: &ErrorDetail) -> Status {
    let mut metadata = HashMap::from([
        (key::NUMBER.to_owned(), detail.code.number().to_string()),
        (key::RETRIABLE.to_owned(), detail.retriable.to_string()),
        (key::OUTCOME.to_owned(), outcome_name(detail.outcome).to_owned()),
    ]);
    if let Some(leader) = &detail.leader {
        metadata.insert(key::LEADER_ID.to_owned(), leader.broker_id.to_string());
        metadata.insert(key::LEADER_EPOCH.to_owned(), leader.leader_epoch.to_string());
        metadata.insert(key::LEADER_ADDRESS.to_owned(), leader.address.clone());
    }
    if let Some(controller) = &detail.controller {
        metadata.insert(key::CONTROLLER_ID.to_owned(), controller.id.to_string());
        metadata.insert(key::CONTROLLER_ADDRESS.to_owned(), controller.address.clone());
    }
    metadata.extend(detail.refusal.iter().flat_map(|refusal| refusal.to_metadata()));
    let details = ErrorDetails::with_error_info(detail.code.name(), DOMAIN, metadata);
    Status::with_error_details(grpc_code(detail.code.class()), shortened(&detail.message), details)
}

impl From<ErrorDetail> for Status {
    fn from(detail: ErrorDetail) -> Self {
        to_status(&detail)
    }
}

impl From<ErrorCode> for Status {
    fn from(code: ErrorCode) -> Self {
        to_status(&ErrorDetail::from(code))
    }
}

/// The error that a Holdfast node sent in this status; `None` if none did.
///
/// A newer node may send an error that this version does not know: it comes as [`ErrorCode::UnknownServerError`], with
/// what the node said about retry and outcome.
pub fn from_status(status: &Status) -> Option<ErrorDetail> {
    let info = status.get_details_error_info().filter(|info| info.domain == DOMAIN)?;
    let code = parsed(&info, key::NUMBER).and_then(ErrorCode::from_number).unwrap_or(ErrorCode::UnknownServerError);
    Some(ErrorDetail {
        code,
        message: status.message().to_owned(),
        retriable: parsed(&info, key::RETRIABLE).unwrap_or(code.is_retriable()),
        outcome: info.metadata.get(key::OUTCOME).map_or(code.outcome(), |name| outcome(name)),
        leader: leader(&info),
        controller: controller(&info),
        refusal: Refusal::from_metadata(&info.metadata).map(Box::new),
    })
}

/// The refusal of a request by a node's own gRPC library, before any service saw it, as an error of ours. `None` where
/// the status is no such refusal: it has details, or leaves more open than that.
pub fn named(status: &Status) -> Option<Status> {
    if !status.details().is_empty() {
        return None;
    }
    let (code, advice) = match status.code() {
        // tonic's word for a message past the limit, as it comes and once it is decompressed.
        Code::OutOfRange | Code::ResourceExhausted => (ErrorCode::MessageTooLarge, "; send less in one request"),
        Code::Internal => (ErrorCode::InvalidRequest, ""),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unimplemented
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => return None,
    };
    Some(self::status(code, format!("the request cannot be taken: {}{advice}", status.message())))
}

/// Who made a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A Holdfast node: it works, and this is its answer.
    Node,
    /// Nobody was reached: the request was certainly not sent.
    NotConnected,
    /// The connection, a deadline, a proxy or a foreign server: nobody knows how far the request came.
    Transport,
}

/// What a failed call means: a node's own words, or else what can be said of a call that got no answer.
pub fn classify(status: &Status) -> (Origin, ErrorDetail) {
    if let Some(detail) = from_status(status) {
        return (Origin::Node, detail);
    }
    let detail = |code, retriable, outcome| ErrorDetail {
        retriable,
        outcome,
        ..ErrorDetail::new(
            code,
            if status.message().is_empty() { status.code().description() } else { status.message() },
        )
    };
    if was_not_connected(status) {
        return (Origin::NotConnected, detail(ErrorCode::BrokerNotAvailable, true, Outcome::NotAppended));
    }
    // Made on this side of the wire, from an error of the connection. Its code may be any of several.
    let is_local = status.source().is_some();
    let detail = match status.code() {
        Code::Unavailable => detail(ErrorCode::BrokerNotAvailable, true, Outcome::Unknown),
        Code::Unknown | Code::Internal | Code::Aborted if is_local => {
            detail(ErrorCode::BrokerNotAvailable, true, Outcome::Unknown)
        }
        // The client library gives Cancelled for its own timeouts.
        Code::DeadlineExceeded | Code::Cancelled => detail(ErrorCode::DeadlineExceeded, true, Outcome::Unknown),
        // Too many streams or pings on one connection.
        Code::ResourceExhausted => detail(ErrorCode::Overloaded, true, Outcome::Unknown),
        // A message past the limit, of the request or of its answer.
        Code::OutOfRange => detail(ErrorCode::MessageTooLarge, false, Outcome::Unknown),
        // No such service on that port.
        Code::Unimplemented => detail(ErrorCode::WrongNode, false, Outcome::NotAppended),
        Code::PermissionDenied | Code::Unauthenticated => {
            detail(ErrorCode::ClusterAuthorizationFailed, false, Outcome::NotAppended)
        }
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Internal
        | Code::DataLoss => detail(ErrorCode::UnknownServerError, false, Outcome::Unknown),
    };
    (Origin::Transport, detail)
}

/// True if the status says that no connection could be made.
fn was_not_connected(status: &Status) -> bool {
    std::iter::successors(status.source(), |&error| error.source()).any(<dyn StdError>::is::<ConnectError>)
}

const fn grpc_code(class: Class) -> Code {
    match class {
        Class::Invalid => Code::InvalidArgument,
        Class::NotFound => Code::NotFound,
        Class::Exists => Code::AlreadyExists,
        Class::Precondition => Code::FailedPrecondition,
        Class::OutOfRange => Code::OutOfRange,
        Class::Unavailable => Code::Unavailable,
        Class::Exhausted => Code::ResourceExhausted,
        Class::Deadline => Code::DeadlineExceeded,
        Class::DataLoss => Code::DataLoss,
        Class::Denied => Code::PermissionDenied,
        Class::Internal => Code::Internal,
    }
}

const fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NotAppended => NOT_APPENDED,
        Outcome::Unknown => OUTCOME_UNKNOWN,
    }
}

/// Only the clear word means that nothing happened.
fn outcome(name: &str) -> Outcome {
    if name == NOT_APPENDED { Outcome::NotAppended } else { Outcome::Unknown }
}

fn leader(info: &ErrorInfo) -> Option<LeaderHint> {
    Some(LeaderHint {
        broker_id: BrokerId(parsed(info, key::LEADER_ID)?),
        leader_epoch: LeaderEpoch(parsed(info, key::LEADER_EPOCH)?),
        address: parsed(info, key::LEADER_ADDRESS)?,
    })
}

fn controller(info: &ErrorInfo) -> Option<ControllerHint> {
    Some(ControllerHint {
        id: ControllerId(parsed(info, key::CONTROLLER_ID)?),
        address: parsed(info, key::CONTROLLER_ADDRESS)?,
    })
}

fn parsed<T: FromStr>(info: &ErrorInfo, key: &str) -> Option<T> {
    info.metadata.get(key)?.parse().ok()
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
