//! What the log writer is told to do with one log, and what it reports, as `holdfast_log::Op` and `Completion`.

use holdfast_proto::ids::{LeaderEpoch, Offset};
use holdfast_replication::{FlushPolicy, LogGeneration, ProducerTable};

use crate::sim::batch::SimBatch;

/// Something to do with a log. Done in the order in which it is asked for.
#[derive(Clone, Debug)]
pub enum Work {
    /// Write these batches at the end.
    Append(Vec<SimBatch>, LogGeneration),
    /// Cut everything at and above this offset, durably.
    Truncate(u64, LogGeneration),
    /// Drop everything and start empty here, durably.
    StartOver(u64, LogGeneration),
    /// Note durably where a leader epoch begins.
    BeginEpoch(LeaderEpoch, Offset),
    /// Remove whole batches below this offset, durably.
    AdvanceStart(u64),
    /// Remember the high watermark; it reaches the disk with a later mark.
    StoreHighWatermark(Offset),
    /// Flush as this policy says from now on.
    Configure(FlushPolicy),
}

impl Work {
    /// True for what cuts the end of the log.
    pub fn cuts(&self) -> bool {
        matches!(self, Self::Truncate(..) | Self::StartOver(..))
    }

    /// True for what is durable itself, and so takes as long as a flush.
    pub fn is_durable(&self) -> bool {
        self.cuts() || matches!(self, Self::BeginEpoch(..) | Self::AdvanceStart(_))
    }
}

/// What the log writer reports.
#[derive(Clone, Debug)]
pub enum Done {
    /// The log is durable up to here.
    Flushed(LogGeneration, u64),
    /// A truncation or a start over is done; the producers of what is left.
    Truncated(LogGeneration, ProducerTable),
    /// The log start stands here.
    LogStart(u64),
}
