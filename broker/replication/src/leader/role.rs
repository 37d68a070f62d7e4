//! The leader of one partition, for one leader epoch.
//!
//! Place: made by [`crate::Replica`] when it is elected, dropped when the leadership ends. Produces are in
//! `produce`, followers' fetches in `fetch`, ISR changes in `isr_changes`.
//!
//! Behaviour on failure: when the leadership ends, for whatever reason, each waiting produce is answered with
//! OUTCOME_UNKNOWN and each parked fetch with an error, in that same step.

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, Millis, Offset},
};

use super::{
    high_watermark::{self, Ends},
    isr::Isr,
    pending::{PendingProduces, Waiting},
    progress::FollowerProgress,
};
use crate::{
    answer::FetchReply,
    effect::{Effect, Produced},
    event::{Acks, Assignment, FlushPolicy, Frozen},
    turn::Turn,
};

/// State of a leadership.
#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "a bare `epoch` could be any of five")]
pub(crate) struct Leader {
    pub(crate) leader_epoch: LeaderEpoch,
    /// Log end at the start of the epoch: consumers wait until the high watermark is there (KIP-207), and a replica
    /// joins the ISR only once it is there.
    pub(crate) epoch_start: Offset,
    pub(crate) min_insync_replicas: u32,
    pub(crate) flush_policy: FlushPolicy,
    pub(crate) frozen: Frozen,
    pub(crate) isr: Isr,
    /// The other replicas: those assigned and those in the ISR.
    pub(crate) followers: Vec<FollowerProgress>,
    pub(crate) pending: PendingProduces,
}

impl Leader {
    /// Begins the leadership that `assignment` gives to this broker.
    pub(crate) fn begin(turn: &mut Turn<'_>, assignment: &Assignment) -> Self {
        let leader_epoch = assignment.leader_epoch;
        let epoch_start = turn.log.end();
        turn.log.epochs.assign(leader_epoch, epoch_start);
        turn.emit(Effect::BeginEpoch { leader_epoch, start_offset: epoch_start });
        let mut leader = Self {
            leader_epoch,
            epoch_start,
            min_insync_replicas: assignment.min_insync_replicas,
            flush_policy: assignment.flush_policy,
            frozen: assignment.frozen,
            isr: Isr::new(assignment.isr.clone(), assignment.partition_epoch),
            followers: Vec::new(),
            pending: PendingProduces::new(turn.config.max_pending_produces),
        };
        leader.follow_membership(turn, assignment);
        leader.settle(turn);
        leader
    }

    /// The controller committed another state of this same leadership.
    pub(crate) fn reassigned(&mut self, turn: &mut Turn<'_>, assignment: &Assignment) {
        self.isr.commit(assignment.isr.clone(), assignment.partition_epoch);
        self.follow_membership(turn, assignment);
        self.settings_changed(turn, assignment);
    }

    /// min.insync.replicas or the flush policy may have changed.
    pub(crate) fn settings_changed(&mut self, turn: &mut Turn<'_>, assignment: &Assignment) {
        self.min_insync_replicas = assignment.min_insync_replicas;
        self.flush_policy = assignment.flush_policy;
        self.frozen = assignment.frozen;
        self.settle(turn);
    }

    /// Keeps progress for exactly the other replicas and ISR members. Those outside the ISR tell their position again.
    fn follow_membership(&mut self, turn: &mut Turn<'_>, assignment: &Assignment) {
        let me = turn.config.broker_id;
        let leader_epoch = self.leader_epoch;
        let belongs = |id: BrokerId| assignment.replicas.contains(&id) || assignment.isr.contains(&id);
        self.followers.retain_mut(|follower| {
            let stays = belongs(follower.broker_id);
            if !stays && follower.unpark().is_some() {
                let reply = FetchReply::Failed(ErrorCode::NotLeaderOrFollower);
                turn.effects.push(Effect::ReplyFetch { to: follower.broker_id, leader_epoch, reply });
            }
            stays
        });
        for id in assignment.replicas.iter().chain(&assignment.isr).copied() {
            if id != me && self.progress(id).is_none() {
                let in_isr = assignment.isr.contains(&id);
                self.followers.push(FollowerProgress::new(id, in_isr, assignment.partition_epoch, turn.now));
            }
        }
        for follower in &mut self.followers {
            follower.state_changed(assignment.partition_epoch, assignment.isr.contains(&follower.broker_id));
        }
    }

    /// Ends the leadership: nobody is left waiting.
    pub(crate) fn end(&mut self, turn: &mut Turn<'_>, to_followers: ErrorCode) {
        self.answer_outcome_unknown(turn);
        let leader_epoch = self.leader_epoch;
        for follower in &mut self.followers {
            if follower.unpark().is_some() {
                let reply = FetchReply::Failed(to_followers);
                turn.effects.push(Effect::ReplyFetch { to: follower.broker_id, leader_epoch, reply });
            }
        }
    }

    /// Answers each waiting produce: its records may survive this leadership or not.
    pub(crate) fn answer_outcome_unknown(&mut self, turn: &mut Turn<'_>) {
        for waiting in self.pending.drain() {
            let result = Err(ErrorCode::OutcomeUnknown);
            turn.effects.push(Effect::CompleteProduce { token: waiting.token, result });
        }
    }

    /// Acts on what the time makes due.
    pub(crate) fn on_time(&mut self, turn: &mut Turn<'_>) {
        self.expire_produces(turn);
        self.notify_due_followers(turn);
        self.propose_isr(turn);
    }

    /// The next moment at which [`Self::on_time`] has something to do, if nothing happens before.
    pub(crate) fn next_deadline(&self, leader_end: Offset, lag_time_max_ms: u64) -> Option<Millis> {
        let notify = self.followers.iter().filter_map(|follower| follower.notify_at);
        let isr = self.next_isr_deadline(leader_end, lag_time_max_ms);
        notify.chain(self.pending.next_deadline()).chain(isr).min()
    }

    pub(crate) fn progress(&self, id: BrokerId) -> Option<&FollowerProgress> {
        self.followers.iter().find(|follower| follower.broker_id == id)
    }

    /// Draws the consequences of cursors that moved: acks=1 is answered when the leader has it, the high watermark
    /// advances, acks=all is answered when it has passed, followers will be told.
    pub(crate) fn settle(&mut self, turn: &mut Turn<'_>) {
        let leader_counted = turn.log.counted_end(self.flush_policy);
        while let Some(waiting) = self.pending.pop_on_leader(leader_counted) {
            let produced = self.produced(turn, &waiting);
            turn.complete_produce(waiting.token, produced);
        }
        let candidate = self.high_watermark_candidate(turn.config.broker_id, leader_counted);
        if !candidate.is_some_and(|to| turn.log.advance_high_watermark(to)) {
            return;
        }
        let high_watermark = turn.log.high_watermark();
        turn.emit(Effect::HighWatermarkAdvanced { high_watermark });
        while let Some(waiting) = self.pending.pop_committed(high_watermark) {
            let produced = self.produced(turn, &waiting);
            turn.complete_produce(waiting.token, produced);
        }
        let notify_at = turn.now.plus(turn.config.hw_notify_ms);
        for follower in self.followers.iter_mut().filter(|follower| follower.parked.is_some()) {
            follower.notify_at = follower.notify_at.min(Some(notify_at));
        }
    }

    /// Where the high watermark may stand; `None` while nothing can be said.
    pub(crate) fn high_watermark_candidate(&self, leader: BrokerId, leader_counted: Offset) -> Option<Offset> {
        let ends = Ends { leader, leader_counted, followers: &self.followers, policy: self.flush_policy };
        high_watermark::candidate(&self.isr, self.min_insync_replicas, &ends)
    }

    fn produced(&self, turn: &Turn<'_>, waiting: &Waiting) -> Produced {
        Produced {
            base_offset: waiting.base_offset,
            log_start_offset: turn.log.start(),
            leader_epoch: self.leader_epoch,
        }
    }

    fn expire_produces(&mut self, turn: &mut Turn<'_>) {
        let too_few = self.isr.committed().len() < self.min_insync_replicas as usize;
        let code = if too_few { ErrorCode::NotEnoughReplicasAfterAppend } else { ErrorCode::RequestTimedOut };
        let effects = &mut *turn.effects;
        self.pending.take_expired(turn.now, |acks, waiting| {
            let code = if acks == Acks::All { code } else { ErrorCode::RequestTimedOut };
            effects.push(Effect::CompleteProduce { token: waiting.token, result: Err(code) });
        });
    }
}

#[cfg(test)]
#[path = "role_tests.rs"]
mod tests;
