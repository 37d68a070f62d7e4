//! The disks that operators gave up: all while they are few, later those by which something is decided.

use std::{collections::BTreeSet, sync::Arc};

use holdfast_proto::ids::BrokerId;

use crate::{limits::MAX_LOST_DISKS, trust::LostDisk};

/// Disks in the order in which they were given up. Of more than [`MAX_LOST_DISKS`] the oldest go, but for the last one of
/// each broker that is registered, or expected since a recovery of the controllers: by that its registration counts no more, and
/// nobody waits for it. So there are at most that many, and one for each such broker more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LostDisks(Arc<Vec<LostDisk>>);

impl LostDisks {
    pub(super) fn all(&self) -> &[LostDisk] {
        &self.0
    }

    /// Adds one as the newest, and lets the oldest go that nobody needs, if there are too many. Of what a snapshot holds none
    /// goes. `counts`: brokers that are registered or expected.
    pub(super) fn add(&mut self, lost: LostDisk, counts: impl Fn(BrokerId) -> bool) {
        let disks = Arc::make_mut(&mut self.0);
        disks.push(lost);
        let mut excess = disks.len().saturating_sub(MAX_LOST_DISKS);
        if excess == 0 {
            return;
        }
        // From the newest on: the first that is met of a broker is its last.
        let mut met = BTreeSet::new();
        let is_last = |lost: &LostDisk| met.insert(lost.broker_id) && counts(lost.broker_id);
        let mut needed: Vec<bool> = disks.iter().rev().map(is_last).collect();
        disks.retain(|_| {
            let goes = excess > 0 && !needed.pop().unwrap_or(true);
            excess -= usize::from(goes);
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ids::BrokerEpoch;

    use super::*;

    fn lost(broker: u32, epoch: u64) -> LostDisk {
        let (broker_id, broker_epoch) = (BrokerId(broker), BrokerEpoch(epoch));
        LostDisk { broker_id, broker_epoch, replicas: 0, eligible: 0, led: 0, at_ms: 5 }
    }

    #[test]
    fn the_oldest_go_but_for_the_last_of_each_broker_that_counts() {
        // Of 9 no registration is left.
        let (mut disks, counts) = (LostDisks::default(), |broker: BrokerId| broker.0 <= 2);
        for (broker, epoch) in [(1, 1), (9, 2), (2, 3)] {
            disks.add(lost(broker, epoch), counts);
        }
        let max = MAX_LOST_DISKS as u64;
        for epoch in 4..4 + 2 * max {
            disks.add(lost(2, epoch), counts);
            assert!(disks.all().len() <= MAX_LOST_DISKS, "{} are kept", disks.all().len());
        }
        assert_eq!(disks.all()[0], lost(1, 1), "by that the registration of 1 counts no more");
        assert_eq!(disks.all()[1], lost(2, 5 + max), "the newest are kept");
        assert_eq!(disks.all().last(), Some(&lost(2, 3 + 2 * max)));
        // What a snapshot holds is taken over as it is.
        let mut again = LostDisks::default();
        disks.all().iter().for_each(|lost| again.add(*lost, counts));
        assert_eq!(again, disks);
    }

    #[test]
    fn one_of_each_broker_that_counts_is_kept_however_many_there_are() {
        let all = 0..MAX_LOST_DISKS as u32 + 5;
        let mut disks = LostDisks::default();
        all.clone().for_each(|broker| disks.add(lost(broker, 1), |_| true));
        assert_eq!(disks.all().len(), all.len());
    }
}
