//! How the brokers of the model learn of the metadata, what they do by it, and what has to hold then.

use std::collections::BTreeMap;

use holdfast_metadata::{recover_controllers, recovery};
use holdfast_proto::ids::BrokerId;

use crate::{
    cluster::b,
    model::{Leading, Model},
    recovery::order,
};

impl Model {
    pub(crate) fn learn(&mut self, n: u32, changes: usize) {
        let tp = self.partition();
        let newest = self.images.len() - 1;
        let node = self.nodes.get_mut(&n).expect("known");
        node.known = node.known.saturating_add(changes).min(newest);
        let image = &self.images[node.known];
        if node.running && image.is_from_before_recovery(node.broker_epoch) {
            // It ends, so that its next start says what it holds.
            return self.stop(n);
        }
        let topic = image.topic(tp.topic_id).expect("there");
        let state = topic.partition(tp.partition).expect("there");
        let latest = node.log.last().map(|(epoch, _)| *epoch);
        let is_kept = node.unread || latest.is_some_and(|epoch| recovery::is_between(epoch, state.leader_epoch));
        if node.running && !state.replicas.contains(&b(n)) && latest.is_some() && !is_kept {
            // Its replica has moved away.
            node.log.clear();
            self.coverage.deleted += 1;
        }
        let registration = image.broker(b(n));
        let is_this_start = registration.is_some_and(|known| known.broker_epoch == node.broker_epoch);
        node.in_doubt &= !(node.running && is_this_start && state.isr.contains(&b(n)));
        let mine = node.running && !node.unread && state.leader == Some(b(n)) && is_this_start;
        if !mine {
            node.leading = None;
            return;
        }
        let min_isr = topic.effective_min_isr(state);
        match &mut node.leading {
            Some(leading) if leading.state.leader_epoch >= state.leader_epoch => {
                leading.min_isr = min_isr;
                if state.partition_epoch > leading.state.partition_epoch {
                    leading.adopt(state.clone());
                }
            }
            _ => {
                node.leading = Some(Leading {
                    state: state.clone(),
                    min_isr,
                    proposed: Vec::new(),
                    held: BTreeMap::new(),
                    high_watermark: 0,
                    start: node.log.len(),
                });
            }
        }
    }

    pub(crate) fn stop(&mut self, n: u32) {
        let node = self.node(n);
        node.running = false;
        node.leading = None;
    }

    /// A replica that may be elected holds everything that was acknowledged.
    pub(crate) fn check(&self) {
        let state = self.c.state(self.topic);
        // Nobody knows who of those that are eligible holds everything, while they have not said how far they reach.
        let eligible: &[BrokerId] = if state.unsettled { &[] } else { &state.elr };
        for candidate in state.isr.iter().chain(eligible) {
            if self.nodes[&candidate.0].lacks && state.leader != Some(*candidate) {
                continue;
            }
            let log = &self.nodes[&candidate.0].log;
            let held = log.iter().zip(&self.acknowledged).take_while(|(ours, theirs)| ours == theirs).count();
            assert_eq!(held, self.acknowledged.len(), "broker {candidate} lacks acknowledged records: {state:?}");
        }
    }

    /// The controllers go on from what one of them had: `back` changes are lost. Every broker has to start again.
    pub(crate) fn recover(&mut self, back: usize) {
        if !self.trust {
            return;
        }
        let at = (self.images.len() - 1).saturating_sub(back).max(self.recovered_at);
        let lost = self.images.len() - 1 - at;
        // More recoveries have no room.
        let Ok(image) = recover_controllers(&self.images[at], &order(&[])) else { return };
        self.c.replace(image.clone());
        self.images.push(image);
        self.recovered_at = self.images.len() - 1;
        self.coverage.recovered += 1;
        self.coverage.lost_changes += usize::from(lost > 0);
    }
}
