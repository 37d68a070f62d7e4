//! The stream of requests to one broker, polled by the connection itself.
//!
//! There is no queue of built batches: the connection asks for the next request when it has room to send, and only then
//! a batch is closed and built. So batches grow while the network is the bottleneck, and a record is at most one
//! wake-up away from the connection.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use futures::{Stream, task::AtomicWaker};
use tokio::time::Sleep;
use tracing::error;

use holdfast_proto::v1;

use super::{
    batch_queue::Next,
    partition::{PartitionLane, PartitionQueue},
    renewal,
    shared::Shared,
};

/// Requests for one broker. Ends when its lane serves another stream.
#[derive(Debug)]
pub(crate) struct Outbound {
    lane: Arc<PartitionLane>,
    shared: Arc<Shared>,
    waker: Arc<AtomicWaker>,
    generation: u64,
    over: bool,
    timers: Timers,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Outbound {
    pub(crate) fn new(lane: Arc<PartitionLane>, shared: Arc<Shared>) -> Self {
        let (generation, waker) = lane.new_stream();
        Self { lane, shared, waker, generation, over: false, timers: Timers::default(), sleep: None }
    }

    /// The next request that is due, if any.
    fn next_request(&mut self, now: Instant) -> Option<v1::ProduceRequest> {
        while !self.over
            && let Some(partition) = self.timers.pop_due(now).or_else(|| self.lane.pop_ready())
        {
            if self.lane.generation() != self.generation {
                self.lane.push_ready(partition); // for the stream that came after this one
                self.over = true;
            } else if let Some(request) = self.ask(&partition, now) {
                return Some(request);
            }
        }
        None
    }

    /// Asks one partition for its next batch.
    fn ask(&mut self, partition: &Arc<PartitionQueue>, now: Instant) -> Option<v1::ProduceRequest> {
        let correlation = self.shared.next_correlation();
        let identity = self.shared.identity.get();
        let (next, leader_epoch) = partition
            .serve(&self.lane, |queue, leader_epoch| (queue.next_to_send(now, correlation, identity), leader_epoch))?;
        let job = match next {
            Next::Send(job) => job,
            Next::WaitUntil(at) => {
                self.timers.set(at, partition);
                return None;
            }
            Next::NeedIdentity(stale) => {
                if !renewal::need_new(&self.shared, stale) {
                    partition.update(&self.shared.outcomes, |_| ()); // there is one already: ask again
                }
                return None;
            }
            Next::Idle => return None,
        };
        let registered = !self.shared.rules.answered || self.lane.register(self.generation, correlation, partition);
        let (flight, stamp) = (job.flight, job.stamp);
        let built = job.build();
        if let Err(error) = &built {
            error!(topic = %partition.topic, partition = %partition.partition, %error, "a batch could not be built");
        }
        let batch = built.as_ref().ok().cloned();
        let result = built.map(|bytes| (bytes, stamp)).map_err(|error| error.code());
        partition.update(&self.shared.outcomes, |queue| {
            queue.built(flight, result);
            if !registered {
                queue.unsent(correlation);
            }
        });
        if !registered {
            self.over = true; // the stream that came after this one sends it
            return None;
        }
        Some(v1::ProduceRequest {
            correlation_id: correlation,
            topic: partition.topic.to_string(),
            topic_id: partition.topic_id.clone(),
            partition: partition.partition.0,
            leader_epoch: leader_epoch.map(|epoch| epoch.0),
            acks: self.shared.acks.to_message().into(),
            timeout_ms: u32::try_from(self.shared.request_timeout.as_millis()).unwrap_or(u32::MAX),
            batch: batch?,
        })
    }

    /// Sets the alarm for the next timer; true if it is due already.
    fn is_timer_due(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(at) = self.timers.next() else {
            self.sleep = None;
            return false;
        };
        let at = tokio::time::Instant::from_std(at);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx).is_ready()
    }
}

impl Stream for Outbound {
    type Item = v1::ProduceRequest;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.waker.register(cx.waker());
        if self.shared.ended.is_cancelled() || self.lane.generation() != self.generation {
            return Poll::Ready(None);
        }
        if !self.lane.is_open() {
            return Poll::Pending; // the broker has not opened the stream: nothing may be in doubt because of it
        }
        loop {
            if let Some(request) = self.next_request(Instant::now()) {
                return Poll::Ready(Some(request));
            }
            if self.over {
                return Poll::Ready(None);
            }
            if !self.is_timer_due(cx) {
                return Poll::Pending;
            }
        }
    }
}

/// When to ask partitions again; at most one time for each.
#[derive(Debug, Default)]
struct Timers {
    by_time: BTreeMap<(Instant, usize), Arc<PartitionQueue>>,
    times: HashMap<usize, Instant>,
}

impl Timers {
    fn set(&mut self, at: Instant, partition: &Arc<PartitionQueue>) {
        let id = Arc::as_ptr(partition) as usize; // unique while the map holds the queue
        if let Some(old) = self.times.insert(id, at) {
            self.by_time.remove(&(old, id));
        }
        self.by_time.insert((at, id), Arc::clone(partition));
    }

    fn pop_due(&mut self, now: Instant) -> Option<Arc<PartitionQueue>> {
        let entry = self.by_time.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((_, id), partition) = entry.remove_entry();
        self.times.remove(&id);
        Some(partition)
    }

    fn next(&self) -> Option<Instant> {
        self.by_time.first_key_value().map(|((at, _), _)| *at)
    }
}
