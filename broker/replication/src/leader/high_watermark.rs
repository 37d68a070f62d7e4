//! The high watermark of a leader.

use holdfast_proto::ids::{BrokerId, Offset};

use super::{isr::Isr, progress::FollowerProgress};
use crate::event::FlushPolicy;

/// What the high watermark is computed from.
pub(crate) struct Ends<'a> {
    /// This broker, a member of the ISR like the others.
    pub(crate) leader: BrokerId,
    /// Its own end that counts: it is a replica like the others.
    pub(crate) leader_counted: Offset,
    /// Progress of all other assigned replicas, in the ISR or not.
    pub(crate) followers: &'a [FollowerProgress],
    /// Whether the flushed or the appended end of a follower counts.
    pub(crate) policy: FlushPolicy,
}

/// The lowest counted end over the maximal ISR. `None` while nothing can be said, and then the high watermark stands
/// still: the committed ISR is smaller than min.insync.replicas, or a member has not fetched in this epoch.
pub(crate) fn candidate(isr: &Isr, min_insync_replicas: u32, ends: &Ends<'_>) -> Option<Offset> {
    if isr.committed().len() < min_insync_replicas as usize {
        return None;
    }
    let mut lowest = ends.leader_counted;
    for member in isr.maximal().filter(|member| *member != ends.leader) {
        let progress = ends.followers.iter().find(|follower| follower.broker_id == member)?;
        lowest = lowest.min(progress.counted_end(ends.policy)?);
    }
    Some(lowest)
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ids::{LeaderEpoch, Millis, PartitionEpoch};

    use super::*;
    use crate::{
        event::FetchPosition,
        leader::isr::{IsrState, Proposal, Stage},
    };

    fn follower(id: u32, appended: u64, flushed: u64) -> FollowerProgress {
        let mut progress = FollowerProgress::new(BrokerId(id), true, PartitionEpoch(1), Millis(0));
        progress.observe(&FetchPosition {
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(1),
            fetch_offset: Offset(appended),
            flushed_offset: Offset(flushed),
            last_fetched_epoch: None,
            log_start_offset: None,
            wants_records: true,
        });
        progress
    }

    fn isr(members: &[u32]) -> Isr {
        Isr::new(members.iter().map(|id| BrokerId(*id)).collect(), PartitionEpoch(1))
    }

    fn compute(isr: &Isr, min_isr: u32, followers: &[FollowerProgress], policy: FlushPolicy) -> Option<u64> {
        let ends = Ends { leader: BrokerId(1), leader_counted: Offset(20), followers, policy };
        candidate(isr, min_isr, &ends).map(|offset| offset.0)
    }

    #[test]
    fn it_is_the_lowest_counted_end_of_the_isr() {
        let followers = [follower(2, 18, 9), follower(3, 12, 3)];
        assert_eq!(compute(&isr(&[1, 2]), 2, &followers, FlushPolicy::Ack), Some(9));
        assert_eq!(compute(&isr(&[1, 2]), 2, &followers, FlushPolicy::Interval), Some(18));
        assert_eq!(compute(&isr(&[1, 2, 3]), 2, &followers, FlushPolicy::Ack), Some(3));
        assert_eq!(compute(&isr(&[1]), 1, &followers, FlushPolicy::Ack), Some(20));
    }

    #[test]
    fn a_proposed_joiner_counts_and_does_not_make_up_the_minimum() {
        let followers = [follower(2, 18, 9)];
        let mut isr = isr(&[1]);
        let proposal = Proposal { stage: Stage::RetryAt(Millis(0)), in_doubt: false };
        isr.begin(IsrState::PendingExpand { joiner: BrokerId(2), proposal, withdraw: false });
        assert_eq!(compute(&isr, 1, &followers, FlushPolicy::Ack), Some(9));
        assert_eq!(compute(&isr, 2, &followers, FlushPolicy::Ack), None);
    }

    #[test]
    fn it_stands_still_while_a_member_is_unheard() {
        let followers = [follower(2, 18, 9), FollowerProgress::new(BrokerId(3), true, PartitionEpoch(1), Millis(0))];
        assert_eq!(compute(&isr(&[1, 2, 3]), 2, &followers, FlushPolicy::Ack), None);
    }
}
