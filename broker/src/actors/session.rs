//! The actor of the broker's session with the active controller: it owns what the broker knows of the cluster.
//!
//! Place: the connection (`grpc/session`) tells it what came; it applies metadata, publishes the image, and tells each
//! partition its state (`assignments`). Invariants: (1) records are applied in order of their index, all of an index or
//! none; what does not fit ends the connection, and the next one begins with a snapshot; (2) a partition's folder is
//! deleted only for a committed reason (`removal`); absence from a snapshot leaves it as a stray;
//! (3) an image is published before partitions are told of it.

use std::{collections::BTreeSet, sync::Arc};

use actix::{Actor, Context as ActorContext, Handler};
use tokio::sync::oneshot;

use holdfast_metadata::{Image, Record};
use holdfast_proto::ids::{MetadataIndex, TopicId, TopicPartition};

use super::{assignments::Slots, threads::Actors};
use crate::{context::Context, recovery::RecoveredLogs, state::Phase};

/// Records of one index, or of a snapshot.
#[derive(Debug)]
pub struct Changes {
    /// The index.
    pub index: MetadataIndex,
    /// The records.
    pub records: Vec<Record>,
}

/// What the session actor can be told.
#[derive(Debug)]
pub enum SessionEvent {
    /// Logs that were recovered at start; comes first, once.
    Recovered(RecoveredLogs),
    /// Metadata came.
    Metadata {
        /// The whole state, replacing everything before.
        snapshot: Option<Changes>,
        /// Changes, in order.
        deltas: Vec<Changes>,
    },
    /// The lease ran out.
    LeaseEnded,
    /// The broker stops: every log is flushed and closed. Answered when all are.
    CloseAll(oneshot::Sender<()>),
    /// A log was opened, or could not be.
    Opened(TopicPartition, Result<super::Opened, holdfast_log::Error>),
    /// The folder of a replica that has left is gone.
    Deleted(TopicPartition),
}

/// How it took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionReply {
    /// Done; metadata is applied up to this index.
    Applied(MetadataIndex),
    /// The records do not fit what was applied before: a snapshot is needed.
    Misfit,
}

impl actix::Message for SessionEvent {
    type Result = SessionReply;
}

/// See the module.
pub(super) struct SessionActor {
    pub(super) context: Arc<Context>,
    pub(super) actors: Arc<Actors>,
    image: Image,
    /// True once a snapshot was applied.
    informed: bool,
    pub(super) slots: Slots,
}

/// What changed: partitions to look at again.
pub(super) enum Changed {
    All,
    Some { partitions: BTreeSet<TopicPartition>, topics: BTreeSet<TopicId>, move_limit: bool },
}

impl SessionActor {
    pub(super) fn new(context: Arc<Context>, actors: Arc<Actors>) -> Self {
        Self { context, actors, image: Image::default(), informed: false, slots: Slots::default() }
    }

    fn apply(&mut self, snapshot: Option<Changes>, deltas: Vec<Changes>) -> Result<Changed, String> {
        let mut changed = Changed::nothing();
        let mut image = self.image.clone();
        if let Some(Changes { index, records }) = snapshot {
            if index < self.image.index() {
                return Err(format!("a snapshot of index {index} came after index {}", self.image.index()));
            }
            image = Image::from_records(index, &records).map_err(|error| error.to_string())?;
            self.informed = true;
            changed = Changed::All;
        } else if !self.informed {
            return Err("changes came before any snapshot".to_owned());
        }
        for Changes { index, records } in deltas {
            // What a snapshot already holds may come again as a change.
            if index <= image.index() {
                continue;
            }
            image.apply_all(index, &records).map_err(|error| error.to_string())?;
            changed.note(&records);
        }
        self.image = image;
        Ok(changed)
    }

    fn metadata(
        &mut self,
        snapshot: Option<Changes>,
        deltas: Vec<Changes>,
        actor: &mut ActorContext<Self>,
    ) -> SessionReply {
        match self.apply(snapshot, deltas) {
            Ok(changed) => {
                self.context.metadata.publish(self.image.clone());
                let image = self.context.metadata.image();
                self.reconcile(&image, &changed, actor);
                self.note_phase(&image);
                SessionReply::Applied(image.index())
            }
            Err(error) => {
                tracing::warn!(%error, "metadata does not fit: asking for a snapshot");
                SessionReply::Misfit
            }
        }
    }

    /// Whether this broker serves is what the controller committed, nothing less.
    fn note_phase(&self, image: &Image) {
        let epoch = self.context.identity.broker_epoch();
        let own = image.broker(self.context.broker_id).filter(|own| own.broker_epoch == epoch);
        let serving = own.is_some_and(|own| !own.fenced);
        self.context.state.set_phase(if serving { Phase::Serving } else { Phase::Joining });
    }
}

impl Changed {
    /// One partition.
    pub(super) fn only(partition: TopicPartition) -> Self {
        Self::Some { partitions: [partition].into(), topics: BTreeSet::new(), move_limit: false }
    }

    fn nothing() -> Self {
        Self::Some { partitions: BTreeSet::new(), topics: BTreeSet::new(), move_limit: false }
    }

    fn note(&mut self, records: &[Record]) {
        let Self::Some { partitions, topics, move_limit } = self else { return };
        for record in records {
            match record {
                Record::Partition { topic_id, partition, .. } => {
                    partitions.insert(TopicPartition { topic_id: *topic_id, partition: *partition });
                }
                Record::RemoveTopic { topic_id } | Record::TopicConfig { topic_id, .. } => {
                    topics.insert(*topic_id);
                }
                Record::MoveLimit { .. } => *move_limit = true,
                Record::Cluster { .. }
                | Record::Broker(_)
                | Record::RemoveBroker { .. }
                | Record::Topic { .. }
                | Record::BrokerDrain { .. }
                | Record::NextProducerId { .. }
                | Record::NextBrokerEpoch { .. } => {}
            }
        }
    }
}

impl Actor for SessionActor {
    type Context = ActorContext<Self>;
}

impl Handler<SessionEvent> for SessionActor {
    type Result = actix::MessageResult<SessionEvent>;

    fn handle(&mut self, event: SessionEvent, actor: &mut ActorContext<Self>) -> Self::Result {
        let reply = match event {
            SessionEvent::Metadata { snapshot, deltas } => self.metadata(snapshot, deltas, actor),
            other => {
                match other {
                    SessionEvent::Recovered(logs) => self.slots.recovered(logs),
                    SessionEvent::LeaseEnded => self.lease_ended(actor),
                    SessionEvent::CloseAll(closed) => self.close_all(closed),
                    SessionEvent::Opened(partition, opened) => self.opened(partition, opened, actor),
                    SessionEvent::Deleted(partition) => self.deleted(partition, actor),
                    SessionEvent::Metadata { .. } => unreachable!("taken above"),
                }
                SessionReply::Applied(self.image.index())
            }
        };
        actix::MessageResult(reply)
    }
}
