//! What the session's actor can be told, and how others reach it, without naming actix.

use actix::Recipient;
use tokio::sync::oneshot;

use holdfast_proto::ids::{MetadataIndex, TopicPartition};

use super::opened::Opened;
use crate::{
    here::{image_follower::Changes, lease::LeaseNumber},
    life::recovery::RecoveredLogs,
    partition::{findings::Finding, roster::Leadership},
};

/// What the session actor can be told.
#[derive(Debug)]
pub enum SessionEvent {
    /// Logs that were recovered at start; comes first, once.
    Recovered(RecoveredLogs),
    /// Metadata came from the controller.
    Metadata {
        /// Index of this start's registration.
        registered_at: MetadataIndex,
        /// The whole state, replacing everything before.
        snapshot: Option<Changes>,
        /// Changes, in the order of their indexes.
        deltas: Vec<Changes>,
    },
    /// A new lease began; what came before it is applied.
    LeaseBegan(LeaseNumber),
    /// The lease ran out.
    LeaseEnded,
    /// The broker stops: every log is flushed and closed. Answered when all are.
    CloseAll(oneshot::Sender<()>),
    /// A log was opened, or could not be.
    Opened(TopicPartition, Result<Opened, holdfast_log::Error>),
    /// A log was not opened, its topic is deleted, and it is not tried any more.
    NotOpened(TopicPartition),
    /// The leader that a replica waits for, which is not vouched for, has answered.
    LeaderAnswered(TopicPartition, Leadership),
    /// The folder of a replica that has left is gone.
    Deleted(TopicPartition),
    /// The log of a replica that was set aside, or is not vouched for, is closed.
    Closed(TopicPartition),
    /// Something is wrong with a replica: this broker does not vouch for it any more.
    Distrust(TopicPartition, Finding),
    /// The log of a replica takes nothing any more, and nobody else could take its place: it is opened again.
    Reopen(TopicPartition, Finding),
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionReply {
    /// Done; metadata is applied up to this index.
    Applied(MetadataIndex),
    /// The records do not fit what was applied before.
    SnapshotNeeded,
}

impl actix::Message for SessionEvent {
    type Result = SessionReply;
}

/// The address of the session actor.
#[derive(Clone)]
pub struct SessionAddress(pub(super) Recipient<SessionEvent>);

impl SessionAddress {
    /// Tells it something and waits until it has dealt with it; `None` if it is gone, as when the broker stops.
    pub async fn tell(&self, event: SessionEvent) -> Option<SessionReply> {
        self.0.send(event).await.ok()
    }
}
