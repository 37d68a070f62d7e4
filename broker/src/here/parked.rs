//! Memory of requests that wait for something to happen: for records, or for an index of the metadata. Clients decide how
//! long they wait and how much they name, so that together they have a bound.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use holdfast_proto::{detail::ErrorDetail, error::ErrorCode};

/// What one permit stands for, bytes.
const UNIT_BYTES: usize = 1024;

/// A stream has a few dozen requests at a time; smaller ones than this count only while they wait.
const LARGE_BYTES: usize = 16 * 1024;

/// The bound of a broker.
#[derive(Debug)]
pub struct Parked(Arc<Semaphore>);

impl Parked {
    /// At most so many bytes wait.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / UNIT_BYTES)))
    }

    /// As [`Self::park`] for a request that takes up much even if it waits for nothing; none for a small one.
    pub fn park_large(&self, bytes: usize) -> Result<Option<OwnedSemaphorePermit>, ErrorDetail> {
        if bytes <= LARGE_BYTES { Ok(None) } else { self.park(bytes).map(Some) }
    }

    /// Room for a request of so many bytes, held while it waits. OVERLOADED if there is none.
    pub fn park(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ErrorDetail> {
        let units = u32::try_from(bytes / UNIT_BYTES + 1).unwrap_or(u32::MAX);
        Arc::clone(&self.0).try_acquire_many_owned(units).map_err(|_full| {
            let message = "too many requests wait on this broker (fetch_memory_bytes bounds them); retry, or ask for less \
                           at once";
            ErrorDetail::new(ErrorCode::Overloaded, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_wait_within_a_bound_and_leave_room_when_they_go() {
        let parked = Parked::new(10 * UNIT_BYTES);
        let large = parked.park(8 * UNIT_BYTES).unwrap();
        let _small = parked.park(10).unwrap();
        assert_eq!(parked.park(10).unwrap_err().code, ErrorCode::Overloaded);
        drop(large);
        assert!(parked.park(8 * UNIT_BYTES).is_ok());
    }
}
