//! What each broker carries, kept as counts: who asks for the brokers need not look at every partition.

use std::collections::BTreeMap;

use holdfast_proto::ids::BrokerId;

use crate::record::PartitionState;

/// What one broker carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Partitions that have a replica on it.
    pub replicas: u64,
    /// Partitions that it leads.
    pub leaders: u64,
}

/// The loads of all brokers that carry anything; so that equal states have equal loads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Loads(BTreeMap<BrokerId, Load>);

impl Loads {
    /// What the broker carries; nothing if it is not known.
    pub(super) fn of(&self, broker_id: BrokerId) -> Load {
        self.0.get(&broker_id).copied().unwrap_or_default()
    }

    /// Counts a partition's state.
    pub(super) fn add(&mut self, state: &PartitionState) {
        for replica in &state.replicas {
            self.0.entry(*replica).or_default().replicas += 1;
        }
        if let Some(leader) = state.leader {
            self.0.entry(leader).or_default().leaders += 1;
        }
    }

    /// Takes back what [`Self::add`] counted of the same state.
    pub(super) fn remove(&mut self, state: &PartitionState) {
        for replica in &state.replicas {
            self.change(*replica, |load| load.replicas -= 1);
        }
        if let Some(leader) = state.leader {
            self.change(leader, |load| load.leaders -= 1);
        }
    }

    fn change(&mut self, broker_id: BrokerId, change: impl FnOnce(&mut Load)) {
        let load = self.0.entry(broker_id).or_default();
        change(load);
        if *load == Load::default() {
            self.0.remove(&broker_id);
        }
    }
}
