//! ISR changes that wait to be proposed to the active controller, one a partition (KIP-497).

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::Notify;

use holdfast_proto::ids::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, TopicPartition};

/// One ISR change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Leader epoch of the proposing leadership.
    pub leader_epoch: LeaderEpoch,
    /// Partition epoch that the change starts from.
    pub partition_epoch: PartitionEpoch,
    /// The whole new ISR; broker epochs where the leader knows them.
    pub new_isr: Vec<(BrokerId, Option<BrokerEpoch>)>,
}

/// What waits. A newer proposal of a partition replaces the older one.
#[derive(Default)]
pub struct Proposals {
    waiting: Mutex<BTreeMap<TopicPartition, Proposal>>,
    filled: Notify,
}

impl Proposals {
    /// Adds a proposal.
    pub fn put(&self, partition: TopicPartition, proposal: Proposal) {
        self.waiting.lock().insert(partition, proposal);
        self.filled.notify_one();
    }

    /// Waits for proposals and takes up to `max` of them.
    pub async fn take(&self, max: usize) -> Vec<(TopicPartition, Proposal)> {
        loop {
            {
                let mut waiting = self.waiting.lock();
                if !waiting.is_empty() {
                    let rest = waiting.keys().nth(max).copied().map(|first| waiting.split_off(&first));
                    let taken = std::mem::replace(&mut *waiting, rest.unwrap_or_default());
                    return taken.into_iter().collect();
                }
            }
            self.filled.notified().await;
        }
    }
}
