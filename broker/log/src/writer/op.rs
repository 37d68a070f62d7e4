//! What the log writer is told to do, and what it reports back.

use std::sync::Arc;

use bytes::Bytes;

use holdfast_proto::ids::{LeaderEpoch, Offset};
use holdfast_replication::{LogGeneration, ProducerTable};

use super::Room;
use crate::{Binding, Error, LogConfig};

/// Something to do with one partition's log. Operations of one partition run in the order of their submission.
#[derive(Debug)]
pub enum Op {
    /// Write these batches and make them durable; answered by [`Completion::Flushed`], many appends by one.
    Append {
        /// One or more whole batches, one after another, with offsets and epochs set. The first begins at the log end.
        records: Bytes,
        /// Log end offset after it, as the core believes; checked.
        end_offset: Offset,
        /// Given back in `Flushed`.
        generation: LogGeneration,
        /// The place among the bytes in flight, from [`super::LogWriter::reserve`].
        room: Room,
    },
    /// Remove everything at and above `to`, durably; answered by [`Completion::Truncated`].
    Truncate {
        /// The new log end offset: a batch border, not below the log start.
        to: Offset,
        /// Generation of all appends that follow; told in `Truncated`.
        generation: LogGeneration,
    },
    /// Drop the whole log and start again empty at `at`; answered by [`Completion::Truncated`].
    StartOver {
        /// The new log start and log end offset.
        at: Offset,
        /// Generation of all appends that follow; told in `Truncated`.
        generation: LogGeneration,
    },
    /// Note durably where a leader epoch starts. Not answered; what follows is done after it.
    BeginEpoch {
        /// The leadership that begins.
        leader_epoch: LeaderEpoch,
        /// Its start: the log end offset.
        start_offset: Offset,
    },
    /// Move the log start offset durably, delete whole segments below it; answered by
    /// [`Completion::LogStartAdvanced`]. An offset at or below the current one does nothing, but is answered.
    AdvanceStart {
        /// The new log start offset, at most the high watermark.
        to: Offset,
    },
    /// Remember the high watermark. Not answered; it reaches the disk with the next durable mark.
    StoreHighWatermark {
        /// Offset after what is acknowledged; one below an earlier one is ignored.
        offset: Offset,
    },
    /// Bind the batches of a closed segment by what was read of it ([`LogReader::unbound`](crate::LogReader::unbound)). Not
    /// answered; where it fails nothing is done.
    Bind(Box<Binding>),
    /// Take other settings from now on. Not answered. A policy that now asks for it flushes what waits.
    Configure(LogConfig),
    /// Forget the producers of which no retry can come any more. Not answered.
    ExpireProducers,
    /// Make durable what was appended, whatever the policy; answered by [`Completion::Flushed`].
    Flush,
    /// Flush, write every checkpoint and close; answered by [`Completion::Closed`]. Nothing is taken after it.
    Close,
}

/// What became of operations. Comes on a thread of the log writer, in the order of the operations of the partition,
/// and must not block.
#[derive(Debug)]
pub enum Completion {
    /// The log is durable up to `offset`.
    Flushed {
        /// Of the last append that it covers.
        generation: LogGeneration,
        /// The durable end (exclusive).
        offset: Offset,
    },
    /// A truncation or a start over is done and durable.
    Truncated {
        /// The generation that it began.
        generation: LogGeneration,
        /// The log end offset now; all of it is durable.
        end_offset: Offset,
        /// The producers of the log that is left.
        producers: ProducerTable,
    },
    /// The log start offset is durable.
    LogStartAdvanced {
        /// The log start offset.
        offset: Offset,
    },
    /// The log is closed.
    Closed,
    /// Final: this partition takes nothing any more. After a failed write or fsync every partition of the data folder
    /// gets it, once, with the first reason, whether it had operations waiting or not.
    Failed {
        /// The first failure of this log or of its data folder.
        error: Error,
    },
}

/// Called with each completion of one partition, on a thread of the writer; must not block.
pub type Notify = Arc<dyn Fn(Completion) + Send + Sync>;
