//! The actor of one partition replica: the shell round the pure core.
//!
//! Place: services, followers' streams, the fetchers and the session send it messages; the log writer reports to its
//! completion slot. Each becomes one or more events of the core, given with the time; what the core wants done is done
//! in `effects`, in order. Invariants: (1) before any event, an ended lease is given to the core as `SessionLost`, and then
//! what the log writer reported; (2) the view that consumers read is published after the step's appends and before any
//! producer hears of it, so that what was acknowledged can be read at once; (3) a produce whose bytes find no room at
//! the log writer is refused before the core sees it.

use std::{collections::HashMap, sync::Arc};

use actix::{Actor, ActorContext, AsyncContext, Handler, SpawnHandle, StreamHandler, WrapFuture};
use tokio::sync::oneshot;

use holdfast_log::{Completion, LogConfig, LogHandle, Op};
use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, Millis, Offset, ProducerId},
};
use holdfast_replication::{Assignment, Effect, Event, FetchAnswer, ProduceToken, Replica, ReplicaConfig};

use super::{
    address::{Envelope, PartitionAddress},
    in_hand::{Follower, InHand},
    opened::Opened,
    threads::Actors,
};
use crate::{
    exit::Fatal,
    here::{context::Context, lease::LeaseGuard},
    outbox::answers::Answer,
    partition::{
        OpenReplica, Partition, ReplicaView,
        completion::{CompletionSlot, Filled},
        copying::Copying,
        findings::Finding,
        message::{Message, ProduceJob, ProduceReply},
    },
};

/// How far the high watermark on disk may lag behind, ms. It is a lower bound that shortens a restart, nothing hangs on
/// it; written with the log's own durable mark.
const HIGH_WATERMARK_CHECKPOINT_MS: u64 = 1_000;

/// Messages of one partition that are handled before others of its thread have their turn.
const MESSAGES_PER_TURN: u64 = 256;

/// The shell of one partition replica. See the module.
pub(super) struct PartitionActor {
    pub(super) context: Arc<Context>,
    pub(super) partition: Arc<Partition>,
    pub(super) core: Replica,
    pub(super) log: LogHandle,
    completions: Arc<CompletionSlot>,
    config: LogConfig,
    effects: Vec<Effect>,
    pub(super) waiting: HashMap<ProduceToken, ProduceReply>,
    next_token: u64,
    pub(super) followers: HashMap<BrokerId, Follower>,
    /// The timer that is set, and for when.
    timer: Option<(Millis, SpawnHandle)>,
    stored_high_watermark: (Millis, Offset),
    lease: LeaseGuard,
    /// True once the log takes nothing any more, and that was said.
    pub(super) has_failed: bool,
    /// Messages that were handled so far.
    handled: u64,
    pub(super) closing: Option<oneshot::Sender<()>>,
    pub(super) copying: Copying,
}

impl PartitionActor {
    pub(super) fn new(context: Arc<Context>, opened: Opened) -> Self {
        let Opened { partition, log, completions, recovered, config, doubt: _ } = opened;
        let settings = &context.config;
        let core = ReplicaConfig {
            replica_lag_time_max_ms: settings.replica_lag_time_max_ms,
            max_pending_produces: settings.partition_pending_produces as usize,
            ..ReplicaConfig::new(context.identity.broker_id)
        };
        let stored_high_watermark = (Millis(0), recovered.high_watermark);
        let copying = Copying::new(u64::from(settings.replica_fetch_max_bytes));
        Self {
            core: Replica::new(core, recovered),
            context,
            partition,
            log,
            completions,
            config,
            effects: Vec::new(),
            waiting: HashMap::new(),
            next_token: 0,
            followers: HashMap::new(),
            timer: None,
            stored_high_watermark,
            lease: LeaseGuard::default(),
            has_failed: false,
            handled: 0,
            closing: None,
            copying,
        }
    }

    /// Lets the other partitions of this thread go on after so many messages: a mailbox that is filled as fast as it is
    /// emptied would keep the thread for ever.
    fn take_turns(&mut self, actor: &mut <Self as Actor>::Context) {
        self.handled += 1;
        if self.handled.is_multiple_of(MESSAGES_PER_TURN) {
            actor.wait(tokio::task::yield_now().into_actor(self));
        }
    }

    /// Gives one event to the core and does what it says. The end of the lease comes before it.
    fn step(&mut self, event: Event, in_hand: InHand) {
        let now = self.look_at_lease();
        self.give(now, event, in_hand);
    }

    /// Tells the core if the lease has ended. The time at which it was looked at.
    fn look_at_lease(&mut self) -> Millis {
        let now = self.context.clock.now();
        if self.lease.look(self.context.lease.number(now)) {
            tracing::debug!(partition = %self.partition.id, "the lease ended: waiting producers are sent elsewhere");
            self.give(now, Event::SessionLost, InHand::Nothing);
        }
        now
    }

    fn give(&mut self, now: Millis, event: Event, in_hand: InHand) {
        let mut effects = std::mem::take(&mut self.effects);
        self.core.step(now, event, &mut effects);
        self.execute(now, &mut effects, in_hand);
        self.effects = effects;
        self.publish();
    }

    /// Shows consumers where the replica stands.
    pub(super) fn publish(&self) {
        self.partition.publish(ReplicaView::of(&self.core));
    }

    /// What comes before any message: the end of the lease, and reports of the log writer. In this order: after a pause
    /// of the process a flush may be reported that would acknowledge what another leader cuts off.
    fn catch_up(&mut self, actor: &mut <Self as Actor>::Context) {
        self.look_at_lease();
        while let Some(completion) = self.completions.take() {
            self.completed(completion, actor);
        }
    }

    fn completed(&mut self, completion: Completion, actor: &mut <Self as Actor>::Context) {
        match completion {
            Completion::Flushed { generation, offset } => {
                self.step(Event::LogFlushed { generation, offset }, InHand::Nothing);
                self.partition.tail.flushed_to(self.core.flushed_end());
            }
            Completion::Truncated { generation, producers, .. } => {
                self.step(Event::Truncated { generation, producers }, InHand::Nothing);
                self.partition.tail.flushed_to(self.core.flushed_end());
            }
            Completion::LogStartAdvanced { offset } => {
                self.step(Event::LogStartChanged { offset }, InHand::Nothing);
            }
            Completion::Failed { error } => {
                self.has_failed = true;
                // A log that failed though the disk takes writes is this replica's own trouble.
                if self.context.logs.writer.failure().is_some() {
                    self.context.state.fail(Fatal::StorageFailed(error.to_string()));
                } else {
                    let finding = Finding::dead(&self.partition.reader, &error);
                    self.context.findings.put(self.partition.id, finding);
                }
                self.step(Event::StorageFailed, InHand::Nothing);
                // The log writer says no more: a close that waits is answered now.
                if self.closing.is_some() {
                    self.closed(actor);
                }
            }
            Completion::Closed => self.closed(actor),
        }
    }

    fn produce(&mut self, job: ProduceJob) {
        let now = self.look_at_lease();
        if self.context.state.is_disk_low() {
            return job.reply.send(Err(ErrorCode::DiskFull));
        }
        if self.closing.is_some() || !self.lease.admits(job.acks) {
            return job.reply.send(Err(ErrorCode::NotLeaderOrFollower));
        }
        let producer_id = job.batch.producer_id;
        // Not before it is known to lead: who does not is no reason to come again.
        if self.core.is_leader()
            && producer_id != ProducerId::NONE
            && !self.core.knows_producer(producer_id)
            && self.context.known_producers.is_full(self.partition.id.topic_id)
        {
            return job.reply.send(Err(ErrorCode::TooManyProducers));
        }
        let Ok(room) = self.context.logs.writer.reserve(job.bytes.len()) else {
            return job.reply.send(Err(ErrorCode::Overloaded));
        };
        let token = ProduceToken(self.next_token);
        self.next_token += 1;
        let ProduceJob { acks, leader_epoch, batch, bytes, timeout_ms, reply, room: _until_here } = job;
        self.waiting.insert(token, reply);
        let event = Event::Produce { token, acks, leader_epoch, batch, timeout_ms };
        self.give(now, event, InHand::Produced { bytes, room });
    }

    fn assigned(&mut self, assignment: Assignment, log: LogConfig) {
        if self.config != log {
            self.config = log;
            self.submit(Op::Configure(log));
        }
        self.step(Event::AssignmentChanged(assignment), InHand::Nothing);
    }

    /// Gives the log writer something to do. A failure comes as a completion too, and ends the process there.
    pub(super) fn submit(&self, op: Op) {
        let _told_as_a_completion = self.try_submit(op);
    }

    /// As [`Self::submit`]; false if the log writer accepts nothing for this partition any more.
    pub(super) fn try_submit(&self, op: Op) -> bool {
        let submitted = self.log.submit(op);
        if let Err(error) = &submitted {
            tracing::debug!(partition = %self.partition.id, %error, "the log writer accepts nothing for this partition any more");
        }
        submitted.is_ok()
    }

    /// Sets the timer for the next deadline of the core, if it is earlier than the one that is set.
    fn set_timer(&mut self, actor: &mut <Self as Actor>::Context) {
        let checkpoint = self.checkpoint_due();
        let due = [self.core.next_deadline(), checkpoint, self.copying.due()];
        let Some(deadline) = due.into_iter().flatten().min() else { return };
        if let Some((set, handle)) = self.timer {
            if set <= deadline {
                return;
            }
            actor.cancel_future(handle);
        }
        let handle = actor.run_later(self.context.clock.until(deadline), |this, actor| {
            this.timer = None;
            this.catch_up(actor);
            this.store_high_watermark();
            this.step(Event::Tick, InHand::Nothing);
            this.ask_again();
            this.set_timer(actor);
        });
        self.timer = Some((deadline, handle));
    }

    fn checkpoint_due(&self) -> Option<Millis> {
        let (at, stored) = self.stored_high_watermark;
        (stored != self.core.high_watermark()).then(|| at.plus(HIGH_WATERMARK_CHECKPOINT_MS))
    }

    /// Lets the log remember the high watermark, at most once a second.
    pub(super) fn store_high_watermark(&mut self) {
        let now = self.context.clock.now();
        if self.checkpoint_due().is_some_and(|due| due <= now) {
            let offset = self.core.high_watermark();
            self.stored_high_watermark = (now, offset);
            self.submit(Op::StoreHighWatermark { offset });
        }
    }

    fn close(&mut self, closed: oneshot::Sender<()>, actor: &mut <Self as Actor>::Context) {
        // What it took of the budget for moves goes back: its answer is not looked at any more.
        self.copied(0);
        self.copying.forget();
        self.submit(Op::StoreHighWatermark { offset: self.core.high_watermark() });
        self.closing = Some(closed);
        // A log that failed accepts nothing, and its writer has let go of it.
        if !self.try_submit(Op::Close) {
            self.closed(actor);
        }
    }

    fn closed(&mut self, actor: &mut <Self as Actor>::Context) {
        if let Some(closed) = self.closing.take() {
            self.partition.closed(&self.core);
            // The asker may be gone; the log is closed either way.
            let _ = closed.send(());
        }
        actor.stop();
    }
}

impl Actors {
    /// Starts the actor of a replica that was opened. Replicas are spread over the threads in turn.
    pub(super) fn start_partition(&self, context: &Arc<Context>, opened: Opened) -> OpenReplica {
        let capacity = context.config.partition_mailbox as usize;
        let (context, partition) = (Arc::clone(context), Arc::clone(&opened.partition));
        let address = PartitionActor::start_in_arbiter(self.next_partition_thread(), move |actor_context| {
            // None: its places bound the mailbox.
            actor_context.set_mailbox_capacity(0);
            PartitionActor::new(context, opened)
        });
        OpenReplica::new(partition, PartitionAddress::new(address.recipient(), capacity))
    }
}

impl Actor for PartitionActor {
    type Context = actix::Context<Self>;

    fn started(&mut self, actor: &mut Self::Context) {
        actor.add_stream(Filled(Arc::clone(&self.completions)));
    }
}

impl StreamHandler<()> for PartitionActor {
    fn handle(&mut self, (): (), actor: &mut Self::Context) {
        self.catch_up(actor);
        self.set_timer(actor);
    }
}

impl Handler<Envelope> for PartitionActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope, actor: &mut Self::Context) {
        self.take_turns(actor);
        self.catch_up(actor);
        match envelope.message {
            Message::Produce(job) => self.produce(job),
            // Its log is being closed: it copies nothing, serves nobody and learns nothing any more.
            Message::ReplicaFetch { position, outbox, .. } if self.closing.is_some() => {
                let (partition, leader_epoch) = (self.partition.id, position.leader_epoch);
                let body = FetchAnswer::Failed(ErrorCode::NotLeaderOrFollower);
                outbox.put(Answer { partition, leader_epoch, body });
            }
            Message::FetchResponse { .. } | Message::Assigned { .. } | Message::Proposed { .. }
                if self.closing.is_some() => {}
            // A newer stream of that broker has begun, and perhaps waits for an answer already.
            Message::ReplicaFetch { outbox, .. } if outbox.is_closed() => {}
            Message::ReplicaFetch { from, broker_epoch, position, max_bytes, outbox } => {
                self.followers.insert(from, Follower { outbox, max_bytes: max_bytes as usize });
                self.step(Event::ReplicaFetch { from, broker_epoch, position }, InHand::Nothing);
            }
            Message::ReplicaDisconnected { from, outbox } => {
                if self.followers.get(&from).is_some_and(|follower| Arc::ptr_eq(&follower.outbox, &outbox)) {
                    self.followers.remove(&from);
                    self.step(Event::ReplicaDisconnected { from }, InHand::Nothing);
                }
            }
            Message::FetchResponse { from, leader_epoch, outcome, records, room } => {
                let records_bytes = records.len() as u64;
                let in_hand = match (outcome.records(), room) {
                    (Some(batches), Some(room)) if !batches.is_empty() => {
                        InHand::Fetched { records, batches: batches.clone(), room }
                    }
                    _ => InHand::Nothing,
                };
                self.copied(records_bytes);
                self.step(Event::FetchResponse { from, leader_epoch, outcome }, in_hand);
            }
            Message::Assigned { assignment, log, move_limit } => {
                self.copying.limit(move_limit);
                self.assigned(*assignment, log);
            }
            Message::LastAssigned(assignment) => self.step(Event::AssignmentChanged(*assignment), InHand::Nothing),
            // One that a former replica of this partition proposed: this one knows no state yet.
            Message::Proposed { .. } if self.core.partition_epoch().is_none() => {}
            Message::Proposed { leader_epoch, partition_epoch, result } => {
                self.step(Event::IsrProposalResult { leader_epoch, partition_epoch, result }, InHand::Nothing);
            }
            Message::LeaseBegan(number) => self.lease.began(number),
            // `catch_up` has looked at it.
            Message::LeaseEnded => {}
            Message::AdvanceStart { to } => self.submit(Op::AdvanceStart { to }),
            Message::Flush => self.submit(Op::Flush),
            Message::Bind(binding) => self.submit(Op::Bind(binding)),
            Message::ExpireProducers => {
                self.submit(Op::ExpireProducers);
                self.step(Event::ExpireProducers, InHand::Nothing);
            }
            Message::Close(closed) => self.close(closed, actor),
        }
        self.ask_again();
        self.set_timer(actor);
    }
}
