//! The bound on bytes that wait for the disk.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::Error;

/// What an operation takes up beside its bytes, so that many small ones are bounded too.
const OVERHEAD_BYTES: usize = 256;

/// Bytes in flight, of all partitions of a data folder.
#[derive(Debug)]
pub(super) struct Budget {
    in_flight: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { in_flight: AtomicUsize::new(0), limit })
    }

    /// Takes place unless that passes the limit. A single batch always has place, however large it is.
    pub(super) fn reserve(self: &Arc<Self>, bytes: usize) -> Result<Room, Error> {
        let room = self.reserve_always(bytes);
        let in_flight = self.in_flight();
        if in_flight > self.limit && in_flight > room.bytes {
            drop(room);
            return Err(Error::Overloaded { in_flight: self.in_flight(), limit: self.limit });
        }
        Ok(room)
    }

    pub(super) fn reserve_always(self: &Arc<Self>, bytes: usize) -> Room {
        let bytes = bytes.saturating_add(OVERHEAD_BYTES);
        self.in_flight.fetch_add(bytes, Ordering::Relaxed);
        Room { budget: Arc::clone(self), bytes }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
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
        self.budget.in_flight.fetch_sub(self.bytes, Ordering::Relaxed);
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
        let forced = budget.reserve_always(5000);
        drop((first, forced));
        assert_eq!(budget.in_flight(), 0);
        drop(budget.reserve(1 << 20).unwrap());
        assert_eq!(budget.in_flight(), 0);
    }
}
