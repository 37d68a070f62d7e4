//! The simulated cluster: one thread, one seed, one queue of things to come. The same seed gives the same run.
//!
//! After every event the cores' invariants are checked by [`super::broker`], the metadata's by [`super::controller`],
//! and every acknowledgement and every readable record by the [`Oracle`].

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use fastrand::Rng;
use uuid::Uuid;

use holdfast_metadata::{Command, CreateTopic, ReplicaMove};
use holdfast_proto::ids::{BrokerId, DirectoryId, PartitionIndex, TopicId, TopicPartition};
use holdfast_replication::LogGeneration;

use super::{
    broker::Broker,
    controller::Controller,
    disk::{Crash, Disk},
    message::Node,
    network::{Delivery, Network},
    oracle::Oracle,
    producer::Producer,
};

mod audit;
mod events;
mod moves;

/// Brokers in the cluster.
pub const BROKERS: u32 = 5;
const PARTITIONS: u32 = 2;
const REPLICATION_FACTOR: u32 = 3;
const MIN_INSYNC_REPLICAS: usize = 2;
const TICK_MS: u64 = 40;
const CALL_CONTROLLER_MS: u64 = 120;

/// Something to come.
#[derive(Debug)]
enum Upcoming {
    Deliver(Delivery),
    Flushed(BrokerId, u64, (TopicPartition, u64), LogGeneration, u64),
    Truncated(BrokerId, u64, (TopicPartition, u64), LogGeneration),
    Move(ReplicaMove),
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
    /// Moves of replicas that the controller began, changed or cancelled.
    pub moves_accepted: u64,
    /// Moves that it refused.
    pub moves_refused: u64,
    /// Moves that ended with all replicas in sync.
    pub moves_ended: u64,
    /// Logs that were deleted where replicas moved away.
    pub deleted_logs: u64,
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
            world.disks.insert(id, Disk::new(directory_id));
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
}
