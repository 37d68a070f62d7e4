//! The consensus as the rest of the controller sees it: no type of openraft leaves this folder.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use openraft::{
    BasicNode, Instant as _, ServerState,
    async_runtime::watch::WatchReceiver as _,
    errors::{ClientWriteError, ForwardToLeader, RaftError},
};

use holdfast_metadata::Command;
use holdfast_proto::{
    detail::{ControllerHint, ErrorDetail},
    error::{ErrorCode, Outcome},
    ids::ControllerId,
};

use super::{
    codec::encoded_bytes,
    envelope::MAX_MESSAGE_BYTES,
    log_store::LogStore,
    network::Network,
    state_machine::StateMachine,
    types::{Reply, TypeConfig, settings},
};
use crate::{admission::Place, config::Config, exit::Fatal};

type Metrics = openraft::RaftMetrics<TypeConfig>;

/// openraft, with this crate's state machine.
pub(super) type Raft = openraft::Raft<TypeConfig, StateMachine>;

/// Largest command, encoded, in bytes: 10,000 ISR changes of 15 members each. Far below what one message between
/// controllers holds: an entry that could not be sent would stop the log for ever.
const MAX_COMMAND_BYTES: usize = 8 << 20;
const _: () = assert!(4 * MAX_COMMAND_BYTES <= MAX_MESSAGE_BYTES);

/// A failure of the consensus, in its own words.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the consensus: {0}")]
pub struct Error(String);

/// See the module. Clones share it.
#[derive(Clone)]
pub struct Consensus {
    raft: Raft,
}

impl Consensus {
    /// Starts it on what the store holds.
    pub async fn start(
        config: &Config,
        node_id: u64,
        network: Network,
        log: LogStore,
        machine: StateMachine,
    ) -> Result<Self, Fatal> {
        let settings = settings(config).map_err(|error| Fatal::Failure(error.to_string()))?;
        let started = Raft::new(node_id, Arc::new(settings), network, log, machine).await;
        Ok(Self { raft: started.map_err(|error| Fatal::StoreDamaged(format!("the log cannot be used: {error}")))? })
    }

    pub(super) fn raft(&self) -> &Raft {
        &self.raft
    }

    /// Proposes a command that [`command_bytes`] has measured and waits until it is committed and applied here, at most
    /// `deadline`. The command has its place as long as the consensus holds it, which may be longer.
    pub(crate) async fn propose(
        &self,
        command: Command,
        place: Place,
        deadline: Duration,
    ) -> Result<Reply, ErrorDetail> {
        let raft = self.raft.clone();
        let written = place.during(async move { raft.client_write(command).await });
        match tokio::time::timeout(deadline, written).await {
            Ok(Ok(Ok(written))) => Ok(written.data),
            Ok(Ok(Err(error))) => Err(refused(error)),
            Ok(Err(ended)) => {
                let message = format!("the proposal was ended: {ended}");
                Err(ErrorDetail::new(ErrorCode::ShuttingDown, message).with_outcome(Outcome::Unknown))
            }
            Err(_) => {
                let message =
                    format!("the change was not committed within {} ms; it may be later", deadline.as_millis());
                Err(ErrorDetail::new(ErrorCode::RequestTimedOut, message).with_outcome(Outcome::Unknown))
            }
        }
    }

    /// The term in which this controller leads now.
    pub fn leads(&self) -> Option<u64> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        (metrics.state == ServerState::Leader).then_some(metrics.current_term)
    }

    /// The voter `to`, once it has every entry and could lead after this controller, which leads in `term`; waits for that
    /// at most `deadline`. `None`: the leadership is kept, or is another's by now. Meanwhile nothing is to be proposed.
    pub async fn ready_to_lead(
        &self,
        term: u64,
        to: Option<u64>,
        holds_lease: bool,
        deadline: Duration,
    ) -> Option<u64> {
        if !holds_lease {
            tracing::warn!("no majority of the controllers answers: there is nobody to hand the leadership to");
            return None;
        }
        let target = to?;
        let leads = |m: &Metrics| m.state == ServerState::Leader && m.current_term == term;
        // One that lacks an entry does not take it, and this one would lead no more all the same.
        let has_all = |m: &Metrics| {
            let matched = m.replication.as_ref().and_then(|all| all.get(&target)).copied().flatten();
            !leads(m) || matched.map(|matched| matched.index) >= m.last_log_index
        };
        let waited = self.raft.wait(Some(deadline)).metrics(has_all, "the successor has every entry").await;
        if waited.is_err() {
            tracing::warn!(target, "the controller that is to lead does not catch up; the leadership is kept");
        }
        waited.ok().filter(leads).map(|_| target)
    }

    /// Hands the leadership to the voter that is [ready](Self::ready_to_lead) and waits until another leads, at most
    /// `deadline`. Whether it does or not, this controller proposes nothing more in its term.
    pub async fn transfer(&self, target: u64, deadline: Duration) {
        tracing::info!(target, "handing over the leadership of the controllers");
        if let Err(fatal) = self.raft.trigger().transfer_leader(target).await {
            tracing::warn!(%fatal, "the leadership could not be handed over");
            return;
        }
        let is_other = |m: &Metrics| m.current_leader.is_some_and(|leader| leader != m.id);
        if self.raft.wait(Some(deadline)).metrics(is_other, "another leader").await.is_err() {
            tracing::warn!("no other controller took the leadership in time");
        }
    }

    /// True if a majority answered within `lease`, or none but this node votes.
    pub fn holds_lease(&self, lease: Duration) -> bool {
        let acked = self.raft.data_metrics().borrow_watched().last_quorum_acked;
        acked.is_some_and(|acked| acked.elapsed() < lease) || self.raft.voter_ids().count() == 1
    }

    /// True once the log holds a membership, or a vote was given.
    pub async fn is_formed(&self) -> Result<bool, Error> {
        self.raft.is_initialized().await.map_err(|fatal| Error(fatal.to_string()))
    }

    /// Writes the first membership: node ids by address. Another node's may have come first, which is no failure.
    pub async fn form(&self, members: BTreeMap<String, u64>) -> Result<(), Error> {
        let nodes: BTreeMap<u64, BasicNode> =
            members.into_iter().map(|(address, id)| (id, BasicNode::new(address))).collect();
        match self.raft.initialize(nodes).await {
            Ok(()) => Ok(()),
            Err(_) if self.is_formed().await? => Ok(()),
            Err(error) => Err(Error(error.to_string())),
        }
    }

    /// Waits until the log has an entry, at most so long.
    pub async fn wait_for_entry(&self, at_most: Duration) {
        let wait = self.raft.wait(Some(at_most));
        // A timeout is the usual case.
        let _ = wait.metrics(|metrics| metrics.last_log_index.is_some(), "a membership").await;
    }

    /// Stops it; what is in flight is answered first.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.raft.shutdown().await.map_err(|error| Error(error.to_string()))
    }
}

/// Bytes of the command in the log. One that has more than 8 MiB is refused with MESSAGE_TOO_LARGE.
pub(crate) fn command_bytes(command: &Command) -> Result<usize, ErrorDetail> {
    let bytes = encoded_bytes(command)
        .map_err(|error| ErrorDetail::new(ErrorCode::UnknownServerError, format!("{command}: {error}")))?;
    if bytes <= MAX_COMMAND_BYTES {
        return Ok(bytes);
    }
    let message = format!("the change has {bytes} bytes, and one has at most {MAX_COMMAND_BYTES}: make it in parts");
    Err(ErrorDetail::new(ErrorCode::MessageTooLarge, message).with_outcome(Outcome::NotAppended))
}

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
fn refused(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> ErrorDetail {
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
