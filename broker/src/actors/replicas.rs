//! Does what the roster says with the replicas of this broker: opens logs, starts actors, tells them their state, closes
//! them and deletes folders.
//!
//! On failure: a log that is damaged or gone is not vouched for. One that cannot be opened for any other reason is tried
//! again (`opening`). Either way the others go on; the broker ends only with its disk. A folder that cannot be deleted stays,
//! and is looked at again at the next start.

use std::{collections::HashMap, num::NonZeroU64, sync::Arc};

use actix::{AsyncContext, Context as ActorContext, WrapFuture};
use tokio::sync::oneshot;

use holdfast_log::{Distrust, LogConfig, PartitionLog, Recovered, readable_end};
use holdfast_metadata::trust::DistrustReason;
use holdfast_proto::ids::TopicPartition;
use holdfast_replication::Assignment;

use super::{events::SessionEvent, opened::Opened, session::SessionActor};
use crate::{
    exit::Fatal,
    here::{assignment, context::Context, lease::LeaseNumber},
    life::recovery::RecoveredLogs,
    partition::{
        OpenReplica,
        findings::{Finding, cause_of, reason_of},
        message::Message,
        roster::{ClosedAt, Effect, Event, KnownEpochs, Reason},
    },
};

impl SessionActor {
    /// Logs that were opened at start.
    pub(super) fn recovered(&mut self, logs: RecoveredLogs) {
        for partition in logs.distrusted {
            self.roster.distrusted(partition);
        }
        for partition in logs.unread {
            self.roster.unread(partition);
            self.unread.insert(partition);
        }
        for (partition, log, recovered) in logs.opened {
            self.roster.recovered(partition, recovered.epochs.latest());
            self.recovered.insert(partition, (log, recovered));
        }
    }

    /// Gives one event to the roster and does what it says.
    pub(super) fn step(&mut self, event: &Event<'_>, actor: &mut ActorContext<Self>) {
        let late = self.look(event, actor);
        self.send_late(late, actor);
    }

    /// As [`Self::step`]; gives back the messages whose mailboxes are full.
    fn look(&mut self, event: &Event<'_>, actor: &mut ActorContext<Self>) -> Vec<(OpenReplica, Message)> {
        let image = self.context.metadata.image();
        let mut effects = Vec::new();
        let known = |partition| match self.replicas.get(&partition).map(|replica| replica.view()) {
            Some(view) => KnownEpochs { partition_epoch: view.partition_epoch, leader_epoch: view.leader_epoch },
            None => KnownEpochs::default(),
        };
        self.roster.step(&image, event, known, &mut effects);
        let mut late = Vec::new();
        for effect in effects {
            match effect {
                Effect::Open(partition) => self.open(partition, actor),
                Effect::Adopt(partition) => self.adopt(partition, actor),
                Effect::Assign { partition, assignment, is_arriving } => {
                    if assignment.isr.contains(&self.context.identity.broker_id)
                        && let Some(doubt) = self.doubted.remove(&partition)
                    {
                        self.settle_doubt(partition, doubt);
                    }
                    late.extend(self.assign(partition, assignment, is_arriving));
                }
                Effect::Reopen(partition) => self.reopen(partition, actor),
                Effect::AskLeader(partition, leadership) => self.ask_leader(partition, leadership, actor),
                Effect::Renew(partition) => {
                    self.context.outboxes.distrusts.forget(partition);
                    self.renew(partition, actor);
                }
                Effect::Salvage(partition) => {
                    self.context.outboxes.distrusts.forget(partition);
                    self.salvage(partition, actor);
                }
                Effect::Distrust(partition, closed_at) => self.distrust(partition, closed_at, actor),
                Effect::TellAgain(partition, closed_at) => {
                    let noted = self.context.logs.data_dir.distrusted(partition);
                    let reason = noted.map_or(DistrustReason::Damaged, |noted| reason_of(noted.cause));
                    self.context.outboxes.distrusts.put_again(partition, reason, closed_at);
                }
                Effect::CloseStray(partition) => self.close_stray(partition, actor),
                Effect::Delete(partition, reason) => {
                    self.context.outboxes.distrusts.forget(partition);
                    self.delete(partition, reason, actor);
                }
            }
        }
        late
    }

    /// Tells the replica its state. Gives the message back if its mailbox is full.
    fn assign(
        &self,
        partition: TopicPartition,
        assignment: Box<Assignment>,
        is_arriving: bool,
    ) -> Option<(OpenReplica, Message)> {
        let replica = self.replicas.get(&partition)?;
        let log = self.log_config(partition);
        let limit = self.image().move_bytes_per_second();
        let move_limit = NonZeroU64::new(limit).filter(|_| is_arriving);
        let message = Message::Assigned { assignment, log, move_limit };
        unsent(replica, message)
    }

    pub(super) fn log_config(&self, partition: TopicPartition) -> LogConfig {
        let topic = self.image().topic(partition.topic_id);
        topic.map_or_else(LogConfig::default, |topic| assignment::log_config(topic.config()))
    }

    /// Starts the replica on a log that was opened at start.
    fn adopt(&mut self, partition: TopicPartition, actor: &mut ActorContext<Self>) {
        if let Some((log, recovered)) = self.recovered.remove(&partition) {
            let opened = Opened::new(&self.context, partition, log, recovered, LogConfig::default());
            self.opened(partition, opened, actor);
        }
    }

    /// A log was opened: its actor is started and told its state as of now.
    pub(super) fn opened(
        &mut self,
        partition: TopicPartition,
        opened: Result<Opened, holdfast_log::Error>,
        actor: &mut ActorContext<Self>,
    ) {
        let was_whole = self.reopening.remove(&partition);
        match opened {
            // It ends with the broker's stop, which no longer knows of it.
            Ok(opened) if self.is_closing => opened.close(),
            Ok(opened) if opened.doubt.is_some() && was_whole => {
                opened.close();
                let why = format!("its replica of {partition} was opened again, and may lack what it counted as held");
                self.start_again(why);
            }
            Ok(opened) => {
                // One that could not be looked at when the metadata came, as one that was recovered at the start.
                if let Some(example) = self.outdated_by(partition, opened.recovered.epochs.latest()) {
                    opened.close();
                    return self.context.state.fail(Fatal::MetadataWentBack(example));
                }
                if let Some(doubt) = opened.doubt.clone() {
                    self.doubted.insert(partition, doubt);
                    opened.partition.set_in_doubt(true);
                }
                let replica = self.actors.start_partition(&self.context, opened);
                self.context.partitions.insert(replica.clone());
                self.replicas.insert(partition, replica.clone());
                let mut late = self.look(&Event::Opened(partition), actor);
                let began = self.lease_number.map(Message::LeaseBegan);
                // In one list: of two waits the later comes first.
                if late.is_empty() {
                    late.extend(began.and_then(|began| unsent(&replica, began)));
                } else {
                    late.extend(began.map(|began| (replica, began)));
                }
                self.send_late(late, actor);
                self.look_at_unread(actor);
            }
            Err(_) if self.is_closing => {}
            Err(error) => {
                if let Some(failure) = self.context.logs.writer.failure() {
                    return self.context.state.fail(Fatal::StorageFailed(failure.to_string()));
                }
                tracing::error!(%partition, %error, "the log of a replica cannot be opened: it is not vouched for");
                let (reason, detail) = (DistrustReason::Damaged, error.to_string());
                let (is_unreadable, readable_end) = (error.is_unreadable(), readable_end(&error));
                let finding = Finding { reason, detail, log: None, is_dead: true, is_unreadable, readable_end };
                self.context.findings.count(&finding);
                self.found.insert(partition, finding);
                self.step(&Event::OpenFailed(partition), actor);
                self.found.remove(&partition);
            }
        }
    }

    /// A log that was in doubt is in sync: it lacks nothing any more, and need not say so at the next start.
    fn settle_doubt(&self, partition: TopicPartition, doubt: String) {
        if let Some(replica) = self.replicas.get(&partition) {
            replica.set_in_doubt(false);
        }
        let context = Arc::clone(&self.context);
        self.context.logs.runtime.spawn(async move {
            let data_dir = Arc::clone(&context.logs.data_dir);
            let settled = context.logs.folders.in_turn(move || data_dir.settle_doubt(partition, &doubt)).await;
            match settled {
                Ok(Ok(true)) => tracing::info!(%partition, "a log that was in doubt is in sync again"),
                // Something else was found of it meanwhile.
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(%partition, %error, "the doubt of a log stands, though it is in sync"),
                Err(_runtime_ends) => {}
            }
        });
    }

    /// Closes a replica that is not vouched for, if it is open, and notes durably that it is not: a start that comes
    /// before the controllers have committed it must not believe it again.
    fn distrust(&mut self, partition: TopicPartition, closed_at: ClosedAt, actor: &mut ActorContext<Self>) {
        self.context.partitions.remove(partition);
        let (recovered, replica) = (self.recovered.remove(&partition), self.replicas.remove(&partition));
        let finding = self.found.remove(&partition);
        let damaged_at = finding.as_ref().and_then(|finding| finding.readable_end);
        let (reason, detail) =
            finding.map_or((DistrustReason::Damaged, String::new()), |finding| (finding.reason, finding.detail));
        let (context, address, going) = (Arc::clone(&self.context), actor.address(), self.under_way.begin());
        self.context.logs.runtime.spawn(async move {
            let _going = going;
            drop(recovered);
            let mut distrust = Distrust::new(cause_of(reason), detail);
            if let Some(replica) = &replica {
                close(replica).await;
                let view = replica.view();
                (distrust.last_epoch, distrust.end) = (view.flushed_epoch, Some(view.flushed_end));
            }
            let data_dir = Arc::clone(&context.logs.data_dir);
            let note = move || {
                // How far it can be read, not how far it reached: an operator may have to choose by it.
                let is_whole = replica.is_some() && damaged_at.is_none();
                let reach = |distrust: Distrust| distrust.reaching(data_dir.reach(partition, damaged_at));
                data_dir.distrust(partition, if is_whole { distrust } else { reach(distrust) })
            };
            let noted = context.logs.folders.in_turn(note).await;
            match noted {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return context.state.fail(Fatal::StorageFailed(error.to_string())),
                Err(error) => return context.state.fail(Fatal::Failure(format!("{partition}: {error}"))),
            }
            context.outboxes.distrusts.put(partition, reason, closed_at);
            let _gone_with_the_broker = address.send(SessionEvent::Closed(partition)).await;
        });
    }

    /// Closes what the metadata does not place here. Its records are kept, for what is absent may be so by an error.
    fn close_stray(&mut self, partition: TopicPartition, actor: &mut ActorContext<Self>) {
        tracing::warn!(%partition, "a stray: the metadata does not place this replica here; it is kept and not served");
        self.context.partitions.remove(partition);
        let (recovered, replica) = (self.recovered.remove(&partition), self.replicas.remove(&partition));
        let (context, address, going) = (Arc::clone(&self.context), actor.address(), self.under_way.begin());
        self.context.logs.runtime.spawn(async move {
            let _going = going;
            if let Some((log, _)) = recovered
                && let Ok(Err(error)) = context.logs.folders.in_turn(move || log.close()).await
            {
                tracing::warn!(%partition, %error, "the log of a stray was not closed cleanly");
            }
            if let Some(replica) = replica {
                close(&replica).await;
            }
            let _gone_with_the_broker = address.send(SessionEvent::Closed(partition)).await;
        });
    }

    /// Closes the replica and deletes its folder.
    fn delete(&mut self, partition: TopicPartition, reason: Reason, actor: &mut ActorContext<Self>) {
        let (closed, wait) = oneshot::channel();
        let mut messages = Vec::new();
        match reason {
            Reason::TopicDeleted => tracing::info!(%partition, "its topic was deleted: deleting the replica"),
            Reason::MovedAway(state) => {
                tracing::info!(%partition, replicas = ?state.replicas, "it was moved to other brokers: deleting the replica");
                messages.push(Message::LastAssigned(state));
            }
        }
        messages.push(Message::Close(closed));
        self.context.partitions.remove(partition);
        let replica = self.replicas.remove(&partition);
        // Dropping a log closes its files.
        drop(self.recovered.remove(&partition));
        let (context, address) = (Arc::clone(&self.context), actor.address());
        self.context.logs.runtime.spawn(async move {
            if let Some(replica) = replica {
                for message in messages {
                    let _closed_already = replica.actor().send(message).await;
                }
                // An error says that the actor is gone, and its log with it.
                let _ = wait.await;
            }
            let data_dir = Arc::clone(&context.logs.data_dir);
            let gone = context.logs.deletions.in_turn(move || data_dir.delete_partition(partition)).await;
            if let Ok(Err(error)) = gone {
                tracing::error!(%partition, %error, "the folder of a replica that has left stays");
            }
            let _gone_with_the_broker = address.send(SessionEvent::Deleted(partition)).await;
        });
    }

    /// A new lease began: every replica, and each that is opened later, counts on it after the states that it was
    /// told before.
    pub(super) fn lease_began(&mut self, number: LeaseNumber, actor: &mut ActorContext<Self>) {
        self.lease_number = Some(number);
        self.tell_all(|| Message::LeaseBegan(number), actor);
    }

    /// Tells every replica that runs; a full mailbox is waited for.
    pub(super) fn tell_all(&self, message: impl Fn() -> Message, actor: &mut ActorContext<Self>) {
        let late = self.replicas.values().filter_map(|replica| unsent(replica, message()));
        self.send_late(late.collect(), actor);
    }

    /// Waits for place in full mailboxes before anything else is handled, so that no older message overtakes a newer one.
    fn send_late(&self, late: Vec<(OpenReplica, Message)>, actor: &mut ActorContext<Self>) {
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

    /// Closes every log; tells when all are closed, and what was found of any of them is noted.
    pub(super) fn close_all(&mut self, closed: oneshot::Sender<()>, actor: &mut ActorContext<Self>) {
        self.is_closing = true;
        self.step(&Event::Closing, actor);
        let replicas = std::mem::take(&mut self.replicas);
        let recovered: Vec<(TopicPartition, (PartitionLog, Recovered))> = self.recovered.drain().collect();
        let (context, under_way) = (Arc::clone(&self.context), Arc::clone(&self.under_way));
        self.context.logs.runtime.spawn(async move {
            let mut waits = Vec::new();
            for (partition, replica) in &replicas {
                context.partitions.remove(*partition);
                let (done, wait) = oneshot::channel();
                let _closed_already = replica.actor().send(Message::Close(done)).await;
                waits.push(wait);
            }
            for (partition, (log, _)) in recovered {
                if let Ok(Err(error)) = context.logs.folders.in_turn(move || log.close()).await {
                    tracing::warn!(%partition, %error, "a log was not closed cleanly");
                }
            }
            for wait in waits {
                // An error says that the actor is gone, and its log with it.
                let _ = wait.await;
            }
            note_halted(&context, &replicas).await;
            // Else the next start would vouch for them.
            under_way.ended().await;
            let _ = closed.send(());
        });
    }
}

impl SessionActor {
    /// As [`note_halted`], of one that was looked at while the broker stops: its log is closed.
    pub(super) fn note_halted(&self, partition: TopicPartition, finding: &Finding) {
        let (context, distrust) = (Arc::clone(&self.context), Distrust::new(cause_of(finding.reason), &finding.detail));
        let going = self.under_way.begin();
        self.context.logs.runtime.spawn(async move {
            note(&context, partition, distrust).await;
            drop(going);
        });
    }
}

/// Notes of the replicas that halted, and that nobody looked at any more before the stop, that they do not count: their logs
/// are sound in themselves, so that the next start would find nothing wrong. What is damaged it finds again.
async fn note_halted(context: &Arc<Context>, closed: &HashMap<TopicPartition, OpenReplica>) {
    for (partition, finding) in context.findings.drain() {
        let Some(replica) = closed.get(&partition).filter(|replica| finding.is_about(&replica.reader)) else {
            continue;
        };
        if finding.reason != DistrustReason::Halted {
            continue;
        }
        let view = replica.view();
        let mut distrust = Distrust::new(cause_of(finding.reason), finding.detail);
        (distrust.last_epoch, distrust.end) = (view.flushed_epoch, Some(view.flushed_end));
        note(context, partition, distrust).await;
    }
}

async fn note(context: &Context, partition: TopicPartition, distrust: Distrust) {
    let data_dir = Arc::clone(&context.logs.data_dir);
    if let Ok(Err(error)) = context.logs.folders.in_turn(move || data_dir.distrust(partition, distrust)).await {
        tracing::error!(%partition, %error, "that a replica halted is not noted: the next start takes it for whole");
    }
}

/// Closes the replica, and returns once its log is.
pub(super) async fn close(replica: &OpenReplica) {
    let (closed, wait) = oneshot::channel();
    let _closed_already = replica.actor().send(Message::Close(closed)).await;
    // An error says that the actor is gone, and its log with it.
    let _ = wait.await;
}

/// Puts a message into the mailbox; gives it back if that is full.
fn unsent(replica: &OpenReplica, message: Message) -> Option<(OpenReplica, Message)> {
    replica.actor().try_send(message).err().map(|message| (replica.clone(), message))
}
