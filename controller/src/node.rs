//! One controller as its other parts see it: propose, read, and who is active.
//!
//! Place: `grpc` and `actors` hold a [`Node`]; `run` makes it. It hides the consensus from them.
//!
//! 1. A controller is *active* while it leads the consensus, has applied an entry of its own leadership (so that its
//!    image holds everything that was committed before), heard a majority within the lease, and neither hands this
//!    leadership over nor did (`activity`).
//! 2. [`Node::propose`] answers once the command is committed and applied here; the answer's index is the entry's.
//! 3. A command that the image as it is refuses is not logged: the log holds what changes something, or was about to.
//! 4. An error says whether the change certainly did not happen; if that is not known, the outcome is unknown.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::watch;

use holdfast_metadata::{Command, Rejection, Response, decide, refusal};
use holdfast_proto::{
    detail::{ControllerHint, ErrorDetail},
    error::{ErrorCode, Outcome},
    ids::{BrokerId, ClusterId, MetadataIndex, Millis},
    v1::{ClockVerdict, DamagedReplicas, UnopenedReplicas},
};

use crate::{
    activity::{Activity, Spell},
    admission::{Admission, Proposer},
    clocks::{Clocks, majority::ClockOf},
    config::Config,
    identity::DataDir,
    raft::{Consensus, Contact, Member, Members, Reach, Role, command_bytes, not_controller},
    said::Said,
    view::MetadataView,
};

/// A time in which no part looked whether this controller is active is one in which the process stood still, if it is as
/// long as the lease and this: several turns of those that look all the time.
const STANDSTILL: Duration = Duration::from_millis(500);

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
    clocks: Clocks,
    damaged: Said<DamagedReplicas>,
    unopened: Said<UnopenedReplicas>,
    admission: Admission,
    started: Instant,
    activity: Mutex<Activity>,
    /// Held by whom hands the leadership over: one at a time.
    hand_over: tokio::sync::Mutex<()>,
}

/// What is heard of other nodes.
pub(crate) struct Others {
    /// When the leader was heard.
    pub(crate) contact: Contact,
    /// Where the other controllers are called.
    pub(crate) reach: Reach,
    /// What time it is elsewhere.
    pub(crate) clocks: Clocks,
}

/// A leadership that is being handed over. Dropped before it is, it is kept.
struct HandOver<'a>(&'a Mutex<Activity>);

impl Drop for HandOver<'_> {
    fn drop(&mut self) {
        self.0.lock().give_up();
    }
}

impl Node {
    /// Puts the parts together. `role` is kept by [`watch_role`].
    pub(crate) fn new(
        config: Arc<Config>,
        data: Arc<DataDir>,
        consensus: Consensus,
        view: MetadataView,
        role: watch::Receiver<Role>,
        others: Others,
    ) -> Self {
        let Others { contact, reach, clocks } = others;
        let admission = Admission::new(config.max_proposals as usize);
        let gap_ms = config.election_timeout_max_ms.max(STANDSTILL.as_millis() as u64);
        Self {
            inner: Arc::new(Inner {
                config,
                data,
                consensus,
                view,
                role,
                contact,
                reach,
                clocks,
                damaged: Said::default(),
                unopened: Said::default(),
                admission,
                started: Instant::now(),
                activity: Mutex::new(Activity::new(gap_ms)),
                hand_over: tokio::sync::Mutex::default(),
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
        self.spell().is_some()
    }

    /// The time without a gap in which this controller is active now.
    pub(crate) fn spell(&self) -> Option<Spell> {
        // What is looked at belongs to the time that it is looked at.
        let mut activity = self.inner.activity.lock();
        let Role { active, term, .. } = *self.inner.role.borrow();
        activity.look(self.now(), (active && self.holds_lease()).then_some(term))
    }

    /// For how long of the last `within_ms` this controller was active in this leadership, ms; 0 if it is not now.
    pub(crate) fn active_ms(&self, within_ms: u64) -> u64 {
        self.spell();
        let now = self.now();
        self.inner.activity.lock().active_ms(now, Millis(now.0.saturating_sub(within_ms)))
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

    /// What brokers said of damaged replicas.
    pub(crate) fn damaged(&self) -> &Said<DamagedReplicas> {
        &self.inner.damaged
    }

    /// What brokers said of replicas whose logs cannot be opened.
    pub(crate) fn unopened(&self) -> &Said<UnopenedReplicas> {
        &self.inner.unopened
    }

    /// What was heard of clocks.
    pub(crate) fn clocks(&self) -> &Clocks {
        &self.inner.clocks
    }

    /// How a broker's clock is to those of most voters and registered brokers, and by how much it is ahead, ms.
    pub(crate) fn clock_verdict(&self, broker_id: BrokerId) -> (ClockVerdict, i64) {
        let image = self.inner.view.image();
        let voters = self.members().into_iter().filter(|member| member.voter).map(|member| ClockOf::Voter(member.id));
        let all = voters.chain(image.brokers().keys().copied().map(ClockOf::Broker));
        self.inner.clocks.verdict(broker_id, self.id(), all, self.inner.config.clock_skew_max_ms)
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
        self.check_refusal(&command)?;
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

    /// Refuses what the present image says will be refused. May cost as much as carrying it out.
    pub(crate) fn check_refusal(&self, command: &Command) -> Result<(), ErrorDetail> {
        let Some(rejection) = refusal(&self.inner.view.image(), command) else { return Ok(()) };
        report(command, Some(&rejection).filter(|rejection| rejection.is_fault()));
        Err(refused(rejection))
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

    /// Hands the leadership to another voter and waits until it has one, at most about twice `deadline`. It is kept if nobody
    /// is ready to take it. Goes on to its end also if its caller does not wait for it.
    pub async fn step_down(&self, deadline: Duration) {
        let node = self.clone();
        let running = tokio::spawn(async move { node.hand_over(deadline).await });
        // It fails with the runtime alone.
        let _ = running.await;
    }

    async fn hand_over(&self, deadline: Duration) {
        let Inner { consensus, activity, config, hand_over, .. } = &*self.inner;
        // Who came first may have handed over what this one leads no more.
        let _turn = hand_over.lock().await;
        let Some(term) = consensus.leads().filter(|term| activity.lock().begin_hand_over(*term)) else { return };
        let kept = HandOver(activity);
        let successor = Members::of(consensus).successor(self.id(), 2 * config.election_timeout_max_ms);
        let ready = consensus.ready_to_lead(term, successor, self.holds_lease(), deadline / 2).await;
        let Some(target) = ready else { return };
        // Before it is: from then on the consensus refuses every change of this term.
        activity.lock().hand_over();
        drop(kept);
        consensus.transfer(target, deadline).await;
    }

    /// The consensus, for `run` alone.
    pub(crate) fn consensus(&self) -> &Consensus {
        &self.inner.consensus
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.inner.started.elapsed().as_millis()).unwrap_or(u64::MAX))
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
