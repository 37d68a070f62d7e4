//! The bounds on bytes that wait for the disk: one for what producers send, one for what followers fetch, so that a
//! replica that catches up takes no room from the partitions that this broker leads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use crate::Error;

/// What an operation takes up beside its bytes, so that many small ones are bounded too.
const OVERHEAD_BYTES: usize = 256;

/// Bytes in flight of one kind, of all partitions of a data folder.
#[derive(Debug)]
pub(super) struct Budget {
    in_flight: AtomicUsize,
    limit: usize,
    /// Who waits for room.
    waiting: Mutex<Vec<Waker>>,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { in_flight: AtomicUsize::new(0), limit, waiting: Mutex::default() })
    }

    /// Takes place unless that passes the limit. A single batch always has place, however large it is.
    pub(super) fn reserve(self: &Arc<Self>, bytes: usize) -> Result<Room, Error> {
        let room = self.take(bytes);
        let in_flight = self.in_flight();
        if in_flight > self.limit && in_flight > room.bytes {
            drop(room);
            return Err(Error::Overloaded { in_flight: self.in_flight(), limit: self.limit });
        }
        Ok(room)
    }

    /// Takes place once less than the limit is in flight: what comes last may pass it. Else the waker is noted.
    pub(super) fn poll(self: &Arc<Self>, context: &Context<'_>, bytes: usize) -> Poll<Room> {
        let mut waiting = self.waiting.lock();
        // Under the lock: what is given back after this look wakes who is noted here.
        if self.in_flight() < self.limit {
            return Poll::Ready(self.take(bytes));
        }
        if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            waiting.push(context.waker().clone());
        }
        Poll::Pending
    }

    fn take(self: &Arc<Self>, bytes: usize) -> Room {
        let bytes = bytes.saturating_add(OVERHEAD_BYTES);
        self.in_flight.fetch_add(bytes, Ordering::AcqRel);
        Room { budget: Arc::clone(self), bytes }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }
}

/// A place among the bytes in flight; given back when dropped.
#[derive(Debug)]
pub struct Room {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        let before = self.budget.in_flight.fetch_sub(self.bytes, Ordering::AcqRel);
        if before >= self.budget.limit && before - self.bytes < self.budget.limit {
            let waiting = std::mem::take(&mut *self.budget.waiting.lock());
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_bounded_and_given_back() {
        let budget = Budget::new(1000);
        let first = budget.reserve(500).unwrap();
        assert!(matches!(budget.reserve(400), Err(Error::Overloaded { in_flight: 756, limit: 1000 })));
        drop(first);
        assert_eq!(budget.in_flight(), 0);
        drop(budget.reserve(1 << 20).unwrap());
        assert_eq!(budget.in_flight(), 0);
    }

    #[test]
    fn who_waits_gets_room_as_soon_as_less_than_the_limit_is_in_flight() {
        let budget = Budget::new(1000);
        let context = Context::from_waker(Waker::noop());
        let ready = |poll| match poll {
            Poll::Ready(room) => Some(room),
            Poll::Pending => None,
        };
        let large = ready(budget.poll(&context, 5000)).expect("the first always has place");
        assert!(ready(budget.poll(&context, 1)).is_none());
        assert!(ready(budget.poll(&context, 1)).is_none());
        assert_eq!(budget.waiting.lock().len(), 1, "each waits once");
        drop(large);
        assert!(budget.waiting.lock().is_empty(), "it was woken");
        assert!(ready(budget.poll(&context, 1)).is_some());
        assert_eq!(budget.in_flight(), 0);
    }
}
