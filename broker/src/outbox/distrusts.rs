//! Replicas that this broker does not vouch for, until the controllers have committed it.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::Notify;

use holdfast_metadata::trust::DistrustReason;
use holdfast_proto::ids::TopicPartition;

use crate::partition::roster::ClosedAt;

/// A replica that waits, and what is to be said of it.
pub type Waiting = (TopicPartition, DistrustReason, ClosedAt);

/// What waits to be told. At most one reason a replica.
#[derive(Debug, Default)]
pub struct Distrusts {
    waiting: Mutex<BTreeMap<TopicPartition, (DistrustReason, ClosedAt)>>,
    filled: Notify,
}

impl Distrusts {
    /// Adds a replica whose log is closed.
    pub fn put(&self, partition: TopicPartition, reason: DistrustReason, closed_at: ClosedAt) {
        self.waiting.lock().insert(partition, (reason, closed_at));
        self.filled.notify_one();
    }

    /// Adds a replica of which the controllers do not know, as it seems, with the reason that was noted; nothing changes for
    /// one that still waits.
    pub fn put_again(&self, partition: TopicPartition, reason: DistrustReason, closed_at: ClosedAt) {
        self.waiting.lock().entry(partition).or_insert((reason, closed_at));
        self.filled.notify_one();
    }

    /// Waits for replicas and gives all of them; they stay until [`Self::told`].
    pub async fn wait(&self) -> Vec<Waiting> {
        loop {
            let waiting: Vec<_> =
                self.waiting.lock().iter().map(|(tp, (reason, closed_at))| (*tp, *reason, *closed_at)).collect();
            if !waiting.is_empty() {
                return waiting;
            }
            self.filled.notified().await;
        }
    }

    /// The replica begins again, or is gone: nothing is to be said any more of the one that was closed. What is committed by
    /// then may be over before anybody looks, and said again it would be of one that is whole.
    pub fn forget(&self, partition: TopicPartition) {
        self.waiting.lock().remove(&partition);
    }

    /// The controllers have committed these.
    pub fn told(&self, told: &[Waiting]) {
        let mut waiting = self.waiting.lock();
        for (partition, reason, closed_at) in told {
            if waiting.get(partition) == Some(&(*reason, *closed_at)) {
                waiting.remove(partition);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use uuid::Uuid;

    use holdfast_proto::ids::{PartitionIndex, TopicId};

    use super::*;

    fn tp(n: u32) -> TopicPartition {
        TopicPartition { topic_id: TopicId(Uuid::from_u128(1)), partition: PartitionIndex(n) }
    }

    #[test]
    fn of_one_that_begins_again_nothing_waits() {
        let distrusts = Distrusts::default();
        distrusts.put(tp(0), DistrustReason::Damaged, None);
        distrusts.put(tp(1), DistrustReason::Halted, None);
        distrusts.forget(tp(0));
        let waiting = distrusts.wait().now_or_never().expect("one waits");
        assert_eq!(waiting, [(tp(1), DistrustReason::Halted, None)]);
        distrusts.forget(tp(1));
        assert!(distrusts.wait().now_or_never().is_none());
        distrusts.put(tp(1), DistrustReason::Halted, None);
        assert!(distrusts.wait().now_or_never().is_some(), "a later one is said");
    }
}
