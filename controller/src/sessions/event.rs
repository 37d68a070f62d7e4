//! What the sessions of brokers learn, and what they propose. Pure.

use holdfast_metadata::BrokerRegistration;
use holdfast_proto::ids::{BrokerEpoch, BrokerId, MetadataIndex};

/// Names a connection of a broker, never given twice by one controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// What the sessions learn, each at a time that [`Sessions::step`](super::Sessions::step) is told.
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
    /// It leads on but is not active for a while: it hears no majority, or hands over. It refuses every session.
    Suspended,
    /// It is active again, or was not for a moment that nobody told of.
    Resumed,
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
        /// The registration that it speaks for.
        broker_epoch: BrokerEpoch,
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
    /// A connection ended; the grace begins if it was the broker's newest and this controller did not end it.
    Disconnected {
        /// The broker at its other end.
        broker_id: BrokerId,
        /// The one that ended.
        connection: ConnectionId,
        /// True if this controller ended it because it was not active: that says nothing of the broker.
        refused: bool,
    },
    /// A broker started again and wants to register: its earlier session is over.
    Restarted(BrokerId),
    /// A proposal of this module has ended.
    Ended(Proposal, Ending),
    /// Nothing but time went by: all deadlines are compared. Comes several times in the grace.
    Tick,
}

/// A command to propose, for the registration with this broker epoch only. The fencings of one step belong to one command.
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

/// What is known of the session that the registration of another start would take the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// It may belong to a broker that lives.
    Alive,
    /// It is over, and so is every fencing that it belongs to: the broker may register.
    Over,
    /// It is over; but it is not known yet who ended with it, or the fencing of all these has not ended. That takes a session
    /// timeout at most, as far as no proposal fails. Ask again after each step.
    NotYet,
}

/// How long a broker is waited for before it is fenced. A fencing takes those along that would follow within a part of it,
/// see [`Timeouts::nearly_ms`].
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Without a heartbeat for this long a broker is fenced, ms.
    pub session_ms: u64,
    /// Without a connection for this long it is fenced, ms.
    pub disconnect_grace_ms: u64,
}

impl Timeouts {
    /// How long a broker was silent at least that is fenced with another whose deadline has passed, ms: three quarters of the
    /// session timeout. Brokers that lose their power at one moment were heard last within one interval of heartbeats, which
    /// is a sixth of the session timeout at the defaults.
    #[must_use]
    pub fn nearly_ms(&self) -> u64 {
        self.session_ms - self.session_ms / 4
    }
}
