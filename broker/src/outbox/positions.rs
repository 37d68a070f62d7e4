//! Positions of this broker's followers that wait to be told to the brokers that lead them: one queue a source broker.
//!
//! What is told and what has to be answered, [`Requests`] decides. A queue wakes its stream; the stream of a connection
//! that broke takes nothing any more.

use std::{
    collections::{BTreeSet, HashMap},
    num::NonZeroU64,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{Stream, task::AtomicWaker};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use holdfast_proto::ids::{BrokerId, LeaderEpoch, Millis, TopicPartition};
use holdfast_replication::FetchPosition;

use super::{move_budget::MoveBudget, requests::Requests};
use crate::partition::copying::Turns;

/// The queues of all source brokers, by their ids.
pub struct FetchQueues {
    queues: Mutex<HashMap<BrokerId, Arc<FetchQueue>>>,
    /// What may be copied for moves, from all of them.
    budget: Mutex<MoveBudget>,
    /// Where a new queue is given to the task that connects it.
    created: mpsc::Sender<Arc<FetchQueue>>,
}

/// Source brokers that may be created before any task connects them; there are never more brokers than this.
const MAX_SOURCES: usize = 4096;

impl FetchQueues {
    /// No queues yet; the receiver gets each new one.
    pub fn new() -> (Self, mpsc::Receiver<Arc<FetchQueue>>) {
        let (created, receiver) = mpsc::channel(MAX_SOURCES);
        (Self { queues: Mutex::default(), budget: Mutex::default(), created }, receiver)
    }

    /// Tells `to` where a follower stands, as soon as its stream takes it.
    pub fn send(&self, to: BrokerId, partition: TopicPartition, position: FetchPosition) {
        let queue = Arc::clone(self.queues.lock().entry(to).or_insert_with(|| {
            let queue = Arc::new(FetchQueue { source: to, state: Mutex::default(), waker: AtomicWaker::new() });
            if self.created.try_send(Arc::clone(&queue)).is_err() {
                tracing::warn!(source = %to, "no fetcher for this broker: the broker stops, or there are too many brokers");
            }
            queue
        }));
        queue.put(partition, position);
    }
}

impl Turns for FetchQueues {
    fn take(&self, now: Millis, limit: NonZeroU64, expected: u64) -> Result<(), Millis> {
        self.budget.lock().take(now, limit, expected)
    }

    fn settle(&self, expected: u64, bytes: u64) {
        self.budget.lock().settle(expected, bytes);
    }
}

/// What waits for one source broker.
pub struct FetchQueue {
    source: BrokerId,
    state: Mutex<QueueState>,
    waker: AtomicWaker,
}

#[derive(Default)]
struct QueueState {
    requests: Requests,
    /// Counts the streams: one that has ended may still be polled for a moment, and must take nothing any more.
    stream: u64,
}

impl FetchQueue {
    /// The broker that leads.
    pub fn source(&self) -> BrokerId {
        self.source
    }

    fn put(&self, partition: TopicPartition, position: FetchPosition) {
        self.state.lock().requests.put(partition, position);
        self.waker.wake();
    }

    /// The leader answered a request of this leader epoch; see [`Requests::answered`].
    pub fn answered(&self, partition: TopicPartition, leader_epoch: LeaderEpoch) {
        self.state.lock().requests.answered(partition, leader_epoch);
    }

    /// Ends the stream, and gives the requests that have to be answered with a failure: see [`Requests::fail`].
    pub fn fail(&self) -> BTreeSet<(TopicPartition, LeaderEpoch)> {
        let mut state = self.state.lock();
        state.stream += 1;
        state.requests.fail()
    }

    /// A new stream: the one before takes nothing any more.
    pub fn open(self: &Arc<Self>) -> PositionStream {
        let mut state = self.state.lock();
        state.stream += 1;
        PositionStream { queue: Arc::clone(self), stream: state.stream }
    }

    /// Returns once something waits, and leaves it there.
    pub async fn filled(&self) {
        std::future::poll_fn(|context| {
            self.waker.register(context.waker());
            if self.state.lock().requests.is_empty() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }
}

/// Gives what waits, all together, whenever there is something. Ends when the queue was given a newer stream.
pub struct PositionStream {
    queue: Arc<FetchQueue>,
    stream: u64,
}

impl Stream for PositionStream {
    type Item = Vec<(TopicPartition, FetchPosition)>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.queue.state.lock();
        if state.stream != self.stream {
            return Poll::Ready(None);
        }
        // Under the lock: what is put after the look wakes this one, and no older stream takes the waker's place.
        self.queue.waker.register(context.waker());
        let positions = state.requests.take();
        if positions.is_empty() { Poll::Pending } else { Poll::Ready(Some(positions)) }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use holdfast_proto::ids::{Offset, PartitionEpoch, PartitionIndex, TopicId};

    use super::*;

    fn tp(partition: u32) -> TopicPartition {
        TopicPartition { topic_id: TopicId(uuid::Uuid::nil()), partition: PartitionIndex(partition) }
    }

    fn position(end: u64, wants_records: bool) -> FetchPosition {
        FetchPosition {
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(1),
            fetch_offset: Offset(end),
            flushed_offset: Offset(end),
            last_fetched_epoch: None,
            wants_records,
        }
    }

    #[test]
    fn positions_coalesce_and_broken_connections_fail_every_request_once() {
        let (queues, mut created) = FetchQueues::new();
        queues.send(BrokerId(2), tp(0), position(1, true));
        queues.send(BrokerId(2), tp(0), position(2, false));
        queues.send(BrokerId(2), tp(1), position(5, false));
        let queue = created.try_recv().unwrap();
        assert!(created.try_recv().is_err(), "one queue for one broker");
        let mut positions = queue.open();
        let taken = positions.next().now_or_never().flatten().unwrap();
        assert_eq!(taken, [(tp(0), position(2, true)), (tp(1), position(5, false))]);
        assert!(positions.next().now_or_never().is_none());
        queues.send(BrokerId(2), tp(1), position(6, true));
        queue.answered(tp(0), LeaderEpoch(0));
        assert_eq!(queue.fail(), BTreeSet::from([(tp(0), LeaderEpoch(1)), (tp(1), LeaderEpoch(1))]));
        assert!(queue.fail().is_empty());
        assert_eq!(positions.next().now_or_never(), Some(None), "the stream that broke takes nothing any more");
    }
}
