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

/// What the wait of a partition for records takes up beside its target, bytes, about.
const WAITER_BYTES: usize = 96;

impl FetchCommand {
    /// What it takes up while it waits, bytes, about.
    pub(super) fn memory_bytes(&self) -> usize {
        let target = |target: &FetchTarget| size_of::<FetchTarget>() + target.topic.len() + WAITER_BYTES;
        self.targets.iter().map(target).sum()
    }
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
    /// What the answer takes up of the memory for answers: hold it as long as its bytes. `None` without records and with
    /// few errors.
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

impl Fetched {
    /// Bytes of its error as it is told, if it is one.
    fn error_bytes(&self, targets: &[FetchTarget]) -> usize {
        let told = |detail: &ErrorDetail| targets[self.target].topic.len() + detail.message.len() + FRAME_BYTES;
        self.result.as_ref().err().map_or(0, told)
    }
}

/// Bytes of a partition's answer that are neither its topic's name, nor records, nor a text.
const FRAME_BYTES: usize = 256;

impl FetchedAnswer {
    /// No records at all, and why: told of the first target, if there is one.
    pub(super) fn refused(targets: &[FetchTarget], detail: ErrorDetail) -> Self {
        let refused = Fetched { target: 0, result: Err(detail), ends: None };
        Self { fetched: targets.first().map(|_| refused).into_iter().collect(), ..Self::default() }
    }

    /// Bytes of all errors as they are told.
    pub(super) fn error_bytes(&self, targets: &[FetchTarget]) -> usize {
        self.fetched.iter().map(|fetched| fetched.error_bytes(targets)).sum()
    }

    /// Leaves out the errors past so many bytes, but for the first: who asks again hears them.
    pub(super) fn cut_errors(&mut self, targets: &[FetchTarget], most_bytes: usize) {
        let (mut told, mut bytes) = (0, 0);
        self.fetched.retain(|fetched| {
            let size = fetched.error_bytes(targets);
            bytes += size;
            told += usize::from(size > 0);
            size == 0 || told == 1 || bytes <= most_bytes
        });
    }

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

#[cfg(test)]
mod tests {
    use holdfast_proto::error::ErrorCode;

    use super::*;

    #[test]
    fn errors_that_have_no_room_wait_for_the_next_answer_and_records_do_not() {
        let target = |index| FetchTarget {
            topic: "t".repeat(100),
            topic_id: None,
            partition: PartitionIndex(index),
            fetch_offset: Offset(0),
            leader_epoch: None,
            max_bytes: 0,
        };
        let targets: Vec<_> = (0..11).map(target).collect();
        let failed = |target| Fetched {
            target,
            result: Err(ErrorDetail::new(ErrorCode::UnknownTopicOrPartition, "m".repeat(644))),
            ends: None,
        };
        let records = FetchedRecords { leader_epoch: LeaderEpoch(1), pieces: vec![Bytes::from_static(b"abc")] };
        let read = Fetched { target: 10, result: Ok(records), ends: None };
        let mut answer = FetchedAnswer { fetched: (0..10).map(failed).chain([read]).collect(), ..Default::default() };
        assert_eq!(answer.error_bytes(&targets), 10_000);
        answer.cut_errors(&targets, 4_500);
        let left = |answer: &FetchedAnswer| answer.fetched.iter().map(|fetched| fetched.target).collect::<Vec<_>>();
        assert_eq!(left(&answer), [0, 1, 2, 3, 10]);
        answer.cut_errors(&targets, 0);
        assert_eq!(left(&answer), [0, 10], "one is told always");
    }
}
