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
