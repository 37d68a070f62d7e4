//! The replicas that run in one process: the cores as they ship, and a shell that executes their effects in order.

use std::collections::BTreeMap;

use bytes::Bytes;

use holdfast_broker::{
    here::lease::{LeaseGuard, LeaseNumber},
    partition::roster::KnownEpochs,
};
use holdfast_metadata::{AlterPartition, IsrChange, IsrMember};
use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, LeaderEpoch, Millis, Offset, TopicPartition},
};
use holdfast_replication::{
    Acks, BatchInfo, Effect, Event, FetchOutcome, FetchReply, PlacedBatch, ProduceToken, Replica, ReplicaConfig,
    invariant::Monitor,
};

use super::outgoing::Outgoing;
use crate::sim::{
    batch::{self, BatchId, SimBatch},
    disk::{Disk, SimLog, Work},
    message::{Message, Node},
};

/// Batches in one fetch answer.
const FETCH_BATCHES: usize = 3;
/// How far the high watermark on disk may lag behind, ms, as in the broker.
const HIGH_WATERMARK_CHECKPOINT_MS: u64 = 1_000;
/// How long a produce may wait, ms.
const PRODUCE_TIMEOUT_MS: u64 = 2_000;

/// A produce as it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) producer: u32,
    pub(super) connection: u64,
    pub(super) correlation: u64,
    pub(super) acks: Acks,
    pub(super) leader_epoch: Option<LeaderEpoch>,
}

#[derive(Debug)]
struct Waiting {
    request: Request,
    id: BatchId,
    batch: BatchInfo,
}

#[derive(Debug)]
struct Running {
    replica: Replica,
    monitor: Monitor,
    lease: LeaseGuard,
    in_hand: Vec<SimBatch>,
    waiting: BTreeMap<ProduceToken, Waiting>,
    /// When the high watermark was handed to the log last, and which.
    stored_high_watermark: (Millis, Offset),
}

/// The replicas of one process.
#[derive(Debug)]
pub(super) struct Replicas {
    own: BrokerId,
    running: BTreeMap<TopicPartition, Running>,
    next_token: u64,
    lease_number: Option<LeaseNumber>,
}

impl Replicas {
    pub(super) fn new(own: BrokerId) -> Self {
        Self { own, running: BTreeMap::new(), next_token: 0, lease_number: None }
    }

    pub(super) fn all(&self) -> Vec<TopicPartition> {
        self.running.keys().copied().collect()
    }

    pub(super) fn get(&self, tp: TopicPartition) -> Option<&Replica> {
        self.running.get(&tp).map(|running| &running.replica)
    }

    pub(super) fn describe(&self, tp: TopicPartition) -> String {
        self.running.get(&tp).map_or_else(|| "no replica".to_owned(), |running| format!("{:?}", running.replica))
    }

    pub(super) fn known_epochs(&self, tp: TopicPartition) -> Option<KnownEpochs> {
        let replica = &self.running.get(&tp)?.replica;
        Some(KnownEpochs { partition_epoch: replica.partition_epoch(), leader_epoch: replica.leader_epoch() })
    }

    /// Starts the replica on its log, which is made if there is none.
    pub(super) fn open(&mut self, tp: TopicPartition, disk: &mut Disk) {
        let config = ReplicaConfig {
            replica_lag_time_max_ms: 1_500,
            isr_proposal_timeout_ms: 1_000,
            late_start_max_ms: 2_000,
            ..ReplicaConfig::new(self.own)
        };
        let mut lease = LeaseGuard::default();
        if let Some(number) = self.lease_number {
            lease.began(number);
        }
        let recovered = disk.open(tp);
        let running = Running {
            stored_high_watermark: (Millis(0), recovered.high_watermark),
            replica: Replica::new(config, recovered),
            monitor: Monitor::default(),
            lease,
            in_hand: Vec::new(),
            waiting: BTreeMap::new(),
        };
        self.running.insert(tp, running);
    }

    /// The replica ends. Who waits is told that nothing is known, as the shell's dropped replies do.
    pub(super) fn close(&mut self, tp: TopicPartition, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        let Some(running) = self.running.remove(&tp) else { return };
        if let Some(log) = disk.logs.get_mut(&tp) {
            log.ask(Work::StoreHighWatermark(running.replica.high_watermark()));
            log.close();
        }
        for waiting in running.waiting.into_values() {
            answer(waiting.request, Err(ErrorCode::OutcomeUnknown), out);
        }
    }

    /// The batches that the next event of this replica brings.
    pub(super) fn hand(&mut self, tp: TopicPartition, batches: Vec<SimBatch>) {
        if let Some(running) = self.running.get_mut(&tp) {
            running.in_hand = batches;
        }
    }

    /// A new lease began.
    pub(super) fn lease_began(&mut self, number: LeaseNumber) {
        self.lease_number = Some(number);
        for running in self.running.values_mut() {
            running.lease.began(number);
        }
    }

    /// Each replica looks at the lease.
    pub(super) fn look_at_lease(
        &mut self,
        now: Millis,
        number: Option<LeaseNumber>,
        epoch: Option<BrokerEpoch>,
        disk: &mut Disk,
        out: &mut Vec<Outgoing>,
    ) {
        let ended = self.running.iter_mut().filter_map(|(tp, running)| running.lease.look(number).then_some(*tp));
        for tp in ended.collect::<Vec<_>>() {
            self.step(now, tp, Event::SessionLost, epoch, disk, out);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a request, where it goes, and what it may touch")]
    pub(super) fn produce(
        &mut self,
        now: Millis,
        tp: TopicPartition,
        request: Request,
        bytes: &Bytes,
        epoch: Option<BrokerEpoch>,
        disk: &mut Disk,
        out: &mut Vec<Outgoing>,
    ) {
        let token = ProduceToken(self.next_token);
        self.next_token += 1;
        let Some(running) = self.running.get_mut(&tp).filter(|running| running.lease.admits(request.acks)) else {
            return answer(request, Err(ErrorCode::NotLeaderOrFollower), out);
        };
        let (id, batch) = batch::read(bytes);
        running.waiting.insert(token, Waiting { request, id, batch });
        let Request { acks, leader_epoch, .. } = request;
        let event = Event::Produce { token, acks, leader_epoch, batch, timeout_ms: PRODUCE_TIMEOUT_MS };
        self.step(now, tp, event, epoch, disk, out);
    }

    /// The answer to a proposal. One that a former replica of this partition made says nothing to this one.
    pub(super) fn proposed(
        &mut self,
        now: Millis,
        tp: TopicPartition,
        event: Event,
        epoch: Option<BrokerEpoch>,
        disk: &mut Disk,
        out: &mut Vec<Outgoing>,
    ) {
        if self.known_epochs(tp).is_some_and(|known| known.partition_epoch.is_some()) {
            self.step(now, tp, event, epoch, disk, out);
        }
    }

    /// Lets the logs remember their high watermarks, each at most once a second.
    pub(super) fn store_high_watermarks(&mut self, now: Millis, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        for (tp, running) in &mut self.running {
            let (at, stored) = running.stored_high_watermark;
            let high_watermark = running.replica.high_watermark();
            if stored != high_watermark && now >= at.plus(HIGH_WATERMARK_CHECKPOINT_MS) {
                running.stored_high_watermark = (now, high_watermark);
                disk.logs.get_mut(tp).expect("a replica has a log").ask(Work::StoreHighWatermark(high_watermark));
                out.push(Outgoing::Work(*tp));
            }
        }
    }

    /// Hands an event to a replica's core and executes its effects.
    pub(super) fn step(
        &mut self,
        now: Millis,
        tp: TopicPartition,
        event: Event,
        epoch: Option<BrokerEpoch>,
        disk: &mut Disk,
        out: &mut Vec<Outgoing>,
    ) {
        let Some(running) = self.running.get_mut(&tp) else { return };
        let log = disk.logs.get_mut(&tp).expect("a replica has a log");
        if let Event::AssignmentChanged(assignment) = &event
            && assignment.flush_policy != log.policy()
        {
            log.ask(Work::Configure(assignment.flush_policy));
            out.push(Outgoing::Work(tp));
        }
        let mut effects = Vec::new();
        running.replica.step(now, event, &mut effects);
        running.monitor.observe(&running.replica);
        for effect in effects {
            execute(running, (self.own, epoch), tp, log, effect, out);
        }
    }
}

/// Answers a produce; one with acks=0 is told nothing.
fn answer(request: Request, result: Result<Offset, ErrorCode>, out: &mut Vec<Outgoing>) {
    let Request { producer, connection, correlation, acks, .. } = request;
    if acks != Acks::None {
        let result = result.map_err(ErrorDetail::from);
        out.push(Outgoing::Send(Node::Producer(producer), Message::Produced { connection, correlation, result }));
    }
}

fn execute(
    running: &mut Running,
    (own, epoch): (BrokerId, Option<BrokerEpoch>),
    tp: TopicPartition,
    log: &mut SimLog,
    effect: Effect,
    out: &mut Vec<Outgoing>,
) {
    match effect {
        Effect::AppendProduced { token, base_offset, leader_epoch, generation } => {
            let waiting = &running.waiting[&token];
            let placed = PlacedBatch { base_offset, leader_epoch, info: waiting.batch };
            log.ask(Work::Append(vec![SimBatch { id: waiting.id, placed }], generation));
            out.push(Outgoing::Work(tp));
        }
        Effect::AppendFetched { end_offset, generation } => {
            log.ask(Work::Append(std::mem::take(&mut running.in_hand), generation));
            assert!(log.end() == end_offset.0, "fetched up to {}, the core says {end_offset}", log.end());
            out.push(Outgoing::Work(tp));
        }
        Effect::Truncate { to, generation } => {
            log.ask(Work::Truncate(to.0, generation));
            out.push(Outgoing::Work(tp));
        }
        Effect::StartOver { at, generation } => {
            log.ask(Work::StartOver(at.0, generation));
            out.push(Outgoing::Work(tp));
        }
        Effect::BeginEpoch { leader_epoch, start_offset } => {
            log.ask(Work::BeginEpoch(leader_epoch, start_offset));
            out.push(Outgoing::Leads(tp, leader_epoch, log.number()));
            out.push(Outgoing::Work(tp));
        }
        Effect::SendFetch { to, position } => {
            if let Some(broker_epoch) = epoch {
                out.push(Outgoing::Send(Node::Broker(to), Message::Position { tp, broker_epoch, position }));
            }
        }
        Effect::ReplyFetch { to, leader_epoch, reply } => {
            let (outcome, batches) = fetched(log, &reply);
            out.push(Outgoing::Send(Node::Broker(to), Message::Fetched { tp, leader_epoch, outcome, batches }));
        }
        Effect::CompleteProduce { token, result } => {
            let waiting = running.waiting.remove(&token).expect("a produce is answered once");
            match (&result, waiting.request.acks) {
                (Ok(produced), Acks::All) => out.push(Outgoing::Acked(tp, produced.base_offset.0, waiting.id)),
                (Ok(_), Acks::Leader) => out.push(Outgoing::AckedByLeader(tp, waiting.id)),
                (Ok(_), Acks::None) | (Err(_), _) => {}
            }
            answer(waiting.request, result.map(|produced| produced.base_offset), out);
        }
        Effect::ProposeIsr { leader_epoch, partition_epoch, new_isr, high_watermark, high_watermark_epoch } => {
            let Some(own_epoch) = epoch else { return };
            let new_isr = new_isr
                .into_iter()
                .map(|(broker_id, epoch)| IsrMember { broker_id, broker_epoch: epoch.unwrap_or(own_epoch) })
                .collect();
            let TopicPartition { topic_id, partition } = tp;
            let change = IsrChange {
                topic_id,
                partition,
                leader_epoch,
                partition_epoch,
                new_isr,
                high_watermark,
                high_watermark_epoch,
            };
            let alter = AlterPartition { broker_id: own, broker_epoch: own_epoch, changes: vec![change] };
            out.push(Outgoing::Send(Node::Controller, Message::Alter(alter)));
        }
        Effect::HighWatermarkAdvanced { .. } => out.push(Outgoing::Readable(tp)),
        Effect::AdvanceLogStart { to } => {
            log.ask(Work::AdvanceStart(to.0));
            out.push(Outgoing::Work(tp));
        }
        Effect::RoleChanged => {}
        Effect::Halt { reason } => out.push(Outgoing::Halted(tp, reason)),
    }
}

fn fetched(log: &SimLog, reply: &FetchReply) -> (FetchOutcome, Vec<SimBatch>) {
    let batches = reply.records().map(|from| log.read(from.0, FETCH_BATCHES)).unwrap_or_default();
    (reply.map(|_| batches.iter().map(|batch| batch.placed).collect()), batches)
}
