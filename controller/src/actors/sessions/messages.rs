//! What the sessions' actor is told and asked.

use actix::Message;

use holdfast_proto::{
    detail::ErrorDetail,
    ids::{BrokerEpoch, BrokerId, MetadataIndex},
};

use crate::sessions::{ConnectionId, Event};

/// A broker's stream says something.
pub(super) struct Happened(pub(super) Event);

impl Message for Happened {
    type Result = ();
}

/// A broker says that it lives. Answered with how long it may believe so from then on, ms. An error ends its stream: this
/// controller cannot say, or knows the connection no more.
pub(super) struct Heartbeat {
    pub(super) broker_id: BrokerId,
    pub(super) connection: ConnectionId,
    pub(super) applied_index: MetadataIndex,
    pub(super) ready: bool,
}

impl Message for Heartbeat {
    type Result = Result<u64, ErrorDetail>;
}

/// Opens a session, unless there are too many. Answered with the term of the leadership that it is of, and ends with.
pub(super) struct Connect {
    pub(super) broker_id: BrokerId,
    pub(super) broker_epoch: BrokerEpoch,
    pub(super) connection: ConnectionId,
}

impl Message for Connect {
    type Result = Result<u64, ErrorDetail>;
}

/// Asks whether a broker lives, for a registration under its id that would be carried out otherwise. If not, it is answered
/// once those whose sessions ended with its earlier one are fenced with it: else the registration would take it out of each
/// ISR by itself. An error if that takes too long, or the sessions are not those of the present leadership.
pub(super) struct IsAlive {
    pub(super) broker_id: BrokerId,
    pub(super) is_same_folder: bool,
}

impl Message for IsAlive {
    type Result = Result<bool, ErrorDetail>;
}

/// Asks whether a broker has a session, or may find this controller yet. Changes nothing.
pub(super) struct HasSession {
    pub(super) broker_id: BrokerId,
}

impl Message for HasSession {
    type Result = Result<bool, ErrorDetail>;
}
