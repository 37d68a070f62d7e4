//! The model of [`crate::acknowledged_history`]: brokers with replicas of one partition, beside the machine.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_metadata::{AlterPartition, AlterTopic, Command, Image, IsrChange, IsrMember, PartitionState, Response};
use holdfast_proto::{
    error::ErrorCode,
    ids::{
        BrokerEpoch, BrokerId, FolderToken, LeaderEpoch, Offset, PartitionEpoch, PartitionIndex, TopicId,
        TopicPartition,
    },
};

use crate::{
    acknowledged_history::{BROKERS, Coverage, Disk, Event},
    cluster::{Cluster, b},
};

/// A record: the leader epoch in which it was written, and a value that no other record has.
pub(crate) type Entry = (LeaderEpoch, u64);

/// A broker's own state.
#[allow(clippy::struct_excessive_bools)] // they go together in any combination
pub(crate) struct Node {
    pub(crate) running: bool,
    /// Id of the disk and starts on it.
    pub(crate) disk: u128,
    pub(crate) boot: u64,
    pub(crate) log: Vec<Entry>,
    pub(crate) copy: Option<Copy>,
    /// Tokens of which the folder knows that the last is among them.
    pub(crate) tokens: Vec<FolderToken>,
    /// Its log lacks what it counted as held, and it was not in sync since.
    pub(crate) lacks: bool,
    /// Its log says that it may lack records, until it is in sync again.
    pub(crate) in_doubt: bool,
    /// This start could not look at its log.
    pub(crate) unread: bool,
    pub(crate) broker_epoch: BrokerEpoch,
    /// Position in the history of images.
    pub(crate) known: usize,
    pub(crate) leading: Option<Leading>,
}

/// A copy of a broker's disk.
pub(crate) struct Copy {
    pub(crate) boot: u64,
    pub(crate) log: Vec<Entry>,
    pub(crate) tokens: Vec<FolderToken>,
}

/// A leadership as the leader knows it.
pub(crate) struct Leading {
    pub(crate) state: PartitionState,
    pub(crate) min_isr: usize,
    /// The ISR it proposed, until it knows what became of it.
    pub(crate) proposed: Vec<BrokerId>,
    /// What each follower was seen to hold in this epoch.
    pub(crate) held: BTreeMap<BrokerId, Held>,
    pub(crate) high_watermark: usize,
    pub(crate) start: usize,
}

/// What a follower told.
#[derive(Clone, Copy)]
pub(crate) struct Held {
    broker_epoch: BrokerEpoch,
    /// The state that it knew.
    partition_epoch: PartitionEpoch,
    end: usize,
}

impl Leading {
    /// The leader learns a newer state. What a replica outside the ISR told under an older one does not count any more:
    /// it may have been taken away and given back, empty.
    pub(crate) fn adopt(&mut self, state: PartitionState) {
        self.held.retain(|id, held| state.isr.contains(id) || held.partition_epoch >= state.partition_epoch);
        self.state = state;
        self.proposed.clear();
    }
}

pub(crate) struct Model {
    pub(crate) c: Cluster,
    pub(crate) topic: TopicId,
    pub(crate) images: Vec<Image>,
    /// Position there of the last recovery of the controllers: what was before it is given up.
    pub(crate) recovered_at: usize,
    pub(crate) nodes: BTreeMap<u32, Node>,
    pub(crate) acknowledged: Vec<Entry>,
    /// True if disks may lie, and brokers prove theirs.
    pub(crate) trust: bool,
    pub(crate) next_value: u64,
    pub(crate) next_disk: u128,
    pub(crate) proposals: Vec<AlterPartition>,
    pub(crate) answers: Vec<(AlterPartition, Result<PartitionState, ErrorCode>)>,
    pub(crate) coverage: Coverage,
}

impl Model {
    pub(crate) fn new(trust: bool) -> Self {
        let mut c = if trust { Cluster::with_tokens(BROKERS) } else { Cluster::new(BROKERS) };
        let topic = c.topic("t", 1, 3, &[("min.insync.replicas", "2")]);
        c.form();
        let nodes = (1..=BROKERS)
            .map(|n| {
                let node = Node {
                    running: true,
                    disk: n.into(),
                    boot: 1,
                    log: Vec::new(),
                    copy: None,
                    tokens: c.image.broker(b(n)).and_then(|broker| broker.token).into_iter().collect(),
                    lacks: false,
                    in_doubt: false,
                    unread: false,
                    broker_epoch: c.epoch(n),
                    known: 0,
                    leading: None,
                };
                (n, node)
            })
            .collect();
        let mut model = Self {
            images: vec![c.image.clone()],
            recovered_at: 0,
            c,
            topic,
            nodes,
            acknowledged: Vec::new(),
            trust,
            next_value: 0,
            next_disk: 100,
            proposals: Vec::new(),
            answers: Vec::new(),
            coverage: Coverage::default(),
        };
        (1..=BROKERS).for_each(|n| model.learn(n, 0));
        model
    }

    pub(crate) fn partition(&self) -> TopicPartition {
        TopicPartition { topic_id: self.topic, partition: PartitionIndex(0) }
    }

    /// Runs a command, and remembers the image for those who learn of it later.
    pub(crate) fn run(&mut self, command: &Command) -> Option<Response> {
        let before = self.c.state(self.topic).clone();
        let outcome = self.c.run(command);
        self.images.push(self.c.image.clone());
        let after = self.c.state(self.topic).clone();
        self.coverage.frozen += usize::from(after.frozen_high_watermark > before.frozen_high_watermark);
        self.coverage.distrusted += after.distrusted.len().saturating_sub(before.distrusted.len());
        for (n, node) in &mut self.nodes {
            // Copied again: it was caught up with the leader.
            let is_copied = after.isr.contains(&b(*n)) && after.leader != Some(b(*n));
            node.lacks &= !is_copied && (after.replicas.contains(&b(*n)) || !node.log.is_empty());
        }
        if after.leader != before.leader && after.leader.is_some() {
            self.coverage.elections += 1;
            self.coverage.elections_from_elr += usize::from(before.isr.is_empty());
            self.coverage.settled += usize::from(before.unsettled);
            self.coverage.found += usize::from(before.unsettled && !after.removing.is_empty());
        }
        let ended = before.is_moving() && !after.is_moving() && !matches!(command, Command::AlterReplicas(_));
        self.coverage.moves_ended += usize::from(ended);
        outcome.result.ok()
    }

    pub(crate) fn step(&mut self, event: &Event) {
        match *event {
            Event::Produce(n) => self.leader(n).into_iter().for_each(|leader| self.produce(leader)),
            Event::Fetch { leader, follower, records } => {
                self.leader(leader).into_iter().for_each(|leader| self.fetch(leader, follower, records));
            }
            Event::Acknowledge(n) => self.leader(n).into_iter().for_each(|leader| self.acknowledge(leader)),
            Event::Propose { leader, members } => {
                self.leader(leader).into_iter().for_each(|leader| self.propose(leader, members));
            }
            Event::Arrive(n) => self.arrive(n),
            Event::Answer { n, lost } => self.answer(n, lost),
            Event::Learn { broker, changes } => self.learn(broker, changes),
            Event::Stop(n) => self.stop(n),
            Event::Bounce { broker, disk } => {
                self.stop(broker);
                self.start(broker, disk);
                self.step(&Event::Unfence(broker));
            }
            Event::Start { broker, disk } => self.start(broker, disk),
            Event::StopInOrder(broker) => self.stop_in_order(broker),
            Event::Copy(n) => {
                let node = self.node(n);
                node.copy = Some(Copy { boot: node.boot, log: node.log.clone(), tokens: node.tokens.clone() });
            }
            Event::Renew(n) => self.renew(n),
            Event::Recover(back) => self.recover(back),
            Event::RestartAll => {
                (1..=BROKERS).for_each(|broker| self.step(&Event::Bounce { broker, disk: Disk::Same }));
            }
            Event::LoseDisk(n) => self.lose_disk(n),
            Event::Fence(n) => {
                self.run(&Command::FenceBroker { broker_id: b(n), broker_epoch: self.c.epoch(n) });
            }
            Event::FenceTogether(mask) => {
                let brokers: Vec<u32> = (1..=BROKERS).filter(|n| mask & (1 << (n - 1)) != 0).collect();
                // Without trust the metadata version is one that has no such command.
                if self.trust {
                    self.run(&self.c.fencing(&brokers));
                }
            }
            Event::Unfence(n) if self.nodes[&n].running => {
                self.run(&Command::UnfenceBroker { broker_id: b(n), broker_epoch: self.c.epoch(n) });
            }
            Event::Unfence(_) => (),
            Event::Leave(n) => {
                self.run(&Command::BeginControlledShutdown { broker_id: b(n), broker_epoch: self.c.epoch(n) });
            }
            // A disk may lie only while a record is on two at least. Without a leader it has to be refused.
            Event::MinIsr(1) if self.trust && self.c.state(self.topic).leader.is_some() => (),
            Event::MinIsr(min_isr) => {
                let configs = [("min.insync.replicas".to_owned(), Some(min_isr.to_string()))].into();
                let command = AlterTopic { topic_id: self.topic, configs, partition_count: None };
                self.run(&Command::AlterTopic(command));
            }
            Event::Move { members, first } => {
                let mut replicas: Vec<u32> = (1..=BROKERS).filter(|n| members & (1 << (n - 1)) != 0).collect();
                replicas.sort_by_key(|n| (*n != first, *n));
                self.alter_replicas(&replicas);
            }
            Event::Cancel => self.alter_replicas(&[]),
            Event::CatchUp => self.catch_up(),
            Event::Elect => {
                self.run(&Command::ElectLeaders { partitions: Vec::new() });
            }
        }
        self.check();
    }

    fn catch_up(&mut self) {
        (1..=BROKERS).for_each(|n| self.learn(n, usize::MAX));
        let Some(leader) = self.c.state(self.topic).leader.map(|leader| leader.0) else { return };
        (1..=BROKERS).for_each(|follower| self.fetch(leader, follower, usize::MAX));
        let before = self.proposals.len();
        self.propose(leader, u8::MAX);
        if self.proposals.len() > before {
            self.arrive(before);
            self.answer(self.answers.len() - 1, false);
        }
    }

    pub(crate) fn node(&mut self, n: u32) -> &mut Node {
        self.nodes.get_mut(&n).expect("known")
    }

    /// One of those who believe that they lead.
    fn leader(&self, n: usize) -> Option<u32> {
        let leaders: Vec<u32> = self.nodes.iter().filter(|(_, node)| node.leading.is_some()).map(|(n, _)| *n).collect();
        leaders.get(n % leaders.len().max(1)).copied()
    }

    fn produce(&mut self, n: u32) {
        self.next_value += 1;
        let value = self.next_value;
        let node = self.node(n);
        if let Some(leading) = &node.leading {
            node.log.push((leading.state.leader_epoch, value));
        }
    }

    fn fetch(&mut self, leader: u32, follower: u32, records: usize) {
        let known = self.nodes[&follower].known;
        let state = self.images[known].partition(self.partition()).expect("there").clone();
        let source = &self.nodes[&leader];
        let follows = self.nodes[&follower].running
            && !self.nodes[&follower].unread
            && leader != follower
            && state.replicas.contains(&b(follower))
            && state.leader == Some(b(leader))
            && source.leading.as_ref().is_some_and(|leading| leading.state.leader_epoch == state.leader_epoch);
        if !follows {
            return;
        }
        let log = source.log.clone();
        let node = self.node(follower);
        let common = node.log.iter().zip(&log).take_while(|(ours, theirs)| ours == theirs).count();
        let truncated = usize::from(common < node.log.len());
        node.log.truncate(common);
        node.log.extend(log.into_iter().skip(common).take(records));
        let partition_epoch = state.partition_epoch;
        let held = Held { broker_epoch: node.broker_epoch, partition_epoch, end: node.log.len() };
        self.coverage.truncated += truncated;
        if let Some(leading) = &mut self.node(leader).leading
            && (leading.state.isr.contains(&b(follower)) || partition_epoch >= leading.state.partition_epoch)
        {
            leading.held.insert(b(follower), held);
        }
    }

    fn acknowledge(&mut self, n: u32) {
        let node = self.node(n);
        let Some(leading) = &mut node.leading else { return };
        let members: BTreeSet<BrokerId> = leading.state.isr.iter().chain(&leading.proposed).copied().collect();
        let held = |member: &BrokerId| {
            // What was told under a state that the leader does not know yet does not count before it does.
            let told = || leading.held.get(member).filter(|held| held.partition_epoch <= leading.state.partition_epoch);
            if *member == b(n) { node.log.len() } else { told().map_or(0, |held| held.end) }
        };
        let end = members.iter().map(held).min().unwrap_or(0);
        // A new leader confirms what was before it only together with its own epoch's start.
        if leading.state.isr.len() < leading.min_isr || end < leading.start || end <= leading.high_watermark {
            return;
        }
        leading.high_watermark = end;
        let confirmed = node.log[..end].to_vec();
        for (offset, entry) in confirmed.into_iter().enumerate() {
            if let Some(known) = self.acknowledged.get(offset) {
                assert_eq!(*known, entry, "offset {offset} is acknowledged with two values");
            } else {
                self.acknowledged.push(entry);
                self.coverage.acknowledged += 1;
            }
        }
    }

    fn propose(&mut self, n: u32, mask: u8) {
        let (topic_id, trust) = (self.topic, self.trust);
        let node = self.node(n);
        let broker_epoch = node.broker_epoch;
        let Some(leading) = node.leading.as_mut().filter(|leading| leading.proposed.is_empty()) else { return };
        let new_isr: Vec<IsrMember> = leading
            .state
            .replicas
            .iter()
            .enumerate()
            .filter_map(|(bit, replica)| {
                if *replica == b(n) {
                    return Some(IsrMember { broker_id: *replica, broker_epoch });
                }
                let Held { broker_epoch, end, .. } = *leading.held.get(replica)?;
                let joins = end >= leading.high_watermark && end >= leading.start;
                let wanted = mask & (1 << bit) != 0 && (joins || leading.state.isr.contains(replica));
                wanted.then_some(IsrMember { broker_id: *replica, broker_epoch })
            })
            .collect();
        let is_sure = leading.high_watermark >= leading.start;
        let high_watermark = (trust && is_sure).then_some(Offset(leading.high_watermark as u64));
        let last = high_watermark.and_then(|end| (end.0 as usize).checked_sub(1));
        let high_watermark_epoch = last.map(|last| node.log[last].0);
        leading.proposed = new_isr.iter().map(|member| member.broker_id).collect();
        let change = IsrChange {
            topic_id,
            partition: PartitionIndex(0),
            leader_epoch: leading.state.leader_epoch,
            partition_epoch: leading.state.partition_epoch,
            new_isr,
            high_watermark,
            high_watermark_epoch,
        };
        self.proposals.push(AlterPartition { broker_id: b(n), broker_epoch, changes: vec![change] });
    }

    fn arrive(&mut self, n: usize) {
        if self.proposals.is_empty() {
            return;
        }
        let proposal = self.proposals.remove(n % self.proposals.len());
        let result = match self.run(&Command::AlterPartition(proposal.clone())) {
            Some(Response::PartitionsAltered { mut results }) => results.remove(0).map_err(|rejection| rejection.code),
            _ => Err(ErrorCode::StaleBrokerEpoch),
        };
        self.coverage.accepted_proposals += usize::from(result.is_ok());
        self.coverage.refused_proposals += usize::from(result.is_err());
        self.answers.push((proposal, result));
    }

    fn answer(&mut self, n: usize, lost: bool) {
        if self.answers.is_empty() {
            return;
        }
        let (proposal, result) = self.answers.remove(n % self.answers.len());
        let change = &proposal.changes[0];
        let node = self.node(proposal.broker_id.0);
        let Some(leading) = &mut node.leading else { return };
        let current = (leading.state.leader_epoch, leading.state.partition_epoch);
        if lost
            || node.broker_epoch != proposal.broker_epoch
            || current != (change.leader_epoch, change.partition_epoch)
        {
            return;
        }
        match result {
            Ok(state) => leading.adopt(state),
            // It was done, by another leader's election: the proposed members count until this is learnt.
            Err(ErrorCode::NewLeaderElected) => (),
            Err(_) => leading.proposed.clear(),
        }
    }
}
