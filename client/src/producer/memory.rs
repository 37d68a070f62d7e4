//! The bound on memory for records that are not complete.
//!
//! Callers that find no room wait in the order in which they came; nothing is dropped to make room.

use std::time::Duration;

use tokio::sync::Semaphore;

use super::Error;

/// Bytes that records may take up together.
#[derive(Debug)]
pub(crate) struct Memory {
    capacity: usize,
    free: Semaphore,
}

impl Memory {
    /// Room for so many bytes, or for as many as a semaphore counts: more than there ever are.
    pub(crate) const fn new(capacity: usize) -> Self {
        let capacity = if capacity > Semaphore::MAX_PERMITS { Semaphore::MAX_PERMITS } else { capacity };
        Self { capacity, free: Semaphore::const_new(capacity) }
    }

    /// Takes room if there is some at once.
    #[inline]
    pub(crate) fn try_reserve(&self, bytes: usize) -> bool {
        let Ok(bytes) = u32::try_from(bytes) else { return false };
        self.free.try_acquire_many(bytes).map(tokio::sync::SemaphorePermit::forget).is_ok()
    }

    /// Waits for room up to `max_block`.
    pub(crate) async fn reserve(&self, bytes: usize, max_block: Duration) -> Result<(), Error> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        match tokio::time::timeout(max_block, self.free.acquire_many(permits)).await {
            Ok(Ok(permit)) => {
                permit.forget();
                Ok(())
            }
            Ok(Err(_closed)) => Err(Error::Closed),
            Err(_) => Err(Error::BufferFull { needed: bytes, capacity: self.capacity, waited: max_block }),
        }
    }

    /// Gives back what [`Self::try_reserve`] or [`Self::reserve`] took, once the record has ended.
    pub(crate) fn release(&self, bytes: usize) {
        self.free.add_permits(bytes);
    }

    /// True once there is room for nobody any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.free.is_closed()
    }

    /// Turns away who waits, and who comes.
    pub(crate) fn close(&self) {
        self.free.close();
    }

    /// Bytes that all records together may take up.
    pub(crate) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes that are reserved now.
    pub(crate) fn used(&self) -> usize {
        self.capacity - self.free.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_counted_however_much_may_be() {
        for capacity in [100, usize::MAX] {
            let memory = Memory::new(capacity);
            assert!(memory.try_reserve(10));
            assert_eq!(memory.used(), 10, "of {capacity}");
            memory.release(10);
            assert_eq!(memory.used(), 0, "of {capacity}");
        }
    }
}
