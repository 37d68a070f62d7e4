//! What was found to be wrong with replicas of this broker, until somebody looks at it: by reads, by the scrub, by the core
//! of a replica that contradicts its leader, by the log writer.
//!
//! A replica has one finding at most, the first: what follows from it is the same. So the memory is bounded by the
//! replicas.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::Notify;

use holdfast_metadata::trust::DistrustReason;
use holdfast_proto::ids::TopicPartition;

/// What is wrong with a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The kind of it, as controllers keep it.
    pub reason: DistrustReason,
    /// What was found, in words, with file and offset where there are some.
    pub detail: String,
}

/// Findings that nobody has looked at yet. See the module.
#[derive(Debug, Default)]
pub struct Findings {
    waiting: Mutex<BTreeMap<TopicPartition, Finding>>,
    filled: Notify,
}

impl Findings {
    /// Adds a finding, unless the replica has one that waits.
    pub fn put(&self, partition: TopicPartition, finding: Finding) {
        self.waiting.lock().entry(partition).or_insert(finding);
        self.filled.notify_one();
    }

    /// Waits for findings and takes all.
    pub async fn take(&self) -> BTreeMap<TopicPartition, Finding> {
        loop {
            let taken = std::mem::take(&mut *self.waiting.lock());
            if !taken.is_empty() {
                return taken;
            }
            self.filled.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use uuid::Uuid;

    use holdfast_proto::ids::{PartitionIndex, TopicId};

    use super::*;

    #[test]
    fn the_first_finding_of_a_replica_is_the_one_that_is_told() {
        let findings = Findings::default();
        assert!(findings.take().now_or_never().is_none());
        let partition = TopicPartition { topic_id: TopicId(Uuid::from_u128(1)), partition: PartitionIndex(0) };
        let finding = |detail: &str| Finding { reason: DistrustReason::Damaged, detail: detail.to_owned() };
        findings.put(partition, finding("first"));
        findings.put(partition, finding("second"));
        let taken = findings.take().now_or_never().expect("there is one");
        assert_eq!(taken.into_values().collect::<Vec<_>>(), [finding("first")]);
        assert!(findings.take().now_or_never().is_none());
    }
}
