//! What can befall a toy cluster: nodes that end and come back, streams that break, calls that pass their deadline.

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, Offset},
};

use super::{
    cluster::Cluster,
    network::{CONTROLLER, Link, Message},
    toy_log::ToyLog,
};
use crate::{Event, FetchOutcome};

/// How a node goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process: what was written stays.
    Process,
    /// The power: what was not flushed is gone, but for so many of the waiting appends.
    Power {
        /// Appends that reach the disk all the same.
        kept: usize,
    },
}

impl Cluster {
    /// Takes a node down. The controller does not know yet.
    pub fn crash(&mut self, id: u32, crash: Crash) {
        let node = self.node_mut(id);
        node.replica = None;
        match crash {
            Crash::Process => node.log.lose_process(),
            Crash::Power { kept } => node.log.lose_power(kept),
        }
        // Clients see their connections break.
        for (token, _) in self.sent.iter().filter(|(_, sent)| sent.node == id) {
            self.results.entry(*token).or_insert(Err(ErrorCode::OutcomeUnknown));
        }
        for other in self.nodes.keys().copied().filter(|other| *other != id).collect::<Vec<_>>() {
            self.break_stream(id, other);
            self.break_stream(other, id);
        }
        self.network.orphan_proposals(id);
        self.network.drop_all((CONTROLLER, id));
    }

    /// Starts a node that is down: it registers, gets the state and serves. `is_blank`: with an empty disk.
    pub fn start(&mut self, id: u32, is_blank: bool) {
        let config = self.config.clone();
        let node = self.node_mut(id);
        assert!(node.replica.is_none(), "node {id} runs");
        if is_blank {
            node.log = ToyLog::default();
            self.oracle.lose_disk();
        }
        let node = self.node_mut(id);
        node.boot(id, &config);
        self.controller.register(BrokerId(id), is_blank);
        self.publish();
        self.controller.unfence(BrokerId(id));
        self.publish();
        self.network.drop_all((CONTROLLER, id));
        self.network.send(CONTROLLER, id, Message::Metadata(self.controller.assignment().clone()));
    }

    /// The stream from a follower to a leader breaks: what is on it is gone, and both ends learn of it.
    pub fn break_stream(&mut self, follower: u32, leader: u32) {
        self.drop_of_stream((follower, leader), |message| matches!(message, Message::Fetch { .. }));
        self.drop_of_stream((leader, follower), |message| matches!(message, Message::Answer { .. }));
        if self.nodes[&leader].replica.is_some() {
            self.step(leader, Event::ReplicaDisconnected { from: BrokerId(follower) });
        }
        if self.nodes[&follower].replica.is_some() {
            let outcome = FetchOutcome::Failed(ErrorCode::BrokerNotAvailable);
            let from = BrokerId(leader);
            self.step(follower, Event::FetchResponse { from, leader_epoch: LeaderEpoch(0), outcome });
        }
    }

    fn drop_of_stream(&mut self, link: Link, is_on_it: impl Fn(&Message) -> bool) {
        for message in self.network.drop_all(link).into_iter().filter(|message| !is_on_it(message)) {
            self.network.send(link.0, link.1, message);
        }
    }

    /// A node's calls to the controller pass their deadline; they may still arrive there.
    pub fn time_out_proposals(&mut self, id: u32) {
        let Some(replica) = &self.nodes[&id].replica else { return };
        let (Some(leader_epoch), Some(partition_epoch)) = (replica.leader_epoch(), replica.partition_epoch()) else {
            return;
        };
        self.network.orphan_proposals(id);
        let result = Err(ErrorCode::RequestTimedOut);
        self.step(id, Event::IsrProposalResult { leader_epoch, partition_epoch, result });
    }

    /// Retention at one node: removes whole batches below `to`, never past the high watermark.
    pub fn retain_from(&mut self, id: u32, to: Offset) {
        let to = to.min(self.replica(id).high_watermark());
        let offset = self.node_mut(id).log.retain_from(to);
        self.step(id, Event::LogStartChanged { offset });
    }
}
