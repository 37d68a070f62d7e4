//! Toy nodes around real replicas, a controller, a network and a clock. Every step of every replica is checked.

use std::collections::BTreeMap;

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, Millis, Offset, PartitionEpoch, ProducerId},
};

use super::{
    network::{CONTROLLER, Link, Message, Network, records_from},
    oracle::Oracle,
    toy_controller::ToyController,
    toy_log::{ToyBatch, ToyLog},
};
use crate::{
    Acks, BatchInfo, Effect, EpochEntry, Event, FetchReply, PlacedBatch, ProduceToken, Produced, Replica,
    ReplicaConfig, RoleView, invariant::Monitor,
};

/// Batches in one answer to a fetch.
const BATCHES_PER_ANSWER: usize = 3;

/// What became of a produce.
pub type ProduceResult = Result<Produced, ErrorCode>;

/// One broker with one replica.
#[derive(Clone, Debug)]
pub struct ToyNode {
    /// `None` while the process is down.
    pub replica: Option<Replica>,
    /// Its disk.
    pub log: ToyLog,
    /// Why it halted, if it did.
    pub halted: Option<&'static str>,
    monitor: Monitor,
    in_hand: Vec<ToyBatch>,
    shown_to: Offset,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) node: u32,
    value: u64,
    acks: Acks,
    info: BatchInfo,
}

/// The toy cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The clock.
    pub now: Millis,
    /// The brokers by id, from 1.
    pub nodes: BTreeMap<u32, ToyNode>,
    /// The controller.
    pub controller: ToyController,
    /// The network.
    pub network: Network,
    /// What clients rely on.
    pub oracle: Oracle,
    /// Prints every step, to see why a scenario fails.
    pub trace: bool,
    /// How often each kind of effect was executed, to see what a run was made of.
    pub counts: BTreeMap<&'static str, u64>,
    /// Answers that producers got, by token.
    pub results: BTreeMap<u64, ProduceResult>,
    pub(super) sent: BTreeMap<u64, Sent>,
    next_token: u64,
    told: PartitionEpoch,
    pub(super) config: ReplicaConfig,
    effects: Vec<Effect>,
}

impl Cluster {
    /// Brokers 1 to `brokers`, running, registered, and without a leader's word yet: the metadata is under way.
    pub fn new(brokers: u32, min_insync_replicas: u32) -> Self {
        let mut cluster = Self {
            now: Millis(1_000),
            nodes: BTreeMap::new(),
            controller: ToyController::new(brokers, min_insync_replicas),
            network: Network::default(),
            oracle: Oracle::default(),
            trace: false,
            counts: BTreeMap::new(),
            results: BTreeMap::new(),
            sent: BTreeMap::new(),
            next_token: 1,
            told: PartitionEpoch(0),
            config: ReplicaConfig::new(BrokerId(0)),
            effects: Vec::new(),
        };
        for id in 1..=brokers {
            let mut node = ToyNode {
                replica: None,
                log: ToyLog::default(),
                halted: None,
                monitor: Monitor::default(),
                in_hand: Vec::new(),
                shown_to: Offset(0),
            };
            node.boot(id, &cluster.config);
            cluster.nodes.insert(id, node);
        }
        cluster.publish();
        cluster
    }

    /// The node's replica.
    ///
    /// # Panics
    /// If the node is down.
    pub fn replica(&self, id: u32) -> &Replica {
        self.nodes[&id].replica.as_ref().expect("the node runs")
    }

    /// The leader that the controller committed.
    pub fn leader(&self) -> Option<u32> {
        self.controller.assignment().leader.map(|leader| leader.0)
    }

    /// Sends a batch to a node. The answer turns up in `results`.
    pub fn produce(&mut self, id: u32, value: u64, acks: Acks, info: BatchInfo, epoch: Option<LeaderEpoch>) -> u64 {
        let token = self.next_token;
        self.next_token += 1;
        self.sent.insert(token, Sent { node: id, value, acks, info });
        let batch = info;
        let produce =
            Event::Produce { token: ProduceToken(token), acks, leader_epoch: epoch, batch, timeout_ms: 30_000 };
        if self.nodes[&id].replica.is_some() {
            self.step(id, produce);
        } else {
            self.results.insert(token, Err(ErrorCode::BrokerNotAvailable));
        }
        token
    }

    /// Delivers the oldest message of a link; false if there is none.
    pub fn deliver(&mut self, link: Link) -> bool {
        self.deliver_at(link, 0)
    }

    /// Delivers the message at `index` of a link, before those that were sent earlier.
    pub fn deliver_at(&mut self, (from, to): Link, index: usize) -> bool {
        let Some(message) = self.network.take((from, to), index) else { return false };
        if to == CONTROLLER {
            self.controller_hears(from, message);
        } else if self.nodes[&to].replica.is_some() {
            let event = self.event_of(from, to, message);
            let state = if let Event::AssignmentChanged(state) = &event { Some(state.clone()) } else { None };
            self.step(to, event);
            if let Some(state) = state {
                self.after_metadata(to, &state);
            }
        }
        true
    }

    fn event_of(&mut self, from: u32, to: u32, message: Message) -> Event {
        let from = BrokerId(from);
        match message {
            Message::Fetch { broker_epoch, position } => Event::ReplicaFetch { from, broker_epoch, position },
            Message::Answer { leader_epoch, reply, batches } => {
                let placed: Vec<PlacedBatch> = batches.iter().map(|batch| batch.placed).collect();
                self.node_mut(to).in_hand = batches;
                let outcome = reply.map(|_| placed);
                Event::FetchResponse { from, leader_epoch, outcome }
            }
            Message::Metadata(assignment) => Event::AssignmentChanged(assignment),
            Message::ProposalResult { leader_epoch, partition_epoch, result } => {
                Event::IsrProposalResult { leader_epoch, partition_epoch, result }
            }
            Message::Proposal { .. } => Event::Tick,
        }
    }

    fn controller_hears(&mut self, from: u32, message: Message) {
        let Message::Proposal { leader_epoch, partition_epoch, new_isr, is_orphan } = message else { return };
        let result = self.controller.alter(BrokerId(from), leader_epoch, partition_epoch, &new_isr);
        if !is_orphan {
            let answer = Message::ProposalResult { leader_epoch, partition_epoch, result };
            self.network.send(CONTROLLER, from, answer);
        }
        self.publish();
    }

    /// Sends the committed state to every running broker if it is newer than what was sent last.
    pub fn publish(&mut self) {
        let assignment = self.controller.assignment();
        if assignment.partition_epoch > self.told {
            self.told = assignment.partition_epoch;
            for id in self.nodes.keys() {
                self.network.send(CONTROLLER, *id, Message::Metadata(assignment.clone()));
            }
        }
    }

    /// Does the next round of a node's disk; false if there is nothing to do.
    pub fn flush(&mut self, id: u32) -> bool {
        let node = self.node_mut(id);
        if node.replica.is_none() || !node.log.has_work() {
            return false;
        }
        if let Some(event) = node.log.flush() {
            self.step(id, event);
        }
        true
    }

    /// Delivers and flushes until nothing moves any more; no time passes.
    pub fn settle(&mut self) {
        for _ in 0..100_000 {
            let mut moved = false;
            for link in self.network.ready() {
                moved |= self.deliver(link);
            }
            for id in 1..=self.nodes.len() as u32 {
                moved |= self.flush(id);
            }
            if !moved {
                return;
            }
        }
        panic!("the cluster does not come to rest");
    }

    /// Lets `ms` pass, with all that happens meanwhile.
    pub fn run(&mut self, ms: u64) {
        let until = self.now.plus(ms);
        self.settle();
        while let Some(next) = self.next_deadline().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.tick();
            self.settle();
        }
        self.now = until;
        self.tick();
        self.settle();
    }

    /// The next moment at which some replica has something to do.
    pub fn next_deadline(&self) -> Option<Millis> {
        self.nodes.values().filter_map(|node| node.replica.as_ref()?.next_deadline()).min()
    }

    /// Tells every running replica the time.
    pub fn tick(&mut self) {
        for id in 1..=self.nodes.len() as u32 {
            if self.nodes[&id].replica.is_some() {
                self.step(id, Event::Tick);
            }
        }
    }

    /// Compares every running node with every promise, and their logs with each other.
    pub fn audit(&self) {
        for (id, node) in &self.nodes {
            if let Some(replica) = &node.replica {
                let end = if replica.is_leader() { replica.log_end() } else { replica.high_watermark() };
                self.oracle.audit(*id, &node.log, end);
                assert_eq!(node.halted, None, "node {id} halted");
            }
        }
        let Some(leader) = self.leader().filter(|leader| self.nodes[leader].replica.is_some()) else { return };
        if self.replica(leader).is_leader() {
            let end = self.replica(leader).log_end();
            assert!(self.oracle.end() <= end, "leader {leader} ends at {end}, promised is {}", self.oracle.end());
        }
    }

    /// One event for one replica, with everything that it wants done.
    pub fn step(&mut self, id: u32, event: Event) {
        let mut effects = std::mem::take(&mut self.effects);
        let now = self.now;
        if self.trace {
            println!("{now} node {id}: {event:?}");
        }
        let node = self.node_mut(id);
        let replica = node.replica.as_mut().expect("the node runs");
        replica.step(now, event, &mut effects);
        node.monitor.observe(replica);
        if self.trace {
            for effect in &effects {
                println!("    {effect:?}");
            }
        }
        for effect in effects.drain(..) {
            self.execute(id, effect);
        }
        self.effects = effects;
        self.show(id);
    }

    fn execute(&mut self, id: u32, effect: Effect) {
        *self.counts.entry(kind(&effect)).or_default() += 1;
        let broker_epoch = self.controller.broker_epoch(BrokerId(id));
        let sent = &self.sent;
        let node = self.nodes.get_mut(&id).expect("known node");
        match effect {
            Effect::AppendProduced { token, base_offset, leader_epoch, generation } => {
                let Sent { value, info, .. } = sent[&token.0];
                node.log
                    .append(ToyBatch { placed: PlacedBatch { base_offset, leader_epoch, info }, value }, generation);
            }
            Effect::AppendFetched { end_offset, generation } => {
                for batch in std::mem::take(&mut node.in_hand) {
                    node.log.append(batch, generation);
                }
                assert_eq!(node.log.batches().last().map(ToyBatch::end_offset), Some(end_offset));
            }
            Effect::Truncate { to, generation } => node.log.truncate(to, generation),
            Effect::StartOver { at, generation } => node.log.start_over(at, generation),
            Effect::BeginEpoch { leader_epoch, start_offset } => {
                node.log.begin_epoch(EpochEntry { leader_epoch, start_offset });
            }
            Effect::AdvanceLogStart { to } => self.retain_from(id, to),
            Effect::SendFetch { to, position } => {
                self.network.send(id, to.0, Message::Fetch { broker_epoch, position });
                if position.wants_records && self.nodes[&to.0].replica.is_none() {
                    self.break_stream(id, to.0);
                }
            }
            Effect::ReplyFetch { to, leader_epoch, reply } => {
                let read = |from| node.log.read(from, BATCHES_PER_ANSWER);
                let batches = records_from(&reply).map(read).unwrap_or_default();
                self.network.send(id, to.0, Message::Answer { leader_epoch, reply, batches });
            }
            Effect::CompleteProduce { token, result } => self.completed(id, token, result),
            Effect::ProposeIsr { leader_epoch, partition_epoch, new_isr } => {
                let proposal = Message::Proposal { leader_epoch, partition_epoch, new_isr, is_orphan: false };
                self.network.send(id, CONTROLLER, proposal);
            }
            Effect::HighWatermarkAdvanced { .. } | Effect::RoleChanged => {}
            Effect::Halt { reason } => node.halted = Some(reason),
        }
    }

    fn completed(&mut self, id: u32, token: ProduceToken, result: ProduceResult) {
        let before = self.results.insert(token.0, result);
        assert_eq!(before, None, "token {token:?} is answered twice");
        let Sent { value, acks, .. } = self.sent[&token.0];
        let Ok(produced) = result else { return };
        // Of a duplicate the records may since have gone by retention.
        if acks == Acks::All && produced.base_offset >= self.nodes[&id].log.start() {
            let logs: Vec<&ToyLog> = self.nodes.values().map(|node| &node.log).collect();
            let batch =
                *self.nodes[&id].log.written_at(produced.base_offset).expect("the leader has what it acknowledges");
            let min_isr = self.controller.assignment().min_insync_replicas;
            self.oracle.acknowledge(id, produced.leader_epoch, &batch, value, &logs, min_isr);
        }
    }

    /// What the node lets consumers read becomes a promise.
    fn show(&mut self, id: u32) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Some(Ok(end)) = node.replica.as_ref().map(Replica::readable_end) else { return };
        let shown_to = node.shown_to.max(node.log.start());
        for batch in node.log.read(shown_to, usize::MAX).iter().filter(|batch| batch.end_offset() <= end) {
            self.oracle.promise(id, batch);
        }
        node.shown_to = end;
    }

    /// Nodes that run and believe that they lead.
    pub fn leading(&self) -> Vec<u32> {
        let leads = |node: &ToyNode| node.replica.as_ref().is_some_and(|replica| replica.role() == RoleView::Leader);
        self.nodes.iter().filter(|(_, node)| leads(node)).map(|(id, _)| *id).collect()
    }

    pub(super) fn node_mut(&mut self, id: u32) -> &mut ToyNode {
        self.nodes.get_mut(&id).expect("known node")
    }
}

impl ToyNode {
    pub(super) fn boot(&mut self, id: u32, config: &ReplicaConfig) {
        let config = ReplicaConfig { broker_id: BrokerId(id), ..config.clone() };
        self.replica = Some(Replica::new(config, self.log.recover()));
        self.monitor = Monitor::default();
        self.in_hand = Vec::new();
        self.shown_to = Offset(0);
        self.halted = None;
    }
}

/// Names what a run should have met.
const fn kind(effect: &Effect) -> &'static str {
    match effect {
        Effect::AppendProduced { .. } => "append",
        Effect::AppendFetched { .. } => "copy",
        Effect::Truncate { .. } => "truncate",
        Effect::StartOver { .. } => "start over",
        Effect::AdvanceLogStart { .. } => "advance log start",
        Effect::BeginEpoch { .. } => "lead",
        Effect::SendFetch { .. } => "fetch",
        Effect::ReplyFetch { reply: FetchReply::Diverging { .. }, .. } => "diverging",
        Effect::ReplyFetch { .. } => "reply",
        Effect::CompleteProduce { result: Ok(_), .. } => "acknowledge",
        Effect::CompleteProduce { result: Err(ErrorCode::OutcomeUnknown | ErrorCode::RequestTimedOut), .. } => {
            "in doubt"
        }
        Effect::CompleteProduce { .. } => "refuse",
        Effect::ProposeIsr { .. } => "propose",
        Effect::HighWatermarkAdvanced { .. } => "high watermark",
        Effect::RoleChanged => "role",
        Effect::Halt { .. } => "halt",
    }
}

/// A batch without idempotence.
pub const fn plain_batch(record_count: u32) -> BatchInfo {
    use holdfast_proto::ids::{ProducerEpoch, Sequence};
    BatchInfo {
        record_count,
        size_bytes: 100,
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch(-1),
        base_sequence: Sequence(-1),
    }
}
