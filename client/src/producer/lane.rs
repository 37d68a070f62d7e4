//! The way to one broker: its list of ready partitions, its stream, and the task that keeps it open.
//!
//! Invariants:
//! 1. At most one stream is served at a time: each has a generation, and one of an older generation gets no batch.
//! 2. A batch goes into a stream only after the broker has opened it. So a batch is never in doubt because of a broker
//!    that was not there.
//! 3. When a stream ends, every batch that was out on it is given up in the same moment and sent again.
//!
//! Failure: a stream that ends or does not open is opened again after a pause with jitter; the address is looked up
//! anew each time, and fresh metadata is asked for, since the leader may be another by now.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::{debug, warn};

use holdfast_proto::{
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{BrokerId, LeaderEpoch, Offset},
    v1,
};

use super::{batch_queue::Ack, outbound::Outbound, partition::PartitionQueue, shared::Shared};
use crate::{
    connection::{self, from_status},
    error::Error,
    retry::Backoff,
};

/// Longest time that a broker may take to open a stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// The way to one broker.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) broker: BrokerId,
    ready: Mutex<VecDeque<Arc<PartitionQueue>>>,
    /// Wakes the stream that takes batches out.
    outbound: ArcSwap<AtomicWaker>,
    /// Tells the task that there is something to send.
    work: Notify,
    /// Tells the task to give its stream up.
    reset: Notify,
    open: AtomicBool,
    failing: AtomicBool,
    out: Mutex<Out>,
}

/// What is out on the stream.
#[derive(Debug, Default)]
struct Out {
    generation: u64,
    by_correlation: HashMap<u64, Arc<PartitionQueue>>,
}

impl Lane {
    /// The lane and its task, which ends with the producer.
    pub(crate) fn start(shared: &Arc<Shared>, broker: BrokerId) -> Arc<Self> {
        let lane = Arc::new(Self {
            broker,
            ready: Mutex::default(),
            outbound: ArcSwap::default(),
            work: Notify::new(),
            reset: Notify::new(),
            open: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            out: Mutex::default(),
        });
        let (task, ended) = (Arc::clone(&lane), shared.ended.clone());
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            ended.run_until_cancelled(task.run(&shared)).await;
            task.ready.lock().clear();
            task.out.lock().by_correlation.clear();
        });
        lane
    }

    /// Adds a partition that has something to send.
    pub(crate) fn push_ready(&self, partition: Arc<PartitionQueue>) {
        self.ready.lock().push_back(partition);
        if self.is_open() {
            self.outbound.load().wake();
        } else {
            self.work.notify_one();
        }
    }

    pub(super) fn pop_ready(&self) -> Option<Arc<PartitionQueue>> {
        self.ready.lock().pop_front()
    }

    /// True while a stream is open.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// False while the last attempt to reach the broker failed.
    pub(crate) fn is_usable(&self) -> bool {
        !self.failing.load(Ordering::Relaxed)
    }

    /// Gives the stream up: the broker is silent.
    pub(crate) fn reset(&self) {
        self.reset.notify_one();
    }

    /// Notes an attempt; false if the stream of this generation is over.
    pub(super) fn register(&self, generation: u64, correlation: u64, partition: &Arc<PartitionQueue>) -> bool {
        let mut out = self.out.lock();
        if out.generation != generation {
            return false;
        }
        out.by_correlation.insert(correlation, Arc::clone(partition));
        true
    }

    pub(super) fn generation(&self) -> u64 {
        self.out.lock().generation
    }

    /// Number of the stream that begins now, and what wakes it.
    pub(super) fn new_stream(&self) -> (u64, Arc<AtomicWaker>) {
        let waker = Arc::new(AtomicWaker::new());
        self.outbound.store(Arc::clone(&waker));
        (self.generation(), waker)
    }

    async fn run(self: &Arc<Self>, shared: &Arc<Shared>) {
        let config = shared.client.config();
        let mut backoff = Backoff::new(config.retry_backoff, config.retry_backoff_max);
        loop {
            while !self.has_work() {
                self.work.notified().await;
            }
            match self.stream(shared).await {
                Ok(()) => debug!(broker = %self.broker, "produce stream was closed"),
                Err(error) if self.is_usable() => warn!(broker = %self.broker, %error, "produce stream failed"),
                Err(error) => debug!(broker = %self.broker, %error, "produce stream failed again"),
            }
            let was_open = self.open.swap(false, Ordering::AcqRel);
            self.give_up_all(shared);
            shared.client.metadata().request_refresh();
            self.failing.store(true, Ordering::Relaxed);
            if was_open {
                backoff.reset();
            } else {
                for partition in self.ready.lock().iter() {
                    partition.block(ErrorCode::BrokerNotAvailable);
                }
            }
            tokio::time::sleep(backoff.next_pause()).await;
        }
    }

    /// True if a partition that this broker leads waits to be sent. Those that moved on are served elsewhere.
    fn has_work(self: &Arc<Self>) -> bool {
        let mut ready = self.ready.lock();
        ready.retain(|partition| partition.lane().is_some_and(|lane| Arc::ptr_eq(&lane, self)));
        !ready.is_empty()
    }

    /// Ends the generation, and with it every attempt that is out.
    fn give_up_all(self: &Arc<Self>, shared: &Shared) {
        {
            let mut out = self.out.lock();
            out.generation += 1;
            out.by_correlation.clear();
        }
        let now = Instant::now();
        for partition in shared.partitions() {
            if partition.lane().is_some_and(|lane| Arc::ptr_eq(&lane, self)) {
                partition.update(shared, |queue| queue.abandon(now));
            }
        }
    }

    /// One stream from its opening to its end.
    async fn stream(self: &Arc<Self>, shared: &Arc<Shared>) -> Result<(), Error> {
        let view = shared.client.metadata().view();
        let address = view.address(self.broker).ok_or_else(|| Error::Unreachable {
            tried: 0,
            last: format!("the address of broker {} is not known", self.broker),
        })?;
        let lane = connection::Lane::Produce;
        let mut client = shared.client.connections().producer(address, lane)?;
        let outbound = Outbound::new(Arc::clone(self), Arc::clone(shared));
        let opening = tokio::time::timeout(OPEN_TIMEOUT, client.produce(outbound));
        let mut answers = match opening.await {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return Err(from_status(address, &status)),
            Err(_) => {
                shared.client.connections().discard(address, lane);
                let what = format!("opening a produce stream to {address}");
                return Err(Error::DeadlineExceeded { what, after: OPEN_TIMEOUT, in_doubt: false });
            }
        };
        debug!(broker = %self.broker, address, "produce stream is open");
        self.open.store(true, Ordering::Release);
        self.failing.store(false, Ordering::Relaxed);
        self.outbound.load().wake();
        loop {
            let answer = tokio::select! {
                answer = answers.message() => answer,
                () = self.reset.notified() => {
                    shared.client.connections().discard(address, lane);
                    let what = format!("an answer of {address}");
                    return Err(Error::DeadlineExceeded { what, after: shared.request_timeout, in_doubt: true });
                }
            };
            match answer {
                Ok(Some(answer)) => self.take_answer(shared, answer),
                Ok(None) => return Ok(()),
                Err(status) => return Err(from_status(address, &status)),
            }
        }
    }

    fn take_answer(&self, shared: &Shared, answer: v1::ProduceResponse) {
        let Some(partition) = self.out.lock().by_correlation.remove(&answer.correlation_id) else {
            debug!(correlation_id = answer.correlation_id, "an answer to nothing that is out");
            return;
        };
        let result = match answer.error {
            None => Ok(Ack {
                base_offset: Some(Offset(answer.base_offset)),
                leader_epoch: Some(LeaderEpoch(answer.leader_epoch)),
            }),
            Some(error) => {
                debug!(topic = %partition.topic, partition = %partition.partition, name = error.name, "produce refused");
                if let Some(hint) = &error.leader {
                    shared.client.metadata().apply_hint(&partition.topic, partition.partition, hint);
                }
                Err(ErrorDetail::from(error))
            }
        };
        let now = Instant::now();
        let reaction = partition.update(shared, |queue| queue.answer(answer.correlation_id, result, now));
        if reaction.refresh {
            shared.client.metadata().request_refresh();
        }
    }
}
