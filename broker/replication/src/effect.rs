//! What a replica wants done: the output of [`crate::Replica::step`]. The shell executes effects in order.

use holdfast_proto::{
    error::ErrorCode,
    ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch},
};

use crate::{
    answer::FetchReply,
    event::{FetchPosition, ProduceToken},
    log::batch::LogGeneration,
};

/// Answer to a produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Produced {
    /// Offset of the batch's first record; of its first appearance for a duplicate.
    pub base_offset: Offset,
    /// Log start offset at the time of the answer.
    pub log_start_offset: Offset,
    /// Leader epoch of the acknowledgement.
    pub leader_epoch: LeaderEpoch,
}

/// What the shell has to do, or to tell somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Leader: write the produce's batch with this offset and epoch, and make it durable. Then `LogFlushed`.
    AppendProduced {
        /// Which batch: the bytes are with the shell.
        token: ProduceToken,
        /// Offset of its first record.
        base_offset: Offset,
        /// Epoch to write into it.
        leader_epoch: LeaderEpoch,
        /// To be given back in `LogFlushed`.
        generation: LogGeneration,
    },
    /// Follower: write the batches of the fetch response in hand, as they are, and make them durable.
    AppendFetched {
        /// Log end offset after it.
        end_offset: Offset,
        /// To be given back in `LogFlushed`.
        generation: LogGeneration,
    },
    /// Cut the log: remove everything at and above `to`, durably. Appends that follow belong to `generation`.
    Truncate {
        /// The new log end offset.
        to: Offset,
        /// Generation of the log from here on; flushes of an older one no longer count.
        generation: LogGeneration,
    },
    /// Drop the whole log and start again empty at `at`: the leader holds nothing older.
    StartOver {
        /// The new log start and log end offset; may lie below the old log end, never below the high watermark.
        at: Offset,
        /// Generation of the log from here on; flushes of an older one no longer count.
        generation: LogGeneration,
    },
    /// Follower: the leader holds nothing below `to`; what lies below it here may go as well, so that the log start
    /// does not fall back when this replica is elected. `LogStartChanged` follows when it is done.
    AdvanceLogStart {
        /// The leader's log start offset; never above our high watermark.
        to: Offset,
    },
    /// A leadership began: note in the leader-epoch checkpoint, durably, where it starts.
    BeginEpoch {
        /// Epoch of the leadership that began.
        leader_epoch: LeaderEpoch,
        /// Its start: the log end offset at that moment.
        start_offset: Offset,
    },
    /// Follower: tell the leader our position; answered by `FetchResponse` when `wants_records`.
    SendFetch {
        /// The leader that this replica follows.
        to: BrokerId,
        /// Ends of our log, and whether records are wanted.
        position: FetchPosition,
    },
    /// Leader: answer a follower's fetch.
    ReplyFetch {
        /// The follower that fetched.
        to: BrokerId,
        /// The epoch that the fetch named: that of this leadership unless the fetch is refused.
        leader_epoch: LeaderEpoch,
        /// Records, where to cut or to start over, or the refusal.
        reply: FetchReply,
    },
    /// Answer a produce. Emitted in the step in which its durability condition came true, never earlier, and exactly
    /// once for each produce. One with acks=0 is completed in the step that took it: the shell frees what it holds, and
    /// tells nobody.
    CompleteProduce {
        /// The produce that is complete; its token may be used again.
        token: ProduceToken,
        /// Where it stands, or why it failed.
        result: Result<Produced, ErrorCode>,
    },
    /// Leader: ask the controller for another ISR. One attempt: the shell reports an ambiguous end as it is, and does
    /// not try again by itself, for the core has to know whether an older attempt can still be committed.
    ProposeIsr {
        /// Epoch of this leadership.
        leader_epoch: LeaderEpoch,
        /// Partition epoch that the change starts from.
        partition_epoch: PartitionEpoch,
        /// The whole new ISR with the broker epochs under which members caught up (KIP-903); the leader's own is
        /// filled in by the shell.
        new_isr: Vec<(BrokerId, Option<BrokerEpoch>)>,
        /// Where the high watermark stands, if nothing more can be acknowledged until the ISR grows: the controllers keep
        /// it, and elect nobody who does not reach it.
        high_watermark: Option<Offset>,
        /// Leader epoch of the last record below it; `None` if there is none.
        high_watermark_epoch: Option<LeaderEpoch>,
    },
    /// The high watermark of this replica, leader or follower, moved: at a leader consumers may read up to here.
    HighWatermarkAdvanced {
        /// Offset after what is acknowledged; grows with each of these.
        high_watermark: Offset,
    },
    /// The role changed; waiting consumer fetches have to be looked at again.
    RoleChanged,
    /// This replica must stop serving; the reason is for the log.
    Halt {
        /// The promise that could not be kept, or the failure, in words.
        reason: &'static str,
    },
}
