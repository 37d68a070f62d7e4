//! The way to one broker: its list of queues that are ready, and what is out on its stream.
//!
//! Place: [`super::partition`] puts itself on the list, [`super::outbound`] takes it off, and [`super::lane_task`] keeps
//! the stream open.
//!
//! Invariant: at most one stream is served at a time. Each has a generation, and one of an older generation gets no
//! batch.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;

use holdfast_proto::ids::BrokerId;

use crate::stream_end::StreamEnd;

/// The way to one broker, for queues of this type.
#[derive(Debug)]
pub(crate) struct Lane<Q> {
    pub(crate) broker: BrokerId,
    ready: Mutex<VecDeque<Arc<Q>>>,
    /// Wakes the stream that takes batches out.
    outbound: ArcSwap<AtomicWaker>,
    /// Tells the task that there is something to send.
    work: Notify,
    pub(crate) end: StreamEnd,
    open: AtomicBool,
    failing: AtomicBool,
    out: Mutex<Out<Q>>,
}

/// What is out on the stream.
#[derive(Debug)]
struct Out<Q> {
    generation: u64,
    by_correlation: HashMap<u64, Arc<Q>>,
}

impl<Q> Lane<Q> {
    /// Closed, with nothing to send.
    pub(super) fn new(broker: BrokerId) -> Self {
        Self {
            broker,
            ready: Mutex::default(),
            outbound: ArcSwap::default(),
            work: Notify::new(),
            end: StreamEnd::default(),
            open: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            out: Mutex::new(Out { generation: 0, by_correlation: HashMap::new() }),
        }
    }

    /// Adds a partition that has something to send.
    pub(crate) fn push_ready(&self, partition: Arc<Q>) {
        self.ready.lock().push_back(partition);
        if self.is_open() {
            self.outbound.load().wake();
        } else {
            self.work.notify_one();
        }
    }

    /// Takes the queue off the list that has waited longest.
    pub(super) fn pop_ready(&self) -> Option<Arc<Q>> {
        self.ready.lock().pop_front()
    }

    /// True while a stream is open.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// False from a stream that broke, or did not open, until one opens: the task tries again as long as the broker leads
    /// a partition, also without work.
    pub(crate) fn is_usable(&self) -> bool {
        !self.failing.load(Ordering::Relaxed)
    }

    /// Notes an attempt; false if the stream of this generation is over.
    pub(super) fn register(&self, generation: u64, correlation: u64, partition: &Arc<Q>) -> bool {
        let mut out = self.out.lock();
        if out.generation != generation {
            return false;
        }
        out.by_correlation.insert(correlation, Arc::clone(partition));
        true
    }

    /// Number of the stream that is served.
    pub(super) fn generation(&self) -> u64 {
        self.out.lock().generation
    }

    /// Number of the stream that begins now, and what wakes it.
    pub(super) fn new_stream(&self) -> (u64, Arc<AtomicWaker>) {
        let waker = Arc::new(AtomicWaker::new());
        self.outbound.store(Arc::clone(&waker));
        (self.generation(), waker)
    }

    /// Takes queues off the list that are not to be kept; true if any is left.
    pub(super) fn retain_ready(&self, keep: impl FnMut(&Arc<Q>) -> bool) -> bool {
        let mut ready = self.ready.lock();
        ready.retain(keep);
        !ready.is_empty()
    }

    /// Does something with every queue on the list.
    pub(super) fn for_each_ready(&self, act: impl FnMut(&Arc<Q>)) {
        self.ready.lock().iter().for_each(act);
    }

    /// Waits until there may be something to send.
    pub(super) async fn woken(&self) {
        self.work.notified().await;
    }

    /// The broker has opened the stream: what is ready may be sent.
    pub(super) fn open(&self) {
        self.open.store(true, Ordering::Release);
        self.failing.store(false, Ordering::Relaxed);
        self.outbound.load().wake();
    }

    /// The stream is over.
    pub(super) fn close(&self) {
        self.open.store(false, Ordering::Release);
    }

    /// The last attempt to reach the broker failed, or it is not known any more that it did.
    pub(super) fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    /// Ends the stream's generation: nothing is out any more.
    pub(super) fn end_generation(&self) {
        let mut out = self.out.lock();
        out.generation += 1;
        out.by_correlation.clear();
    }

    /// The queue whose attempt is answered, if it is out.
    pub(super) fn take_out(&self, correlation: u64) -> Option<Arc<Q>> {
        self.out.lock().by_correlation.remove(&correlation)
    }

    /// Lets go of all queues: the producer has ended.
    pub(super) fn clear(&self) {
        self.ready.lock().clear();
        self.out.lock().by_correlation.clear();
    }
}
