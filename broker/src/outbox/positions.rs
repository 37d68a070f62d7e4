//! Positions of this broker's followers that wait to be told to one source broker.
//!
//! Invariants: (1) one entry a partition: a newer position replaces an older one, and an unanswered wish for records
//! stays a wish; (2) the queue knows which wishes were sent and not answered, so that each of them is answered with a
//! failure when the connection breaks: a follower never waits for an answer that cannot come.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
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

use super::MoveBudget;
use crate::partition::copying::Turns;

/// The queues of all source brokers, by their ids.
pub struct FetchQueues {
    queues: Mutex<HashMap<BrokerId, Arc<FetchQueue>>>,
    /// What may be copied for moves, from all of them.
    budget: Mutex<MoveBudget>,
    /// Where a new queue is given to whoever connects it.
    created: mpsc::Sender<Arc<FetchQueue>>,
}

/// Source brokers that may be created before anyone connects them; there are never more brokers than this.
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
    state: Mutex<State>,
    waker: AtomicWaker,
}

#[derive(Default)]
struct State {
    changed: BTreeMap<TopicPartition, FetchPosition>,
    /// Wishes for records that were sent and not answered.
    unanswered: BTreeMap<TopicPartition, LeaderEpoch>,
    /// Counts the streams: one that was given up may still be polled for a moment, and must take nothing any more.
    stream: u64,
}

impl FetchQueue {
    /// The broker that leads.
    pub fn source(&self) -> BrokerId {
        self.source
    }

    fn put(&self, partition: TopicPartition, position: FetchPosition) {
        {
            let mut state = self.state.lock();
            let entry = state.changed.entry(partition).or_insert(position);
            let wished = entry.wants_records && entry.leader_epoch == position.leader_epoch;
            *entry = position;
            entry.wants_records |= wished;
        }
        self.waker.wake();
    }

    /// A wish of this leader epoch was answered. A late answer to an older epoch's wish answers no newer one.
    pub fn answered(&self, partition: TopicPartition, leader_epoch: LeaderEpoch) {
        let mut state = self.state.lock();
        if state.unanswered.get(&partition) == Some(&leader_epoch) {
            state.unanswered.remove(&partition);
        }
    }

    /// The connection broke, or could not be made: every wish, sent or not, with the leader epoch it followed. Whoever
    /// takes them answers them with a failure.
    pub fn fail(&self) -> BTreeSet<(TopicPartition, LeaderEpoch)> {
        let mut state = self.state.lock();
        state.stream += 1;
        let sent = std::mem::take(&mut state.unanswered);
        let waiting = std::mem::take(&mut state.changed);
        let waiting = waiting.into_iter().filter(|(_, position)| position.wants_records);
        waiting.map(|(partition, position)| (partition, position.leader_epoch)).chain(sent).collect()
    }

    /// A new stream: the one before takes nothing any more.
    pub fn open(self: &Arc<Self>) -> Positions {
        let mut state = self.state.lock();
        state.stream += 1;
        Positions { queue: Arc::clone(self), stream: state.stream }
    }
}

/// Gives what waits, all together, whenever there is something. Ends when the queue was given a newer stream.
pub struct Positions {
    queue: Arc<FetchQueue>,
    stream: u64,
}

impl Stream for Positions {
    type Item = Vec<(TopicPartition, FetchPosition)>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.queue.state.lock();
        if state.stream != self.stream {
            return Poll::Ready(None);
        }
        // Under the lock: what is put after the look wakes this one, and no older stream takes the waker's place.
        self.queue.waker.register(context.waker());
        let changed: Vec<_> = std::mem::take(&mut state.changed).into_iter().collect();
        if changed.is_empty() {
            return Poll::Pending;
        }
        let wishes = changed.iter().filter(|(_, position)| position.wants_records);
        state.unanswered.extend(wishes.map(|(partition, position)| (*partition, position.leader_epoch)));
        Poll::Ready(Some(changed))
    }
}

impl FetchQueue {
    /// Returns once something waits, and leaves it there.
    pub async fn filled(&self) {
        std::future::poll_fn(|context| {
            self.waker.register(context.waker());
            if self.state.lock().changed.is_empty() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
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
    fn positions_melt_and_broken_connections_fail_every_wish_once() {
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
