//! What a consumer asks for in one request, and what it gets.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use holdfast_proto::{
    detail::ErrorDetail,
    ids::{LeaderEpoch, Offset, PartitionIndex, TopicId},
};

use super::found_offsets::Ends;
use crate::partition::{answer_memory::AnswerRoom, answer_reader::Reader, read};

/// From where to read one partition.
#[derive(Clone, Debug)]
pub struct FetchTarget {
    /// Name of the topic.
    pub topic: String,
    /// Id of the topic, if the client knows it.
    pub topic_id: Option<TopicId>,
    /// Index of the partition.
    pub partition: PartitionIndex,
    /// Offset of the first record wanted.
    pub fetch_offset: Offset,
    /// Leader epoch that the client believes current (KIP-320).
    pub leader_epoch: Option<LeaderEpoch>,
    /// Most bytes of this partition; 0: the broker's default.
    pub max_bytes: u32,
}

/// One request of a consumer, for any number of partitions.
#[derive(Debug)]
pub struct FetchCommand {
    /// What to read, in the order of the answers.
    pub targets: Vec<FetchTarget>,
    /// How long to wait for `min_bytes`.
    pub max_wait: Duration,
    /// Answer as soon as so many bytes are there.
    pub min_bytes: usize,
    /// Most bytes in all; 0: the broker's default.
    pub max_bytes: u32,
    /// Room that is kept beyond the batches, bytes, for what the caller makes of them; as far as there is some.
    pub spare_bytes: usize,
    /// Who the answer goes to, as far as its answers have a share of the memory.
    pub reader: Option<Arc<Reader>>,
}

/// Records of one partition, or why there are none.
#[derive(Debug)]
pub struct Fetched {
    /// Index of the target.
    pub target: usize,
    /// The records, or why this partition has none to give.
    pub result: Result<FetchedRecords, ErrorDetail>,
    /// What the partition holds, if it is led from here and its end may be told: who hears OFFSET_OUT_OF_RANGE has to know.
    /// With records, up to where they could be read.
    pub ends: Option<Ends>,
}

/// Records of one partition.
#[derive(Debug)]
pub struct FetchedRecords {
    /// Leader epoch of this leadership.
    pub leader_epoch: LeaderEpoch,
    /// Whole batches, contiguous; the first may begin below the offset that was asked for.
    pub pieces: Vec<Bytes>,
}

/// All that was found.
#[derive(Debug, Default)]
pub struct FetchedAnswer {
    /// The partitions with records or an error, in the order of the targets.
    pub fetched: Vec<Fetched>,
    /// What the records take up of the memory for answers: hold it as long as their bytes. `None` without records.
    pub room: Option<AnswerRoom>,
    /// True if it had less room than it wanted: there may be more than it holds.
    pub is_cut: bool,
}

impl FetchedRecords {
    /// All batches in one piece.
    pub fn joined(self) -> Bytes {
        read::join(self.pieces)
    }
}

impl FetchedAnswer {
    /// True if there is no use in waiting for more: it holds `min_bytes`, or an error that its asker has to know, or all
    /// that it may hold.
    pub(super) fn is_enough(&self, min_bytes: usize) -> bool {
        let failed = self.fetched.iter().any(|fetched| fetched.result.is_err());
        failed || self.size() >= min_bytes.max(1) || (self.is_cut && self.size() > 0)
    }

    /// Bytes of all records.
    pub(super) fn size(&self) -> usize {
        let records = self.fetched.iter().filter_map(|fetched| fetched.result.as_ref().ok());
        records.map(|records| read::size(&records.pieces)).sum()
    }
}
