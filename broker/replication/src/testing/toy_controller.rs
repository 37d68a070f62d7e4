//! A controller of one partition: clean elections, eligible replicas (KIP-966), ISR changes (KIP-497), broker epochs
//! (KIP-841, KIP-903).

use std::collections::BTreeMap;

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch},
};

use crate::{Assignment, FlushPolicy};

#[derive(Clone, Copy, Debug)]
struct Registration {
    broker_epoch: BrokerEpoch,
    is_fenced: bool,
}

/// The committed state.
#[derive(Clone, Debug)]
pub struct ToyController {
    assignment: Assignment,
    elr: Vec<BrokerId>,
    brokers: BTreeMap<BrokerId, Registration>,
    next_broker_epoch: u64,
}

impl ToyController {
    /// A new partition on brokers 1 to `brokers`, all registered, none leading yet.
    pub fn new(brokers: u32, min_insync_replicas: u32) -> Self {
        let replicas: Vec<BrokerId> = (1..=brokers).map(BrokerId).collect();
        let assignment = Assignment {
            leader: None,
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            isr: replicas.clone(),
            replicas,
            min_insync_replicas,
            flush_policy: FlushPolicy::Ack,
        };
        let mut controller = Self { assignment, elr: Vec::new(), brokers: BTreeMap::new(), next_broker_epoch: 1 };
        for id in controller.assignment.replicas.clone() {
            controller.register(id, false);
            controller.unfence(id);
        }
        controller
    }

    /// The state as brokers get it.
    pub fn assignment(&self) -> &Assignment {
        &self.assignment
    }

    /// The eligible replicas outside the ISR.
    pub fn elr(&self) -> &[BrokerId] {
        &self.elr
    }

    /// Epoch of a broker's registration.
    pub fn broker_epoch(&self, id: BrokerId) -> BrokerEpoch {
        self.brokers[&id].broker_epoch
    }

    /// Replaces the settings that a topic can change while it lives.
    pub fn set_flush_policy(&mut self, flush_policy: FlushPolicy) {
        self.assignment.flush_policy = flush_policy;
        self.assignment.partition_epoch = self.assignment.partition_epoch.next();
    }

    /// A broker starts: its former registration is fenced; one with another disk leaves the ISR and the eligible ones.
    /// It stays fenced until [`Self::unfence`].
    pub fn register(&mut self, id: BrokerId, is_blank: bool) -> BrokerEpoch {
        if self.brokers.contains_key(&id) {
            self.fence(id);
        }
        if is_blank && self.is_known(id) {
            self.assignment.isr.retain(|member| *member != id);
            self.elr.retain(|member| *member != id);
            self.commit(false);
        }
        let broker_epoch = BrokerEpoch(self.next_broker_epoch);
        self.next_broker_epoch += 1;
        self.brokers.insert(id, Registration { broker_epoch, is_fenced: true });
        broker_epoch
    }

    fn is_known(&self, id: BrokerId) -> bool {
        self.assignment.isr.contains(&id) || self.elr.contains(&id)
    }

    /// A broker's session ended: it leaves the ISR, and leads no more.
    pub fn fence(&mut self, id: BrokerId) {
        let Some(broker) = self.brokers.get_mut(&id).filter(|broker| !broker.is_fenced) else { return };
        broker.is_fenced = true;
        if self.assignment.isr.contains(&id) || self.assignment.leader == Some(id) {
            let rest = self.assignment.isr.iter().copied().filter(|member| *member != id).collect();
            self.set_isr(rest);
            let loses_leader = self.assignment.leader == Some(id);
            if loses_leader {
                self.assignment.leader = None;
            }
            self.commit(loses_leader);
            self.elect_if_needed();
        }
    }

    /// A broker is ready to serve.
    pub fn unfence(&mut self, id: BrokerId) {
        if let Some(broker) = self.brokers.get_mut(&id) {
            broker.is_fenced = false;
        }
        self.elect_if_needed();
    }

    /// Makes a live ISR member the leader; true if that is allowed.
    pub fn elect(&mut self, id: BrokerId) -> bool {
        let allowed = self.is_live(id) && self.assignment.isr.contains(&id);
        if allowed {
            self.assignment.leader = Some(id);
            self.commit(true);
        }
        allowed
    }

    /// Takes a replica away, as the end of a move does; false if fewer in-sync replicas than the minimum would be left.
    pub fn take_away(&mut self, id: BrokerId) -> bool {
        let rest: Vec<_> = self.assignment.isr.iter().copied().filter(|member| *member != id).collect();
        let minimum = (self.assignment.min_insync_replicas as usize).max(1);
        if !self.assignment.replicas.contains(&id) || rest.len() < minimum {
            return false;
        }
        self.assignment.replicas.retain(|replica| *replica != id);
        self.set_isr(rest);
        self.elr.retain(|member| *member != id);
        let leads = self.assignment.leader == Some(id);
        if leads {
            self.assignment.leader = self.assignment.isr.iter().copied().find(|member| self.is_live(*member));
        }
        self.commit(leads);
        true
    }

    /// Makes a broker a replica again, outside the ISR; false if it is one.
    pub fn give_back(&mut self, id: BrokerId) -> bool {
        if self.assignment.replicas.contains(&id) {
            return false;
        }
        self.assignment.replicas.push(id);
        self.commit(false);
        true
    }

    /// Decides an ISR change. An accepted one is committed with a new partition epoch even if it changes nothing: that
    /// makes every proposal stale that started from the same state.
    pub fn alter(
        &mut self,
        from: BrokerId,
        leader_epoch: LeaderEpoch,
        partition_epoch: PartitionEpoch,
        new_isr: &[(BrokerId, Option<BrokerEpoch>)],
    ) -> Result<Assignment, ErrorCode> {
        if leader_epoch < self.assignment.leader_epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if self.assignment.leader != Some(from) || leader_epoch > self.assignment.leader_epoch {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if partition_epoch != self.assignment.partition_epoch {
            return Err(ErrorCode::InvalidUpdateVersion);
        }
        let is_eligible = |(id, epoch): &(BrokerId, Option<BrokerEpoch>)| {
            self.is_live(*id) && epoch.is_none_or(|epoch| epoch == self.broker_epoch(*id))
        };
        let is_replica = |(id, _): &(BrokerId, Option<BrokerEpoch>)| self.assignment.replicas.contains(id);
        if !new_isr.iter().all(|member| is_replica(member) && is_eligible(member)) {
            return Err(ErrorCode::IneligibleReplica);
        }
        self.set_isr(new_isr.iter().map(|(id, _)| *id).collect());
        self.commit(false);
        Ok(self.assignment.clone())
    }

    fn set_isr(&mut self, isr: Vec<BrokerId>) {
        let mut eligible: Vec<BrokerId> = self.assignment.isr.iter().chain(&self.elr).copied().collect();
        eligible.retain(|id| !isr.contains(id));
        eligible.sort_unstable();
        eligible.dedup();
        let is_whole = isr.len() >= self.assignment.min_insync_replicas as usize;
        self.elr = if is_whole { Vec::new() } else { eligible };
        self.assignment.isr = isr;
    }

    fn elect_if_needed(&mut self) {
        if self.assignment.leader.is_some() {
            return;
        }
        let live = |ids: &[BrokerId]| ids.iter().copied().find(|id| self.is_live(*id));
        if let Some(leader) = live(&self.assignment.isr) {
            self.assignment.leader = Some(leader);
            self.commit(true);
        } else if let Some(leader) = live(&self.elr).filter(|_| self.assignment.isr.is_empty()) {
            self.set_isr(vec![leader]);
            self.assignment.leader = Some(leader);
            self.commit(true);
        }
    }

    fn is_live(&self, id: BrokerId) -> bool {
        self.brokers.get(&id).is_some_and(|broker| !broker.is_fenced)
    }

    fn commit(&mut self, new_leadership: bool) {
        self.assignment.partition_epoch = self.assignment.partition_epoch.next();
        if new_leadership {
            self.assignment.leader_epoch = self.assignment.leader_epoch.next();
        }
    }
}
