//! What a leader knows when it stops: everything that was acknowledged lies below its high watermark. Pure.
//!
//! Place: its actor leaves it behind when the log is closed; a broker that stops says it where nobody takes over, as when all
//! stop. Else who of the eligible replicas comes back alone waits for the last of them, though it lacks nothing: elections rest
//! on the frozen high watermark.
//!
//! The controllers keep it only where the ISR is too small to acknowledge more. So where it is large enough the stopped
//! leader first proposes itself as the whole ISR. That takes nothing from the others: they are eligible then, as they
//! are once this one is fenced, and lead if they are alive.

use holdfast_metadata::{BrokerRegistration, Image, version::TRUST};
use holdfast_proto::ids::{BrokerId, LeaderEpoch, Offset, TopicPartition};
use holdfast_replication::Replica;

use crate::outbox::Proposal;

/// What a leader knew of its leadership when its log was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastWord {
    /// The leadership that ended with the replica.
    leader_epoch: LeaderEpoch,
    high_watermark: Offset,
    high_watermark_epoch: Option<LeaderEpoch>,
}

impl LastWord {
    /// Of a replica that takes nothing any more. `None` if it does not lead, or does not know how far was acknowledged.
    pub fn of(replica: &Replica) -> Option<Self> {
        let (high_watermark, high_watermark_epoch) = replica.acknowledged_end()?;
        Some(Self { leader_epoch: replica.leader_epoch()?, high_watermark, high_watermark_epoch })
    }

    /// What broker `own` has to propose next, so that the controllers keep it; `None` once they do, or where that is of no use:
    /// another leads or can, or one replica alone acknowledges.
    pub fn proposal(self, image: &Image, partition: TopicPartition, own: BrokerId) -> Option<Proposal> {
        let topic = image.topic(partition.topic_id)?;
        let state = topic.partition(partition.partition)?;
        let min_isr = topic.effective_min_isr(state);
        let is_active = |broker: BrokerId| image.broker(broker).is_some_and(BrokerRegistration::is_active);
        let is_meant = (state.leader, state.leader_epoch) == (Some(own), self.leader_epoch);
        let is_kept = state.frozen_high_watermark >= Some(self.high_watermark);
        if !is_meant || is_kept || min_isr < 2 || image.version() < TRUST {
            return None;
        }
        let is_small = state.isr.len() < min_isr;
        if !is_small && state.isr.iter().any(|member| *member != own && is_active(*member)) {
            return None;
        }
        let members = state.isr.iter().copied().filter(|member| is_small || *member == own);
        Some(Proposal {
            leader_epoch: self.leader_epoch,
            partition_epoch: state.partition_epoch,
            new_isr: members.map(|member| (member, None)).collect(),
            high_watermark: Some(self.high_watermark),
            high_watermark_epoch: self.high_watermark_epoch,
        })
    }
}
