//! The simulated cluster: one thread, one seed, one queue of things to come. The same seed gives the same run.
//!
//! After every event the cores' invariants are checked by [`super::broker`], the metadata's by [`super::controller`],
//! and every acknowledgement and every readable record by the [`Oracle`].

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    fmt::Write as _,
};

use fastrand::Rng;
use holdfast_metadata::{Command, CreateTopic};
use holdfast_proto::ids::{BrokerId, DirectoryId, Millis, PartitionIndex, TopicId, TopicPartition};
use holdfast_replication::{Event, LogGeneration};
use uuid::Uuid;

use super::{
    broker::{Broker, Outgoing},
    controller::Controller,
    disk::{Crash, Disk, SimLog},
    message::{Message, Node},
    network::{Delivery, Network},
    oracle::Oracle,
    producer::Producer,
};

/// Brokers in the cluster.
pub const BROKERS: u32 = 4;
const PARTITIONS: u32 = 2;
const REPLICATION_FACTOR: u32 = 3;
const MIN_INSYNC_REPLICAS: usize = 2;
const TICK_MS: u64 = 40;
const CALL_CONTROLLER_MS: u64 = 120;

/// Something to come.
#[derive(Debug)]
enum Upcoming {
    Deliver(Delivery),
    Flushed(BrokerId, u64, TopicPartition, LogGeneration, u64),
    Truncated(BrokerId, u64, TopicPartition, LogGeneration),
    Broken(BrokerId, u64, BrokerId),
    Tick(BrokerId, u64),
    CallController(BrokerId, u64),
    ControllerTick,
    Produce(u32),
    Start(BrokerId),
}

/// What a run went through: a run whose faults did not bite proves nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coverage {
    /// Batches acknowledged.
    pub acked: u64,
    /// Batches sent more than once.
    pub resent: u64,
    /// Leader epochs beyond the first, over all partitions.
    pub elections: u64,
    /// Un-fsynced records that power losses took.
    pub records_forgotten: u64,
    /// Truncations of followers.
    pub truncations: u64,
}

/// The cluster.
pub struct World {
    rng: Rng,
    now_ms: u64,
    order: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    upcoming: BTreeMap<u64, Upcoming>,
    network: Network,
    controller: Controller,
    disks: BTreeMap<BrokerId, Disk>,
    running: BTreeMap<BrokerId, (u64, Broker)>,
    producers: BTreeMap<u32, Producer>,
    producing: bool,
    oracle: Oracle,
    starts: u64,
    coverage: Coverage,
}

impl World {
    /// A cluster whose brokers have all registered and whose topic exists.
    pub fn new(seed: u64) -> Self {
        let mut world = Self {
            rng: Rng::with_seed(seed),
            now_ms: 0,
            order: 0,
            queue: BinaryHeap::new(),
            upcoming: BTreeMap::new(),
            network: Network::default(),
            controller: Controller::default(),
            disks: BTreeMap::new(),
            running: BTreeMap::new(),
            producers: BTreeMap::new(),
            producing: true,
            oracle: Oracle::default(),
            starts: 0,
            coverage: Coverage::default(),
        };
        for id in (1..=BROKERS).map(BrokerId) {
            let directory_id = DirectoryId(Uuid::from_u128(u128::from(id.0) << 64));
            world.disks.insert(id, Disk { directory_id, boot_counter: 0, logs: BTreeMap::new() });
            world.later(0, Upcoming::Start(id));
        }
        world.later(0, Upcoming::ControllerTick);
        world.run_until(2_000);
        world.create_topic();
        world
    }

    fn create_topic(&mut self) {
        let topic_id = TopicId(Uuid::from_u128(0xA));
        let command = CreateTopic {
            name: "orders".to_owned(),
            topic_id,
            partition_count: PARTITIONS,
            replication_factor: REPLICATION_FACTOR,
            configs: BTreeMap::from([("min.insync.replicas".to_owned(), MIN_INSYNC_REPLICAS.to_string())]),
        };
        let mut out = Vec::new();
        let outcome = self.controller.execute(&Command::CreateTopic(command), &mut out);
        assert!(outcome.result.is_ok(), "the topic was refused: {:?}", outcome.result);
        self.controller_says(out);
        for number in 0..PARTITIONS * 2 {
            let tp = TopicPartition { topic_id, partition: PartitionIndex(number % PARTITIONS) };
            self.producers.insert(number, Producer::new(number, tp));
            self.later(10, Upcoming::Produce(number));
        }
    }

    /// All partitions of the topic.
    fn partitions(&self) -> Vec<TopicPartition> {
        self.controller.image().partitions().map(|(tp, _, _)| tp).collect()
    }

    /// The simulated time, ms.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The seeded choices, for the faults.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// The brokers whose process runs.
    pub fn running(&self) -> Vec<BrokerId> {
        self.running.keys().copied().collect()
    }

    /// The leader of a partition chosen at random, if its process runs.
    pub fn some_leader(&mut self) -> Option<BrokerId> {
        let partitions = self.partitions();
        let tp = partitions[self.rng.usize(..partitions.len())];
        let leader = self.controller.image().partition(tp)?.leader?;
        self.running.contains_key(&leader).then_some(leader)
    }

    fn later(&mut self, delay_ms: u64, upcoming: Upcoming) {
        self.order += 1;
        self.queue.push(Reverse((self.now_ms + delay_ms, self.order)));
        self.upcoming.insert(self.order, upcoming);
    }

    /// Lets things happen until this time.
    pub fn run_until(&mut self, end_ms: u64) {
        while let Some(Reverse((at_ms, _))) = self.queue.peek()
            && *at_ms <= end_ms
        {
            let Reverse((at_ms, order)) = self.queue.pop().expect("it was just peeked");
            let upcoming = self.upcoming.remove(&order).expect("every queued thing is there");
            self.now_ms = at_ms;
            self.happen(upcoming);
        }
        self.now_ms = end_ms;
    }

    fn happen(&mut self, upcoming: Upcoming) {
        match upcoming {
            Upcoming::Deliver(delivery) => self.deliver(delivery),
            Upcoming::Flushed(id, start, tp, generation, offset) => {
                self.broker(id, start, |broker, now, disk, out| {
                    let log = disk.logs.get_mut(&tp).expect("a flushed log is there");
                    log.flush(generation, offset);
                    broker.step(
                        now,
                        tp,
                        Event::LogFlushed { generation, offset: holdfast_proto::ids::Offset(offset) },
                        disk,
                        out,
                    );
                });
            }
            Upcoming::Truncated(id, start, tp, generation) => {
                self.broker(id, start, |broker, now, disk, out| {
                    let producers = disk.logs[&tp].producers();
                    broker.step(now, tp, Event::Truncated { generation, producers }, disk, out);
                });
            }
            Upcoming::Broken(id, start, peer) => {
                self.broker(id, start, |broker, now, disk, out| broker.disconnected(now, peer, disk, out));
            }
            Upcoming::Tick(id, start) => {
                if self.broker(id, start, Broker::tick) {
                    let delay_ms = TICK_MS + self.rng.u64(..TICK_MS);
                    self.later(delay_ms, Upcoming::Tick(id, start));
                }
            }
            Upcoming::CallController(id, start) => self.call_controller(id, start),
            Upcoming::ControllerTick => {
                let mut out = Vec::new();
                self.controller.tick(self.now_ms, &mut out);
                self.controller_says(out);
                self.later(TICK_MS, Upcoming::ControllerTick);
            }
            Upcoming::Produce(number) => self.produce(number),
            Upcoming::Start(id) => self.start(id),
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        if !self.network.arrives(&delivery) {
            return;
        }
        let Delivery { from, to, message, .. } = delivery;
        match to {
            Node::Controller => {
                let Node::Broker(from) = from else { panic!("{from:?} speaks to the controller") };
                let mut out = Vec::new();
                self.controller.receive(self.now_ms, from, message, &mut out);
                self.controller_says(out);
            }
            Node::Broker(id) => {
                if let Some((start, _)) = self.running.get(&id) {
                    let start = *start;
                    self.broker(id, start, |broker, now, disk, out| broker.receive(now, from, message, disk, out));
                } else {
                    // Nobody listens there.
                    self.notice_broken(from, to);
                }
            }
            Node::Producer(number) => {
                let Message::Produced { id, attempt, result } = message else { panic!("a producer hears {message:?}") };
                let producer = self.producers.get_mut(&number).expect("every producer is there");
                if producer.answered(id, attempt, result) {
                    producer.leader = None;
                }
            }
        }
    }

    /// Does something with a broker's process if that start of it still runs, and carries out what it wants.
    fn broker(
        &mut self,
        id: BrokerId,
        start: u64,
        act: impl FnOnce(&mut Broker, Millis, &mut Disk, &mut Vec<Outgoing>),
    ) -> bool {
        let Some((_, broker)) = self.running.get_mut(&id).filter(|(running, _)| *running == start) else {
            return false;
        };
        let disk = self.disks.get_mut(&id).expect("every broker has a disk");
        let mut out = Vec::new();
        act(broker, Millis(self.now_ms), disk, &mut out);
        for outgoing in out {
            self.carry_out(id, start, outgoing);
        }
        true
    }

    fn carry_out(&mut self, id: BrokerId, start: u64, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Send(to, message) => self.send(Node::Broker(id), to, message),
            Outgoing::Flush(tp, generation, offset) => {
                let delay_ms = 1 + if self.rng.u8(..20) == 0 { self.rng.u64(..300) } else { self.rng.u64(..8) };
                self.later(delay_ms, Upcoming::Flushed(id, start, tp, generation, offset));
            }
            Outgoing::Truncated(tp, generation) => {
                self.coverage.truncations += 1;
                let delay_ms = self.rng.u64(..20);
                self.later(delay_ms, Upcoming::Truncated(id, start, tp, generation));
            }
            Outgoing::Acked(tp, offset, batch) => {
                let holds = |disk: &Disk| disk.logs.get(&tp).is_some_and(|log| log.holds_durably(offset, batch));
                let holders = self.disks.values().filter(|disk| holds(disk)).count();
                self.oracle.acked(tp, offset, batch, holders, MIN_INSYNC_REPLICAS);
            }
            Outgoing::Readable(tp) => {
                if let Some(end) = self.running.get(&id).and_then(|(_, broker)| broker.readable_end(tp)) {
                    self.oracle.readable(tp, self.disks[&id].logs[&tp].batches(), end.0);
                }
            }
            Outgoing::Leads(tp, epoch) => self.oracle.leads(tp, epoch, id),
        }
    }

    fn controller_says(&mut self, out: Vec<(Node, Message)>) {
        for (to, message) in out {
            self.send(Node::Controller, to, message);
        }
    }

    fn send(&mut self, from: Node, to: Node, message: Message) {
        let delay_ms = 1 + if self.rng.u8(..30) == 0 { self.rng.u64(..150) } else { self.rng.u64(..5) };
        match self.network.send(self.now_ms, delay_ms, from, to, message) {
            Some((at_ms, delivery)) => self.later(at_ms - self.now_ms, Upcoming::Deliver(delivery)),
            None => self.notice_broken(from, to),
        }
    }

    /// Both ends of a broken connection notice.
    fn notice_broken(&mut self, a: Node, b: Node) {
        for (here, there) in [(a, b), (b, a)] {
            match (here, there) {
                (Node::Broker(id), Node::Broker(peer)) => {
                    if let Some((start, _)) = self.running.get(&id) {
                        let start = *start;
                        // At once: whatever comes over the next connection comes after it.
                        self.later(0, Upcoming::Broken(id, start, peer));
                    }
                }
                (Node::Controller, Node::Broker(id)) => self.controller.disconnected(id),
                (Node::Broker(id), Node::Controller) => {
                    if let Some((_, broker)) = self.running.get_mut(&id) {
                        broker.lost_session();
                    }
                }
                (Node::Producer(number), Node::Broker(_)) => {
                    if let Some(producer) = self.producers.get_mut(&number) {
                        producer.start_again();
                        producer.leader = None;
                    }
                }
                _ => {}
            }
        }
    }

    fn call_controller(&mut self, id: BrokerId, start: u64) {
        let Some((_, broker)) = self.running.get(&id).filter(|(running, _)| *running == start) else { return };
        let message = broker.call_controller(&self.disks[&id]);
        self.send(Node::Broker(id), Node::Controller, message);
        let delay_ms = CALL_CONTROLLER_MS + self.rng.u64(..CALL_CONTROLLER_MS / 2);
        self.later(delay_ms, Upcoming::CallController(id, start));
    }

    fn produce(&mut self, number: u32) {
        let known: Vec<BrokerId> = self.running();
        let producer = self.producers.get_mut(&number).expect("every producer is there");
        if self.producing && producer.pending() < 12 {
            producer.make(1 + self.rng.u32(..3));
        }
        if producer.leader.is_none() && !known.is_empty() {
            // Ask any broker: its knowledge may be old.
            let asked = known[self.rng.usize(..known.len())];
            producer.leader = self.running[&asked].1.leader_of(producer.partition());
        }
        if let Some(leader) = producer.leader {
            for message in producer.to_send() {
                self.send(Node::Producer(number), Node::Broker(leader), message);
            }
        }
        let delay_ms = 5 + self.rng.u64(..40);
        self.later(delay_ms, Upcoming::Produce(number));
    }

    fn start(&mut self, id: BrokerId) {
        if self.running.contains_key(&id) {
            return;
        }
        self.starts += 1;
        let start = self.starts;
        let disk = self.disks.get_mut(&id).expect("every broker has a disk");
        self.running.insert(id, (start, Broker::start(id, disk, u128::from(start))));
        self.later(0, Upcoming::CallController(id, start));
        self.later(TICK_MS, Upcoming::Tick(id, start));
    }

    /// Ends a broker's process; it starts again after a while.
    pub fn crash(&mut self, id: BrokerId, crash: Crash, restart_after_ms: u64) {
        if self.running.remove(&id).is_none() {
            return;
        }
        let disk = self.disks.get_mut(&id).expect("every broker has a disk");
        self.coverage.records_forgotten += disk.crash(crash);
        self.break_connections(id);
        self.later(restart_after_ms, Upcoming::Start(id));
    }

    fn break_connections(&mut self, id: BrokerId) {
        let brokers = (1..=BROKERS).map(BrokerId).filter(|peer| *peer != id).map(Node::Broker);
        let producers = self.producers.keys().map(|number| Node::Producer(*number));
        let others: Vec<Node> = brokers.chain(producers).chain([Node::Controller]).collect();
        for other in others {
            self.network.reset(Node::Broker(id), other);
            self.notice_broken(other, Node::Broker(id));
        }
    }

    /// Breaks a connection that is made again at once, or cuts the link until [`Self::mend`].
    pub fn disconnect(&mut self, a: Node, b: Node, cut: bool) {
        if cut {
            self.network.set_cut(a, b, true);
        } else {
            self.network.reset(a, b);
        }
        self.notice_broken(a, b);
    }

    /// Mends a link.
    pub fn mend(&mut self, a: Node, b: Node) {
        self.network.set_cut(a, b, false);
    }

    /// Ends all faults, lets every producer finish, and holds the result against everything that was promised.
    pub fn heal_and_audit(mut self) -> Coverage {
        self.network.heal();
        self.producing = false;
        for id in (1..=BROKERS).map(BrokerId) {
            self.later(0, Upcoming::Start(id));
        }
        let deadline_ms = self.now_ms + 60_000;
        while !self.is_settled() {
            assert!(self.now_ms < deadline_ms, "STUCK: 60 s after the last fault\n{}", self.describe());
            let next_ms = self.now_ms + 100;
            self.run_until(next_ms);
        }
        for tp in self.partitions() {
            let state = self.controller.image().partition(tp).expect("the partition is there").clone();
            let logs: Vec<_> = state.replicas.iter().map(|id| self.disks[id].logs[&tp].batches()).collect();
            for (id, log) in state.replicas.iter().zip(&logs) {
                let differ = log.iter().zip(logs[0]).find(|(one, other)| one != other);
                assert!(
                    *log == logs[0],
                    "replicas of {tp} differ: broker {id} and broker {}: {differ:?} or lengths {} and {}",
                    state.replicas[0],
                    log.len(),
                    logs[0].len()
                );
                self.oracle.final_log(tp, log);
            }
            self.coverage.elections += u64::from(state.leader_epoch.0).saturating_sub(1);
        }
        self.coverage.acked = self.oracle.acked_count() as u64;
        self.coverage.resent = self.producers.values().map(Producer::resent).sum();
        let made: u64 = self.producers.values().map(|producer| u64::from(producer.made())).sum();
        assert!(self.coverage.acked == made, "{made} batches were made, {} were acknowledged", self.coverage.acked);
        self.coverage
    }

    fn is_settled(&self) -> bool {
        let image = self.controller.image();
        let whole = image.partitions().all(|(tp, _, state)| {
            let ends: Vec<u64> =
                state.replicas.iter().filter_map(|id| self.disks[id].logs.get(&tp)).map(SimLog::flushed).collect();
            state.isr.len() == state.replicas.len()
                && ends.len() == state.replicas.len()
                && ends.iter().all(|end| *end == ends[0])
        });
        whole && self.producers.values().all(|producer| producer.pending() == 0)
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        for (tp, _, state) in self.controller.image().partitions() {
            let _ = writeln!(text, "{tp}: {state:?}");
            for (id, (_, broker)) in &self.running {
                let _ = writeln!(text, "  broker {id}: {}", broker.describe(tp));
            }
        }
        for (number, producer) in &self.producers {
            let _ = writeln!(text, "producer {number}: {} pending, leader {:?}", producer.pending(), producer.leader);
        }
        text
    }
}
