//! A simulated broker process: the real replica cores over a forgetful disk. It executes effects as the shell must, in
//! order, and reports durability later.

use std::collections::BTreeMap;

use uuid::Uuid;

use holdfast_metadata::{AlterPartition, Image, IsrChange, IsrMember, PartitionState, RegisterBroker, Topic};
use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, IncarnationId, LeaderEpoch, MetadataIndex, Millis, Offset, TopicPartition},
};
use holdfast_replication::{
    Acks, Assignment, BatchInfo, Effect, Event, FetchOutcome, FetchReply, FlushPolicy, LogGeneration, ProduceToken,
    Replica, ReplicaConfig, invariant,
};

use super::{
    batch::{BatchId, SimBatch},
    disk::{Disk, SimLog},
    message::{Message, Node},
};

/// Batches in one fetch answer.
const FETCH_BATCHES: usize = 3;
/// How long a produce may wait, ms.
const PRODUCE_TIMEOUT_MS: u64 = 2_000;

/// Something the world has to carry out for a broker.
#[derive(Debug)]
pub enum Outgoing {
    /// Say something.
    Send(Node, Message),
    /// Fsync a log as it stands, and report later.
    Flush(TopicPartition, LogGeneration, u64),
    /// A truncation was begun; report later.
    Truncated(TopicPartition, LogGeneration),
    /// A produce was acknowledged.
    Acked(TopicPartition, u64, BatchId),
    /// Consumers may read further.
    Readable(TopicPartition),
    /// A log was deleted, because its partition moved away.
    Deleted,
    /// This broker leads in this epoch.
    Leads(TopicPartition, LeaderEpoch),
}

#[derive(Debug)]
struct Waiting {
    producer: Node,
    attempt: u64,
    id: BatchId,
    batch: BatchInfo,
}

#[derive(Debug)]
struct Running {
    replica: Replica,
    assignment: Option<Assignment>,
    in_hand: Vec<SimBatch>,
    waiting: BTreeMap<ProduceToken, Waiting>,
}

/// One run of a broker's process.
#[derive(Debug)]
pub struct Broker {
    id: BrokerId,
    incarnation: IncarnationId,
    boot_counter: u64,
    epoch: Option<BrokerEpoch>,
    image: Image,
    has_snapshot: bool,
    replicas: BTreeMap<TopicPartition, Running>,
    next_token: u64,
}

impl Broker {
    /// Starts the process on its disk.
    pub fn start(id: BrokerId, disk: &mut Disk, incarnation: u128) -> Self {
        disk.boot_counter += 1;
        Self {
            id,
            incarnation: IncarnationId(Uuid::from_u128(incarnation)),
            boot_counter: disk.boot_counter,
            epoch: None,
            image: Image::default(),
            has_snapshot: false,
            replicas: BTreeMap::new(),
            next_token: 0,
        }
    }

    /// What it asks or tells the controller now and then.
    pub fn call_controller(&self, disk: &Disk) -> Message {
        match self.epoch {
            None => Message::Register(RegisterBroker {
                broker_id: self.id,
                incarnation_id: self.incarnation,
                directory_id: disk.directory_id,
                boot_counter: self.boot_counter,
                client_address: format!("broker-{}:9201", self.id),
                peer_address: format!("broker-{}:9301", self.id),
                rack: None,
                old_session_alive: false,
            }),
            Some(broker_epoch) => {
                Message::Heartbeat { broker_epoch, applied: self.image.index(), wants_snapshot: !self.has_snapshot }
            }
        }
    }

    /// The session broke: the stream of records has to begin anew.
    pub fn lost_session(&mut self) {
        self.has_snapshot = false;
    }

    /// True if it leads the partition, as far as it knows.
    pub fn readable_end(&self, tp: TopicPartition) -> Option<Offset> {
        self.replicas.get(&tp).and_then(|running| running.replica.readable_end().ok())
    }

    /// The leader as this broker knows it.
    pub fn leader_of(&self, tp: TopicPartition) -> Option<BrokerId> {
        self.image.partition(tp).and_then(|state| state.leader)
    }

    /// What this replica's core and log look like, for a failure's report.
    pub fn describe(&self, tp: TopicPartition) -> String {
        self.replicas.get(&tp).map_or_else(|| "no replica".to_owned(), |running| format!("{:?}", running.replica))
    }

    /// A message came.
    pub fn receive(&mut self, now: Millis, from: Node, message: Message, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        match message {
            Message::Registered { result } => {
                if let Ok((broker_epoch, _)) = result {
                    self.epoch = Some(broker_epoch);
                    self.has_snapshot = false;
                }
            }
            Message::Metadata { snapshot, index, records } => self.metadata(now, snapshot, index, &records, disk, out),
            Message::Altered { change, result } => {
                self.altered(now, &change, result.map_err(|rejection| rejection.code), disk, out);
            }
            Message::Position { tp, broker_epoch, position } => {
                let Node::Broker(from) = from else { panic!("{from:?} sends a follower's position") };
                self.step(now, tp, Event::ReplicaFetch { from, broker_epoch, position }, disk, out);
            }
            Message::Fetched { tp, leader_epoch, outcome, batches } => {
                let Node::Broker(from) = from else { panic!("{from:?} answers a fetch") };
                if let Some(running) = self.replicas.get_mut(&tp) {
                    running.in_hand = batches;
                }
                self.step(now, tp, Event::FetchResponse { from, leader_epoch, outcome }, disk, out);
            }
            Message::Produce { tp, id, attempt, batch } => self.produce(now, from, tp, (id, attempt, batch), disk, out),
            other => panic!("a broker does not understand {other:?}"),
        }
    }

    fn produce(
        &mut self,
        now: Millis,
        producer: Node,
        tp: TopicPartition,
        (id, attempt, batch): (BatchId, u64, BatchInfo),
        disk: &mut Disk,
        out: &mut Vec<Outgoing>,
    ) {
        let token = ProduceToken(self.next_token);
        self.next_token += 1;
        let Some(running) = self.replicas.get_mut(&tp) else {
            let result = Err(ErrorCode::NotLeaderOrFollower);
            out.push(Outgoing::Send(producer, Message::Produced { id, attempt, result }));
            return;
        };
        running.waiting.insert(token, Waiting { producer, attempt, id, batch });
        let event =
            Event::Produce { token, acks: Acks::All, leader_epoch: None, batch, timeout_ms: PRODUCE_TIMEOUT_MS };
        self.step(now, tp, event, disk, out);
    }

    fn metadata(
        &mut self,
        now: Millis,
        snapshot: bool,
        index: MetadataIndex,
        records: &[holdfast_metadata::Record],
        disk: &mut Disk,
        out: &mut Vec<Outgoing>,
    ) {
        if snapshot {
            self.image = Image::from_records(index, records).expect("a snapshot builds an image");
            self.has_snapshot = true;
        } else if self.has_snapshot && index > self.image.index() {
            self.image.apply_all(index, records).expect("deltas connect");
        } else {
            return;
        }
        self.give_up_replicas(now, disk, out);
        let mine: Vec<(TopicPartition, Assignment)> = self
            .image
            .partitions()
            .filter(|(_, _, state)| state.replicas.contains(&self.id))
            .map(|(tp, topic, state)| (tp, assignment(topic, state)))
            .collect();
        for (tp, assignment) in mine {
            let running = self.replicas.entry(tp).or_insert_with(|| open(self.id, disk.log(tp)));
            if running.assignment.as_ref() != Some(&assignment) {
                running.assignment = Some(assignment.clone());
                if assignment.leader == Some(self.id) {
                    out.push(Outgoing::Leads(tp, assignment.leader_epoch));
                }
                self.step(now, tp, Event::AssignmentChanged(assignment), disk, out);
            }
        }
    }

    /// Closes and deletes the replicas of partitions that are there and name other brokers: a move ended or was
    /// cancelled. A replica that was closed before, as by a crash, is deleted too.
    fn give_up_replicas(&mut self, now: Millis, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        let elsewhere = |tp: &TopicPartition| {
            let state = self.image.partition(*tp).filter(|state| !state.replicas.contains(&self.id));
            Some((*tp, assignment(self.image.topic(tp.topic_id)?, state?)))
        };
        let moved: Vec<(TopicPartition, Assignment)> = disk.logs.keys().filter_map(elsewhere).collect();
        for (tp, assignment) in moved {
            self.step(now, tp, Event::AssignmentChanged(assignment), disk, out);
            let waiting = self.replicas.remove(&tp).map_or(0, |running| running.waiting.len());
            assert!(waiting == 0, "{waiting} produces wait for a replica of {tp} that {} gives up", self.id);
            disk.logs.remove(&tp);
            out.push(Outgoing::Deleted);
        }
    }

    fn altered(
        &mut self,
        now: Millis,
        change: &IsrChange,
        result: Result<PartitionState, ErrorCode>,
        disk: &mut Disk,
        out: &mut Vec<Outgoing>,
    ) {
        let Some(topic) = self.image.topic(change.topic_id) else { return };
        let result = result.map(|state| assignment(topic, &state));
        let tp = TopicPartition { topic_id: change.topic_id, partition: change.partition };
        let event = Event::IsrProposalResult {
            leader_epoch: change.leader_epoch,
            partition_epoch: change.partition_epoch,
            result,
        };
        self.step(now, tp, event, disk, out);
    }

    /// The connection with another broker broke.
    pub fn disconnected(&mut self, now: Millis, peer: BrokerId, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        let all: Vec<TopicPartition> = self.replicas.keys().copied().collect();
        for tp in all {
            let Some(assignment) = self.replicas[&tp].assignment.clone() else { continue };
            self.step(now, tp, Event::ReplicaDisconnected { from: peer }, disk, out);
            let outcome = FetchOutcome::Failed(ErrorCode::BrokerNotAvailable);
            self.step(
                now,
                tp,
                Event::FetchResponse { from: peer, leader_epoch: assignment.leader_epoch, outcome },
                disk,
                out,
            );
        }
    }

    /// Something of its own happened to one replica, or to all of them.
    pub fn tick(&mut self, now: Millis, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        let all: Vec<TopicPartition> = self.replicas.keys().copied().collect();
        for tp in all {
            self.step(now, tp, Event::Tick, disk, out);
        }
    }

    /// Hands an event to a replica's core and executes its effects.
    pub fn step(&mut self, now: Millis, tp: TopicPartition, event: Event, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        let Some(running) = self.replicas.get_mut(&tp) else { return };
        let mut effects = Vec::new();
        running.replica.step(now, event, &mut effects);
        invariant::check(&running.replica);
        let log = disk.logs.get_mut(&tp).expect("a replica has a log");
        for effect in effects {
            execute(running, self.epoch, self.id, tp, log, effect, out);
        }
    }
}

fn execute(
    running: &mut Running,
    broker_epoch: Option<BrokerEpoch>,
    id: BrokerId,
    tp: TopicPartition,
    log: &mut SimLog,
    effect: Effect,
    out: &mut Vec<Outgoing>,
) {
    match effect {
        Effect::AppendProduced { token, base_offset, leader_epoch, generation } => {
            let waiting = &running.waiting[&token];
            let placed = holdfast_replication::PlacedBatch { base_offset, leader_epoch, info: waiting.batch };
            log.append(&[SimBatch { id: waiting.id, placed }]);
            out.push(Outgoing::Flush(tp, generation, log.end()));
        }
        Effect::AppendFetched { end_offset, generation } => {
            log.append(&std::mem::take(&mut running.in_hand));
            assert!(log.end() == end_offset.0, "fetched up to {}, the core says {end_offset}", log.end());
            out.push(Outgoing::Flush(tp, generation, log.end()));
        }
        Effect::Truncate { to, generation } => {
            log.truncate(to.0, generation);
            out.push(Outgoing::Truncated(tp, generation));
        }
        Effect::StartOver { at, generation } => {
            log.start_over(at.0, generation);
            out.push(Outgoing::Truncated(tp, generation));
        }
        Effect::BeginEpoch { leader_epoch, start_offset } => log.note_epoch(leader_epoch, start_offset),
        Effect::SendFetch { to, position } => {
            if let Some(broker_epoch) = broker_epoch {
                out.push(Outgoing::Send(Node::Broker(to), Message::Position { tp, broker_epoch, position }));
            }
        }
        Effect::ReplyFetch { to, leader_epoch, reply } => {
            let (outcome, batches) = answer(log, &reply);
            out.push(Outgoing::Send(Node::Broker(to), Message::Fetched { tp, leader_epoch, outcome, batches }));
        }
        Effect::CompleteProduce { token, result } => {
            let waiting = running.waiting.remove(&token).expect("a produce is answered once");
            if let Ok(produced) = &result {
                out.push(Outgoing::Acked(tp, produced.base_offset.0, waiting.id));
            }
            let result = result.map(|produced| produced.base_offset.0);
            out.push(Outgoing::Send(
                waiting.producer,
                Message::Produced { id: waiting.id, attempt: waiting.attempt, result },
            ));
        }
        Effect::ProposeIsr { leader_epoch, partition_epoch, new_isr } => {
            let Some(own_epoch) = broker_epoch else { return };
            let new_isr = new_isr
                .into_iter()
                .map(|(broker_id, epoch)| IsrMember { broker_id, broker_epoch: epoch.unwrap_or(own_epoch) })
                .collect();
            let change =
                IsrChange { topic_id: tp.topic_id, partition: tp.partition, leader_epoch, partition_epoch, new_isr };
            let alter = AlterPartition { broker_id: id, broker_epoch: own_epoch, changes: vec![change] };
            out.push(Outgoing::Send(Node::Controller, Message::Alter(alter)));
        }
        Effect::HighWatermarkAdvanced { .. } => out.push(Outgoing::Readable(tp)),
        // Nothing is ever retained away here.
        Effect::RoleChanged | Effect::AdvanceLogStart { .. } => {}
        Effect::Halt { reason } => panic!("the replica of {tp} on {id} halted: {reason}"),
    }
}

fn answer(log: &SimLog, reply: &FetchReply) -> (FetchOutcome, Vec<SimBatch>) {
    match *reply {
        FetchReply::Records { from_offset, high_watermark, log_start_offset } => {
            let batches = log.read(from_offset.0, FETCH_BATCHES);
            let placed = batches.iter().map(|batch| batch.placed).collect();
            (FetchOutcome::Records { batches: placed, high_watermark, log_start_offset }, batches)
        }
        FetchReply::Diverging { leader_epoch, end_offset } => {
            (FetchOutcome::Diverging { leader_epoch, end_offset }, Vec::new())
        }
        FetchReply::OutOfRange { log_start_offset } => (FetchOutcome::OutOfRange { log_start_offset }, Vec::new()),
        FetchReply::Failed(code) => (FetchOutcome::Failed(code), Vec::new()),
    }
}

fn open(id: BrokerId, log: &mut SimLog) -> Running {
    let config =
        ReplicaConfig { replica_lag_time_max_ms: 1_500, isr_proposal_timeout_ms: 1_000, ..ReplicaConfig::new(id) };
    Running {
        replica: Replica::new(config, log.recover()),
        assignment: None,
        in_hand: Vec::new(),
        waiting: BTreeMap::new(),
    }
}

fn assignment(topic: &Topic, state: &PartitionState) -> Assignment {
    Assignment {
        leader: state.leader,
        leader_epoch: state.leader_epoch,
        partition_epoch: state.partition_epoch,
        replicas: state.replicas.clone(),
        isr: state.isr.clone(),
        min_insync_replicas: topic.effective_min_isr(state) as u32,
        flush_policy: FlushPolicy::Ack,
    }
}
