//! What a proposer is told when the consensus takes nothing from it.

use openraft::errors::{ClientWriteError, ForwardToLeader, RaftError};

use holdfast_proto::{
    detail::{ControllerHint, ErrorDetail},
    error::{ErrorCode, Outcome},
    ids::ControllerId,
};

use super::types::TypeConfig;

/// NOT_CONTROLLER, with the active controller where it is known.
pub(crate) fn not_controller(leader: Option<ControllerHint>) -> ErrorDetail {
    let message = match &leader {
        Some(leader) => format!("this controller is not the active one; ask {}", leader.address),
        None => "this controller is not the active one, and none is known; retry".to_owned(),
    };
    let detail = ErrorDetail::new(ErrorCode::NotController, message);
    match leader {
        Some(leader) => detail.with_controller(leader),
        None => detail,
    }
}

/// From the consensus' own error.
pub(super) fn refused(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> ErrorDetail {
    let hint = |forward: ForwardToLeader<TypeConfig>| {
        let (id, node) = (forward.leader_id?, forward.leader_node?);
        Some(ControllerHint { id: ControllerId(id), address: node.addr })
    };
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => not_controller(hint(forward)),
        RaftError::APIError(ClientWriteError::LogEntryDiscarded(forward)) => {
            let message = "another controller became active before the change was committed; it may still be";
            let detail = ErrorDetail::new(ErrorCode::OutcomeUnknown, message).with_outcome(Outcome::Unknown);
            match hint(forward) {
                Some(leader) => detail.with_controller(leader),
                None => detail,
            }
        }
        RaftError::APIError(error) => ErrorDetail::new(ErrorCode::UnknownServerError, error.to_string()),
        RaftError::Fatal(fatal) => {
            ErrorDetail::new(ErrorCode::ShuttingDown, fatal.to_string()).with_outcome(Outcome::Unknown)
        }
    }
}
