//! The session of one registered broker, and what is to become of it. Pure.

use holdfast_metadata::BrokerRegistration;
use holdfast_proto::ids::{BrokerEpoch, MetadataIndex, Millis};

use super::event::{ConnectionId, Timeouts, Verdict};

/// What this controller knows of a session besides its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Nothing was heard of it since this controller became active, or became so again: it may have ended with any other.
    Unheard,
    /// The broker was heard.
    Heard,
    /// Another start of the broker wants to register in its place: this one is over.
    Replaced,
}

/// Of one registration: another start of the broker has another.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) epoch: BrokerEpoch,
    pub(super) fenced: bool,
    leaving: bool,
    /// It must have applied this before it is unfenced.
    must_apply: MetadataIndex,
    pub(super) heard: Millis,
    /// How long nobody could be heard since then, as far as it is forgiven, ms; 0: its deadlines did not start over.
    forgiven_ms: u64,
    pub(super) connection: Option<ConnectionId>,
    pub(super) disconnected: Option<Millis>,
    known: Known,
    ready: bool,
    applied: MetadataIndex,
}

impl Session {
    /// Of a broker that was not heard yet and has a full timeout from now on; its registration is true at `index`.
    pub(super) fn new(now: Millis, broker: &BrokerRegistration, index: MetadataIndex) -> Self {
        Self {
            epoch: broker.broker_epoch,
            fenced: broker.fenced,
            leaving: broker.shutting_down,
            must_apply: index,
            heard: now,
            forgiven_ms: 0,
            connection: None,
            disconnected: None,
            known: Known::Unheard,
            ready: false,
            applied: MetadataIndex(0),
        }
    }

    /// The same registration was applied again, at this index.
    pub(super) fn update(&mut self, broker: &BrokerRegistration, index: MetadataIndex) {
        if broker.fenced && !self.fenced {
            self.must_apply = index;
        }
        self.fenced = broker.fenced;
        self.leaving = broker.shutting_down;
    }

    /// Takes over the connection of `known`, what came by it, and whether it is over.
    pub(super) fn keep_connection(&mut self, known: &Self) {
        self.connection = known.connection;
        self.disconnected = known.disconnected;
        if known.is_replaced() {
            self.replace();
        }
        self.ready = known.ready;
        self.applied = known.applied;
    }

    /// A connection was opened. One of an earlier number comes too late.
    pub(super) fn connect(&mut self, now: Millis, connection: ConnectionId) {
        if self.connection.is_none_or(|present| present < connection) {
            self.connection = Some(connection);
            self.disconnected = None;
            self.ready = false;
            self.applied = MetadataIndex(0);
            self.hear(now);
        }
    }

    /// A heartbeat came by the present connection.
    pub(super) fn beat(&mut self, now: Millis, ready: bool, applied: MetadataIndex) {
        self.ready = ready;
        self.applied = applied;
        self.hear(now);
    }

    /// The present connection ended.
    pub(super) fn disconnect(&mut self, now: Millis) {
        self.connection = None;
        self.disconnected = Some(now);
        self.ready = false;
    }

    /// This controller ended the connection because it was not active: that is no word of the broker's.
    pub(super) fn release(&mut self) {
        self.connection = None;
        self.ready = false;
    }

    /// This controller is active again, as it was not for the time that ends now: the broker may have been refused, and has
    /// a full session timeout to come back, as [`Self::forgive`] gives it.
    pub(super) fn resume(&mut self, now: Millis, unheard_ms: u64, at_most_ms: u64) {
        if self.forgiven_ms == 0 {
            self.disconnected = None;
        }
        if !self.is_replaced() {
            self.known = Known::Unheard;
        }
        self.forgive(now, unheard_ms, at_most_ms);
    }

    /// Nobody could be heard for the time that ends now. At first its deadlines start over: however long that time was, the
    /// broker had none to be heard in. After that they move by that time, as far as not all of `at_most_ms` is used up; of
    /// which the first uses up half at most, so that a second one as long leaves time to be heard, too.
    pub(super) fn forgive(&mut self, now: Millis, unheard_ms: u64, at_most_ms: u64) {
        if self.forgiven_ms == 0 {
            self.heard = now;
            self.disconnected = self.disconnected.map(|_| now);
            self.forgiven_ms = unheard_ms.clamp(1, at_most_ms / 2);
            return;
        }
        let more_ms = unheard_ms.min(at_most_ms.saturating_sub(self.forgiven_ms));
        for begun in std::iter::once(&mut self.heard).chain(&mut self.disconnected) {
            *begun = begun.plus(more_ms);
        }
        self.forgiven_ms += more_ms;
    }

    /// What is to become of it now. `may_be_fenced`: a fencing that was proposed may be logged.
    pub(super) fn verdict(&self, now: Millis, timeouts: &Timeouts, may_be_fenced: bool) -> Option<Verdict> {
        if !self.fenced {
            return (may_be_fenced || self.is_due(now, timeouts)).then_some(Verdict::Fence);
        }
        let silent = now >= self.heard.plus(timeouts.session_ms);
        let caught_up = self.ready && self.applied >= self.must_apply;
        (!self.leaving && !silent && self.connection.is_some() && caught_up).then_some(Verdict::Unfence)
    }

    fn is_due(&self, now: Millis, timeouts: &Timeouts) -> bool {
        let silent = now >= self.heard.plus(timeouts.session_ms);
        silent || self.disconnected.is_some_and(|at| now >= at.plus(timeouts.disconnect_grace_ms))
    }

    /// Another start of the broker is about to register.
    pub(super) fn replace(&mut self) {
        self.known = Known::Replaced;
    }

    /// True if another start of the broker wants to register in its place.
    pub(super) fn is_replaced(&self) -> bool {
        self.known == Known::Replaced
    }

    /// True if its connection broke and was not made again yet, or another start of its broker wants its place.
    pub(super) fn is_lost(&self) -> bool {
        self.is_replaced() || (self.connection.is_none() && self.disconnected.is_some())
    }

    /// True if it may be as dead as any other: this controller has not heard it yet, nor seen it end.
    pub(super) fn is_unknown(&self) -> bool {
        self.known == Known::Unheard && !self.is_lost()
    }

    /// True if it goes with another whose session is over: it is lost, or nearly as silent.
    pub(super) fn ends_with_others(&self, now: Millis, timeouts: &Timeouts) -> bool {
        self.is_lost() || now >= self.heard.plus(timeouts.nearly_ms())
    }

    fn hear(&mut self, now: Millis) {
        self.heard = now;
        self.forgiven_ms = 0;
        self.known = Known::Heard;
    }
}
