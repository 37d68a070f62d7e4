//! Messages on their way between nodes; the controller is node 0.
//!
//! Nothing moves by itself. Fetches and answers of one follower and one leader travel on a stream: it keeps their order,
//! and when it breaks everything on it is gone. Proposals and their results are single calls, which may be late.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch},
};

use super::toy_log::ToyBatch;
use crate::{Assignment, FetchPosition, FetchReply};

/// The controller's place in the network.
pub const CONTROLLER: u32 = 0;

/// From one node to another.
pub type Link = (u32, u32);

/// A message.
#[derive(Clone, Debug)]
pub enum Message {
    /// A follower's position, to its leader.
    Fetch {
        /// Epoch of the follower's broker.
        broker_epoch: BrokerEpoch,
        /// The position.
        position: FetchPosition,
    },
    /// A leader's answer.
    Answer {
        /// Epoch that the fetch named.
        leader_epoch: LeaderEpoch,
        /// What it says.
        reply: FetchReply,
        /// The records that go with it.
        batches: Vec<ToyBatch>,
    },
    /// The committed state, to a broker.
    Metadata(Assignment),
    /// An ISR proposal, to the controller.
    Proposal {
        /// Leader epoch of the proposer.
        leader_epoch: LeaderEpoch,
        /// Partition epoch that it starts from.
        partition_epoch: PartitionEpoch,
        /// The members with their broker epochs.
        new_isr: Vec<(BrokerId, Option<BrokerEpoch>)>,
        /// True once the proposer has given the call up: the answer goes nowhere.
        is_orphan: bool,
    },
    /// The controller's answer to it.
    ProposalResult {
        /// Leader epoch of the proposal.
        leader_epoch: LeaderEpoch,
        /// Partition epoch that it started from.
        partition_epoch: PartitionEpoch,
        /// What came of it.
        result: Result<Assignment, ErrorCode>,
    },
}

/// The messages under way, and the links that do not work.
#[derive(Clone, Debug, Default)]
pub struct Network {
    queues: BTreeMap<Link, Vec<Message>>,
    held: BTreeSet<Link>,
}

impl Network {
    /// Sends a message.
    pub fn send(&mut self, from: u32, to: u32, message: Message) {
        self.queues.entry((from, to)).or_default().push(message);
    }

    /// Keeps the messages of a link where they are.
    pub fn hold(&mut self, link: Link) {
        self.held.insert(link);
    }

    /// Lets them go again.
    pub fn release(&mut self, link: Link) {
        self.held.remove(&link);
    }

    /// Lets all links go.
    pub fn release_all(&mut self) {
        self.held.clear();
    }

    /// True if a link is held.
    pub fn is_held(&self, link: Link) -> bool {
        self.held.contains(&link)
    }

    /// Links that have something to deliver and are not held.
    pub fn ready(&self) -> Vec<Link> {
        let is_ready = |(link, queue): &(&Link, &Vec<Message>)| !queue.is_empty() && !self.held.contains(link);
        self.queues.iter().filter(is_ready).map(|(link, _)| *link).collect()
    }

    /// Number of messages on a link.
    pub fn len(&self, link: Link) -> usize {
        self.queues.get(&link).map_or(0, Vec::len)
    }

    /// True if nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.queues.values().all(Vec::is_empty)
    }

    /// Takes the message at `index` of a link: 0 is the oldest.
    pub fn take(&mut self, link: Link, index: usize) -> Option<Message> {
        let queue = self.queues.get_mut(&link)?;
        (index < queue.len()).then(|| queue.remove(index))
    }

    /// Everything on a link vanishes.
    pub fn drop_all(&mut self, link: Link) -> Vec<Message> {
        self.queues.remove(&link).unwrap_or_default()
    }

    /// The proposer has given up waiting: proposals on their way may still arrive, their answers do not.
    pub fn orphan_proposals(&mut self, from: u32) {
        for message in self.queues.entry((from, CONTROLLER)).or_default() {
            if let Message::Proposal { is_orphan, .. } = message {
                *is_orphan = true;
            }
        }
    }
}

/// True if the answer carries records from this offset on.
pub(crate) fn records_from(reply: &FetchReply) -> Option<Offset> {
    reply.records().copied()
}
