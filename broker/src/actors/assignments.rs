//! Which replicas this broker has to hold, and the life of each: opened, told its state, closed, deleted.
//!
//! ```text
//!            assigned            log open       deleted, or moved away         folder gone
//!   (none) ───────────▶ Opening ──────────▶ Open ─────────────────▶ Deleting ────────────▶ (none)
//!   Recovered ─────────────────────────────▲ ▲
//!   (log opened at start) ── assigned ───────┘          not in the metadata: a stray, closed and kept
//! ```
//!
//! A folder is deleted for a committed reason alone, see `removal`. Snapshots keep the ids of deleted topics for ever, so
//! a broker that was away when a topic was deleted still learns of it. Should a controller ever send a snapshot without
//! them, folders stay as strays, with a warning at each start: the operator may remove them by hand.

use std::{collections::HashMap, num::NonZeroU64, sync::Arc};

use actix::{AsyncContext, Context as ActorContext, WrapFuture};
use tokio::sync::oneshot;

use holdfast_log::{LogConfig, PartitionLog, Recovered};
use holdfast_metadata::Image;
use holdfast_proto::ids::TopicPartition;

use super::{
    partition::Opened,
    removal::Reason,
    session::{Changed, SessionActor, SessionEvent},
};
use crate::{
    assignment,
    exit::Fatal,
    partition::{Replica, message::Message},
    recovery::RecoveredLogs,
};

/// The replicas of this broker, by their partitions.
#[derive(Default)]
pub(super) struct Slots {
    pub(super) slots: HashMap<TopicPartition, Slot>,
    closing: bool,
}

pub(super) enum Slot {
    /// Opened at start, not yet known to be wanted.
    Recovered(Box<(PartitionLog, Recovered)>),
    /// Being opened.
    Opening,
    /// Open, with its actor.
    Open(Replica),
    /// Being closed and deleted.
    Deleting,
}

impl Slots {
    /// Logs that were opened at start.
    pub(super) fn recovered(&mut self, logs: RecoveredLogs) {
        for (partition, log, recovered) in logs.0 {
            self.slots.insert(partition, Slot::Recovered(Box::new((log, recovered))));
        }
    }
}

impl SessionActor {
    /// Makes what is here what the image says should be.
    pub(super) fn reconcile(&mut self, image: &Arc<Image>, changed: &Changed, actor: &mut ActorContext<Self>) {
        if self.slots.closing {
            return;
        }
        let own = self.context.broker_id;
        let mut partitions: Vec<TopicPartition> = match changed {
            Changed::All => image.partitions_of(own).map(|(partition, ..)| partition).collect(),
            Changed::Some { partitions, topics, move_limit } => {
                let held = self.slots.slots.keys().filter(|partition| topics.contains(&partition.topic_id));
                let arriving = image.partitions_of(own).filter(|(_, _, state)| state.adding.contains(&own));
                let arriving = arriving.filter(|_| *move_limit).map(|(partition, ..)| partition);
                partitions.iter().chain(held).copied().chain(arriving).collect()
            }
        };
        if matches!(changed, Changed::All) {
            partitions.extend(self.slots.slots.keys().copied());
        }
        partitions.sort_unstable();
        partitions.dedup();
        let mut late = Vec::new();
        for partition in partitions {
            if image.deleted_topics().contains(&partition.topic_id) {
                self.delete(partition, Reason::TopicDeleted, actor);
                continue;
            }
            match image.topic(partition.topic_id).and_then(|topic| Some((topic, topic.partition(partition.partition)?)))
            {
                Some((_, state)) if state.replicas.contains(&own) => late.extend(self.keep(image, partition, actor)),
                Some((topic, state)) if self.slots.may_leave(partition, state) => {
                    self.delete(partition, Reason::MovedAway(Box::new(assignment::of(topic, state))), actor);
                }
                _ => self.set_aside_stray(partition, matches!(changed, Changed::All)),
            }
        }
        self.send_late(late, actor);
    }

    /// Opens the replica, or tells it its state. Gives the message back if its mailbox is full.
    fn keep(
        &mut self,
        image: &Image,
        partition: TopicPartition,
        actor: &mut ActorContext<Self>,
    ) -> Option<(Replica, Message)> {
        let topic = image.topic(partition.topic_id)?;
        let config = assignment::log_config(topic.config());
        match self.slots.slots.remove(&partition) {
            Some(Slot::Open(replica)) => {
                let state = topic.partition(partition.partition)?;
                // The limit is for replicas that a move brings here, and only until they have arrived.
                let arrives = state.adding.contains(&self.context.broker_id);
                let move_limit = NonZeroU64::new(image.move_bytes_per_second()).filter(|_| arrives);
                let message =
                    Message::Assigned { assignment: Box::new(assignment::of(topic, state)), log: config, move_limit };
                let late = replica.actor().try_send(message).err().map(|message| (replica.clone(), message));
                self.slots.slots.insert(partition, Slot::Open(replica));
                return late;
            }
            Some(Slot::Recovered(held)) => {
                let (log, recovered) = *held;
                let opened = Opened::new(&self.context, partition, log, recovered, LogConfig::default());
                self.slots.slots.insert(partition, Slot::Opening);
                self.opened(partition, opened, actor);
            }
            Some(busy @ (Slot::Opening | Slot::Deleting)) => {
                self.slots.slots.insert(partition, busy);
            }
            None => {
                self.slots.slots.insert(partition, Slot::Opening);
                self.open(partition, config, actor);
            }
        }
        None
    }

    /// Opens a log on a blocking thread.
    fn open(&self, partition: TopicPartition, config: LogConfig, actor: &mut ActorContext<Self>) {
        let context = Arc::clone(&self.context);
        let address = actor.address();
        self.context.disk.runtime().spawn(async move {
            let working = Arc::clone(&context);
            let work = move || {
                let (log, recovered) = working.data_dir.open_partition(partition, config)?;
                Opened::new(&working, partition, log, recovered, config)
            };
            match context.disk.runtime().spawn_blocking(work).await {
                // The actor is gone only when the broker stops.
                Ok(opened) => {
                    let _gone_with_the_broker = address.send(SessionEvent::Opened(partition, opened)).await;
                }
                Err(error) => context.state.fail(Fatal::Failure(format!("{partition}: opening the log: {error}"))),
            }
        });
    }

    /// A log was opened: its actor is started and told its state as of now.
    pub(super) fn opened(
        &mut self,
        partition: TopicPartition,
        opened: Result<Opened, holdfast_log::Error>,
        actor: &mut ActorContext<Self>,
    ) {
        match opened {
            Ok(opened) => {
                let replica = self.actors.start_partition(&self.context, opened);
                self.context.partitions.insert(replica.clone());
                self.slots.slots.insert(partition, Slot::Open(replica));
                let image = self.context.metadata.image();
                let only = Changed::only(partition);
                self.reconcile(&image, &only, actor);
            }
            Err(error) if error.is_damage() => {
                self.context.state.fail(Fatal::LogDamaged(format!("{partition}: {error}")));
            }
            Err(error) => self.context.state.fail(Fatal::StorageFailed(format!("{partition}: {error}"))),
        }
    }

    /// The metadata does not assign it to this broker, and no deletion of its topic was committed: its records are kept,
    /// for what is absent may be so by an error. It serves no more.
    fn set_aside_stray(&mut self, partition: TopicPartition, whole: bool) {
        match self.slots.slots.remove(&partition) {
            Some(Slot::Recovered(held)) if whole => {
                tracing::warn!(%partition, "a stray log: the metadata does not place it here; it is kept and not served");
                let (log, _) = *held;
                self.context.disk.runtime().spawn_blocking(move || log.close());
            }
            Some(Slot::Open(replica)) => {
                tracing::warn!(%partition, "the metadata no longer places this replica here; it is closed and kept");
                self.context.partitions.remove(partition);
                let (closed, _) = oneshot::channel();
                self.context.disk.runtime().spawn(async move {
                    let _closed_already = replica.actor().send(Message::Close(closed)).await;
                });
            }
            Some(other) => {
                self.slots.slots.insert(partition, other);
            }
            None => {}
        }
    }

    /// The lease ran out: every partition looks at it now.
    pub(super) fn lease_ended(&mut self, actor: &mut ActorContext<Self>) {
        let mut late = Vec::new();
        for slot in self.slots.slots.values() {
            if let Slot::Open(replica) = slot
                && let Err(message) = replica.actor().try_send(Message::LeaseEnded)
            {
                late.push((replica.clone(), message));
            }
        }
        self.send_late(late, actor);
    }

    /// Waits for place in full mailboxes before anything else is handled, so that no older word overtakes a newer one.
    fn send_late(&self, late: Vec<(Replica, Message)>, actor: &mut ActorContext<Self>) {
        if late.is_empty() {
            return;
        }
        let sending = async move {
            for (replica, message) in late {
                let _closed_already = replica.actor().send(message).await;
            }
        };
        actor.wait(sending.into_actor(self));
    }

    /// Closes every log; tells when all are closed.
    pub(super) fn close_all(&mut self, closed: oneshot::Sender<()>) {
        self.slots.closing = true;
        let slots = std::mem::take(&mut self.slots.slots);
        let context = Arc::clone(&self.context);
        self.context.disk.runtime().spawn(async move {
            let mut waits = Vec::new();
            for (partition, slot) in slots {
                match slot {
                    Slot::Open(replica) => {
                        context.partitions.remove(partition);
                        let (done, wait) = oneshot::channel();
                        let _closed_already = replica.actor().send(Message::Close(done)).await;
                        waits.push(wait);
                    }
                    Slot::Recovered(held) => {
                        let (log, _) = *held;
                        if let Ok(Err(error)) = context.disk.runtime().spawn_blocking(move || log.close()).await {
                            tracing::warn!(%partition, %error, "a log was not closed cleanly");
                        }
                    }
                    Slot::Opening | Slot::Deleting => {}
                }
            }
            for wait in waits {
                // An error says that the actor is gone, and its log with it.
                let _ = wait.await;
            }
            let _ = closed.send(());
        });
    }
}
