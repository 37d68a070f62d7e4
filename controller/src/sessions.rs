//! Broker sessions: who is alive, as a function of events and time. Pure.
//!
//! Place: the sessions' actor feeds it and carries out its effects. It exists on the active controller only and is not
//! replicated: what it decides becomes a command, and only the command changes the cluster.
//!
//! ```text
//!            heartbeat within the timeout, ready, caught up
//!   fenced ────────────────────────────────────────────────▶ alive
//!      ▲                                                       │
//!      └── silent for the session timeout, or ─────────────────┘
//!          disconnected and not back within the grace
//! ```
//!
//! 1. Deadlines are compared at every event, with the time that came with it.
//! 2. A controller that becomes active gives every broker a full session timeout: it knows nothing of the time before.
//! 3. Connections have numbers: what an old one still says, its end included, changes nothing.
//! 4. A broker is unfenced only after it applied everything up to its last registration or fencing, so that it knows
//!    what it lost before it serves.
//! 5. A broker whose fencing is proposed gets no lease until it is known to be fenced or not. One that may have been logged
//!    is proposed again until it is known.
//! 6. An active controller that starts over from the registrations keeps the connections: these go on. In another term it
//!    keeps nothing of its proposals: what came of them is in the registrations, or never will be.
//! 7. While this controller itself stood still nobody could be heard: that time counts for no deadline, up to one session
//!    timeout for each time that a broker is heard.
//! 8. Proposals have numbers: the end of one that is no longer the broker's changes nothing. At most one proposal a broker is in flight. One that came to nothing is made again [`RETRY_MS`] later, not sooner: a
//!    controller that lost its majority refuses each at once.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_metadata::BrokerRegistration;
use holdfast_proto::ids::{BrokerEpoch, BrokerId, DirectoryId, MetadataIndex, Millis};

/// Time before a proposal that came to nothing is made again, ms.
pub const RETRY_MS: u64 = 100;

/// Longest time between two steps of an active controller that does not stand still, ms: some of its ticks; or a quarter
/// of the session timeout if that is less.
const STANDSTILL_MS: u64 = 500;

/// Names a connection of a broker, never given twice by one controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// What the sessions learn, each at a time that [`Sessions::step`] is told.
#[derive(Clone, Debug)]
pub enum Event {
    /// This controller became active, or is and missed changes; with these registrations at this index.
    Activated {
        /// Every registered broker, fenced ones included.
        brokers: Vec<BrokerRegistration>,
        /// Index that they are true at.
        index: MetadataIndex,
        /// Number of this leadership.
        term: u64,
    },
    /// It is no longer active.
    Deposed,
    /// A registration was applied at this index.
    Registered {
        /// As it is now; its broker epoch tells whether it is a new one.
        broker: BrokerRegistration,
        /// Index of the change. If it fences or is new, the broker applies up to here before it serves.
        index: MetadataIndex,
    },
    /// A registration was removed.
    Unregistered(BrokerId),
    /// A session was opened.
    Connected {
        /// The broker that opened it.
        broker_id: BrokerId,
        /// Number of its connection, which replaces the one before.
        connection: ConnectionId,
    },
    /// A broker says that it lives, and how far it is.
    Heartbeat {
        /// The broker that says so.
        broker_id: BrokerId,
        /// The connection that it came by.
        connection: ConnectionId,
        /// What the broker has applied.
        applied_index: MetadataIndex,
        /// True if it wants to serve.
        ready: bool,
    },
    /// A connection ended; the grace begins if it was the broker's newest.
    Disconnected {
        /// The broker at its other end.
        broker_id: BrokerId,
        /// The one that ended.
        connection: ConnectionId,
    },
    /// A proposal of this module has ended.
    Ended(Proposal, Ending),
    /// Nothing but time went by: deadlines are compared.
    Tick,
}

/// A command to propose, for the registration with this broker epoch only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The broker that it is about.
    pub broker_id: BrokerId,
    /// The one registration that it is about.
    pub epoch: BrokerEpoch,
    /// What is to become of the broker.
    pub verdict: Verdict,
    /// Counts the proposals of this controller.
    pub number: u64,
}

/// What a proposal says of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is fenced: it was silent, or without a connection, for too long.
    Fence,
    /// It may serve: it is heard, ready, and has applied what it must.
    Unfence,
}

/// What came of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was carried out.
    Done,
    /// It certainly came to nothing.
    Refused,
    /// Nobody knows yet what.
    Doubtful,
}

/// How long a broker is waited for before it is fenced.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Without a heartbeat for this long a broker is fenced, ms.
    pub session_ms: u64,
    /// Without a connection for this long it is fenced, ms.
    pub disconnect_grace_ms: u64,
}

#[derive(Clone, Debug)]
struct Session {
    epoch: BrokerEpoch,
    directory_id: DirectoryId,
    fenced: bool,
    leaving: bool,
    /// It must have applied this before it is unfenced.
    must_apply: MetadataIndex,
    heard: Millis,
    /// What was forgiven since it was heard, ms.
    forgiven_ms: u64,
    connection: Option<ConnectionId>,
    disconnected: Option<Millis>,
    ready: bool,
    applied: MetadataIndex,
}

/// The sessions of all registered brokers; none while this controller is not active.
#[derive(Debug)]
pub struct Sessions {
    timeouts: Timeouts,
    active: bool,
    /// When the last step was.
    stepped: Millis,
    brokers: BTreeMap<BrokerId, Session>,
    /// Of the leadership that they are of.
    term: u64,
    /// Brokers for which nothing is proposed now.
    in_flight: BTreeMap<BrokerId, InFlight>,
    /// How many proposals were made.
    proposals: u64,
    /// Brokers of which a fencing was proposed that may be logged.
    may_be_fenced: BTreeSet<BrokerId>,
}

impl Session {
    fn hear(&mut self, now: Millis) {
        self.heard = now;
        self.forgiven_ms = 0;
    }
}

/// Why nothing is proposed for a broker.
#[derive(Clone, Copy, Debug)]
enum InFlight {
    /// Until the proposal of this number has ended.
    Proposed(u64),
    /// Nothing before that time.
    Pause(Millis),
}

impl Sessions {
    /// Those of a controller that is not active.
    pub fn new(timeouts: Timeouts) -> Self {
        Self {
            timeouts,
            active: false,
            stepped: Millis(0),
            brokers: BTreeMap::new(),
            term: 0,
            in_flight: BTreeMap::new(),
            proposals: 0,
            may_be_fenced: BTreeSet::new(),
        }
    }

    /// True while this controller is active.
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// Number of open sessions.
    pub fn connected(&self) -> usize {
        self.brokers.values().filter(|session| session.connection.is_some()).count()
    }

    /// True if a registration under this id by another start may displace a broker that lives: it has a connection that
    /// speaks, or it is another folder's and may only not have found this controller yet.
    pub fn is_alive(&self, now: Millis, broker_id: BrokerId, directory_id: DirectoryId) -> bool {
        self.brokers.get(&broker_id).is_some_and(|session| {
            let may_live = session.connection.is_some()
                || (!session.fenced && session.disconnected.is_none() && session.directory_id != directory_id);
            may_live && now < session.heard.plus(self.timeouts.session_ms)
        })
    }

    /// How long the broker may believe itself alive after the heartbeat that came by this connection, ms; 0 if it may not:
    /// another connection took its place, or its fencing is on the way and may commit whatever it says now.
    pub fn lease_ms(&self, broker_id: BrokerId, connection: ConnectionId) -> u64 {
        let session = self.brokers.get(&broker_id).filter(|session| session.connection == Some(connection));
        let is_on_the_way = self.may_be_fenced.contains(&broker_id) || self.in_flight.contains_key(&broker_id);
        let may_live = session.is_some_and(|session| session.fenced || !is_on_the_way);
        if self.active && may_live { self.timeouts.session_ms } else { 0 }
    }

    /// Takes one event and appends the proposals that follow from it.
    pub fn step(&mut self, now: Millis, event: Event, proposals: &mut Vec<Proposal>) {
        self.forgive_standstill(now);
        match event {
            Event::Activated { brokers, index, term } => self.activate(now, brokers, index, term),
            Event::Deposed => {
                self.active = false;
                self.brokers.clear();
                self.in_flight.clear();
                self.may_be_fenced.clear();
            }
            Event::Registered { broker, index } => self.registered(now, &broker, index),
            Event::Unregistered(broker_id) => {
                self.brokers.remove(&broker_id);
                self.may_be_fenced.remove(&broker_id);
            }
            Event::Connected { broker_id, connection } => {
                if let Some(session) = self.brokers.get_mut(&broker_id) {
                    session.connection = Some(connection);
                    session.disconnected = None;
                    session.hear(now);
                    session.ready = false;
                    session.applied = MetadataIndex(0);
                }
            }
            Event::Heartbeat { broker_id, connection, applied_index, ready } => {
                if let Some(session) = self.of_connection(broker_id, connection) {
                    session.hear(now);
                    session.ready = ready;
                    session.applied = applied_index;
                }
            }
            Event::Disconnected { broker_id, connection } => {
                if let Some(session) = self.of_connection(broker_id, connection) {
                    session.connection = None;
                    session.disconnected = Some(now);
                    session.ready = false;
                }
            }
            Event::Ended(proposal, ending) => self.ended(now, proposal, ending),
            Event::Tick => {}
        }
        if self.active {
            self.decide(now, proposals);
        }
    }

    fn ended(&mut self, now: Millis, proposal: Proposal, ending: Ending) {
        let Proposal { broker_id, epoch, verdict, number } = proposal;
        if !matches!(self.in_flight.get(&broker_id), Some(InFlight::Proposed(known)) if *known == number) {
            return;
        }
        if ending == Ending::Done {
            self.in_flight.remove(&broker_id);
        } else {
            self.in_flight.insert(broker_id, InFlight::Pause(now.plus(RETRY_MS)));
        }
        let is_unfenced = self.brokers.get(&broker_id).is_some_and(|session| session.epoch == epoch && !session.fenced);
        match (verdict, ending) {
            (_, Ending::Done) => {
                self.may_be_fenced.remove(&broker_id);
            }
            (Verdict::Fence, Ending::Doubtful) if is_unfenced => {
                self.may_be_fenced.insert(broker_id);
            }
            _ => {}
        }
    }

    /// Moves the deadlines by what went by since the last step, if that is more than usual.
    fn forgive_standstill(&mut self, now: Millis) {
        let stood_still_ms = now.since(self.stepped);
        self.stepped = self.stepped.max(now);
        let session_ms = self.timeouts.session_ms;
        if self.active && stood_still_ms > STANDSTILL_MS.min(session_ms / 4) {
            for session in self.brokers.values_mut() {
                let forgiven_ms = stood_still_ms.min(session_ms.saturating_sub(session.forgiven_ms));
                session.forgiven_ms += forgiven_ms;
                session.heard = session.heard.plus(forgiven_ms);
                session.disconnected = session.disconnected.map(|at| at.plus(forgiven_ms));
            }
        }
    }

    fn activate(&mut self, now: Millis, brokers: Vec<BrokerRegistration>, index: MetadataIndex, term: u64) {
        self.active = true;
        if term != self.term {
            self.term = term;
            self.in_flight.clear();
            self.may_be_fenced.clear();
        }
        let before = std::mem::take(&mut self.brokers);
        let may_be_fenced = std::mem::take(&mut self.may_be_fenced);
        for broker in brokers {
            self.registered(now, &broker, index);
            let known = before.get(&broker.broker_id).filter(|known| known.epoch == broker.broker_epoch);
            if let (Some(known), Some(session)) = (known, self.brokers.get_mut(&broker.broker_id)) {
                let Session { connection, disconnected, ready, applied, .. } = *known;
                *session = Session { connection, disconnected, ready, applied, ..session.clone() };
                if may_be_fenced.contains(&broker.broker_id) && !session.fenced {
                    self.may_be_fenced.insert(broker.broker_id);
                }
            }
        }
    }

    fn registered(&mut self, now: Millis, broker: &BrokerRegistration, index: MetadataIndex) {
        if !self.active {
            return;
        }
        let known = self.brokers.get_mut(&broker.broker_id).filter(|session| session.epoch == broker.broker_epoch);
        if let Some(session) = known {
            if broker.fenced && !session.fenced {
                session.must_apply = index;
            }
            session.fenced = broker.fenced;
            if broker.fenced {
                self.may_be_fenced.remove(&broker.broker_id);
            }
            session.leaving = broker.shutting_down;
            return;
        }
        self.may_be_fenced.remove(&broker.broker_id);
        self.brokers.insert(
            broker.broker_id,
            Session {
                epoch: broker.broker_epoch,
                directory_id: broker.directory_id,
                fenced: broker.fenced,
                leaving: broker.shutting_down,
                must_apply: index,
                heard: now,
                forgiven_ms: 0,
                connection: None,
                disconnected: None,
                ready: false,
                applied: MetadataIndex(0),
            },
        );
    }

    fn of_connection(&mut self, broker_id: BrokerId, connection: ConnectionId) -> Option<&mut Session> {
        self.brokers.get_mut(&broker_id).filter(|session| session.connection == Some(connection))
    }

    fn decide(&mut self, now: Millis, proposals: &mut Vec<Proposal>) {
        self.in_flight.retain(|_, one| !matches!(one, InFlight::Pause(until) if now >= *until));
        for (broker_id, session) in &self.brokers {
            if self.in_flight.contains_key(broker_id) {
                continue;
            }
            let silent = now >= session.heard.plus(self.timeouts.session_ms);
            let gone = session.disconnected.is_some_and(|at| now >= at.plus(self.timeouts.disconnect_grace_ms));
            let verdict = if !session.fenced && (silent || gone || self.may_be_fenced.contains(broker_id)) {
                Verdict::Fence
            } else if session.fenced
                && !session.leaving
                && !silent
                && session.connection.is_some()
                && session.ready
                && session.applied >= session.must_apply
            {
                Verdict::Unfence
            } else {
                continue;
            };
            self.proposals += 1;
            let number = self.proposals;
            self.in_flight.insert(*broker_id, InFlight::Proposed(number));
            proposals.push(Proposal { broker_id: *broker_id, epoch: session.epoch, verdict, number });
        }
    }
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
