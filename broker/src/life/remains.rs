//! What would still be harmed if a broker stopped now, and whether waiting can help. Pure.
//!
//! Place: `leaving` counts again whenever the metadata changes. Waiting helps only where an *active* replica outside the ISR
//! could join.

use holdfast_metadata::{BrokerRegistration, Image, PartitionState};
use holdfast_proto::ids::BrokerId;

/// What would still be harmed if the broker stopped now, in partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Remains {
    /// Partitions that the broker still leads.
    pub(super) led: usize,
    /// Those whose ISR falls below min.insync.replicas without it.
    pub(super) below_min: usize,
    /// Those that the controller can do something about now.
    pub(super) movable: usize,
    /// Of those that would be harmed: an active replica outside the ISR could still join.
    pub(super) could_join: usize,
}

impl Remains {
    /// True if nothing would be harmed.
    pub(super) fn is_nothing(self) -> bool {
        self.led == 0 && self.below_min == 0
    }

    /// What remains of all partitions of broker `me`, as far as this image tells.
    pub(super) fn of(image: &Image, me: BrokerId) -> Self {
        let mut remains = Self::default();
        let active = |id: BrokerId| id != me && image.broker(id).is_some_and(BrokerRegistration::is_active);
        for (_, topic, state) in image.partitions_of(me) {
            remains.add(state, me, topic.effective_min_isr(state), active);
        }
        remains
    }

    fn add(&mut self, state: &PartitionState, me: BrokerId, min_isr: usize, active: impl Fn(BrokerId) -> bool) {
        let leads = state.leader == Some(me);
        let is_in_sync = state.isr.contains(&me);
        let below_min = is_in_sync && state.isr.len() <= min_isr;
        let successor = state.isr.iter().any(|member| active(*member));
        self.led += usize::from(leads);
        self.below_min += usize::from(below_min);
        self.movable += usize::from((leads && successor) || (is_in_sync && !below_min && !leads));
        let joins = |replica: &BrokerId| !state.isr.contains(replica) && active(*replica);
        self.could_join += usize::from((leads || below_min) && state.replicas.iter().any(joins));
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ids::{LeaderEpoch, PartitionEpoch};

    use super::*;

    /// What remains of one partition of brokers 1 (which leaves), 2 and 3, with these active.
    fn of(leader: u32, isr: &[u32], min_isr: usize, active: &[u32]) -> Remains {
        let ids = |ids: &[u32]| ids.iter().copied().map(BrokerId).collect();
        let state = PartitionState {
            leader: Some(BrokerId(leader)),
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(1),
            replicas: ids(&[1, 2, 3]),
            isr: ids(isr),
            ..PartitionState::default()
        };
        let mut remains = Remains::default();
        remains.add(&state, BrokerId(1), min_isr, |id| id != BrokerId(1) && active.contains(&id.0));
        remains
    }

    #[test]
    fn nothing_is_left_of_what_others_carry() {
        assert!(of(2, &[2, 3], 2, &[2, 3]).is_nothing());
    }

    #[test]
    fn a_leader_moves_to_an_active_member_of_the_isr() {
        assert_eq!(of(1, &[1, 2, 3], 2, &[2, 3]), Remains { led: 1, movable: 1, ..Remains::default() });
    }

    #[test]
    fn a_member_that_can_be_spared_is_taken_out_at_once() {
        assert_eq!(of(2, &[1, 2, 3], 2, &[2, 3]), Remains { movable: 1, ..Remains::default() });
    }

    #[test]
    fn it_waits_for_a_replica_that_may_join() {
        // It leads alone.
        assert_eq!(of(1, &[1], 1, &[2]), Remains { led: 1, below_min: 1, could_join: 1, movable: 0 });
        // It follows, and the ISR needs it.
        assert_eq!(of(2, &[1, 2], 2, &[2, 3]), Remains { below_min: 1, could_join: 1, ..Remains::default() });
    }

    #[test]
    fn it_waits_for_nobody_when_all_leave_together() {
        assert_eq!(of(1, &[1], 1, &[]), Remains { led: 1, below_min: 1, ..Remains::default() });
        assert_eq!(of(2, &[1, 2], 2, &[]), Remains { below_min: 1, ..Remains::default() });
        assert_eq!(of(1, &[1, 2, 3], 2, &[]), Remains { led: 1, ..Remains::default() });
    }
}
