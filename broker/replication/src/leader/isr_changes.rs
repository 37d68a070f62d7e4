//! When the leader proposes another ISR, and what it sends.
//!
//! Joins: a replica that fetched in this epoch and whose stream stands, whose counted end has reached the high watermark
//! and the epoch's start, and that has not lagged behind the log end for longer than the limit (else it would leave again
//! at once), and whose log begins no later than the leader's: one that begins later lacks records that the leader holds.
//! Retention may have taken them under the last leader, which is seen once it has taken them here too; or they are lost. It
//! joins all the same while the ISR is too small, for then nothing is acknowledged without it, and so does a follower of a
//! build that does not say where its log begins. Leaves: a member that has lagged. Who joins goes before who leaves, so that
//! the ISR does not fall below the minimum when one replaces the other.
//!
//! While the committed ISR is too small, nothing is acknowledged: then the leader says where its high watermark stands, with
//! a proposal that changes nothing, for elections rest on it. It is sure of it once the high watermark has reached the
//! epoch's start: before that it may be older than what was acknowledged.
//!
//! The epoch's start matters because the high watermark of a new leader may be older than what was acknowledged. Having
//! caught up in this epoch implies it, except for a member of the ISR at its start, who gets that time as a gift.

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, Millis, Offset, PartitionEpoch},
};

use super::{
    isr::{IsrState, Proposal, Stage},
    progress::FollowerProgress,
    role::Leader,
};
use crate::{effect::Effect, event::Frozen, turn::Turn};

/// Where the pending proposal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    /// No proposal is under way: a new one may be made.
    Nothing,
    /// Its answer or its time has to come first.
    Waits,
    /// It has to be sent again.
    IsDue,
}

impl Leader {
    /// Proposes what is due: a first proposal, or one more attempt.
    pub(crate) fn propose_isr(&mut self, turn: &mut Turn<'_>) {
        let deadline = turn.now.plus(turn.config.isr_proposal_timeout_ms);
        match self.look_at_pending(turn) {
            Pending::Waits => return,
            Pending::IsDue => {}
            Pending::Nothing => {
                if !self.isr.may_propose(turn.now) {
                    return;
                }
                let proposal = Proposal { stage: Stage::InFlight { deadline }, in_doubt: false };
                let Some(change) = self.wanted_change(turn, proposal) else { return };
                self.isr.begin(change);
            }
        }
        if let Some(proposal) = self.isr.proposal_mut() {
            proposal.stage = Stage::InFlight { deadline };
            self.send_proposal(turn);
        }
    }

    /// The controller answered, or did not in time.
    pub(crate) fn proposal_answered(
        &mut self,
        turn: &mut Turn<'_>,
        partition_epoch: PartitionEpoch,
        refusal: Option<ErrorCode>,
    ) {
        let (fast_ms, slow_ms) = (turn.config.isr_backoff_ms, turn.config.replica_lag_time_max_ms);
        self.isr.answered(partition_epoch, refusal, turn.now, fast_ms, slow_ms);
        // A joiner that was given up no longer holds the high watermark.
        self.settle(turn);
    }

    /// Looks whether the pending proposal has to be sent again. One that has lost its reason is given up if that is safe.
    fn look_at_pending(&mut self, turn: &mut Turn<'_>) -> Pending {
        let Some(proposal) = self.isr.proposal_mut() else { return Pending::Nothing };
        match proposal.stage {
            Stage::InFlight { deadline } if turn.now >= deadline => proposal.in_doubt = true,
            Stage::RetryAt(at) if turn.now >= at => {}
            Stage::InFlight { .. } | Stage::RetryAt(_) => return Pending::Waits,
        }
        let in_doubt = proposal.in_doubt;
        match self.isr.state() {
            IsrState::Committed => Pending::Nothing,
            IsrState::PendingExpand { joiner, .. } if self.may_join(turn, *joiner) => Pending::IsDue,
            IsrState::PendingExpand { .. } if in_doubt => {
                // The joiner restarted, say. Whatever was sent for its earlier life may still be committed.
                self.isr.withdraw();
                Pending::IsDue
            }
            IsrState::PendingShrink { leaving, .. } if leaving.iter().all(|member| self.must_leave(turn, *member)) => {
                Pending::IsDue
            }
            IsrState::PendingExpand { .. } | IsrState::PendingShrink { .. } => {
                // A shrink in doubt may still be committed: the ISR is then smaller than we think, which is safe.
                self.isr.revert(None);
                self.settle(turn);
                Pending::Nothing
            }
        }
    }

    fn wanted_change(&self, turn: &Turn<'_>, proposal: Proposal) -> Option<IsrState> {
        let committed = self.isr.committed();
        let outside = self.followers.iter().map(|follower| follower.broker_id).filter(|id| !committed.contains(id));
        if let Some(joiner) = outside.into_iter().find(|id| self.may_join(turn, *id)) {
            return Some(IsrState::PendingExpand { joiner, proposal, withdraw: false });
        }
        let me = turn.config.broker_id;
        let lags = |member: &&BrokerId| **member != me && self.must_leave(turn, **member);
        // Nothing is allocated unless somebody has to leave: this runs in every step.
        if committed.iter().any(|member| lags(&member)) {
            let leaving = committed.iter().filter(lags).copied().collect();
            return Some(IsrState::PendingShrink { leaving, proposal });
        }
        let is_said = match self.frozen {
            Frozen::NotKept => true,
            Frozen::Kept(known) => self.standing_high_watermark(turn) <= known,
        };
        (!is_said).then_some(IsrState::PendingShrink { leaving: Vec::new(), proposal })
    }

    /// Where the high watermark stands until the ISR grows; `None` while it may move, or is not known for certain.
    fn standing_high_watermark(&self, turn: &Turn<'_>) -> Option<Offset> {
        let stands = self.isr.committed().len() < self.min_insync_replicas as usize;
        Some(turn.log.high_watermark()).filter(|high_watermark| stands && *high_watermark >= self.epoch_start)
    }

    fn may_join(&self, turn: &Turn<'_>, id: BrokerId) -> bool {
        let reached = turn.log.high_watermark().max(self.epoch_start);
        let lag_time_max_ms = turn.config.replica_lag_time_max_ms;
        self.progress(id).is_some_and(|follower| {
            follower.is_connected
                && self.begins_in_time(turn, follower)
                && follower.counted_end(self.flush_policy).is_some_and(|counted| counted >= reached)
                && follower.is_caught_up(self.flush_policy, turn.log.end(), lag_time_max_ms, turn.now)
        })
    }

    /// True if it lacks nothing of the beginning of the leader's log, as far as it says, or cannot be done without.
    fn begins_in_time(&self, turn: &Turn<'_>, follower: &FollowerProgress) -> bool {
        let told = follower.ends().and_then(|ends| ends.log_start);
        told.is_none_or(|log_start| log_start <= turn.log.start())
            // Before the controllers hear of single replicas it could not be copied again, and would wait for ever.
            || self.frozen == Frozen::NotKept
            || self.isr.committed().len() < self.min_insync_replicas as usize
    }

    fn must_leave(&self, turn: &Turn<'_>, member: BrokerId) -> bool {
        let lag_time_max_ms = turn.config.replica_lag_time_max_ms;
        self.progress(member)
            .is_none_or(|follower| !follower.is_caught_up(self.flush_policy, turn.log.end(), lag_time_max_ms, turn.now))
    }

    fn send_proposal(&self, turn: &mut Turn<'_>) {
        let high_watermark = self.standing_high_watermark(turn);
        let with_epoch = |member| (member, self.progress(member).and_then(|follower| follower.broker_epoch));
        turn.emit(Effect::ProposeIsr {
            leader_epoch: self.leader_epoch,
            partition_epoch: self.isr.partition_epoch(),
            new_isr: self.isr.proposed().map(with_epoch).collect(),
            high_watermark,
            high_watermark_epoch: high_watermark.and_then(|end| turn.log.epoch_below(end)),
        });
    }

    /// When an ISR change may be due, if nothing happens before.
    pub(crate) fn next_isr_deadline(&self, leader_end: Offset, lag_time_max_ms: u64) -> Option<Millis> {
        match self.isr.state() {
            IsrState::PendingExpand { proposal, .. } | IsrState::PendingShrink { proposal, .. } => {
                let (Stage::InFlight { deadline: at } | Stage::RetryAt(at)) = proposal.stage;
                Some(at)
            }
            IsrState::Committed => {
                let committed = self.isr.committed();
                let lag = |member: &BrokerId| {
                    self.progress(*member)?.lag_deadline(self.flush_policy, leader_end, lag_time_max_ms)
                };
                let shrink = committed.iter().filter_map(lag).min();
                // During a pause nothing is proposed; when it ends, everybody is looked at.
                self.isr.quiet_until().or(shrink)
            }
        }
    }
}
