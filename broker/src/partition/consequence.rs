//! What follows from a finding: whether the replica is closed, or goes on with what is sound for now. Pure.
//!
//! 1. A replica that halted is closed.
//! 2. One that is damaged and holds what was acknowledged stays while no other could lead, by the rule of the controllers
//!    themselves: the rest of it can be read. To be alive is not enough for the other: it may hold what it cannot read. What is damaged is refused to its readers all the same. If its log takes
//!    nothing any more it is opened again.
//! 3. Before metadata version 2 the controllers hear nothing of a single replica, so that a leader that closes leaves its
//!    partition without one. So a damaged leader goes on with what is sound until another leads; that is brought about by
//!    what the first version has, the order of the replicas: the controllers give a leadership to the first that is in
//!    sync ([`order`]). A follower closes: its leader does without it.
//!
//! Either way it is looked at again whenever the metadata changes.

use holdfast_metadata::{
    BrokerRegistration, Image, PartitionState, leader_without, trust::DistrustReason, version::TRUST,
};
use holdfast_proto::ids::{BrokerId, TopicPartition};

use super::findings::{Finding, Why};

/// What becomes of a replica with a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// It is closed, and the controllers are told as soon as they can be.
    Close,
    /// It goes on with what is sound.
    Stay(Why),
    /// Nobody could take its place: its log is closed and opened again; by another start of the broker if it leads.
    Reopen,
}

/// What follows for the replica that broker `own` has of this partition.
pub fn of(image: &Image, own: BrokerId, partition: TopicPartition, finding: &Finding) -> Consequence {
    let Some(state) = image.partition(partition) else { return Consequence::Close };
    if finding.reason != DistrustReason::Damaged {
        return Consequence::Close;
    }
    let holds = state.isr.contains(&own) || state.elr.contains(&own);
    if holds && leader_without(image, own, partition).is_none() {
        return if finding.is_dead { Consequence::Reopen } else { Consequence::Stay(Why::Last) };
    }
    if finding.is_dead {
        return Consequence::Close;
    }
    if image.version() >= TRUST || state.leader != Some(own) {
        return Consequence::Close;
    }
    Consequence::Stay(if successor(image, own, state).is_some() { Why::HandsOver } else { Why::NotFinalised })
}

/// True if a replica whose log the disk does not let open, however often it is asked, is given up and copied again: another
/// leads, and so holds what was acknowledged. While nobody leads what is left of it stays, and is tried again.
pub fn gives_up_unopened(image: &Image, own: BrokerId, partition: TopicPartition) -> bool {
    let leader = image.partition(partition).and_then(|state| state.leader);
    image.version() >= TRUST && leader.is_some_and(|leader| leader != own)
}

/// The order of the replicas by which another comes to lead, before metadata version 2: one that is in sync first, broker
/// `own` last. `None` if `own` does not lead, nobody can take its place, a move is under way (it has an order of its own), or
/// the order is so already.
pub fn order(image: &Image, own: BrokerId, partition: TopicPartition) -> Option<Vec<BrokerId>> {
    let state = image.partition(partition).filter(|_| image.version() < TRUST)?;
    let next = successor(image, own, state).filter(|_| state.leader == Some(own) && !state.is_moving())?;
    let others = state.replicas.iter().copied().filter(|replica| *replica != own && *replica != next);
    let order: Vec<BrokerId> = std::iter::once(next).chain(others).chain([own]).collect();
    (state.replicas.first() != Some(&next)).then_some(order)
}

/// Who leads once broker `own` does not: the first other one that is in sync, alive, and stays.
fn successor(image: &Image, own: BrokerId, state: &PartitionState) -> Option<BrokerId> {
    let stays = |replica: &BrokerId| image.broker(*replica).is_some_and(BrokerRegistration::is_active);
    state.replicas.iter().copied().find(|replica| *replica != own && state.isr.contains(replica) && stays(replica))
}

#[cfg(test)]
#[path = "consequence_tests.rs"]
mod tests;
