//! One controller as its other parts see it: propose, read, and who is active.
//!
//! Place: `grpc` and `actors` hold a [`Node`]; `run` makes it. It hides the consensus from them.
//!
//! 1. A controller is *active* while it leads the consensus, has applied an entry of its own leadership (so that its
//!    image holds everything that was committed before), and heard a majority within the lease.
//! 2. [`Node::propose`] answers once the command is committed and applied here; the answer's index is the entry's.
//! 3. A command that the image as it is refuses is not logged: the log holds what changes something, or was about to.
//! 4. An error says whether the change certainly did not happen; if that is not known, the outcome is unknown.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use holdfast_metadata::{Command, Rejection, Response, decide, refusal};
use holdfast_proto::{
    detail::{ControllerHint, ErrorDetail},
    error::{ErrorCode, Outcome},
    ids::{ClusterId, MetadataIndex},
};

use crate::{
    admission::{Admission, Proposer},
    config::Config,
    identity::DataDir,
    raft::{Consensus, Contact, Member, Members, Reach, Role, command_bytes, not_controller},
    view::MetadataView,
};

/// See the module. Clones share it.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    config: Arc<Config>,
    data: Arc<DataDir>,
    consensus: Consensus,
    view: MetadataView,
    role: watch::Receiver<Role>,
    contact: Contact,
    reach: Reach,
    admission: Admission,
    /// Term of a leadership that is being handed over; 0 is none.
    handing_over: AtomicU64,
}

impl Node {
    /// Puts the parts together. `role` is kept by [`watch_role`].
    pub(crate) fn new(
        config: Arc<Config>,
        data: Arc<DataDir>,
        consensus: Consensus,
        view: MetadataView,
        role: watch::Receiver<Role>,
        contact: Contact,
        reach: Reach,
    ) -> Self {
        let admission = Admission::new(config.max_proposals as usize);
        Self {
            inner: Arc::new(Inner {
                config,
                data,
                consensus,
                view,
                role,
                contact,
                reach,
                admission,
                handing_over: AtomicU64::new(0),
            }),
        }
    }

    /// What this process was started with; it does not change.
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

    /// The leader, if one is known, at the address where it is called: it may have left that of the membership.
    pub fn leader(&self) -> Option<ControllerHint> {
        let leader = self.inner.role.borrow().leader.clone()?;
        Some(ControllerHint { address: self.inner.reach.address(leader.id.0, &leader.address), ..leader })
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

    /// True while this controller is active. One that hands over is not: once it did, nobody refuses the others' elections.
    pub fn is_active(&self) -> bool {
        let Role { active, term, .. } = *self.inner.role.borrow();
        active && self.inner.handing_over.load(Ordering::Relaxed) != term && self.holds_lease()
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
        Members::of(&self.inner.consensus).list
    }

    /// Proposes a command and waits until it is committed and applied here. Refused before anything is logged: what is
    /// too large, what finds no place among those of its `proposer`, and what the present image refuses.
    pub async fn propose(
        &self,
        proposer: Proposer,
        command: Command,
    ) -> Result<(MetadataIndex, Response), ErrorDetail> {
        self.check_active()?;
        // First: what the present image says of a command costs more than a place.
        let place = self.inner.admission.enter(proposer, command_bytes(&command)?)?;
        if let Some(rejection) = refusal(&self.inner.view.image(), &command) {
            report(&command, Some(&rejection).filter(|rejection| rejection.is_fault()));
            return Err(refused(rejection));
        }
        tracing::debug!(%command, ?proposer, "proposing");
        let deadline = Duration::from_millis(self.inner.config.proposal_timeout_ms);
        let reply =
            self.inner.consensus.propose(command, place, deadline).await.map_err(|error| self.pointed(error))?;
        match reply.result {
            Some(Ok(response)) => Ok((MetadataIndex(reply.index), response)),
            Some(Err(rejection)) => Err(refused(rejection)),
            None => Err(ErrorDetail::new(ErrorCode::UnknownServerError, "a command was applied as none")),
        }
    }

    /// The error, with the leader at the address where it is called.
    fn pointed(&self, error: ErrorDetail) -> ErrorDetail {
        match error.code {
            ErrorCode::NotController => not_controller(self.leader().filter(|leader| leader.id.0 != self.id())),
            _ => error,
        }
    }

    /// What the command would come to by the present image, without doing it.
    pub(crate) fn validate(&self, command: &Command) -> Result<Response, ErrorDetail> {
        let outcome = decide(&self.inner.view.image(), command);
        report(command, outcome.fault());
        Ok(outcome.result?)
    }

    /// Hands the leadership to another voter and waits until it has one, at most `deadline`.
    pub async fn step_down(&self, deadline: Duration) {
        let members = Members::of(&self.inner.consensus);
        let successor = members.successor(self.id(), 2 * self.inner.config.election_timeout_max_ms);
        let term = self.inner.role.borrow().term;
        self.inner.handing_over.store(term, Ordering::Relaxed);
        self.inner.consensus.step_down(deadline, self.holds_lease(), successor).await;
        // If nobody took it, it goes on.
        self.inner.handing_over.store(0, Ordering::Relaxed);
    }

    /// The consensus, for `run` alone.
    pub(crate) fn consensus(&self) -> &Consensus {
        &self.inner.consensus
    }

    /// True if a majority answered within the lease, or none but this node votes.
    fn holds_lease(&self) -> bool {
        self.inner.consensus.holds_lease(Duration::from_millis(self.inner.config.election_timeout_max_ms))
    }
}

/// Reports a fault of what is not logged: of what is, the state machine reports it.
fn report(command: &Command, fault: Option<&Rejection>) {
    if let Some(rejection) = fault {
        tracing::error!(%command, %rejection, "the metadata machine refused to break its rules");
    }
}

/// The refusal as it travels: nothing was changed.
fn refused(rejection: Rejection) -> ErrorDetail {
    ErrorDetail::from(rejection).with_outcome(Outcome::NotAppended)
}
