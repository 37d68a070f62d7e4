//! ISR changes that wait to be proposed to the active controller, one a partition (KIP-497).

use parking_lot::Mutex;
use tokio::sync::Notify;

use holdfast_proto::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch, TopicPartition};

use super::latest::Latest;

/// An ISR that a leader wants for its partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Leader epoch of the proposing leadership.
    pub leader_epoch: LeaderEpoch,
    /// Partition epoch that the change starts from.
    pub partition_epoch: PartitionEpoch,
    /// The whole new ISR; broker epochs where the leader knows them.
    pub new_isr: Vec<(BrokerId, Option<BrokerEpoch>)>,
    /// Where the high watermark stands, if nothing more can be acknowledged until the ISR grows.
    pub high_watermark: Option<Offset>,
    /// Leader epoch of the last record below it.
    pub high_watermark_epoch: Option<LeaderEpoch>,
}

/// What waits. A newer proposal of a partition replaces the older one.
#[derive(Default)]
pub struct Proposals {
    waiting: Mutex<Latest<TopicPartition, Proposal>>,
    filled: Notify,
}

impl Proposals {
    /// Adds a proposal, in place of an older one of the partition.
    pub fn put(&self, partition: TopicPartition, proposal: Proposal) {
        self.waiting.lock().put(partition, proposal);
        self.filled.notify_one();
    }

    /// Waits for proposals and takes up to `max` of them.
    pub async fn take(&self, max: usize) -> Vec<(TopicPartition, Proposal)> {
        loop {
            let mut count = 0;
            let taken = self.waiting.lock().take_while(|_| {
                count += 1;
                count <= max
            });
            if !taken.is_empty() {
                return taken;
            }
            self.filled.notified().await;
        }
    }
}
