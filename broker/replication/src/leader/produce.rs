//! Produces at the leader: admission, idempotence, append, and who is answered when.
//!
//! Order of the checks: a duplicate is answered whatever the ISR is, for it stands in the log; then min.insync.replicas
//! (acks=all only, as in Kafka), so that a pipelining producer sees the retriable error and not a gap; then the
//! producer's sequence; then the bound on waiting produces. What is refused changes nothing.
//!
//! acks=1 is answered when the leader's own counted end has passed the batch: durable under `flush.policy=ack`, appended
//! under `interval`. acks=0 is answered in this step, which promises nothing.

use holdfast_proto::{error::ErrorCode, ids::Offset};

use super::{pending::Waiting, role::Leader};
use crate::{
    answer::FetchReply,
    effect::{Effect, Produced},
    event::{Acks, ProduceToken},
    log::{
        batch::{BatchInfo, PlacedBatch},
        producer::BatchVerdict,
    },
    turn::Turn,
};

impl Leader {
    /// Refuses a batch with its reason, answers a duplicate, or appends it and lets the answer wait for what it asks.
    pub(crate) fn produce(
        &mut self,
        turn: &mut Turn<'_>,
        token: ProduceToken,
        acks: Acks,
        batch: &BatchInfo,
        timeout_ms: u64,
    ) {
        if turn.log.is_truncating() {
            // Elected before the disk has cut what was left of an earlier life.
            return turn.refuse_produce(token, ErrorCode::LeaderNotAvailable);
        }
        let verdict = turn.log.producers.check(batch, turn.now);
        if let BatchVerdict::Duplicate { base_offset } = verdict {
            return self.answer_duplicate(turn, token, acks, base_offset, batch, timeout_ms);
        }
        if acks == Acks::All && self.isr.committed().len() < self.min_insync_replicas as usize {
            return turn.refuse_produce(token, ErrorCode::NotEnoughReplicas);
        }
        if let BatchVerdict::Refuse(code) = verdict {
            return turn.refuse_produce(token, code);
        }
        if batch.record_count == 0 {
            return turn.refuse_produce(token, ErrorCode::InvalidRecord);
        }
        if acks != Acks::None && self.pending.is_full() {
            return turn.refuse_produce(token, ErrorCode::Overloaded);
        }
        let base_offset = self.append(turn, token, batch);
        self.answer(turn, token, acks, base_offset, batch, timeout_ms);
        self.wake_parked(turn);
        self.settle(turn);
    }

    fn append(&mut self, turn: &mut Turn<'_>, token: ProduceToken, batch: &BatchInfo) -> Offset {
        let base_offset = turn.log.end();
        for follower in &mut self.followers {
            follower.before_append(self.flush_policy, base_offset, turn.now);
        }
        let placed = PlacedBatch { base_offset, leader_epoch: self.leader_epoch, info: *batch };
        turn.log.append(&placed, turn.now);
        turn.emit(Effect::AppendProduced {
            token,
            base_offset,
            leader_epoch: self.leader_epoch,
            generation: turn.log.generation(),
        });
        base_offset
    }

    /// Answers it, or lets it wait for its condition. Its place is `base_offset`.
    fn answer(
        &mut self,
        turn: &mut Turn<'_>,
        token: ProduceToken,
        acks: Acks,
        base_offset: Offset,
        batch: &BatchInfo,
        timeout_ms: u64,
    ) {
        let end_offset = base_offset.plus(u64::from(batch.record_count));
        let met = match acks {
            Acks::None => true,
            Acks::Leader => turn.log.counted_end(self.flush_policy) >= end_offset,
            Acks::All => turn.log.high_watermark() >= end_offset,
        };
        if met {
            let log_start_offset = turn.log.start();
            let produced = Produced { base_offset, log_start_offset, leader_epoch: self.leader_epoch };
            return turn.complete_produce(token, produced);
        }
        let deadline = turn.now.plus(timeout_ms.min(turn.config.max_produce_wait_ms));
        self.pending.insert(acks, Waiting { token, base_offset, end_offset, deadline });
    }

    /// The batch stands in the log already: it is answered with its first place, under its own condition, so one that is
    /// still in flight is waited for.
    fn answer_duplicate(
        &mut self,
        turn: &mut Turn<'_>,
        token: ProduceToken,
        acks: Acks,
        base_offset: Offset,
        batch: &BatchInfo,
        timeout_ms: u64,
    ) {
        if self.pending.is_full() {
            // Not OVERLOADED, which would say that it was not appended.
            return turn.refuse_produce(token, ErrorCode::OutcomeUnknown);
        }
        self.answer(turn, token, acks, base_offset, batch, timeout_ms);
    }

    /// Answers the fetches that waited at the old log end, before the leader's own fsync.
    fn wake_parked(&mut self, turn: &mut Turn<'_>) {
        let high_watermark = turn.log.high_watermark();
        let log_start_offset = turn.log.start();
        for follower in &mut self.followers {
            let Some(parked) = follower.unpark() else { continue };
            follower.told_high_watermark = high_watermark;
            turn.effects.push(Effect::ReplyFetch {
                to: follower.broker_id,
                leader_epoch: self.leader_epoch,
                reply: FetchReply::Records { records: parked.fetch_offset, high_watermark, log_start_offset },
            });
        }
    }
}
