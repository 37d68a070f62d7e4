//! How many changes of the metadata may be in flight, and how large, so that no party takes the places of another.
//!
//! ```text
//!   the controller itself   fencing, unfencing, leaders given back     a place for each broker, and some
//!   brokers                 registrations, ISR changes, producer ids   three quarters of `max_proposals`
//!   operators               topics, moves, drains                      a quarter of it
//! ```
//!
//! A flood of one kind fills its own places alone: however many topics are asked for, a dead broker is fenced, and a leader
//! can shrink its ISR. Who finds no place is told OVERLOADED; nobody waits.
//!
//! A change has its place until the consensus is done with it. Who proposed it may have given up long before.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};

use holdfast_metadata::limits::MAX_BROKERS;
use holdfast_proto::{detail::ErrorDetail, error::ErrorCode};

/// Places of the controller's own: it proposes one change a broker at a time, and few more.
const OWN_PLACES: usize = MAX_BROKERS + 8;
/// Bytes of changes that each of the two others may have in flight: several of the largest.
const BYTES: usize = 32 << 20;

/// Who wants a change of the metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proposer {
    /// This controller: the rules of the sessions, and its duties.
    Controller,
    /// A registered broker, or one that registers.
    Broker,
    /// An operator or a client, through anybody.
    Operator,
}

/// The places. See the module.
pub(crate) struct Admission {
    controller: Share,
    brokers: Share,
    operators: Share,
}

/// What one kind of proposer may have in flight.
struct Share {
    places: Arc<Semaphore>,
    /// One permit a byte.
    bytes: Arc<Semaphore>,
    limit: usize,
}

/// A place, until it is dropped.
pub(crate) struct Place {
    _place: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl Place {
    /// Starts what needs the place. It runs to its end and has the place until then, whether or not somebody waits for it.
    pub(crate) fn during<T: Send + 'static>(self, change: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        tokio::spawn(async move {
            let done = change.await;
            drop(self);
            done
        })
    }
}

impl Admission {
    /// `max_proposals` are the places of brokers and operators together, at least 2.
    pub(crate) fn new(max_proposals: usize) -> Self {
        let operators = (max_proposals / 4).max(1);
        Self {
            controller: Share::new(OWN_PLACES),
            brokers: Share::new(max_proposals - operators),
            operators: Share::new(operators),
        }
    }

    /// A place for a change of so many bytes, or OVERLOADED.
    pub(crate) fn enter(&self, proposer: Proposer, bytes: usize) -> Result<Place, ErrorDetail> {
        match proposer {
            Proposer::Controller => self.controller.enter("of this controller's own", bytes),
            Proposer::Broker => self.brokers.enter("of brokers", bytes),
            Proposer::Operator => self.operators.enter("of operators", bytes),
        }
    }
}

impl Share {
    fn new(limit: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(limit)), bytes: Arc::new(Semaphore::new(BYTES)), limit }
    }

    fn enter(&self, whose: &str, bytes: usize) -> Result<Place, ErrorDetail> {
        let overloaded = |most: String| {
            let message = format!("as many changes {whose} are in flight as there may be, {most}; retry later");
            ErrorDetail::new(ErrorCode::Overloaded, message)
        };
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let place = Arc::clone(&self.places).try_acquire_owned();
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(permits);
        Ok(Place {
            _place: place.map_err(|_| overloaded(self.limit.to_string()))?,
            _bytes: bytes.map_err(|_| overloaded(format!("{BYTES} bytes")))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_party_takes_the_places_of_another() {
        let admission = Admission::new(8);
        let full = |proposer, places: usize| {
            let taken: Vec<_> = (0..places).map(|_| admission.enter(proposer, 100).expect("a place")).collect();
            assert_eq!(admission.enter(proposer, 100).err().expect("full").code, ErrorCode::Overloaded);
            taken
        };
        let _operators = full(Proposer::Operator, 2);
        let _brokers = full(Proposer::Broker, 6);
        let own = full(Proposer::Controller, OWN_PLACES);
        drop(own);
        assert!(admission.enter(Proposer::Controller, 100).is_ok(), "a place is given back");
    }

    #[test]
    fn few_large_changes_are_as_many_small_ones() {
        let admission = Admission::new(1_000);
        let large = admission.enter(Proposer::Operator, BYTES - 10).expect("a place");
        assert!(admission.enter(Proposer::Operator, 11).is_err());
        assert!(admission.enter(Proposer::Operator, 10).is_ok());
        assert!(admission.enter(Proposer::Broker, BYTES).is_ok(), "each has bytes of its own");
        drop(large);
        assert!(admission.enter(Proposer::Operator, BYTES).is_ok(), "the bytes are given back");
    }

    #[tokio::test]
    async fn a_change_that_nobody_waits_for_any_more_has_its_place_until_it_is_done() {
        let admission = Admission::new(2);
        let enter = || admission.enter(Proposer::Operator, BYTES);
        let (finish, change) = tokio::sync::oneshot::channel::<()>();
        let waiting = enter().expect("a place").during(change);
        tokio::time::timeout(Duration::from_millis(10), waiting).await.expect_err("the caller gives up");
        assert_eq!(enter().err().expect("full").code, ErrorCode::Overloaded);
        finish.send(()).expect("the change goes on");
        while enter().is_err() {
            tokio::task::yield_now().await;
        }
    }
}
