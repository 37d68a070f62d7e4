//! What a replica shows: queries that change nothing.

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, Millis, Offset, PartitionEpoch},
};

use crate::{
    leader::Leader,
    replica::{Replica, Role},
};

/// What a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleView {
    /// It waits for an assignment that gives it a leader.
    Waiting,
    /// It leads, and takes produces and fetches.
    Leader,
    /// It follows this broker.
    Follower(BrokerId),
    /// It has stopped for good.
    Halted,
}

/// What the leader knows of one follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerView {
    /// Id of the follower, assigned but not necessarily in the ISR.
    pub broker_id: BrokerId,
    /// True if the committed ISR has it.
    pub in_isr: bool,
    /// True if it is proposed to join.
    pub is_joining: bool,
    /// Its log end; `None` if it has not fetched in this epoch.
    pub log_end_offset: Option<Offset>,
    /// Offset after what it has flushed; `None` if it has not fetched in this epoch.
    pub flushed_offset: Option<Offset>,
    /// Records that its log lacks, from the leader's log end.
    pub lag_records: u64,
    /// How long ago it had last caught up, ms; 0 while it stands at the log end. `None` if it never has.
    pub lag_ms: Option<u64>,
}

impl Replica {
    /// What it is now.
    pub fn role(&self) -> RoleView {
        match &self.role {
            Role::Waiting => RoleView::Waiting,
            Role::Leader(_) => RoleView::Leader,
            Role::Follower(follower) => RoleView::Follower(follower.leader),
            Role::Halted => RoleView::Halted,
        }
    }

    /// True if it leads.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Leader epoch of the last assignment.
    pub fn leader_epoch(&self) -> Option<LeaderEpoch> {
        self.assignment.as_ref().map(|assignment| assignment.leader_epoch)
    }

    /// Partition epoch of the last assignment.
    pub fn partition_epoch(&self) -> Option<PartitionEpoch> {
        self.assignment.as_ref().map(|assignment| assignment.partition_epoch)
    }

    /// The leader of the last assignment, as a hint to a client that asks the wrong broker.
    pub fn leader(&self) -> Option<BrokerId> {
        self.assignment.as_ref().and_then(|assignment| assignment.leader)
    }

    /// First offset of the log.
    pub fn log_start(&self) -> Offset {
        self.log.start()
    }

    /// End of the log.
    pub fn log_end(&self) -> Offset {
        self.log.end()
    }

    /// End of what is durable.
    pub fn flushed_end(&self) -> Offset {
        self.log.flushed()
    }

    /// The high watermark as far as it is known here. Of a new leader it is a lower bound, see [`Self::latest_end`];
    /// records below it are acknowledged in any case. Retention must not pass it.
    pub fn high_watermark(&self) -> Offset {
        self.log.high_watermark()
    }

    /// Leader epoch of the record at `offset`, for offset lookups (KIP-320).
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.log.epochs.epoch_at(offset)
    }

    /// End of an epoch for a consumer that checks its log for truncation (KIP-320), bounded by the high watermark.
    pub fn consumer_end_offset_for(&self, leader_epoch: LeaderEpoch) -> (LeaderEpoch, Offset) {
        let (epoch, end) = self.log.epochs.end_offset_for(leader_epoch, self.log.end());
        (epoch, end.min(self.log.high_watermark()))
    }

    /// Consumers read below this: what lies there is acknowledged, also where a new leader does not know yet how much more
    /// is. NOT_LEADER_OR_FOLLOWER if we do not lead.
    pub fn readable_end(&self) -> Result<Offset, ErrorCode> {
        match &self.role {
            Role::Halted => Err(ErrorCode::KafkaStorageError),
            Role::Waiting | Role::Follower(_) => Err(ErrorCode::NotLeaderOrFollower),
            Role::Leader(_) => Ok(self.log.high_watermark()),
        }
    }

    /// The end that consumers are told. As [`Self::readable_end`], but OFFSET_NOT_AVAILABLE until the high watermark has
    /// reached the start of this leadership: the former leader may have told more (KIP-207).
    pub fn latest_end(&self) -> Result<Offset, ErrorCode> {
        match &self.role {
            Role::Leader(leader) if self.log.high_watermark() < leader.epoch_start => {
                Err(ErrorCode::OffsetNotAvailable)
            }
            _ => self.readable_end(),
        }
    }

    /// Everything that was acknowledged lies below this offset, which comes with the leader epoch of the last record there. Once
    /// the replica takes nothing any more that stays so. `None` if it does not lead, or does not know it: see
    /// [`Self::latest_end`].
    pub fn acknowledged_end(&self) -> Option<(Offset, Option<LeaderEpoch>)> {
        let end = self.latest_end().ok()?;
        Some((end, self.log.epoch_below(end)))
    }

    /// False while a leadership that began is not known to both ends: its leader does not know its high watermark yet, or this
    /// follower has no answer from it.
    pub fn is_settled(&self) -> bool {
        match &self.role {
            Role::Leader(_) => self.latest_end().is_ok(),
            Role::Follower(follower) => follower.has_matched(),
            Role::Waiting | Role::Halted => true,
        }
    }

    /// The committed ISR as this replica knows it.
    pub fn isr(&self) -> &[BrokerId] {
        self.assignment.as_ref().map_or(&[], |assignment| &assignment.isr)
    }

    /// The effective min.insync.replicas as this replica knows it.
    pub fn min_insync_replicas(&self) -> Option<u32> {
        self.assignment.as_ref().map(|assignment| assignment.min_insync_replicas)
    }

    /// Number of produces that wait for their answer.
    pub fn pending_produces(&self) -> usize {
        self.leading().map_or(0, |leader| leader.pending.len())
    }

    /// The followers, at a leader; nothing elsewhere.
    pub fn followers(&self, now: Millis) -> impl Iterator<Item = FollowerView> + '_ {
        let leader = self.leading();
        leader.into_iter().flat_map(move |leader| {
            leader.followers.iter().map(move |follower| {
                let ends = follower.ends();
                let at_end = follower.lag_deadline(leader.flush_policy, self.log.end(), 0).is_none();
                FollowerView {
                    broker_id: follower.broker_id,
                    in_isr: leader.isr.committed().contains(&follower.broker_id),
                    is_joining: leader.isr.joiner() == Some(follower.broker_id),
                    log_end_offset: ends.map(|ends| ends.appended),
                    flushed_offset: ends.map(|ends| ends.flushed),
                    lag_records: self.log.end().0 - ends.map_or(0, |ends| ends.appended.0),
                    lag_ms: if at_end { Some(0) } else { follower.last_caught_up().map(|at| now.since(at)) },
                }
            })
        })
    }

    /// The moment at which `step` has something to do if nothing happens before; `None` if there is none.
    pub fn next_deadline(&self) -> Option<Millis> {
        match &self.role {
            Role::Leader(leader) => leader.next_deadline(self.log.end(), self.config.replica_lag_time_max_ms),
            Role::Follower(follower) => follower.next_deadline(),
            Role::Waiting | Role::Halted => None,
        }
    }

    fn leading(&self) -> Option<&Leader> {
        match &self.role {
            Role::Leader(leader) => Some(leader),
            Role::Waiting | Role::Follower(_) | Role::Halted => None,
        }
    }
}
