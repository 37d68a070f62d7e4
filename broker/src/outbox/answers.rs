//! Answers that wait for one follower's stream: one slot a partition, a newer answer replaces an older one.
//!
//! Bounded without a queue: a follower has at most one fetch in flight a partition, so there are at most as many
//! answers as partitions between two brokers, and records hold room in the followers' memory for answers until they have
//! left the socket.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{Stream, task::AtomicWaker};
use parking_lot::Mutex;

use holdfast_proto::ids::{LeaderEpoch, Offset, TopicPartition};
use holdfast_replication::FetchAnswer;

use super::latest::Latest;
use crate::partition::{answer_memory::AnswerRoom, answer_reader::Reader, read};

/// An answer to one follower, about one partition.
#[derive(Debug)]
pub struct Answer {
    /// The partition that the follower asked about.
    pub partition: TopicPartition,
    /// Epoch of the answering leadership.
    pub leader_epoch: LeaderEpoch,
    /// Records, or what the follower has to do instead.
    pub body: FetchAnswer<Pieces>,
}

/// Records on their way to a follower.
#[derive(Debug)]
pub struct Pieces {
    /// The fetch offset that is answered.
    pub from_offset: Offset,
    /// Whole batches, contiguous, the first of which holds `from_offset`; maybe none.
    pub batches: Vec<Bytes>,
    /// What they take up of the memory for answers; `None` if there are none.
    pub room: Option<AnswerRoom>,
}

/// The answers to one follower's stream.
#[derive(Debug, Default)]
pub struct Outbox {
    state: Mutex<OutboxState>,
    waker: AtomicWaker,
    /// Whose share of the memory for answers they take up.
    reader: Option<Arc<Reader>>,
}

#[derive(Debug, Default)]
struct OutboxState {
    answers: Latest<TopicPartition, Answer>,
    closed: bool,
}

impl Outbox {
    /// Of a stream whose answers have a share of the memory.
    pub fn of(reader: Arc<Reader>) -> Self {
        Self { reader: Some(reader), ..Self::default() }
    }

    /// Whose share of the memory for answers they take up; `None`: nobody's.
    pub fn reader(&self) -> Option<&Reader> {
        self.reader.as_deref()
    }

    /// Puts an answer in; an older one about the same partition is replaced, but never one of a newer leadership: a slow
    /// read may end after that. Dropped if the stream has ended.
    pub fn put(&self, answer: Answer) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        state.answers.merge(answer.partition, answer, |waiting, later| {
            if later.leader_epoch >= waiting.leader_epoch {
                *waiting = later;
            }
        });
        drop(state);
        self.waker.wake();
    }

    /// True once its stream has ended, or a newer one of the same broker has begun: nothing that came on it counts.
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Takes no answer any more, and ends the stream.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let unsent = state.answers.take_all();
        drop(state);
        // Their records, which may be many, go without the lock.
        drop(unsent);
        self.waker.wake();
    }
}

impl Pieces {
    /// None yet, from this offset on.
    pub fn none(from_offset: Offset) -> Self {
        Self { from_offset, batches: Vec::new(), room: None }
    }
}

impl Answer {
    /// Bytes of its records.
    pub fn size(&self) -> usize {
        self.body.records().map_or(0, |records| read::size(&records.batches))
    }
}

/// Everything that waits in an outbox, together, up to about `max_bytes` at a time.
pub struct AnswerStream {
    /// Where the partitions put their answers.
    pub outbox: Arc<Outbox>,
    /// Where one group of answers ends; a single larger one is given alone.
    pub max_bytes: usize,
}

impl Stream for AnswerStream {
    type Item = Vec<Answer>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Vec<Answer>>> {
        self.outbox.waker.register(context.waker());
        let mut state = self.outbox.state.lock();
        let mut size = 0;
        let group = state.answers.take_while(|answer| {
            let first = size == 0;
            size += answer.size();
            first || size <= self.max_bytes
        });
        match (group.is_empty(), state.closed) {
            (true, true) => Poll::Ready(None),
            (true, false) => Poll::Pending,
            _ => Poll::Ready(Some(group.into_iter().map(|(_, answer)| answer).collect())),
        }
    }
}

impl Drop for AnswerStream {
    fn drop(&mut self) {
        self.outbox.close();
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use holdfast_proto::ids::{PartitionIndex, TopicId};

    use super::*;

    fn answer(partition: u32, size: usize) -> Answer {
        Answer {
            partition: TopicPartition { topic_id: TopicId(uuid::Uuid::nil()), partition: PartitionIndex(partition) },
            leader_epoch: LeaderEpoch(1),
            body: FetchAnswer::Records {
                records: Pieces { batches: vec![Bytes::from(vec![0; size])], ..Pieces::none(Offset(0)) },
                high_watermark: Offset(0),
                log_start_offset: Offset(0),
            },
        }
    }

    #[test]
    fn a_newer_answer_replaces_an_older_one_and_groups_are_bounded() {
        let outbox = Arc::new(Outbox::default());
        let mut answers = AnswerStream { outbox: Arc::clone(&outbox), max_bytes: 100 };
        assert!(answers.next().now_or_never().is_none());
        for (partition, size) in [(0, 10), (1, 60), (0, 50), (2, 300)] {
            outbox.put(answer(partition, size));
        }
        let mut sizes = || {
            let group = answers.next().now_or_never().flatten().unwrap_or_default();
            group.iter().map(|answer| (answer.partition.partition.0, answer.size())).collect::<Vec<_>>()
        };
        assert_eq!(sizes(), [(0, 50)]);
        assert_eq!(sizes(), [(1, 60)]);
        assert_eq!(sizes(), [(2, 300)]);
        outbox.put(Answer { leader_epoch: LeaderEpoch(2), ..answer(0, 7) });
        outbox.put(Answer { leader_epoch: LeaderEpoch(1), ..answer(0, 9) });
        assert_eq!(sizes(), [(0, 7)], "an answer of an older leadership that comes late changes nothing");
        drop(answers);
        outbox.put(answer(0, 1));
        assert!(outbox.state.lock().answers.is_empty(), "nothing is kept for a stream that ended");
    }
}
