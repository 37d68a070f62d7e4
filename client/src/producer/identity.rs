//! The producer's id and epoch: who it is to the leaders' duplicate detection.
//!
//! Place: partitions stamp their batches with it; [`super::renewal`] gets the next epoch when one cannot go on.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use super::batch_queue::ProducerIdentity;

/// The id and epoch that the producer has now.
#[derive(Debug)]
pub(crate) struct CurrentIdentity {
    identity: RwLock<Option<ProducerIdentity>>,
    renewing: AtomicBool,
}

impl CurrentIdentity {
    /// Who the producer is at first; `None` makes it a producer without idempotence.
    pub(crate) const fn new(identity: Option<ProducerIdentity>) -> Self {
        Self { identity: RwLock::new(identity), renewing: AtomicBool::new(false) }
    }

    /// The id and epoch; `None` if the producer is not idempotent.
    pub(crate) fn get(&self) -> Option<ProducerIdentity> {
        *self.identity.read()
    }

    /// The producer goes on under this id and epoch.
    pub(super) fn set(&self, identity: ProducerIdentity) {
        *self.identity.write() = Some(identity);
    }

    /// True if nobody else is getting a new epoch: the caller does, and calls [`Self::end_renewal`] then.
    pub(super) fn begin_renewal(&self) -> bool {
        !self.renewing.swap(true, Ordering::AcqRel)
    }

    /// The next one may get a new epoch.
    pub(super) fn end_renewal(&self) {
        self.renewing.store(false, Ordering::Release);
    }
}
