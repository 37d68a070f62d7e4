//! The recoveries of partitions that are kept: all while they are few, later those by which something is decided.

use std::{collections::BTreeMap, sync::Arc};

use imbl::OrdSet;

use holdfast_proto::ids::TopicId;

use crate::{limits::MAX_RECOVERIES, trust::PartitionRecovery};

/// Recoveries in the order in which they were. Of more than [`MAX_RECOVERIES`] the oldest go, but for the last one of each
/// partition whose topic is there: by that a broker decides whether its replica goes on. So there are at most that many, and
/// one for each partition more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recoveries(Arc<Vec<PartitionRecovery>>);

impl Recoveries {
    pub(super) fn all(&self) -> &[PartitionRecovery] {
        &self.0
    }

    /// Adds one as the newest. None goes: of what a snapshot holds none has to.
    pub(super) fn add(&mut self, recovery: &PartitionRecovery) {
        Arc::make_mut(&mut self.0).push(recovery.clone());
    }

    /// Lets the oldest go that nobody needs, if there are too many.
    pub(super) fn prune(&mut self, deleted_topics: &OrdSet<TopicId>) {
        let mut excess = self.0.len().saturating_sub(MAX_RECOVERIES);
        if excess == 0 {
            return;
        }
        let key = |recovery: &PartitionRecovery| (recovery.topic_id, recovery.partition);
        let last: BTreeMap<_, usize> = self.0.iter().enumerate().map(|(at, recovery)| (key(recovery), at)).collect();
        let is_needed = |at: usize, recovery: &PartitionRecovery| {
            last.get(&key(recovery)) == Some(&at) && !deleted_topics.contains(&recovery.topic_id)
        };
        let mut kept = Vec::with_capacity(self.0.len());
        for (at, recovery) in self.0.iter().enumerate() {
            if excess > 0 && !is_needed(at, recovery) {
                excess -= 1;
            } else {
                kept.push(recovery.clone());
            }
        }
        if kept.len() < self.0.len() {
            self.0 = Arc::new(kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use holdfast_proto::ids::{BrokerId, LeaderEpoch, PartitionIndex};

    use super::*;

    fn topic(number: u128) -> TopicId {
        TopicId(Uuid::from_u128(number))
    }

    fn recovery(topic_id: TopicId, partition: u32, epoch: u32) -> PartitionRecovery {
        PartitionRecovery {
            topic_id,
            topic: "t".to_owned(),
            partition: PartitionIndex(partition),
            broker_id: BrokerId(1),
            leader_epoch: LeaderEpoch(epoch),
            end: None,
            high_watermark: None,
            high_watermark_epoch: None,
            high_watermark_is_old: false,
            claims: Vec::new(),
            absent: Vec::new(),
            at_ms: 5,
        }
    }

    #[test]
    fn the_oldest_go_that_nobody_needs() {
        let (none, max) = (OrdSet::new(), MAX_RECOVERIES as u32);
        let mut recoveries = Recoveries::default();
        let mut add = |recovery: &PartitionRecovery, deleted: &OrdSet<TopicId>| {
            recoveries.add(recovery);
            recoveries.prune(deleted);
            recoveries.clone()
        };
        // One partition, over and over.
        for epoch in 0..max + 5 {
            add(&recovery(topic(1), 0, epoch), &none);
        }
        let found = add(&recovery(topic(1), 0, max + 5), &none);
        assert_eq!(found.all().len(), MAX_RECOVERIES);
        assert_eq!(found.all()[0].leader_epoch, LeaderEpoch(6), "the newest are kept");
        // Partitions that are there, each once: those of the first go, but for its last.
        let mut found = found;
        for partition in 0..max + 5 {
            found = add(&recovery(topic(2), partition, 1), &none);
        }
        assert_eq!(found.all().len(), MAX_RECOVERIES + 6, "one for each partition");
        assert_eq!(found.all()[0], recovery(topic(1), 0, max + 5));
        let mut deleted = found.clone();
        deleted.prune(&OrdSet::unit(topic(2)));
        assert_eq!(deleted.all().len(), MAX_RECOVERIES);
        assert_eq!(deleted.all()[0], recovery(topic(1), 0, max + 5), "of a topic that is there");
    }
}
