//! How others talk to the sessions' actor. A full mailbox waits, but for what is said in passing.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use actix::Addr;

use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, MetadataIndex},
};

use super::{
    actor::SessionsActor,
    messages::{Connect, Happened, HasSession, Heartbeat, IsAlive},
};
use crate::sessions::{ConnectionId, Event};

/// Talks to the sessions' actor. Clones talk to the same.
#[derive(Clone)]
pub(crate) struct SessionsHandle {
    actor: Addr<SessionsActor>,
    connections: Arc<AtomicU64>,
}

impl SessionsHandle {
    /// Talks to this one.
    pub(super) fn new(actor: Addr<SessionsActor>) -> Self {
        Self { actor, connections: Arc::default() }
    }

    /// Opens a session of the broker that is registered with this epoch. Returns its number, and the term of the leadership
    /// that it is of.
    pub(crate) async fn connect(
        &self,
        broker_id: BrokerId,
        broker_epoch: BrokerEpoch,
    ) -> Result<(ConnectionId, u64), ErrorDetail> {
        let connection = ConnectionId(self.connections.fetch_add(1, Ordering::Relaxed) + 1);
        let term = self.actor.send(Connect { broker_id, broker_epoch, connection }).await.map_err(|_| stopping())??;
        Ok((connection, term))
    }

    /// Passes on a heartbeat. Answered after the actor has seen it, with the lease that it gives, ms. An error ends the
    /// session.
    pub(crate) async fn heartbeat(
        &self,
        broker_id: BrokerId,
        connection: ConnectionId,
        applied_index: MetadataIndex,
        ready: bool,
    ) -> Result<u64, ErrorDetail> {
        self.actor.send(Heartbeat { broker_id, connection, applied_index, ready }).await.map_err(|_| stopping())?
    }

    /// Ends a session. For use in `drop`: does not wait.
    pub(crate) fn disconnect(&self, broker_id: BrokerId, connection: ConnectionId, refused: bool) {
        if self.actor.try_send(Happened(Event::Disconnected { broker_id, connection, refused })).is_err() {
            // The broker is then fenced by its silence.
            tracing::warn!(%broker_id, "the sessions' actor is too busy to hear of a broken connection");
        }
    }

    /// True if a registration under this id may displace a broker that lives. False once it is over
    /// ([`Sessions::earlier`](crate::sessions::Sessions::earlier)) and who ended with it is fenced. OVERLOADED if that takes
    /// too long, NOT_CONTROLLER if nobody can say on this controller: ask again.
    pub(crate) async fn is_alive(&self, broker_id: BrokerId, is_same_folder: bool) -> Result<bool, ErrorDetail> {
        self.actor.send(IsAlive { broker_id, is_same_folder }).await.map_err(|_| stopping())?
    }

    /// True if the broker has a session, starts, or may find this controller yet. Changes nothing; NOT_CONTROLLER if nobody
    /// can say on this controller.
    pub(crate) async fn has_session(&self, broker_id: BrokerId) -> Result<bool, ErrorDetail> {
        self.actor.send(HasSession { broker_id }).await.map_err(|_| stopping())?
    }
}

fn stopping() -> ErrorDetail {
    ErrorDetail::from(ErrorCode::ShuttingDown)
}
