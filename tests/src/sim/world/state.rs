//! The cluster, and the queue of what is to come.
//!
//! After every event the cores' invariants are checked by the brokers, the metadata's by the controller, and every
//! acknowledgement and every readable record by the [`Oracle`].

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use fastrand::Rng;
use uuid::Uuid;

use holdfast_proto::ids::{BrokerId, DirectoryId, IncarnationId, Millis, TopicId, TopicPartition};

use super::{
    coverage::Coverage,
    upcoming::{LogNumber, Upcoming},
};
use crate::sim::{
    broker::Broker, controller::Controller, disk::Disk, message::Node, network::Network, oracle::Oracle,
    producer::Producer, shape::Shape,
};

pub(super) const TICK_MS: u64 = 40;

/// The whole of one run: nodes, links, disks, oracle.
pub struct World {
    pub(super) shape: Shape,
    pub(super) rng: Rng,
    pub(super) now_ms: u64,
    order: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    upcoming: BTreeMap<u64, Upcoming>,
    pub(super) network: Network,
    pub(super) controller: Controller,
    pub(super) disks: BTreeMap<BrokerId, Disk>,
    /// Copies of disks, each as it was once: while its broker ran, or after it had ended.
    pub(super) copies: BTreeMap<BrokerId, Disk>,
    pub(super) running: BTreeMap<BrokerId, (u64, Broker)>,
    /// Processes that stand still, until when.
    pub(super) paused: BTreeMap<BrokerId, u64>,
    pub(super) producers: BTreeMap<u32, Producer>,
    pub(super) producing: bool,
    /// True while brokers that are about to join may break: until an audit begins, which counts on those that run.
    pub(super) breaks_joiners: bool,
    /// Logs whose writer is at work.
    pub(super) writing: BTreeSet<(BrokerId, LogNumber)>,
    /// Logs that will be flushed after their interval.
    pub(super) flush_due: BTreeSet<(BrokerId, LogNumber)>,
    pub(super) oracle: Oracle,
    pub(super) starts: u64,
    /// The topics that are there, with the lowest min.insync.replicas that each ever had.
    pub(super) topics: BTreeMap<TopicId, usize>,
    pub(super) topics_made: u32,
    /// The brokers whose disks lost something that is not copied again yet, and the starts that had it.
    pub(super) disk_faults: BTreeMap<BrokerId, IncarnationId>,
    /// True while retention by time stands still, for the audit.
    pub(super) is_retention_held: bool,
    /// Of runs with too many disks at fault: copies that stay. Partitions that an operator recovered.
    pub(super) old_copies: BTreeMap<BrokerId, Disk>,
    pub(super) recovered: BTreeSet<TopicPartition>,
    pub(super) coverage: Coverage,
}

impl World {
    /// A cluster whose brokers have all registered and whose topics exist.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let shape = Shape::choose(&mut rng);
        Self::of(&shape, rng)
    }

    /// The same of this shape.
    pub fn of(shape: &Shape, rng: Rng) -> Self {
        let mut world = Self {
            shape: shape.clone(),
            rng,
            now_ms: 0,
            order: 0,
            queue: BinaryHeap::new(),
            upcoming: BTreeMap::new(),
            network: Network::default(),
            controller: Controller::default(),
            disks: BTreeMap::new(),
            copies: BTreeMap::new(),
            running: BTreeMap::new(),
            paused: BTreeMap::new(),
            producers: BTreeMap::new(),
            producing: true,
            breaks_joiners: true,
            writing: BTreeSet::new(),
            flush_due: BTreeSet::new(),
            oracle: Oracle::default(),
            starts: 0,
            topics: BTreeMap::new(),
            topics_made: 0,
            disk_faults: BTreeMap::new(),
            is_retention_held: false,
            old_copies: BTreeMap::new(),
            recovered: BTreeSet::new(),
            coverage: Coverage::default(),
        };
        for id in shape.brokers().map(BrokerId) {
            let directory_id = DirectoryId(Uuid::from_u128(u128::from(id.0) << 64));
            world.disks.insert(id, Disk::new(directory_id));
            world.later(0, Upcoming::Start(id));
        }
        world.set_clocks_right();
        world.later(0, Upcoming::ControllerTick);
        world.run_until(2_000);
        for topic in &shape.topics {
            world.create_topic(*topic);
        }
        world.note_shape();
        world
    }

    fn note_shape(&mut self) {
        let partitions: u32 = self.shape.topics.iter().map(|topic| topic.partitions).sum();
        self.coverage.runs_with_retention += u64::from(self.shape.retention_ms.is_some());
        self.coverage.runs_of_one_broker += u64::from(self.shape.brokers == 1);
        self.coverage.runs_of_five_brokers += u64::from(self.shape.brokers == 5);
        self.coverage.runs_of_many_partitions += u64::from(partitions > 8);
    }

    /// The shape of the cluster.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// All partitions of all topics.
    pub(super) fn partitions(&self) -> Vec<TopicPartition> {
        self.controller.image().partitions().map(|(tp, _, _)| tp).collect()
    }

    /// The simulated time, ms.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    pub(super) fn now(&self) -> Millis {
        Millis(self.now_ms)
    }

    /// What the run's choices are drawn from.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// The brokers whose processes run.
    pub fn running(&self) -> Vec<BrokerId> {
        self.running.keys().copied().collect()
    }

    /// Every node that a broker may be connected with.
    pub(super) fn others(&self, id: BrokerId) -> BTreeSet<Node> {
        let brokers = self.shape.brokers().map(BrokerId).filter(|peer| *peer != id).map(Node::Broker);
        let producers = self.producers.keys().map(|number| Node::Producer(*number));
        brokers.chain(producers).chain([Node::Controller]).collect()
    }

    /// A broker that leads some partition and runs.
    pub fn some_leader(&mut self) -> Option<BrokerId> {
        let partitions = self.partitions();
        let tp = *partitions.get(self.rng.usize(..partitions.len().max(1)))?;
        let leader = self.controller.image().partition(tp)?.leader?;
        self.running.contains_key(&leader).then_some(leader)
    }

    pub(super) fn later(&mut self, delay_ms: u64, upcoming: Upcoming) {
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
}
