//! Positions of this broker's followers that wait to be told to the brokers that lead them, by source broker.
//!
//! What is told and what has to be answered, [`Requests`] decides. What comes in wakes the stream to that broker; the stream
//! of a connection that broke takes nothing any more.

use std::{
    collections::{BTreeSet, HashMap},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{Stream, task::AtomicWaker};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use holdfast_proto::ids::{BrokerId, LeaderEpoch, TopicPartition};
use holdfast_replication::FetchPosition;

use super::requests::Requests;

/// What waits for all source brokers, by their ids.
pub struct Positions {
    sources: Mutex<HashMap<BrokerId, Arc<SourcePositions>>>,
    /// Where a source that is first named is given to the task that connects to it.
    created: mpsc::Sender<Arc<SourcePositions>>,
}

/// Source brokers that may be created before any task connects them; there are never more brokers than this.
const MAX_SOURCES: usize = 4096;

impl Positions {
    /// Nothing waits yet; the receiver gets each source that is first named.
    pub fn new() -> (Self, mpsc::Receiver<Arc<SourcePositions>>) {
        let (created, receiver) = mpsc::channel(MAX_SOURCES);
        (Self { sources: Mutex::default(), created }, receiver)
    }

    /// Tells `to` where a follower stands, as soon as its stream takes it.
    pub fn send(&self, to: BrokerId, partition: TopicPartition, position: FetchPosition) {
        let source = Arc::clone(self.sources.lock().entry(to).or_insert_with(|| {
            let source = Arc::new(SourcePositions { source: to, state: Mutex::default(), waker: AtomicWaker::new() });
            if self.created.try_send(Arc::clone(&source)).is_err() {
                tracing::warn!(source = %to, "no fetcher for this broker: the broker stops, or there are too many brokers");
            }
            source
        }));
        source.put(partition, position);
    }
}

/// What waits for one source broker.
pub struct SourcePositions {
    source: BrokerId,
    state: Mutex<SourceState>,
    waker: AtomicWaker,
}

#[derive(Default)]
struct SourceState {
    requests: Requests,
    /// Counts the streams: one that has ended may still be polled for a moment, and must take nothing any more.
    stream: u64,
}

impl SourcePositions {
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
        PositionStream { source: Arc::clone(self), stream: state.stream }
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

/// Gives what waits, all together, whenever there is something. Ends when a newer stream was opened.
pub struct PositionStream {
    source: Arc<SourcePositions>,
    stream: u64,
}

impl Stream for PositionStream {
    type Item = Vec<(TopicPartition, FetchPosition)>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.source.state.lock();
        if state.stream != self.stream {
            return Poll::Ready(None);
        }
        // Under the lock: what is put after the look wakes this one, and no older stream takes the waker's place.
        self.source.waker.register(context.waker());
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
            log_start_offset: Some(Offset(0)),
            wants_records,
        }
    }

    #[test]
    fn positions_coalesce_and_broken_connections_fail_every_request_once() {
        let (positions, mut created) = Positions::new();
        positions.send(BrokerId(2), tp(0), position(1, true));
        positions.send(BrokerId(2), tp(0), position(2, false));
        positions.send(BrokerId(2), tp(1), position(5, false));
        let source = created.try_recv().unwrap();
        assert!(created.try_recv().is_err(), "each source is given once");
        let mut stream = source.open();
        let taken = stream.next().now_or_never().flatten().unwrap();
        assert_eq!(taken, [(tp(0), position(2, true)), (tp(1), position(5, false))]);
        assert!(stream.next().now_or_never().is_none());
        positions.send(BrokerId(2), tp(1), position(6, true));
        source.answered(tp(0), LeaderEpoch(0));
        assert_eq!(source.fail(), BTreeSet::from([(tp(0), LeaderEpoch(1)), (tp(1), LeaderEpoch(1))]));
        assert!(source.fail().is_empty());
        assert_eq!(stream.next().now_or_never(), Some(None), "the stream that broke takes nothing any more");
    }
}
