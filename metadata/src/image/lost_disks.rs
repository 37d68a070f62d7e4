//! The disks that operators gave up: all while they are few, later those by which something is decided.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use holdfast_proto::ids::BrokerId;

use crate::{limits::MAX_LOST_DISKS, record::BrokerRegistration, trust::LostDisk};

/// Disks in the order in which they were given up. Of more than [`MAX_LOST_DISKS`] the oldest go, but for the last one of
/// each broker that is registered: by that its registration counts no more, and nobody waits for it. So there are at most
/// that many, and one for each broker more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LostDisks(Arc<Vec<LostDisk>>);

impl LostDisks {
    pub(super) fn all(&self) -> &[LostDisk] {
        &self.0
    }

    /// Adds one as the newest, and lets the oldest go that nobody needs, if there are too many. Of what a snapshot holds none
    /// goes.
    pub(super) fn add(&mut self, lost: LostDisk, registered: &BTreeMap<BrokerId, BrokerRegistration>) {
        let disks = Arc::make_mut(&mut self.0);
        disks.push(lost);
        let mut excess = disks.len().saturating_sub(MAX_LOST_DISKS);
        if excess == 0 {
            return;
        }
        // From the newest on: the first that is met of a broker is its last.
        let mut met = BTreeSet::new();
        let is_last = |lost: &LostDisk| met.insert(lost.broker_id) && registered.contains_key(&lost.broker_id);
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
    use uuid::Uuid;

    use holdfast_proto::ids::{BrokerEpoch, DirectoryId, IncarnationId};

    use super::*;
    use crate::version::SUPPORTED;

    fn lost(broker: u32, epoch: u64) -> LostDisk {
        let (broker_id, broker_epoch) = (BrokerId(broker), BrokerEpoch(epoch));
        LostDisk { broker_id, broker_epoch, replicas: 0, eligible: 0, led: 0, at_ms: 5 }
    }

    fn registered(brokers: &[u32]) -> BTreeMap<BrokerId, BrokerRegistration> {
        let one = |broker: &u32| BrokerRegistration {
            broker_id: BrokerId(*broker),
            broker_epoch: BrokerEpoch(1),
            incarnation_id: IncarnationId(Uuid::from_u128(1)),
            directory_id: DirectoryId(Uuid::from_u128(1)),
            boot_counter: 1,
            client_address: "a:1".to_owned(),
            peer_address: "a:2".to_owned(),
            rack: None,
            versions: SUPPORTED,
            fenced: true,
            shutting_down: false,
            token: None,
        };
        brokers.iter().map(|broker| (BrokerId(*broker), one(broker))).collect()
    }

    #[test]
    fn the_oldest_go_but_for_the_last_of_each_broker_that_is_registered() {
        let (mut disks, brokers) = (LostDisks::default(), registered(&[1, 2]));
        // Of 9 no registration is left.
        for (broker, epoch) in [(1, 1), (9, 2), (2, 3)] {
            disks.add(lost(broker, epoch), &brokers);
        }
        let max = MAX_LOST_DISKS as u64;
        for epoch in 4..4 + 2 * max {
            disks.add(lost(2, epoch), &brokers);
            assert!(disks.all().len() <= MAX_LOST_DISKS, "{} are kept", disks.all().len());
        }
        assert_eq!(disks.all()[0], lost(1, 1), "by that the registration of 1 counts no more");
        assert_eq!(disks.all()[1], lost(2, 5 + max), "the newest are kept");
        assert_eq!(disks.all().last(), Some(&lost(2, 3 + 2 * max)));
        // What a snapshot holds is taken over as it is.
        let mut again = LostDisks::default();
        disks.all().iter().for_each(|lost| again.add(*lost, &brokers));
        assert_eq!(again, disks);
    }

    #[test]
    fn one_of_each_registered_broker_is_kept_however_many_there_are() {
        let all: Vec<u32> = (0..MAX_LOST_DISKS as u32 + 5).collect();
        let (mut disks, brokers) = (LostDisks::default(), registered(&all));
        all.iter().for_each(|broker| disks.add(lost(*broker, 1), &brokers));
        assert_eq!(disks.all().len(), all.len());
    }
}
