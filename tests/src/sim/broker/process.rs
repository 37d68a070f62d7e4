//! One run of a broker's process: registration, sessions, heartbeats, the lease, and what the roster says.

use std::collections::BTreeMap;

use uuid::Uuid;

use holdfast_broker::{
    here::{
        assignment,
        image_follower::{Changes, ImageFollower},
        lease::Lease,
        token::TokenRenewal,
    },
    outward::heartbeats::{self, Content, Heartbeats, Local},
    partition::roster::{self, ClosedAt, Effect, Leadership, Reason, Roster},
};
use holdfast_metadata::{
    Record, RegisterBroker,
    trust::{DistrustReason, FolderProof, ReplicaReport},
    version::SUPPORTED,
};
use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, IncarnationId, MetadataIndex, Millis, Offset, TopicPartition},
};
use holdfast_replication::{Event, FetchOutcome};

use super::{
    outgoing::Outgoing,
    replicas::{Replicas, Request},
};
use crate::sim::{
    clocks::Clocks,
    disk::{Disk, Done, Work},
    message::{Message, Node},
};

/// Time between two heartbeats, ms.
pub const HEARTBEAT_MS: u64 = 120;
/// Silence after which the session is given up, ms: less than the lease.
const SILENCE_MS: u64 = 400;

/// One run of a broker's process.
#[derive(Debug)]
pub struct Broker {
    pub(super) id: BrokerId,
    pub(super) incarnation: IncarnationId,
    boot_counter: u64,
    /// The registration that its own takes the place of, as it was told.
    pub(in crate::sim) replaces: BrokerEpoch,
    reports: Vec<ReplicaReport>,
    pub(super) token: TokenRenewal,
    pub(super) tokens_made: u128,
    /// Replicas that it does not vouch for, until it sees that the controllers know.
    pub(super) untold: BTreeMap<TopicPartition, (DistrustReason, ClosedAt)>,
    /// What is wrong with replicas that are about to be closed for it.
    pub(super) found: BTreeMap<TopicPartition, DistrustReason>,
    /// Leaders that are asked whether they are there.
    pub(super) asked: BTreeMap<TopicPartition, Leadership>,
    pub(super) registered: Option<(BrokerEpoch, MetadataIndex)>,
    /// The session that is open, and its number.
    pub(super) session: Option<Heartbeats>,
    sessions: u64,
    lease: Lease,
    held_lease: bool,
    pub(super) metadata: ImageFollower,
    roster: Roster,
    pub(super) replicas: Replicas,
    pub(super) clocks: Clocks,
}

impl Broker {
    /// Starts the process on its disk.
    pub fn start(now: Millis, id: BrokerId, disk: &mut Disk, incarnation: u128) -> Self {
        let clocks = Clocks::start(now, &disk.machine, disk.look);
        disk.ages.values_mut().for_each(|ages| ages.recover(clocks.append_ms(now)));
        disk.boot_counter += 1;
        disk.recover();
        let mut roster = Roster::new(id);
        let untrusted = disk.untrusted();
        for (tp, log) in disk.logs.iter().filter(|(tp, _)| !untrusted.contains_key(tp)) {
            roster.recovered(*tp, log.epochs().latest());
        }
        for tp in untrusted.keys() {
            roster.distrusted(*tp);
        }
        disk.distrusted.extend(&untrusted);
        Self {
            id,
            incarnation: IncarnationId(Uuid::from_u128(incarnation)),
            boot_counter: disk.boot_counter,
            replaces: BrokerEpoch(0),
            reports: disk.reports(),
            token: TokenRenewal::default(),
            tokens_made: 0,
            untold: BTreeMap::new(),
            found: BTreeMap::new(),
            asked: BTreeMap::new(),
            registered: None,
            session: None,
            sessions: 0,
            lease: Lease::default(),
            held_lease: false,
            metadata: ImageFollower::default(),
            roster,
            replicas: Replicas::new(id),
            clocks,
        }
    }

    /// A heartbeat is due, or the registration that comes before any.
    pub fn heartbeat(&mut self, now: Millis, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        let Some((_, registered_at)) = self.registered else {
            if self.token.to_say().is_none() {
                self.next_token(now, disk);
            }
            let register = RegisterBroker {
                broker_id: self.id,
                incarnation_id: self.incarnation,
                directory_id: disk.directory_id,
                boot_counter: self.boot_counter,
                client_address: format!("broker-{}:9201", self.id),
                peer_address: format!("broker-{}:9301", self.id),
                rack: None,
                versions: SUPPORTED,
                old_session_alive: false,
                replaces: Some(self.replaces),
                folder: self.token.to_say().map(|next| FolderProof {
                    known: disk.tokens.clone(),
                    next,
                    replicas: self.reports.clone(),
                    list_lost: disk.held.is_none() || disk.was_copied,
                }),
            };
            return out.push(Outgoing::Send(Node::Controller, Message::Register(Box::new(register))));
        };
        if self.session.is_none() {
            self.sessions += 1;
            self.session = Some(Heartbeats::new(now, SILENCE_MS, registered_at, MetadataIndex(0)));
        }
        self.prove(now, disk);
        self.tell_untold(out);
        self.ask_leaders(out);
        self.beat(now, heartbeats::Event::Tick, disk, out);
    }

    /// Gives one event to the heartbeats' rule and does what it says.
    fn beat(&mut self, now: Millis, event: heartbeats::Event, disk: &Disk, out: &mut Vec<Outgoing>) {
        let Some(broker_epoch) = self.broker_epoch() else { return };
        let own = self.metadata.image().broker(self.id).filter(|own| own.broker_epoch == broker_epoch);
        let local = Local { is_recovered: true, is_joining: own.is_none_or(|own| own.fenced) };
        let Some(rule) = &mut self.session else { return };
        let mut effects = Vec::new();
        rule.step(now, local, event, &mut effects);
        for effect in effects {
            match effect {
                heartbeats::Effect::Send { applied, is_ready } => {
                    let next_token = self.token.to_say();
                    let (session, wall_ms) = (self.sessions, disk.machine.wall_ms(now));
                    let message = Message::Heartbeat { session, broker_epoch, applied, is_ready, next_token, wall_ms };
                    out.push(Outgoing::Send(Node::Controller, message));
                    rule.step(now, local, heartbeats::Event::Sent, &mut Vec::new());
                }
                heartbeats::Effect::RenewLease { sent, lease_ms } => {
                    if let Some(number) = self.lease.renew(now, sent, lease_ms) {
                        self.replicas.lease_began(number);
                    }
                }
                heartbeats::Effect::Leave => return self.session = None,
            }
        }
    }

    /// The session broke: the next begins with a snapshot.
    pub fn lost_session(&mut self) {
        self.session = None;
    }

    /// Takes a message of another node.
    pub fn receive(&mut self, now: Millis, from: Node, message: Message, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        self.look_at_lease(now, disk, out);
        match message {
            Message::Registered { result: Ok(registered), .. } => self.registered = Some(registered),
            Message::Registered { result: Err(_), known } => self.replaces = known,
            Message::Session { session, snapshot, deltas, lease_ms, said } if session == self.sessions => {
                if let Some(said) = said {
                    self.clocks.heard(now, &disk.machine, said);
                }
                self.session_message(now, (snapshot, deltas), lease_ms, disk, out);
            }
            Message::SessionEnded { session } if session == self.sessions => self.session = None,
            Message::Session { .. } | Message::SessionEnded { .. } => {}
            Message::Altered { change, result } => {
                let tp = TopicPartition { topic_id: change.topic_id, partition: change.partition };
                let Some(topic) = self.metadata.image().topic(change.topic_id) else { return };
                let result = result
                    .map(|state| assignment::of(self.metadata.image().version(), topic, &state))
                    .map_err(|rejection| rejection.code);
                let event = Event::IsrProposalResult {
                    leader_epoch: change.leader_epoch,
                    partition_epoch: change.partition_epoch,
                    result,
                };
                self.replicas.proposed(now, tp, event, self.broker_epoch(), disk, out);
            }
            Message::Position { tp, broker_epoch, position } => {
                let Node::Broker(from) = from else { panic!("{from:?} sends a follower's position") };
                if position.wants_records && self.replicas.known_epochs(tp).is_none() {
                    // As the inter-node port answers for a replica that is not open.
                    let outcome = FetchOutcome::Failed(ErrorCode::UnknownTopicOrPartition);
                    let (leader_epoch, batches) = (position.leader_epoch, Vec::new());
                    let message = Message::Fetched { tp, leader_epoch, outcome, batches };
                    return out.push(Outgoing::Send(Node::Broker(from), message));
                }
                self.step(now, tp, Event::ReplicaFetch { from, broker_epoch, position }, disk, out);
            }
            Message::Fetched { tp, leader_epoch, outcome, batches } => {
                let Node::Broker(from) = from else { panic!("{from:?} answers a fetch") };
                self.replicas.hand(tp, batches);
                self.step(now, tp, Event::FetchResponse { from, leader_epoch, outcome }, disk, out);
            }
            Message::AskLeader { tp, leader_epoch } => self.say_if_it_leads(from, tp, leader_epoch, out),
            Message::Leads { tp, leader_epoch } => self.leads(now, from, (tp, leader_epoch), disk, out),
            Message::Produce { tp, connection, correlation, acks, leader_epoch, bytes } => {
                let Node::Producer(producer) = from else { panic!("{from:?} produces") };
                let request = Request { producer, connection, correlation, acks, leader_epoch };
                self.replicas.produce(now, tp, request, &bytes, self.broker_epoch(), disk, out);
            }
            other => panic!("a broker does not understand {other:?}"),
        }
    }

    #[expect(clippy::type_complexity, reason = "as the message has it")]
    fn session_message(
        &mut self,
        now: Millis,
        (snapshot, deltas): (Option<(MetadataIndex, Vec<Record>)>, Vec<(MetadataIndex, Vec<Record>)>),
        lease_ms: u64,
        disk: &mut Disk,
        out: &mut Vec<Outgoing>,
    ) {
        let content = Content::of(snapshot.is_some(), !deltas.is_empty());
        self.beat(now, heartbeats::Event::Heard { lease_ms, content }, disk, out);
        if content == Content::Nothing {
            return;
        }
        let changes = |(index, records)| Changes { index, records, history: None };
        let Some((_, registered_at)) = self.registered else { return };
        let deltas = deltas.into_iter().map(changes).collect();
        match self.metadata.apply(registered_at, snapshot.map(changes), deltas) {
            Ok(changed) => {
                self.roster(now, &roster::Event::Metadata(&changed), disk, out);
                let index = self.metadata.image().index();
                self.beat(now, heartbeats::Event::Applied(index), disk, out);
            }
            Err(_snapshot_needed) => self.session = None,
        }
    }

    /// Gives one event to the roster and does what it says.
    pub(super) fn roster(&mut self, now: Millis, event: &roster::Event<'_>, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        let mut effects = Vec::new();
        let replicas = &self.replicas;
        let known = |tp| replicas.known_epochs(tp).unwrap_or_default();
        self.roster.step(self.metadata.image(), event, known, &mut effects);
        for effect in effects {
            match effect {
                Effect::Open(tp) => out.push(Outgoing::Open(tp)),
                Effect::Adopt(tp) => self.opened(now, tp, disk, out),
                Effect::Assign { partition, assignment, .. } => {
                    if assignment.isr.contains(&self.id) {
                        disk.doubted.remove(&partition);
                    }
                    self.step(now, partition, Event::AssignmentChanged(*assignment), disk, out);
                }
                Effect::Reopen(tp) => {
                    self.replicas.close(tp, disk, out);
                    out.push(Outgoing::Open(tp));
                }
                Effect::AskLeader(tp, leadership) => {
                    self.asked.insert(tp, leadership);
                    self.ask_leaders(out);
                }
                // Of what is damaged nothing can be read here.
                Effect::Renew(tp) | Effect::Salvage(tp) => {
                    disk.logs.remove(&tp);
                    disk.distrusted.remove(&tp);
                    disk.doubted.remove(&tp);
                    self.untold.remove(&tp);
                    out.push(Outgoing::Renewed);
                    out.push(Outgoing::Open(tp));
                }
                Effect::Distrust(tp, closed_at) => {
                    self.replicas.close(tp, disk, out);
                    self.note_distrust(tp, closed_at, disk);
                    self.roster(now, &roster::Event::Closed(tp), disk, out);
                }
                Effect::TellAgain(tp, closed_at) => {
                    self.untold.entry(tp).or_insert((DistrustReason::Damaged, closed_at));
                }
                Effect::CloseStray(tp) => {
                    self.replicas.close(tp, disk, out);
                    out.push(Outgoing::ClosedStray);
                    self.roster(now, &roster::Event::Closed(tp), disk, out);
                }
                Effect::Delete(tp, reason) => {
                    if let Reason::MovedAway(assignment) = reason {
                        self.step(now, tp, Event::AssignmentChanged(*assignment), disk, out);
                    }
                    self.replicas.close(tp, disk, out);
                    out.push(Outgoing::Delete(tp));
                }
            }
        }
    }

    /// A log was opened: its replica runs.
    pub fn opened(&mut self, now: Millis, tp: TopicPartition, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        self.replicas.open(tp, disk);
        self.roster(now, &roster::Event::Opened(tp), disk, out);
    }

    /// A log is gone.
    pub fn deleted(&mut self, now: Millis, tp: TopicPartition, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        disk.logs.remove(&tp);
        disk.distrusted.remove(&tp);
        disk.doubted.remove(&tp);
        if let Some(held) = &mut disk.held {
            held.remove(&tp);
        }
        self.roster(now, &roster::Event::Deleted(tp), disk, out);
    }

    /// Retention takes what lies below `to`, which is not above the high watermark.
    pub fn retain(&mut self, tp: TopicPartition, to: Offset, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        if let Some(log) = disk.logs.get_mut(&tp).filter(|_| self.replica(tp).is_some()) {
            log.ask(Work::AdvanceStart(to.0));
            out.push(Outgoing::Work(tp));
        }
    }

    /// The writer of a log reports.
    pub fn done(&mut self, now: Millis, tp: TopicPartition, done: Done, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        let event = match done {
            Done::Flushed(generation, offset) => Event::LogFlushed { generation, offset: Offset(offset) },
            Done::Truncated(generation, producers) => Event::Truncated { generation, producers },
            Done::LogStart(offset) => Event::LogStartChanged { offset: Offset(offset) },
        };
        self.step(now, tp, event, disk, out);
    }

    /// Lets the logs remember their high watermarks, each at most once a second.
    pub fn store_high_watermarks(&mut self, now: Millis, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        self.replicas.store_high_watermarks(now, disk, out);
    }

    /// Notes every high watermark on the disk, at once.
    pub fn note_high_watermarks(&self, disk: &mut Disk) {
        for (tp, log) in &mut disk.logs {
            if let Some(replica) = self.replica(*tp) {
                log.note_high_watermark(replica.high_watermark());
            }
        }
    }

    /// The connection with another broker broke.
    pub fn disconnected(&mut self, now: Millis, peer: BrokerId, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        for tp in self.replicas.all() {
            let Some(leader_epoch) = self.replicas.known_epochs(tp).and_then(|known| known.leader_epoch) else {
                continue;
            };
            self.step(now, tp, Event::ReplicaDisconnected { from: peer }, disk, out);
            let outcome = FetchOutcome::Failed(ErrorCode::BrokerNotAvailable);
            self.step(now, tp, Event::FetchResponse { from: peer, leader_epoch, outcome }, disk, out);
        }
    }

    /// Lets time pass: deadlines and the lease are looked at.
    pub fn tick(&mut self, now: Millis, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        self.look_at_lease(now, disk, out);
        for tp in self.replicas.all() {
            self.step(now, tp, Event::Tick, disk, out);
        }
    }

    /// As the shell does before it gives an event to any core.
    fn look_at_lease(&mut self, now: Millis, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        let holds = self.lease.holds(now);
        if self.held_lease && !holds {
            out.push(Outgoing::LeaseEnded);
        }
        self.held_lease = holds;
        self.replicas.look_at_lease(now, self.lease.number(now), self.broker_epoch(), disk, out);
    }

    /// Hands an event to a replica's core and executes its effects.
    pub fn step(&mut self, now: Millis, tp: TopicPartition, event: Event, disk: &mut Disk, out: &mut Vec<Outgoing>) {
        self.look_at_lease(now, disk, out);
        self.replicas.step(now, tp, event, self.broker_epoch(), disk, out);
    }
}
