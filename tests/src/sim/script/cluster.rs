//! The nodes of a scripted story, their disks and the clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use uuid::Uuid;

use holdfast_metadata::{Command, CreateTopic, PartitionState};
use holdfast_proto::ids::{BrokerId, DirectoryId, Millis, PartitionIndex, TopicId, TopicPartition};
use holdfast_replication::Replica;

use super::{
    links::{CONTROLLER, Link, Links},
    producing::Producing,
};
use crate::sim::{
    broker::{Broker, HEARTBEAT_MS, Outgoing},
    controller::Controller,
    disk::{Disk, SimLog},
    message::{Message, Node},
    oracle::Oracle,
};

/// How finely `run` lets time pass, ms.
const TICK_MS: u64 = 20;
/// Moves after which a cluster that does not come to rest is given up.
const MOVES_MAX: u32 = 100_000;

/// The cluster that a story is about.
#[derive(Debug)]
pub(super) struct Cluster {
    now_ms: u64,
    pub(super) tp: TopicPartition,
    pub(super) min_isr: usize,
    pub(super) controller: Controller,
    pub(super) disks: BTreeMap<BrokerId, Disk>,
    pub(super) running: BTreeMap<BrokerId, Broker>,
    pub(super) links: Links,
    /// What passes at once, until it has.
    pub(super) passing: VecDeque<(Node, Node, Message)>,
    /// Brokers that run and are not heard.
    pub(super) silent: BTreeSet<BrokerId>,
    /// Brokers whose log failed by a command: these may halt.
    pub(super) failed: BTreeSet<BrokerId>,
    last_beat: BTreeMap<BrokerId, u64>,
    pub(super) starts: u64,
    /// Disks that were lost: each may be one copy less than was acknowledged.
    pub(super) lost_disks: usize,
    pub(super) oracle: Oracle,
    pub(super) producing: Producing,
}

impl Cluster {
    /// Brokers 1 to `brokers` with one partition on all of them; 1 leads, all are in sync.
    pub(super) fn new(brokers: u32, min_isr: u32) -> Self {
        let topic_id = TopicId(Uuid::from_u128(0xA0));
        let mut cluster = Self {
            now_ms: 1_000,
            tp: TopicPartition { topic_id, partition: PartitionIndex(0) },
            min_isr: min_isr as usize,
            controller: Controller::default(),
            disks: BTreeMap::new(),
            running: BTreeMap::new(),
            links: Links::default(),
            passing: VecDeque::new(),
            silent: BTreeSet::new(),
            failed: BTreeSet::new(),
            last_beat: BTreeMap::new(),
            starts: 0,
            lost_disks: 0,
            oracle: Oracle::default(),
            producing: Producing::default(),
        };
        for id in (1..=brokers).map(BrokerId) {
            cluster.disks.insert(id, Disk::new(DirectoryId(Uuid::from_u128(u128::from(id.0) << 64))));
            cluster.start(id, false);
        }
        cluster.settle();
        let topic = CreateTopic {
            name: "story".to_owned(),
            topic_id,
            partition_count: 1,
            replication_factor: brokers,
            configs: BTreeMap::from([("min.insync.replicas".to_owned(), min_isr.to_string())]),
        };
        cluster.execute(&Command::CreateTopic(topic)).expect("the brokers are there");
        cluster.settle();
        cluster
    }

    pub(super) fn now(&self) -> Millis {
        Millis(self.now_ms)
    }

    /// The partition as the controller committed it.
    pub(super) fn committed(&self) -> &PartitionState {
        self.controller.image().partition(self.tp).expect("the topic is never deleted")
    }

    /// The core of a node's replica.
    pub(super) fn replica(&self, id: BrokerId) -> Result<&Replica, String> {
        let broker = self.running.get(&id).ok_or("the node is down")?;
        broker.replica(self.tp).ok_or_else(|| "it has no replica".to_owned())
    }

    /// The log of a node's replica.
    pub(super) fn log(&self, id: BrokerId) -> Option<&SimLog> {
        self.disks.get(&id)?.logs.get(&self.tp)
    }

    /// Does something with a broker, if it runs, and carries out what it wants.
    pub(super) fn broker(
        &mut self,
        id: BrokerId,
        act: impl FnOnce(&mut Broker, Millis, &mut Disk, &mut Vec<Outgoing>),
    ) {
        let now = self.now();
        let Some(broker) = self.running.get_mut(&id) else { return };
        let disk = self.disks.get_mut(&id).expect("every broker has a disk");
        let mut out = Vec::new();
        act(broker, now, disk, &mut out);
        for outgoing in out {
            self.carry_out(id, outgoing);
        }
    }

    /// Delivers the oldest message of a link, or the newest; false if there is none.
    pub(super) fn deliver(&mut self, link: Link, newest: bool) -> bool {
        let queued = if newest { self.links.newest(link) } else { self.links.oldest(link) };
        let Some(queued) = queued else { return false };
        let node = |node| if node == CONTROLLER { Node::Controller } else { Node::Broker(BrokerId(node)) };
        self.arrives(node(link.0), node(link.1), queued.message, queued.is_orphan);
        self.pass();
        true
    }

    /// The next round of a node's disk: all appends up to a truncation, or one truncation. False if there is none.
    pub(super) fn flush(&mut self, id: BrokerId) -> bool {
        let tp = self.tp;
        let log = self.disks.get_mut(&id).and_then(|disk| disk.logs.get_mut(&tp));
        let Some(log) = log.filter(|log| log.waits().len() > 0) else { return false };
        let appends = log.waits().take_while(|work| !work.cuts()).count();
        let mut done = log.write(appends.max(1));
        if appends > 0 {
            done.push(log.flush(false));
        }
        for done in done {
            self.broker(id, |broker, now, disk, out| broker.done(now, tp, done, disk, out));
        }
        true
    }

    /// Delivers and flushes until nothing moves any more; no time passes.
    pub(super) fn settle(&mut self) {
        self.pass();
        for _ in 0..MOVES_MAX {
            let mut moved = false;
            for link in self.links.ready() {
                moved |= self.deliver(link, false);
            }
            for id in self.disks.keys().copied().collect::<Vec<_>>() {
                moved |= self.flush(id);
                self.pass();
            }
            if !moved {
                return;
            }
        }
        panic!("the cluster does not come to rest");
    }

    /// Lets `ms` pass, with all that happens meanwhile.
    pub(super) fn run(&mut self, ms: u64) {
        let until_ms = self.now_ms + ms;
        self.settle();
        while self.now_ms < until_ms {
            self.now_ms = (self.now_ms + TICK_MS).min(until_ms);
            for id in self.disks.keys().copied().collect::<Vec<_>>() {
                self.broker(id, Broker::tick);
                let last_ms = self.last_beat.get(&id).copied().unwrap_or_default();
                if self.now_ms >= last_ms + HEARTBEAT_MS {
                    self.beat(id);
                }
            }
            let mut out = Vec::new();
            self.controller.tick(self.now(), &mut out);
            self.controller_says(out);
            self.settle();
        }
    }

    /// A broker registers, or says that it lives.
    pub(super) fn beat(&mut self, id: BrokerId) {
        if !self.silent.contains(&id) {
            self.last_beat.insert(id, self.now_ms);
            self.broker(id, Broker::heartbeat);
        }
    }
}
