//! A follower of one leader, for one leader epoch.
//!
//! ```text
//!              SendFetch                 Diverging                    Truncated
//!   (begin) ─────────────▶ Outstanding ───────────▶ Truncating ─────────────────▶ Outstanding
//!                           ▲      │ Records: append, fetch again at once
//!                           │      │ Failed
//!                           └─── Backoff
//! ```
//!
//! Place: made by [`crate::Replica`] when another broker is elected. It copies the leader's log, first cutting its own
//! where the two part (KIP-101, KIP-279), and tells the leader how far it is durable.
//!
//! Invariants:
//! 1. At most one fetch that wants records is outstanding; one that was not answered in time is given up.
//! 2. The high watermark is taken from an answer only if that answer also showed that our log is a prefix of the
//!    leader's, so never from one that asks for a truncation (KAFKA-14704), and never past our own counted end.
//! 3. Once the leader has answered with records in this epoch, our log is a prefix of its log for the rest of the epoch:
//!    a request to truncate that comes after is stale and is not followed.
//! 4. Nothing below the high watermark is cut: a leader that asks for it has lost acknowledged records, and this replica
//!    stops, so that its copy survives.
//! 5. In the ISR its own beginning is deleted only once the leader's log start has moved in this leadership: then retention
//!    did it, which takes the oldest first. That a leader begins later from the start on proves nothing.
//! 6. Outside an ISR that has no need of it, it stops if its log begins later than the leader's for longer than the leader's
//!    retention needs to explain it: it lacks what the leader holds, does not join, and is copied again.

use holdfast_proto::ids::{BrokerId, LeaderEpoch, Millis, Offset, PartitionEpoch};

use crate::{
    answer::FetchOutcome,
    effect::Effect,
    event::{Assignment, FetchPosition, FlushPolicy, Frozen},
    log::batch::PlacedBatch,
    turn::Turn,
};

/// How many times the pause after a failed fetch doubles at the most.
const MAX_DOUBLINGS: u32 = 10;

/// Why a replica stops that begins later than its leader ([`crate::ReplicaConfig::late_start_max_ms`]).
pub const BEGINS_LATE: &str = "our log begins later than the leader's, which holds what ours lacks";

/// Where the conversation with the leader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FetchState {
    /// A fetch waits for its answer, no longer than until then.
    Outstanding { until: Millis },
    /// The last one failed; the next goes out then.
    Backoff { until: Millis },
    /// The disk is cutting the log; nothing is told to anybody meanwhile.
    Truncating,
}

/// State of a follower.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    pub(crate) leader: BrokerId,
    pub(crate) leader_epoch: LeaderEpoch,
    partition_epoch: PartitionEpoch,
    pub(crate) fetch: FetchState,
    flush_policy: FlushPolicy,
    /// True once the leader has answered with records: our log is a prefix of its log (invariant 3).
    matched: bool,
    /// What the leader said last; ours follows as far as our own counted end allows.
    leader_high_watermark: Offset,
    /// The log start that the leader told first.
    first_log_start: Option<Offset>,
    /// The log start that the shell was asked to move to.
    asked_log_start: Offset,
    /// True while it is in the committed ISR.
    in_isr: bool,
    /// True if enough others hold everything, and it is copied again if it stops.
    may_stop: bool,
    /// Since when our log begins later than the leader's, outside the ISR.
    late_since: Option<Millis>,
    failures: u32,
}

/// What a follower's step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FollowerVerdict {
    Continue,
    /// This replica must stop, for this reason.
    Halt(&'static str),
}

impl Follower {
    /// Begins to follow; fetches at once unless the disk is still cutting the log.
    pub(crate) fn begin(turn: &mut Turn<'_>, leader: BrokerId, assignment: &Assignment) -> Self {
        let mut follower = Self {
            leader,
            leader_epoch: assignment.leader_epoch,
            partition_epoch: assignment.partition_epoch,
            fetch: FetchState::Truncating,
            flush_policy: assignment.flush_policy,
            matched: false,
            leader_high_watermark: Offset(0),
            first_log_start: None,
            asked_log_start: Offset(0),
            in_isr: assignment.isr.contains(&turn.config.broker_id),
            may_stop: may_stop(assignment),
            late_since: None,
            failures: 0,
        };
        if !turn.log.is_truncating() {
            follower.send_fetch(turn);
        }
        follower
    }

    /// The controller committed another state under the same leadership. Outside the ISR, what we told a leader before no
    /// longer counts, so we tell it again, unless the next fetch will do it.
    pub(crate) fn reassigned(&mut self, turn: &mut Turn<'_>, assignment: &Assignment) {
        self.partition_epoch = assignment.partition_epoch;
        self.in_isr = assignment.isr.contains(&turn.config.broker_id);
        self.settings_changed(turn, assignment);
        if self.waits() && !self.in_isr {
            self.tell_position(turn, false);
        }
    }

    /// The flush policy or the metadata version may have changed.
    pub(crate) fn settings_changed(&mut self, turn: &mut Turn<'_>, assignment: &Assignment) {
        self.flush_policy = assignment.flush_policy;
        self.may_stop = may_stop(assignment);
        self.follow_high_watermark(turn);
    }

    /// The leader answered, or could not be asked.
    pub(crate) fn fetch_response(
        &mut self,
        turn: &mut Turn<'_>,
        from: BrokerId,
        leader_epoch: LeaderEpoch,
        outcome: FetchOutcome,
    ) -> FollowerVerdict {
        let failed = matches!(outcome, FetchOutcome::Failed(_));
        let is_ours = from == self.leader && (failed || leader_epoch == self.leader_epoch);
        if !is_ours || !self.waits() {
            return FollowerVerdict::Continue;
        }
        match outcome {
            FetchOutcome::Records { records: batches, high_watermark, log_start_offset } => {
                if !fits(&batches, turn.log.end(), turn.log.last_epoch(), self.leader_epoch) {
                    self.back_off(turn);
                    return FollowerVerdict::Continue;
                }
                self.failures = 0;
                self.matched = true;
                append(turn, &batches);
                self.leader_high_watermark = self.leader_high_watermark.max(high_watermark);
                self.follow_high_watermark(turn);
                if self.is_late_for_good(turn, log_start_offset) {
                    return FollowerVerdict::Halt(BEGINS_LATE);
                }
                let first = *self.first_log_start.get_or_insert(log_start_offset);
                if log_start_offset > first || !self.in_isr {
                    self.follow_log_start(turn, log_start_offset);
                }
                self.send_fetch(turn);
            }
            FetchOutcome::Diverging { leader_epoch, end_offset } => {
                return self.truncate(turn, leader_epoch, end_offset);
            }
            FetchOutcome::OutOfRange { log_start_offset } => return self.start_over(turn, log_start_offset),
            FetchOutcome::Failed(_) => self.back_off(turn),
        }
        FollowerVerdict::Continue
    }

    /// The disk has cut the log.
    pub(crate) fn truncated(&mut self, turn: &mut Turn<'_>) {
        self.send_fetch(turn);
    }

    /// Our log is durable further than before: the leader is told, unless the next fetch will do it.
    pub(crate) fn own_flush_advanced(&mut self, turn: &mut Turn<'_>) {
        self.follow_high_watermark(turn);
        let counts = self.flush_policy == FlushPolicy::Ack;
        if counts && self.waits() {
            self.tell_position(turn, false);
        }
    }

    /// Acts on what the time makes due.
    pub(crate) fn on_time(&mut self, turn: &mut Turn<'_>) {
        if self.next_deadline().is_some_and(|at| turn.now >= at) {
            self.send_fetch(turn);
        }
    }

    /// True while a fetch is out.
    const fn waits(&self) -> bool {
        matches!(self.fetch, FetchState::Outstanding { .. })
    }

    /// True once the leader has answered with records in this epoch, be it none.
    pub(crate) const fn has_matched(&self) -> bool {
        self.matched
    }

    /// The next moment at which [`Self::on_time`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        match self.fetch {
            FetchState::Backoff { until } | FetchState::Outstanding { until } => Some(until),
            FetchState::Truncating => None,
        }
    }

    /// Finds where the two logs part. If we know the leader's epoch, its records here are the leader's up to the shorter
    /// of the two ends. If not, everything past our largest older epoch is ours alone; the next fetch goes on from there.
    /// Either end is the border of a batch in our log.
    fn truncate(&mut self, turn: &mut Turn<'_>, leader_epoch: LeaderEpoch, end_offset: Offset) -> FollowerVerdict {
        let (own_epoch, own_end) = turn.log.epochs.end_offset_for(leader_epoch, turn.log.end());
        let to = if own_epoch == leader_epoch { own_end.min(end_offset) } else { own_end };
        if self.matched || to >= turn.log.end() {
            // Stale, or senseless: asking again does no harm.
            self.back_off(turn);
            return FollowerVerdict::Continue;
        }
        if to < turn.log.high_watermark() {
            return FollowerVerdict::Halt("the leader's log departs from ours below our high watermark");
        }
        let generation = turn.log.truncate(to);
        self.fetch = FetchState::Truncating;
        turn.emit(Effect::Truncate { to, generation });
        FollowerVerdict::Continue
    }

    fn start_over(&mut self, turn: &mut Turn<'_>, at: Offset) -> FollowerVerdict {
        if self.matched && at <= turn.log.end() {
            // Our log is a prefix of the leader's. If it reaches past its start, the answer is stale. If it ends there, the
            // leader has forgotten which epoch ours ends in, and refuses us until all of it is below our start as well: what
            // retention takes is below the high watermark, so both follow. Not by starting over, which forgets producers.
            if at == turn.log.end() {
                self.leader_high_watermark = self.leader_high_watermark.max(at);
                self.follow_high_watermark(turn);
                self.follow_log_start(turn, at);
            }
            self.back_off(turn);
            return FollowerVerdict::Continue;
        }
        if at < turn.log.high_watermark() {
            return FollowerVerdict::Halt("the leader's log begins below our high watermark and holds nothing of ours");
        }
        let advanced = at > turn.log.high_watermark();
        let generation = turn.log.start_over(at);
        self.fetch = FetchState::Truncating;
        turn.emit(Effect::StartOver { at, generation });
        if advanced {
            turn.emit(Effect::HighWatermarkAdvanced { high_watermark: at });
        }
        FollowerVerdict::Continue
    }

    fn follow_high_watermark(&self, turn: &mut Turn<'_>) {
        let to = self.leader_high_watermark.min(turn.log.counted_end(self.flush_policy));
        if turn.log.advance_high_watermark(to) {
            turn.emit(Effect::HighWatermarkAdvanced { high_watermark: to });
        }
    }

    /// True if our log begins later than the leader's, and has for long. Moves of the leader's log start were told in order, so
    /// that none of them has brought ours there.
    fn is_late_for_good(&mut self, turn: &Turn<'_>, leader_log_start: Offset) -> bool {
        if self.in_isr || turn.log.start() <= leader_log_start {
            self.late_since = None;
            return false;
        }
        let since = *self.late_since.get_or_insert(turn.now);
        self.may_stop && turn.now >= since.plus(turn.config.late_start_max_ms)
    }

    fn follow_log_start(&mut self, turn: &mut Turn<'_>, leader_log_start: Offset) {
        let to = leader_log_start.min(turn.log.high_watermark());
        if to > turn.log.start() && to > self.asked_log_start {
            self.asked_log_start = to;
            turn.emit(Effect::AdvanceLogStart { to });
        }
    }

    fn send_fetch(&mut self, turn: &mut Turn<'_>) {
        // The leader answers in half that time: what is later was lost on the way, and is asked for again.
        self.fetch = FetchState::Outstanding { until: turn.now.plus(2 * turn.config.parked_fetch_max_ms) };
        self.tell_position(turn, true);
    }

    fn tell_position(&self, turn: &mut Turn<'_>, wants_records: bool) {
        let position = FetchPosition {
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            fetch_offset: turn.log.end(),
            flushed_offset: turn.log.flushed(),
            last_fetched_epoch: turn.log.last_epoch(),
            log_start_offset: Some(turn.log.start()),
            wants_records,
        };
        turn.emit(Effect::SendFetch { to: self.leader, position });
    }

    /// Waits before the next fetch, longer each time. Followers of one leader are spread by their ids, not by chance.
    fn back_off(&mut self, turn: &Turn<'_>) {
        let doubled = turn.config.fetch_backoff_ms << self.failures.min(MAX_DOUBLINGS);
        let spread = u64::from(turn.config.broker_id.0 % 8) * turn.config.fetch_backoff_ms / 8;
        self.failures = self.failures.saturating_add(1);
        let pause = (doubled.min(turn.config.fetch_backoff_max_ms) + spread).max(1);
        self.fetch = FetchState::Backoff { until: turn.now.plus(pause) };
    }
}

/// True if a replica outside the ISR is needed by nobody: then it is not among the eligible either. And if the controllers hear
/// of single replicas, so that it is copied again: they do where they keep the frozen high watermark.
fn may_stop(assignment: &Assignment) -> bool {
    assignment.frozen != Frozen::NotKept && assignment.isr.len() >= assignment.min_insync_replicas as usize
}

/// Takes batches that were found to fit.
fn append(turn: &mut Turn<'_>, batches: &[PlacedBatch]) {
    if batches.is_empty() {
        return;
    }
    for batch in batches {
        turn.log.append(batch, turn.now);
    }
    turn.emit(Effect::AppendFetched { end_offset: turn.log.end(), generation: turn.log.generation() });
}

/// True if these batches can follow our log: contiguous from its end, none empty, epochs not going back and not beyond
/// the leader's. The bytes came over a network.
fn fits(batches: &[PlacedBatch], log_end: Offset, last_epoch: Option<LeaderEpoch>, leader_epoch: LeaderEpoch) -> bool {
    let mut next = (log_end, last_epoch.unwrap_or_default());
    batches.iter().all(|batch| {
        let fits = batch.base_offset == next.0
            && batch.leader_epoch >= next.1
            && batch.leader_epoch <= leader_epoch
            && batch.info.record_count > 0;
        next = (batch.base_offset.plus(u64::from(batch.info.record_count)), batch.leader_epoch);
        fits
    })
}

#[cfg(test)]
#[path = "follower_tests.rs"]
mod tests;
