//! Moves of replicas (KIP-455), as far as one partition sees them: a replica is taken away, and its node deletes what it
//! holds; it is given back, and begins empty. The node's process runs on, under the same broker epoch.

use holdfast_proto::ids::BrokerId;

use super::{cluster::Cluster, toy_log::ToyLog};
use crate::{Assignment, Event};

impl Cluster {
    /// Takes a replica away, as the end of a move does; false if too few in-sync replicas would be left.
    pub fn take_away(&mut self, id: u32) -> bool {
        let taken = self.controller.take_away(BrokerId(id));
        self.publish();
        taken
    }

    /// Makes a node a replica again, as the begin of a move does; false if it is one.
    pub fn give_back(&mut self, id: u32) -> bool {
        let given = self.controller.give_back(BrokerId(id));
        self.publish();
        given
    }

    /// The node has learnt a state. If it is no replica by it, its replica is told, closed and deleted; what stands there
    /// from now on is another one, which knows that state. Nothing that is under way to or from it is lost by that.
    pub(super) fn after_metadata(&mut self, id: u32, assignment: &Assignment) {
        if assignment.replicas.contains(&BrokerId(id)) || self.nodes[&id].replica.is_none() {
            return;
        }
        let known = self.replica(id).partition_epoch();
        if known != Some(assignment.partition_epoch) {
            return;
        }
        let config = self.config.clone();
        let node = self.node_mut(id);
        node.log = ToyLog::default();
        node.boot(id, &config);
        self.step(id, Event::AssignmentChanged(assignment.clone()));
    }
}
