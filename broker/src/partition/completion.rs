//! What the log writer's threads report to a partition's actor: a slot, not a queue.
//!
//! A report must never be lost, a writer thread must never wait for an actor, and a mailbox may be full. So reports do
//! not go through the mailbox: each partition has one slot, in which flushes of one generation coalesce into the latest,
//! and a waker that wakes the actor once for all of them. The actor empties the slot when it is woken and also before
//! each message, so a busy mailbox delays no report. The slot is bounded: between two truncations there is at most one
//! flush, and the core has at most one truncation outstanding.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures::{Stream, task::AtomicWaker};
use parking_lot::Mutex;

use holdfast_log::Completion;

/// The slot of one partition.
#[derive(Default)]
pub struct CompletionSlot {
    /// True while `reports` is not empty: looked at before each message, without the lock.
    filled: AtomicBool,
    reports: Mutex<VecDeque<Completion>>,
    waker: AtomicWaker,
}

impl CompletionSlot {
    /// Puts a report in. Called on a writer's thread; does not block.
    pub fn put(&self, completion: Completion) {
        {
            let mut reports = self.reports.lock();
            match (reports.back_mut(), &completion) {
                (
                    Some(Completion::Flushed { generation: last, offset: end }),
                    Completion::Flushed { generation, offset },
                ) if last == generation => *end = *offset,
                _ => reports.push_back(completion),
            }
            self.filled.store(true, Ordering::Release);
        }
        self.waker.wake();
    }

    /// Takes the oldest report out.
    pub fn take(&self) -> Option<Completion> {
        if !self.filled.load(Ordering::Acquire) {
            return None;
        }
        let mut reports = self.reports.lock();
        let first = reports.pop_front();
        self.filled.store(!reports.is_empty(), Ordering::Release);
        first
    }
}

/// Gives an item whenever the slot was filled. Never ends.
pub struct Filled(pub Arc<CompletionSlot>);

impl Stream for Filled {
    type Item = ();

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<()>> {
        self.0.waker.register(context.waker());
        // Looked at after the waker is in place, so that no filling slips between.
        if self.0.filled.load(Ordering::Acquire) { Poll::Ready(Some(())) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ids::Offset;
    use holdfast_replication::LogGeneration;

    use super::*;

    fn flushed(generation: u64, offset: u64) -> Completion {
        Completion::Flushed { generation: LogGeneration(generation), offset: Offset(offset) }
    }

    #[test]
    fn flushes_of_one_generation_coalesce_and_order_is_kept() {
        let slot = CompletionSlot::default();
        for report in [flushed(1, 5), flushed(1, 9), flushed(2, 3), Completion::Closed] {
            slot.put(report);
        }
        let mut seen = Vec::new();
        while let Some(report) = slot.take() {
            seen.push(match report {
                Completion::Flushed { generation, offset } => (generation.0, offset.0),
                _ => (0, 0),
            });
        }
        assert_eq!(seen, [(1, 9), (2, 3), (0, 0)]);
        assert!(slot.take().is_none());
    }

    #[test]
    fn a_filling_wakes_the_stream() {
        let slot = Arc::new(CompletionSlot::default());
        let mut stream = tokio_test_poll(Filled(Arc::clone(&slot)));
        assert!(stream().is_pending());
        slot.put(flushed(1, 1));
        assert!(stream().is_ready());
        slot.take();
        assert!(stream().is_pending());
    }

    fn tokio_test_poll(mut stream: Filled) -> impl FnMut() -> Poll<Option<()>> {
        move || Pin::new(&mut stream).poll_next(&mut Context::from_waker(futures::task::noop_waker_ref()))
    }
}
