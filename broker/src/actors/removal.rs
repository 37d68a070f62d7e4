//! Replicas that leave this broker for good: closed, and their folders deleted.
//!
//! Place: called by `assignments` when a metadata image says so. There are two reasons, both committed (absence is none):
//! 1. the deletion of the partition's topic id;
//! 2. a state of the partition that names other replicas: a move is over, and its records stand on all of these.
//!
//! Invariant: a state counts as the second reason only if it is at least as new as the replica itself: its partition epoch
//! is not below the one that the replica was told last, nor its leader epoch below any in the replica's log. Otherwise the
//! metadata has gone back, and the folder is kept as a stray.
//!
//! On failure: a folder that cannot be deleted stays, and is looked at again at the next start.

use std::sync::Arc;

use actix::{AsyncContext, Context as ActorContext};
use tokio::sync::oneshot;

use holdfast_metadata::PartitionState;
use holdfast_proto::ids::{LeaderEpoch, PartitionEpoch, TopicPartition};
use holdfast_replication::Assignment;

use super::{
    assignments::{Slot, Slots},
    session::{Changed, SessionActor, SessionEvent},
};
use crate::partition::message::Message;

/// Why a replica leaves.
pub(super) enum Reason {
    /// The deletion of its topic was committed.
    TopicDeleted,
    /// This state was committed, which names other replicas.
    MovedAway(Box<Assignment>),
}

impl Slots {
    /// True if `state`, which does not name this broker, is at least as new as what stands here.
    pub(super) fn may_leave(&self, partition: TopicPartition, state: &PartitionState) -> bool {
        match self.slots.get(&partition) {
            Some(Slot::Open(replica)) => {
                let view = replica.view();
                is_as_new(state, view.partition_epoch, view.leader_epoch)
            }
            Some(Slot::Recovered(held)) => is_as_new(state, None, held.1.epochs.latest()),
            // Nothing to delete yet, or any more.
            Some(Slot::Opening | Slot::Deleting) | None => true,
        }
    }
}

/// True if a committed state is not older than what a replica knows.
fn is_as_new(
    state: &PartitionState,
    partition_epoch: Option<PartitionEpoch>,
    leader_epoch: Option<LeaderEpoch>,
) -> bool {
    partition_epoch.is_none_or(|known| known <= state.partition_epoch)
        && leader_epoch.is_none_or(|known| known <= state.leader_epoch)
}

impl SessionActor {
    /// Closes the replica and deletes its folder.
    pub(super) fn delete(&mut self, partition: TopicPartition, reason: Reason, actor: &mut ActorContext<Self>) {
        let (closed, wait) = oneshot::channel();
        let mut last_words = Vec::new();
        let mut replica = None;
        match self.slots.slots.get(&partition) {
            // Looked at again when it is open, or gone.
            Some(Slot::Opening | Slot::Deleting) | None => return,
            Some(Slot::Open(open)) => {
                self.context.partitions.remove(partition);
                // The state first: a leader answers whoever waits, and sends followers away.
                if let Reason::MovedAway(assignment) = &reason {
                    last_words.push(Message::LastAssigned(assignment.clone()));
                }
                last_words.push(Message::Close(closed));
                replica = Some(open.clone());
            }
            // Dropping the log closes its files.
            Some(Slot::Recovered(_)) => drop(closed),
        }
        match reason {
            Reason::TopicDeleted => tracing::info!(%partition, "its topic was deleted: deleting the replica"),
            Reason::MovedAway(state) => {
                tracing::info!(%partition, replicas = ?state.replicas, "it was moved to other brokers: deleting the replica");
            }
        }
        self.slots.slots.insert(partition, Slot::Deleting);
        let (context, address) = (Arc::clone(&self.context), actor.address());
        self.context.disk.runtime().spawn(async move {
            if let Some(replica) = replica {
                for message in last_words {
                    let _closed_already = replica.actor().send(message).await;
                }
            }
            // An error says that the actor is gone, and its log with it.
            let _ = wait.await;
            let data_dir = Arc::clone(&context.data_dir);
            let gone = context.disk.runtime().spawn_blocking(move || data_dir.delete_partition(partition)).await;
            if let Ok(Err(error)) = gone {
                tracing::error!(%partition, %error, "the folder of a replica that has left stays");
            }
            let _gone_with_the_broker = address.send(SessionEvent::Deleted(partition)).await;
        });
    }

    /// The folder is gone. The partition may have come back meanwhile: it then begins empty.
    pub(super) fn deleted(&mut self, partition: TopicPartition, actor: &mut ActorContext<Self>) {
        self.slots.slots.remove(&partition);
        let image = self.context.metadata.image();
        let only = Changed::only(partition);
        self.reconcile(&image, &only, actor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_that_has_gone_back_deletes_nothing() {
        let state = PartitionState {
            leader_epoch: LeaderEpoch(5),
            partition_epoch: PartitionEpoch(20),
            ..PartitionState::default()
        };
        let check = |partition_epoch: Option<u32>, leader_epoch: Option<u32>| {
            is_as_new(&state, partition_epoch.map(PartitionEpoch), leader_epoch.map(LeaderEpoch))
        };
        assert!(check(None, None) && check(Some(20), Some(5)) && check(Some(7), Some(1)) && check(None, Some(5)));
        assert!(!check(Some(21), Some(5)), "the replica was told a newer state");
        assert!(!check(None, Some(6)), "its log holds records of a newer leadership");
    }
}
