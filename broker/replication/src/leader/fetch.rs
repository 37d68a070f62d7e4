//! Followers' fetches at the leader: divergence check, progress, answer or parking.
//!
//! A fetch proves where the follower's log leaves ours before anything else it says is believed (KIP-101, KIP-279,
//! KIP-595): its last epoch must be known here and must reach at least as far. One that stands at the log end is parked
//! and answered once: when records are appended, when the high watermark has moved and `hw_notify_ms` passed, or after
//! `parked_fetch_max_ms`. A newer fetch of the same follower replaces a parked one: its sender has given that up.

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId},
};

use super::{progress::ParkedFetch, role::Leader};
use crate::{answer::FetchReply, effect::Effect, event::FetchPosition, turn::Turn};

impl Leader {
    /// A follower of this epoch told its position.
    pub(crate) fn replica_fetch(
        &mut self,
        turn: &mut Turn<'_>,
        from: BrokerId,
        broker_epoch: BrokerEpoch,
        position: &FetchPosition,
    ) {
        let index = self.followers.iter().position(|follower| follower.broker_id == from);
        let Some(index) = index else {
            return self.refuse_fetch(turn, from, position, ErrorCode::NotLeaderOrFollower);
        };
        if !self.followers[index].admit(broker_epoch) {
            return self.refuse_fetch(turn, from, position, ErrorCode::StaleBrokerEpoch);
        }
        if let Some(reply) = misplaced(turn, position) {
            // A fetch that waits is answered too, where a position wants nothing: its sender waits for it alone.
            let waited = self.followers[index].diverged();
            if position.wants_records || waited.is_some() {
                turn.emit(Effect::ReplyFetch { to: from, leader_epoch: self.leader_epoch, reply });
            }
            return;
        }
        let leader_end = turn.log.end();
        let follower = &mut self.followers[index];
        follower.observe(position);
        follower.note_lag(self.flush_policy, leader_end, turn.now);
        self.settle(turn);
        if !position.wants_records {
            return;
        }
        let high_watermark = turn.log.high_watermark();
        let follower = &mut self.followers[index];
        follower.unpark();
        if position.fetch_offset < leader_end {
            follower.told_high_watermark = high_watermark;
            let log_start_offset = turn.log.start();
            let records = position.fetch_offset;
            let reply = FetchReply::Records { records, high_watermark, log_start_offset };
            turn.emit(Effect::ReplyFetch { to: from, leader_epoch: self.leader_epoch, reply });
        } else {
            follower.parked = Some(ParkedFetch { fetch_offset: position.fetch_offset });
            let is_told = follower.told_high_watermark >= high_watermark;
            let wait_ms = if is_told { turn.config.parked_fetch_max_ms } else { turn.config.hw_notify_ms };
            follower.notify_at = Some(turn.now.plus(wait_ms));
        }
    }

    /// The stream of a follower ended.
    pub(crate) fn replica_disconnected(&mut self, from: BrokerId) {
        if let Some(follower) = self.followers.iter_mut().find(|follower| follower.broker_id == from) {
            follower.disconnected();
        }
    }

    /// Answers parked fetches that have waited long enough.
    pub(crate) fn notify_due_followers(&mut self, turn: &mut Turn<'_>) {
        let high_watermark = turn.log.high_watermark();
        let log_start_offset = turn.log.start();
        for follower in &mut self.followers {
            if follower.notify_at.is_none_or(|at| turn.now < at) {
                continue;
            }
            if let Some(parked) = follower.unpark() {
                follower.told_high_watermark = high_watermark;
                turn.effects.push(Effect::ReplyFetch {
                    to: follower.broker_id,
                    leader_epoch: self.leader_epoch,
                    reply: FetchReply::Records { records: parked.fetch_offset, high_watermark, log_start_offset },
                });
            }
        }
    }

    fn refuse_fetch(&self, turn: &mut Turn<'_>, to: BrokerId, position: &FetchPosition, code: ErrorCode) {
        if position.wants_records {
            let reply = FetchReply::Failed(code);
            turn.emit(Effect::ReplyFetch { to, leader_epoch: self.leader_epoch, reply });
        }
    }
}

/// What to answer to a position that is not a place in our log; `None` if it is one.
fn misplaced(turn: &Turn<'_>, position: &FetchPosition) -> Option<FetchReply> {
    let log = &*turn.log;
    if position.fetch_offset < log.start() {
        return Some(FetchReply::OutOfRange { log_start_offset: log.start() });
    }
    let (leader_epoch, end_offset) = match position.last_fetched_epoch {
        // All that we hold is of later epochs. Where its epoch ended here was forgotten with the records below the log
        // start, so not even what the follower holds below that can be trusted to be ours.
        Some(last_epoch) if !log.epochs.reaches_back_to(last_epoch) => {
            return Some(FetchReply::OutOfRange { log_start_offset: log.start() });
        }
        Some(last_epoch) => {
            let (floor, end) = log.epochs.end_offset_for(last_epoch, log.end());
            if floor == last_epoch && end >= position.fetch_offset {
                return None;
            }
            (floor, end)
        }
        // An empty log departs from nothing, unless it begins past our end.
        None if position.fetch_offset <= log.end() => return None,
        None => (log.epochs.latest().unwrap_or(position.leader_epoch), log.end()),
    };
    Some(FetchReply::Diverging { leader_epoch, end_offset })
}
