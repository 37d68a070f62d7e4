//! One controller as its other parts see it: propose, read, and who is active.
//!
//! Place: `grpc` and `actors` hold a [`Node`]; `run` makes it. It hides the consensus from them.
//!
//! 1. A controller is *active* while it leads the consensus, has applied an entry of its own leadership (so that its
//!    image holds everything that was committed before), and heard a majority within the lease.
//! 2. [`Node::propose`] answers once the command is committed and applied here; the answer's index is the entry's.
//! 3. An error says whether the change certainly did not happen; if that is not known, the outcome is unknown.

use std::{sync::Arc, time::Duration};

use openraft::{
    BasicNode, Instant as _, RaftMetrics, ServerState,
    async_runtime::watch::WatchReceiver as _,
    errors::{ClientWriteError, Fatal, ForwardToLeader, RaftError},
};
use tokio::sync::{Semaphore, watch};

use holdfast_metadata::{Command, Response};
use holdfast_proto::{
    detail::{ControllerHint, ErrorDetail},
    error::{ErrorCode, Outcome},
    ids::{ClusterId, ControllerId, MetadataIndex},
};

use crate::{
    config::Config,
    exit,
    identity::DataDir,
    raft::{Contact, Raft, TypeConfig},
    view::MetadataView,
};

/// Who leads, as this controller knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Role {
    /// Raft term.
    pub term: u64,
    /// True if this controller leads and has applied an entry of its leadership.
    pub active: bool,
    /// The leader, if one is known.
    pub leader: Option<ControllerHint>,
}

/// A controller of the quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its node id.
    pub id: u64,
    /// Its address.
    pub address: String,
    /// True for a voter.
    pub voter: bool,
}

/// See the module. Clones share it.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    config: Arc<Config>,
    data: Arc<DataDir>,
    raft: Raft,
    view: MetadataView,
    role: watch::Receiver<Role>,
    contact: Contact,
    proposals: Semaphore,
}

impl Node {
    /// Puts the parts together. `role` is kept by [`watch_role`].
    pub(crate) fn new(
        config: Arc<Config>,
        data: Arc<DataDir>,
        raft: Raft,
        view: MetadataView,
        role: watch::Receiver<Role>,
        contact: Contact,
    ) -> Self {
        let proposals = Semaphore::new(config.max_proposals as usize);
        Self { inner: Arc::new(Inner { config, data, raft, view, role, contact, proposals }) }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Raft id of this controller.
    pub fn id(&self) -> u64 {
        self.inner.data.node_id()
    }

    /// The cluster that is formed; `None` before.
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.inner.view.image().cluster_id()
    }

    /// What this controller knows.
    pub fn view(&self) -> &MetadataView {
        &self.inner.view
    }

    /// Who leads, and a watch on it.
    pub fn role(&self) -> watch::Receiver<Role> {
        self.inner.role.clone()
    }

    /// The leader, if one is known.
    pub fn leader(&self) -> Option<ControllerHint> {
        self.inner.role.borrow().leader.clone()
    }

    /// Time since the leader was heard, about zero on an active controller; `None` if it was not since this process started.
    /// Unlike [`Node::leader`] it does not come from the stored vote.
    pub fn leader_heard(&self) -> Option<Duration> {
        if self.is_active() {
            // So that one that loses its lease for a moment was heard a moment ago.
            self.inner.contact.heard();
        }
        self.inner.contact.age()
    }

    /// The leader, if it was heard a moment ago.
    pub fn present_leader(&self) -> Option<ControllerHint> {
        let lease = Duration::from_millis(2 * self.inner.config.election_timeout_max_ms);
        self.leader_heard().filter(|age| *age < lease).and_then(|_| self.leader())
    }

    /// True while this controller is active.
    pub fn is_active(&self) -> bool {
        self.inner.role.borrow().active && self.holds_lease()
    }

    /// Refuses unless this controller is active, naming the one that is.
    pub fn check_active(&self) -> Result<(), ErrorDetail> {
        if self.is_active() {
            return Ok(());
        }
        let leader = self.leader().filter(|leader| leader.id.0 != self.id());
        Err(not_controller(leader))
    }

    /// The members of the quorum.
    pub fn members(&self) -> Vec<Member> {
        let metrics = self.inner.raft.server_metrics().borrow_watched().clone();
        let voters: std::collections::BTreeSet<u64> = metrics.membership_config.voter_ids().collect();
        metrics
            .membership_config
            .nodes()
            .map(|(id, node)| Member { id: *id, address: node.addr.clone(), voter: voters.contains(id) })
            .collect()
    }

    /// Proposes a command and waits until it is committed and applied here.
    pub async fn propose(&self, command: Command) -> Result<(MetadataIndex, Response), ErrorDetail> {
        let Ok(_permit) = self.inner.proposals.try_acquire() else {
            let message = format!("{} changes of the metadata are in flight", self.inner.config.max_proposals);
            return Err(ErrorDetail::new(ErrorCode::Overloaded, message));
        };
        self.check_active()?;
        tracing::debug!(%command, "proposing");
        let deadline = Duration::from_millis(self.inner.config.proposal_timeout_ms);
        let written = tokio::time::timeout(deadline, self.inner.raft.client_write(command)).await;
        let reply = match written {
            Ok(Ok(written)) => written.data,
            Ok(Err(error)) => return Err(refused(error)),
            Err(_) => {
                let message =
                    format!("the change was not committed within {} ms; it may be later", deadline.as_millis());
                return Err(ErrorDetail::new(ErrorCode::RequestTimedOut, message).with_outcome(Outcome::Unknown));
            }
        };
        match reply.result {
            Some(Ok(response)) => Ok((MetadataIndex(reply.index), response)),
            Some(Err(rejection)) => Err(ErrorDetail::from(rejection).with_outcome(Outcome::NotAppended)),
            None => Err(ErrorDetail::new(ErrorCode::UnknownServerError, "a command was applied as none")),
        }
    }

    /// Hands the leadership to another voter and waits until it has one, at most `deadline`.
    pub async fn step_down(&self, deadline: Duration) {
        let metrics = self.inner.raft.metrics().borrow_watched().clone();
        if metrics.state != ServerState::Leader {
            return;
        }
        if !self.holds_lease() {
            tracing::warn!("no majority of the controllers answers: there is nobody to hand the leadership to");
            return;
        }
        // The voter that is furthest is ready soonest.
        let furthest = metrics.replication.iter().flatten().max_by_key(|(_, matched)| *matched);
        let voters: std::collections::BTreeSet<u64> = metrics.membership_config.voter_ids().collect();
        let Some((target, _)) = furthest.filter(|(id, _)| **id != metrics.id && voters.contains(id)) else { return };
        tracing::info!(target, "handing over the leadership of the controllers");
        if let Err(fatal) = self.inner.raft.trigger().transfer_leader(*target).await {
            tracing::warn!(%fatal, "the leadership could not be handed over");
            return;
        }
        let own = metrics.id;
        let wait = self.inner.raft.wait(Some(deadline));
        let moved = wait.metrics(|m| m.current_leader.is_some_and(|leader| leader != own), "another leader").await;
        if moved.is_err() {
            tracing::warn!("no other controller took the leadership in time");
        }
    }

    /// The consensus, for `run` alone.
    pub(crate) fn raft(&self) -> &Raft {
        &self.inner.raft
    }

    /// True if a majority answered within the lease, or none but this node votes.
    fn holds_lease(&self) -> bool {
        let metrics = self.inner.raft.data_metrics().borrow_watched().last_quorum_acked;
        let lease = Duration::from_millis(self.inner.config.election_timeout_max_ms);
        metrics.is_some_and(|acked| acked.elapsed() < lease) || self.inner.raft.voter_ids().count() == 1
    }
}

/// Keeps `role` until the consensus stops; returns why it did.
pub(crate) async fn watch_role(raft: Raft, view: MetadataView, role: watch::Sender<Role>) -> exit::Fatal {
    let mut metrics = raft.metrics();
    let mut applied = view.applied();
    loop {
        let now = metrics.borrow_watched().clone();
        if let Err(fatal) = &now.running_state {
            role.send_replace(Role::default());
            return match fatal {
                Fatal::StorageError(error) => exit::Fatal::StorageFailed(error.to_string()),
                fatal => exit::Fatal::ConsensusStopped(fatal.to_string()),
            };
        }
        let next = current_role(&now, &view);
        let changed = role.send_if_modified(|role| {
            let changed = *role != next;
            if changed {
                role.clone_from(&next);
            }
            changed
        });
        if changed {
            let leader = next.leader.as_ref().map(|leader| leader.address.as_str());
            tracing::info!(term = next.term, active = next.active, leader, "role");
        }
        let closed = tokio::select! {
            changed = metrics.changed() => changed.is_err(),
            changed = applied.changed(), if !next.active => changed.is_err(),
        };
        if closed {
            role.send_replace(Role::default());
            return exit::Fatal::ConsensusStopped("it ended without a word".to_owned());
        }
    }
}

fn current_role(metrics: &RaftMetrics<TypeConfig>, view: &MetadataView) -> Role {
    let leader = metrics.current_leader.and_then(|id| {
        let node: &BasicNode = metrics.membership_config.get_node(&id)?;
        Some(ControllerHint { id: ControllerId(id), address: node.addr.clone() })
    });
    let applied = *view.applied().borrow();
    let leads = metrics.state == ServerState::Leader && metrics.current_leader == Some(metrics.id);
    let caught_up = applied.term == metrics.current_term && applied.leader == metrics.id;
    Role { term: metrics.current_term, active: leads && caught_up, leader }
}

/// NOT_CONTROLLER, with the active controller where it is known.
fn not_controller(leader: Option<ControllerHint>) -> ErrorDetail {
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
