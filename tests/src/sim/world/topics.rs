//! Topics that are made, changed and deleted, and replicas that move, while everything else goes wrong.

use std::collections::BTreeMap;

use uuid::Uuid;

use holdfast_metadata::{AlterReplicas, AlterTopic, Command, CreateTopic, ReplicaMove, Response, Topic};
use holdfast_proto::ids::{BrokerId, PartitionIndex, TopicId, TopicPartition};
use holdfast_replication::Acks;

use super::{state::World, upcoming::Upcoming};
use crate::sim::{message::Node, producer::Producer, shape::TopicShape};

const MIN_ISR: &str = "min.insync.replicas";
const FLUSH_POLICY: &str = "flush.policy";
/// Producers of one topic, at the most.
const PRODUCERS_MAX: u32 = 8;

impl World {
    pub(super) fn execute(&mut self, command: &Command) -> Result<Response, holdfast_metadata::Rejection> {
        let mut out = Vec::new();
        let outcome = self.controller.execute(self.now(), command, &mut out);
        self.controller_says(out);
        outcome.result
    }

    fn some_flush_policy(&mut self) -> String {
        let is_interval = self.shape.has_interval && self.rng.u8(..4) > 0;
        self.coverage.interval_topics += u64::from(is_interval);
        if is_interval { "interval".to_owned() } else { "ack".to_owned() }
    }

    /// Makes a topic, and its producers. False if the controller refuses it, as without enough brokers.
    pub fn create_topic(&mut self, shape: TopicShape) -> bool {
        let topic_id = TopicId(Uuid::from_u128(0xA0 + u128::from(self.topics_made)));
        let command = CreateTopic {
            name: format!("topic-{}", self.topics_made),
            topic_id,
            partition_count: shape.partitions,
            replication_factor: shape.replication_factor,
            configs: BTreeMap::from([
                (MIN_ISR.to_owned(), shape.min_isr.to_string()),
                (FLUSH_POLICY.to_owned(), self.some_flush_policy()),
            ]),
        };
        if self.execute(&Command::CreateTopic(command)).is_err() {
            return false;
        }
        self.topics_made += 1;
        self.topics.insert(topic_id, shape.min_isr as usize);
        for number in 0..(shape.partitions * 2).min(PRODUCERS_MAX) {
            let tp = TopicPartition { topic_id, partition: PartitionIndex(number % shape.partitions) };
            let acks = if self.rng.u8(..4) == 0 { Acks::Leader } else { Acks::All };
            let id = self.producers.len() as u32;
            self.producers.insert(id, Producer::new(id, tp, acks));
            self.later(10, Upcoming::Produce(id));
        }
        true
    }

    /// Makes, changes or deletes a topic.
    pub fn change_some_topic(&mut self) {
        let topics: Vec<TopicId> = self.topics.keys().copied().collect();
        let Some(topic_id) = topics.get(self.rng.usize(..topics.len().max(1))).copied() else { return };
        match self.rng.u8(..6) {
            0 => {
                let replication_factor = self.rng.u32(1..=self.shape.brokers);
                let min_isr = self.rng.u32(1..=replication_factor.min(2));
                let shape = TopicShape { partitions: 1, replication_factor, min_isr };
                // A disk fault leaves topics without a second copy with nothing.
                if min_isr as usize > self.disk_faults.len() && self.create_topic(shape) {
                    self.coverage.topics_made += 1;
                }
            }
            1 if topics.len() > 1 => {
                if self.execute(&Command::DeleteTopic { topic_id }).is_ok() {
                    self.topics.remove(&topic_id);
                    self.coverage.topics_deleted += 1;
                }
            }
            _ => {
                // Never so low that the disks that lack something now are too many, but where it has to be refused.
                let is_led = |topic: &Topic| topic.partitions().all(|(_, state)| state.leader.is_some());
                let least = match self.controller.image().topic(topic_id) {
                    Some(topic) if !is_led(topic) => 1,
                    _ => (self.disk_faults.len() + 1).min(3),
                };
                let min_isr = self.rng.usize(least..=3);
                let mut configs = BTreeMap::from([(MIN_ISR.to_owned(), Some(min_isr.to_string()))]);
                if self.shape.has_interval && self.rng.bool() {
                    configs.insert(FLUSH_POLICY.to_owned(), Some(self.some_flush_policy()));
                }
                let command = AlterTopic { topic_id, configs, partition_count: None };
                if self.execute(&Command::AlterTopic(command)).is_ok() {
                    let least = self.topics.get_mut(&topic_id).expect("it was just changed");
                    *least = min_isr.min(*least);
                    self.coverage.settings_changed += 1;
                }
            }
        }
    }

    /// Moves a partition to some brokers, and soon perhaps cancels that, and begins it again: a replica that goes and
    /// comes back is empty, whatever it said before.
    pub fn begin_some_move(&mut self) {
        let partitions = self.partitions();
        let Some(tp) = partitions.get(self.rng.usize(..partitions.len().max(1))).copied() else { return };
        let mut brokers: Vec<BrokerId> = self.shape.brokers().map(BrokerId).collect();
        self.rng.shuffle(&mut brokers);
        let min_isr = self.controller.image().partition(tp).map_or(1, |state| state.replicas.len().min(2));
        brokers.truncate(self.rng.usize(min_isr..=min_isr + 2));
        let wanted = ReplicaMove { topic_id: tp.topic_id, partition: tp.partition, new_replicas: brokers };
        if self.rng.bool() {
            let cancel = ReplicaMove { new_replicas: Vec::new(), ..wanted.clone() };
            let (cancel_after_ms, again_after_ms) = (self.rng.u64(..600), self.rng.u64(..30));
            self.later(cancel_after_ms, Upcoming::Move(cancel));
            self.later(cancel_after_ms + again_after_ms, Upcoming::Move(wanted.clone()));
        }
        self.move_replicas(wanted);
    }

    /// An operator asks for one move.
    pub(super) fn move_replicas(&mut self, wanted: ReplicaMove) {
        let command = AlterReplicas { moves: vec![wanted], move_bytes_per_second: None };
        match self.execute(&Command::AlterReplicas(command)) {
            Ok(Response::ReplicasAltered { results }) => {
                let accepted = results.iter().filter(|result| result.is_ok()).count() as u64;
                self.coverage.moves_accepted += accepted;
                self.coverage.moves_refused += results.len() as u64 - accepted;
            }
            other => panic!("a move was answered with {other:?}"),
        }
    }

    /// Another controller becomes active: all sessions break.
    pub fn change_controller(&mut self) {
        self.coverage.controllers_changed += 1;
        let mut out = Vec::new();
        self.controller.become_active(self.now(), &mut out);
        for id in self.shape.brokers().map(BrokerId).collect::<Vec<_>>() {
            self.network.reset(Node::Controller, Node::Broker(id));
            if let Some((_, broker)) = self.running.get_mut(&id) {
                broker.lost_session();
            }
        }
        self.controller_says(out);
    }
}
