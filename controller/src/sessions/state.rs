//! The sessions of all brokers. Pure. The module says what it holds to.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_metadata::BrokerRegistration;
use holdfast_proto::ids::{BrokerEpoch, BrokerId, MetadataIndex, Millis};

use super::{
    event::{ConnectionId, Ending, Event, Proposal, Timeouts, Verdict},
    session::Session,
};

/// Time before a proposal that came to nothing is made again, ms.
pub const RETRY_MS: u64 = 100;

/// Longest time between two steps of an active controller that does not stand still, ms: some of its ticks; or a quarter
/// of the session timeout if that is less.
const STANDSTILL_MS: u64 = 500;

/// The sessions of all registered brokers; none while this controller is not active.
#[derive(Debug)]
pub struct Sessions {
    pub(super) timeouts: Timeouts,
    active: bool,
    /// Since when it may not act though it leads.
    suspended: Option<Millis>,
    /// When the last step was.
    stepped: Millis,
    pub(super) brokers: BTreeMap<BrokerId, Session>,
    /// Of the leadership that they are of.
    term: u64,
    /// Brokers for which nothing is proposed now.
    pub(super) in_flight: BTreeMap<BrokerId, InFlight>,
    /// How many proposals were made.
    proposals: u64,
    /// Brokers of which a fencing was proposed that may be logged.
    pub(super) may_be_fenced: BTreeSet<BrokerId>,
}

/// Why nothing is proposed for a broker.
#[derive(Clone, Copy, Debug)]
pub(super) enum InFlight {
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
            suspended: None,
            stepped: Millis(0),
            brokers: BTreeMap::new(),
            term: 0,
            in_flight: BTreeMap::new(),
            proposals: 0,
            may_be_fenced: BTreeSet::new(),
        }
    }

    /// True from [`Event::Activated`] to [`Event::Deposed`], suspended or not.
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// True while this controller decides who is alive: active, and not suspended.
    pub fn decides(&self) -> bool {
        self.active && self.suspended.is_none()
    }

    /// Number of open sessions of others than this broker.
    pub fn others_connected(&self, broker_id: BrokerId) -> usize {
        let is_other = |(id, session): &(&BrokerId, &Session)| **id != broker_id && session.connection.is_some();
        self.brokers.iter().filter(is_other).count()
    }

    /// True if this is the broker's present connection. What comes by any other one is for nobody: it is to be closed.
    pub fn is_present(&self, broker_id: BrokerId, connection: ConnectionId) -> bool {
        self.brokers.get(&broker_id).is_some_and(|session| session.connection == Some(connection))
    }

    /// How long the broker may believe itself alive after the heartbeat that came by this connection, ms; 0 if it may not:
    /// another connection took its place, or its fencing is on the way and may commit whatever it says now.
    pub fn lease_ms(&self, broker_id: BrokerId, connection: ConnectionId) -> u64 {
        let session = self.brokers.get(&broker_id).filter(|session| session.connection == Some(connection));
        let is_on_the_way = self.may_be_fenced.contains(&broker_id) || self.in_flight.contains_key(&broker_id);
        let may_live = session.is_some_and(|session| session.fenced || !is_on_the_way);
        if self.decides() && may_live { self.timeouts.session_ms } else { 0 }
    }

    /// Takes one event and appends the proposals that follow from it.
    pub fn step(&mut self, now: Millis, event: Event, proposals: &mut Vec<Proposal>) {
        let before = self.stepped;
        self.stepped = before.max(now);
        if matches!(event, Event::Resumed) {
            self.resume(now, before);
        } else {
            self.forgive_standstill(now, before);
        }
        let looks_at_all = matches!(event, Event::Restarted(_) | Event::Tick);
        let whose = self.take(now, event);
        if self.decides() {
            self.decide(now, whose, proposals);
            if looks_at_all {
                self.end_replaced(proposals);
            }
        }
    }

    /// Takes over what happened. Returns the broker that it happened to; `None`: to all.
    fn take(&mut self, now: Millis, event: Event) -> Option<BrokerId> {
        match event {
            Event::Activated { brokers, index, term } => self.activate(now, brokers, index, term),
            Event::Deposed => {
                self.active = false;
                self.forget();
            }
            Event::Suspended => self.suspended = self.suspended.or(Some(now)),
            Event::Resumed => self.suspended = None,
            Event::Registered { broker, index } => {
                self.registered(now, &broker, index);
                return Some(broker.broker_id);
            }
            Event::Unregistered(broker_id) => {
                self.brokers.remove(&broker_id);
                self.may_be_fenced.remove(&broker_id);
                return Some(broker_id);
            }
            Event::Connected { broker_id, broker_epoch, connection } => {
                let session = self.brokers.get_mut(&broker_id).filter(|session| session.epoch == broker_epoch);
                if let Some(session) = session {
                    session.connect(now, connection);
                }
                return Some(broker_id);
            }
            Event::Heartbeat { broker_id, connection, applied_index, ready } => {
                if let Some(session) = self.of_connection(broker_id, connection) {
                    session.beat(now, ready, applied_index);
                }
                return Some(broker_id);
            }
            Event::Disconnected { broker_id, connection, refused } => {
                match self.of_connection(broker_id, connection) {
                    Some(session) if refused => session.release(),
                    Some(session) => session.disconnect(now),
                    None => {}
                }
                return Some(broker_id);
            }
            Event::Restarted(broker_id) => {
                if let Some(session) = self.brokers.get_mut(&broker_id) {
                    session.replace();
                }
                return Some(broker_id);
            }
            Event::Ended(proposal, ending) => {
                self.ended(now, proposal, ending);
                return Some(proposal.broker_id);
            }
            Event::Tick => {}
        }
        None
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

    /// Moves the deadlines by the time in which it was not active: since it was suspended, or since the last step if nobody
    /// told of that.
    fn resume(&mut self, now: Millis, before: Millis) {
        let (unheard_ms, session_ms) = (now.since(self.suspended.unwrap_or(before)), self.timeouts.session_ms);
        self.brokers.values_mut().for_each(|session| session.resume(now, unheard_ms, session_ms));
    }

    /// Moves the deadlines if more time went by since the last step, `before`, than usual.
    fn forgive_standstill(&mut self, now: Millis, before: Millis) {
        let stood_still_ms = now.since(before);
        let session_ms = self.timeouts.session_ms;
        if self.active && stood_still_ms > STANDSTILL_MS.min(session_ms / 4) {
            self.brokers.values_mut().for_each(|session| session.forgive(now, stood_still_ms, session_ms));
        }
    }

    fn forget(&mut self) {
        self.brokers.clear();
        self.in_flight.clear();
        self.may_be_fenced.clear();
    }

    fn activate(&mut self, now: Millis, brokers: Vec<BrokerRegistration>, index: MetadataIndex, term: u64) {
        self.active = true;
        if term != self.term {
            self.term = term;
            self.forget();
        }
        let before = std::mem::take(&mut self.brokers);
        let may_be_fenced = std::mem::take(&mut self.may_be_fenced);
        for broker in brokers {
            self.registered(now, &broker, index);
            let known = before.get(&broker.broker_id).filter(|known| known.epoch == broker.broker_epoch);
            if let (Some(known), Some(session)) = (known, self.brokers.get_mut(&broker.broker_id)) {
                session.keep_connection(known);
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
        let broker_id = broker.broker_id;
        let known = self.brokers.get_mut(&broker_id).filter(|session| session.epoch == broker.broker_epoch);
        if broker.fenced || known.is_none() {
            self.may_be_fenced.remove(&broker_id);
        }
        if let Some(session) = known {
            session.update(broker, index);
        } else {
            self.brokers.insert(broker_id, Session::new(now, broker, index));
        }
    }

    fn of_connection(&mut self, broker_id: BrokerId, connection: ConnectionId) -> Option<&mut Session> {
        self.brokers.get_mut(&broker_id).filter(|session| session.connection == Some(connection))
    }

    /// Proposes what is due: for one broker, or with `None` for all.
    fn decide(&mut self, now: Millis, whose: Option<BrokerId>, proposals: &mut Vec<Proposal>) {
        let is_over = |one: &InFlight| matches!(one, InFlight::Pause(until) if now >= *until);
        let sessions = if let Some(id) = whose {
            if self.in_flight.get(&id).is_some_and(is_over) {
                self.in_flight.remove(&id);
            }
            self.brokers.range(id..=id)
        } else {
            self.in_flight.retain(|_, one| !is_over(one));
            self.brokers.range(..)
        };
        let mut verdicts = Vec::new();
        for (broker_id, session) in sessions {
            let may_be_fenced = self.may_be_fenced.contains(broker_id);
            if !self.in_flight.contains_key(broker_id)
                && let Some(verdict) = session.verdict(now, &self.timeouts, may_be_fenced)
            {
                verdicts.push((*broker_id, session.epoch, verdict));
            }
        }
        let mut fences = false;
        for (broker_id, epoch, verdict) in verdicts {
            fences |= verdict == Verdict::Fence;
            self.propose(broker_id, epoch, verdict, proposals);
        }
        if fences {
            let timeouts = self.timeouts;
            self.fence_where(|session| session.ends_with_others(now, &timeouts), proposals);
        }
    }

    /// Proposes to fence all of those, unless they are fenced or something is proposed of them.
    fn fence_where(&mut self, is_meant: impl Fn(&Session) -> bool, proposals: &mut Vec<Proposal>) {
        let meant = self
            .brokers
            .iter()
            .filter(|(id, session)| !session.fenced && !self.in_flight.contains_key(id) && is_meant(session));
        let meant: Vec<_> = meant.map(|(id, session)| (*id, session.epoch)).collect();
        for (broker_id, epoch) in meant {
            self.propose(broker_id, epoch, Verdict::Fence, proposals);
        }
    }

    pub(super) fn propose(
        &mut self,
        broker_id: BrokerId,
        epoch: BrokerEpoch,
        verdict: Verdict,
        proposals: &mut Vec<Proposal>,
    ) {
        self.proposals += 1;
        let number = self.proposals;
        self.in_flight.insert(broker_id, InFlight::Proposed(number));
        proposals.push(Proposal { broker_id, epoch, verdict, number });
    }
}
