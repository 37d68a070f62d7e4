//! Memory of requests that read, from when they are decoded until they are answered: they may wait for records, for an index
//! of the metadata, or for room for their answer. Clients decide how long they wait and how much they name, so that together
//! they have a bound.

use holdfast_node::incoming::Source;
use holdfast_proto::{detail::ErrorDetail, error::ErrorCode};

use super::shares::{Share, Shares, units};

/// The bound of a broker.
#[derive(Debug)]
pub struct Parked {
    memory: Shares,
    /// The option that sets it.
    option: &'static str,
}

impl Parked {
    /// At most so many bytes wait.
    pub fn new(bytes: usize, option: &'static str) -> Self {
        Self { memory: Shares::new(bytes), option }
    }

    /// Room for a request of so many bytes from there, held until its answer has room; half of all is enough for the largest.
    /// OVERLOADED if there is none for it.
    pub fn park(&self, source: Option<Source>, bytes: usize) -> Result<Share, ErrorDetail> {
        self.memory.take(source, units(bytes).min(self.memory.limit() / 2)).ok_or_else(|| {
            let option = self.option;
            let message =
                format!("too many requests wait on this broker ({option} bounds them); retry, or ask for less at once");
            ErrorDetail::new(ErrorCode::Overloaded, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_wait_within_a_bound_and_leave_room_when_they_go() {
        let parked = Parked::new(10 << 10, "an_option");
        let _largest = parked.park(None, 1 << 30).unwrap();
        let large = parked.park(None, 1 << 10).unwrap();
        assert_eq!(parked.park(None, 2 << 10).unwrap_err().code, ErrorCode::Overloaded, "three quarters are taken");
        drop(large);
        assert!(parked.park(None, 10).is_ok());
    }
}
