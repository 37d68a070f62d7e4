//! Which offsets may be looked up, and what is found.

use holdfast_proto::ids::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId};

use super::lookup::Named;

/// What to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// The log start offset.
    Earliest,
    /// The high watermark: the end of what consumers may read.
    Latest,
    /// The first record at or after this time.
    Time(TimestampMs),
}

/// One position of one partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lookup {
    /// Name of the topic.
    pub topic: String,
    /// Id of the topic, if the client knows it.
    pub topic_id: Option<TopicId>,
    /// Index of the partition.
    pub partition: PartitionIndex,
    /// What to look for in it.
    pub position: Position,
}

impl Lookup {
    pub(super) fn named(&self) -> Named<'_> {
        Named { topic: &self.topic, topic_id: self.topic_id, partition: self.partition }
    }
}

/// The offset of a position, and what it was read under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset; `None` if no record is as late.
    pub offset: Option<Offset>,
    /// Time of that record, for a look-up by time.
    pub timestamp: Option<TimestampMs>,
    /// Leader epoch of this leadership.
    pub leader_epoch: LeaderEpoch,
}

/// What consumers may read of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// First offset that the partition holds.
    pub log_start_offset: Offset,
    /// End of what consumers may read, exclusive.
    pub high_watermark: Offset,
}
