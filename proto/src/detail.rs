//! One error as it travels: its number, what to do, and where the right node is.
//!
//! Place: services answer with it, the gRPC edge turns it into a status (`status`) or into a partition's error
//! (`convert`), and clients get it back from either. Nothing here knows gRPC.

use crate::{
    batch,
    error::{ErrorCode, Outcome},
    ids::{BrokerId, ControllerId, LeaderEpoch},
    refusal::Refusal,
};

/// Where the leader of a partition is, as the answering node knows it (KIP-951).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderHint {
    /// Broker id of the leader.
    pub broker_id: BrokerId,
    /// Leader epoch of that leadership.
    pub leader_epoch: LeaderEpoch,
    /// Address, host:port, on the port that the request came in by.
    pub address: String,
}

/// Where the active controller is, as the answering node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerHint {
    /// Id within the quorum, not the position in a list of addresses.
    pub id: ControllerId,
    /// Address, host:port, at which controllers are called.
    pub address: String,
}

/// An error with all that its receiver may need. For people it is the message, and its name in brackets behind it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} [{code}]")]
pub struct ErrorDetail {
    /// Its number and name. [`ErrorCode::UnknownServerError`] for a number that this version does not know.
    pub code: ErrorCode,
    /// What happened and what to do, for people. Never parse it.
    pub message: String,
    /// True if the same request may succeed later without any change.
    pub retriable: bool,
    /// What became of the records, or of the change, that was asked for.
    pub outcome: Outcome,
    /// The leader, where the error is about leadership.
    pub leader: Option<LeaderHint>,
    /// The active controller, where the error is about that.
    pub controller: Option<ControllerHint>,
    /// By what a controller was refused for good, where that is the error.
    pub refusal: Option<Box<Refusal>>,
}

impl ErrorDetail {
    /// An error with a message of its own, and the table's word on retry and outcome.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retriable: code.is_retriable(),
            outcome: code.outcome(),
            leader: None,
            controller: None,
            refusal: None,
        }
    }

    /// Tells where the leader is.
    #[must_use]
    pub fn with_leader(mut self, leader: LeaderHint) -> Self {
        self.leader = Some(leader);
        self
    }

    /// Tells where the active controller is.
    #[must_use]
    pub fn with_controller(mut self, controller: ControllerHint) -> Self {
        self.controller = Some(controller);
        self
    }

    /// Tells by what a controller is refused for good.
    #[must_use]
    pub fn with_refusal(mut self, refusal: Refusal) -> Self {
        self.refusal = Some(Box::new(refusal));
        self
    }

    /// Tells another outcome than the table's, where the place of the failure decides it.
    #[must_use]
    pub const fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }
}

impl From<ErrorCode> for ErrorDetail {
    /// The error with the table's sentence.
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.sentence())
    }
}

impl From<batch::Error> for ErrorDetail {
    /// What a malformed batch is answered with.
    fn from(error: batch::Error) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
