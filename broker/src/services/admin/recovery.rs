//! The last resorts of a partition and of a broker's disk, as they are asked for and answered.

use holdfast_metadata::trust::ReplicaClaim;
use holdfast_proto::ids::{BrokerEpoch, BrokerId, LeaderEpoch, MetadataIndex, Offset, PartitionEpoch, PartitionIndex};

/// A partition without a leader that is to go on with one of its replicas, whatever that lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryOrder {
    /// Name of the topic.
    pub topic: String,
    /// Index within the topic, from 0.
    pub partition: PartitionIndex,
    /// The broker whose replica it is to go on with.
    pub broker_id: BrokerId,
    /// The state that was looked at; another one is refused.
    pub partition_epoch: PartitionEpoch,
    /// True to be told only what would be given up.
    pub validate_only: bool,
}

/// What was given up so that a partition goes on, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// Name of the topic at the time.
    pub topic: String,
    /// Index within the topic, from 0.
    pub partition: PartitionIndex,
    /// The broker whose replica the partition went on with.
    pub broker_id: BrokerId,
    /// The leader epoch that began with it.
    pub leader_epoch: LeaderEpoch,
    /// Where the log of that replica ended, if its broker had said it.
    pub end: Option<Offset>,
    /// The high watermark that was known, if one was.
    pub high_watermark: Option<Offset>,
    /// Leader epoch of the last record below it, if that was known.
    pub high_watermark_epoch: Option<LeaderEpoch>,
    /// True if it was said before a recovery of the controllers: more may have been acknowledged since.
    pub high_watermark_is_old: bool,
    /// What was known of the replicas, at most one each.
    pub claims: Vec<ReplicaClaim>,
    /// The replicas that were believed and not there.
    pub absent: Vec<BrokerId>,
    /// When, ms since 1970 by the clock of the active controller.
    pub at_ms: u64,
}

/// A partition goes on, or could.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredPartition {
    /// What is given up for it.
    pub given_up: GivenUp,
    /// Index of the change; 0 if it was only checked.
    pub index: MetadataIndex,
}

/// The disk of a broker that is gone is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskOrder {
    /// The broker whose disk it is.
    pub broker_id: BrokerId,
    /// The registration that was looked at; another one is refused.
    pub broker_epoch: BrokerEpoch,
    /// True to be told only what it would come to.
    pub validate_only: bool,
}
