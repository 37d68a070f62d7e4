//! Does what the core of a partition says, in order.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use holdfast_log::Op;
use holdfast_proto::{
    batch,
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, Millis, Offset},
};
use holdfast_replication::{Effect, FetchAnswer, FetchReply, PlacedBatch};

use super::{
    in_hand::{Follower, InHand},
    partition::PartitionActor,
};
use crate::{
    outbox::{
        Proposal,
        answers::{Answer, Pieces},
    },
    partition::findings::Finding,
};

impl PartitionActor {
    /// Does everything, and leaves the list empty.
    pub(super) fn execute(&mut self, now: Millis, effects: &mut Vec<Effect>, mut in_hand: InHand) {
        let (mut published, mut refused) = (false, false);
        for effect in effects.drain(..) {
            match effect {
                Effect::AppendProduced { base_offset, leader_epoch, generation, .. } => {
                    let InHand::Produced { bytes, room } = std::mem::replace(&mut in_hand, InHand::Nothing) else {
                        unreachable!("the core appends a batch only in the step that brought it");
                    };
                    let records = placed(bytes, base_offset, leader_epoch);
                    let end_offset = self.core.log_end();
                    self.partition.tail.push(base_offset, end_offset, records.clone(), now);
                    refused |= !self.try_submit(Op::Append { records, end_offset, generation, room });
                    self.make_room_in_memory();
                    self.store_high_watermark();
                }
                Effect::AppendFetched { end_offset, generation } => {
                    let InHand::Fetched { records, batches, room } = std::mem::replace(&mut in_hand, InHand::Nothing)
                    else {
                        unreachable!("the core appends fetched batches only in the step that brought them");
                    };
                    self.remember_fetched(now, records.clone(), &batches);
                    refused |= !self.try_submit(Op::Append { records, end_offset, generation, room });
                    self.make_room_in_memory();
                }
                Effect::Truncate { to, generation } => {
                    tracing::info!(partition = %self.partition.id, %to, "cutting the log to where it agrees with the leader's");
                    self.partition.tail.truncate(to);
                    self.submit(Op::Truncate { to, generation });
                }
                Effect::StartOver { at, generation } => {
                    tracing::warn!(partition = %self.partition.id, %at, "starting over: the leader holds nothing older");
                    self.partition.tail.truncate(Offset(0));
                    self.submit(Op::StartOver { at, generation });
                }
                Effect::AdvanceLogStart { to } => self.submit(Op::AdvanceStart { to }),
                Effect::BeginEpoch { leader_epoch, start_offset } => {
                    tracing::info!(partition = %self.partition.id, %leader_epoch, %start_offset, "leading");
                    self.submit(Op::BeginEpoch { leader_epoch, start_offset });
                }
                // With flush.policy=interval the leader would count what this disk has not taken.
                Effect::SendFetch { .. } if refused || self.closing.is_some() => {}
                Effect::SendFetch { to, position } => self.tell_position(now, to, position),
                Effect::ReplyFetch { to, leader_epoch, reply } => self.reply(to, leader_epoch, reply),
                Effect::CompleteProduce { token, result } => {
                    if !published {
                        self.publish();
                        published = true;
                    }
                    // What the log writer has not taken is not written, whatever the core counts on.
                    let result = if refused { Err(ErrorCode::KafkaStorageError) } else { result };
                    if let Some(reply) = self.waiting.remove(&token) {
                        reply.send(result);
                    }
                }
                Effect::ProposeIsr { leader_epoch, partition_epoch, new_isr, high_watermark, high_watermark_epoch } => {
                    tracing::info!(partition = %self.partition.id, isr = ?ids(&new_isr), "proposing an ISR");
                    self.context.outboxes.proposals.put(
                        self.partition.id,
                        Proposal { leader_epoch, partition_epoch, new_isr, high_watermark, high_watermark_epoch },
                    );
                }
                // This and the role show in the view that is published after the step, which wakes who waits.
                Effect::HighWatermarkAdvanced { .. } => {}
                Effect::RoleChanged => self.copying.forget(),
                Effect::Halt { reason } => {
                    // Its own trouble, not that of the others here. If the disk failed, the process is about to end.
                    tracing::error!(partition = %self.partition.id, reason, "the replica serves no more");
                    // Of a log that failed that was the finding: another log of the same records may go on.
                    if !self.has_failed {
                        let finding = Finding::halted(&self.partition.reader, reason.to_owned());
                        self.context.findings.put(self.partition.id, finding);
                    }
                }
            }
        }
    }

    /// Flushes what the policy would flush later, if it keeps memory that others need.
    pub(super) fn make_room_in_memory(&self) {
        if self.partition.tail.takes_too_much() {
            self.submit(Op::Flush);
        }
    }

    fn remember_fetched(&self, now: Millis, mut rest: Bytes, batches: &[PlacedBatch]) {
        for batch in batches {
            let next = batch.base_offset.plus(u64::from(batch.info.record_count));
            let bytes = rest.split_to(batch.info.size_bytes as usize);
            self.partition.tail.push(batch.base_offset, next, bytes, now);
        }
    }

    /// Answers a follower: from memory at once if there is room, else a little later.
    fn reply(&self, to: BrokerId, leader_epoch: LeaderEpoch, reply: FetchReply) {
        let Some(Follower { outbox, max_bytes }) = self.followers.get(&to) else { return };
        let partition = self.partition.id;
        let answer = |body| Answer { partition, leader_epoch, body };
        let end = self.core.log_end();
        let from_offset = match reply {
            FetchReply::Records { records, .. } if records < end => records,
            _ => return outbox.put(answer(reply.map(Pieces::none))),
        };
        let records = move |batches, room| reply.map(|from_offset| Pieces { from_offset, batches, room: Some(room) });
        let (share, max_bytes) = (&self.context.logs.followers, *max_bytes);
        if let Some((batches, room)) =
            self.partition.try_read_within(share, outbox.reader(), from_offset, end, max_bytes)
        {
            return outbox.put(answer(records(batches, room)));
        }
        let (outbox, replica, share) = (Arc::clone(outbox), Arc::clone(&self.partition), share.clone());
        self.context.logs.runtime.spawn(async move {
            let read = replica.read_within(&share, outbox.reader(), from_offset, end, max_bytes).await;
            let body = match read {
                // The log may have been cut and written again while it was read: only the leadership that was asked
                // vouches for what stands there.
                _ if replica.view().leader_epoch != Some(leader_epoch) => {
                    FetchAnswer::Failed(ErrorCode::NotLeaderOrFollower)
                }
                Ok((batches, room)) => records(batches, room),
                // As it is now: retention may have moved it since the core looked.
                Err(ErrorCode::OffsetOutOfRange) => {
                    FetchAnswer::OutOfRange { log_start_offset: replica.reader.log_start_offset() }
                }
                Err(code) => FetchAnswer::Failed(code),
            };
            outbox.put(Answer { partition, leader_epoch, body });
        });
    }
}

/// Batches below this size are copied out of their buffer, whatever it is: that costs less than to ask.
const COPIED_BYTES: usize = 4096;

/// The batch with its place written in, in a buffer of about its size: it is counted by its size as long as it is kept.
/// The one copy of a produce's bytes between socket and file, and none at all if nobody else holds the buffer and little
/// else is in it; other messages usually came in the same one.
fn placed(bytes: Bytes, base_offset: Offset, leader_epoch: LeaderEpoch) -> Bytes {
    let mut own = match bytes.try_into_mut() {
        Ok(mut own) => {
            // What lies before the batch counts as well: the buffer could take half as much again if it began with it.
            let is_roomy = own.len() < COPIED_BYTES || own.try_reclaim(own.len() / 2);
            if is_roomy { BytesMut::from(&own[..]) } else { own }
        }
        Err(shared) => BytesMut::from(&shared[..]),
    };
    batch::set_base_offset_and_epoch(&mut own, base_offset, leader_epoch);
    own.freeze()
}

fn ids<T>(members: &[(BrokerId, T)]) -> Vec<u32> {
    members.iter().map(|(broker_id, _)| broker_id.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch of so many bytes in the middle of a buffer, where nobody else holds the rest.
    fn within(before: usize, size: usize, after: usize) -> (Bytes, *const u8) {
        let mut buffer = BytesMut::with_capacity(before + size + after);
        buffer.resize(before + size + after, 7);
        let _ = buffer.split_to(before);
        let batch = buffer.split_to(size).freeze();
        let at = batch.as_ptr();
        (batch, at)
    }

    #[test]
    fn a_batch_keeps_no_buffer_that_is_much_larger() {
        const MIB: usize = 1 << 20;
        let moved = |(batch, at): (Bytes, *const u8)| {
            let placed = placed(batch, Offset(1), LeaderEpoch(1));
            let is_moved = placed.as_ptr() != at;
            let room = placed.try_into_mut().expect("nobody else holds it").capacity();
            (is_moved, room)
        };
        for (before, size, after) in [(0, 100, MIB), (MIB, 100, 0), (16 * MIB, MIB, 0), (0, MIB, 15 * MIB)] {
            let (is_moved, room) = moved(within(before, size, after));
            assert!(is_moved && room < 2 * size.max(100), "{before} {size} {after}: {room}");
        }
        let (is_moved, _) = moved(within(300, MIB, 200));
        assert!(!is_moved, "no copy where there is nothing to win");
    }
}
