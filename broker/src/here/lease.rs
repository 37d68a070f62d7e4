//! How long this broker may believe that the controller has not fenced it.
//!
//! The lease counts from the moment a heartbeat was *sent*, so it ends before the controller's own timeout can. A
//! partition compares it before each step: a process that was stopped for a while finds it over before it does anything
//! else, whatever its timers do.

use std::sync::atomic::{AtomicU64, Ordering};

use holdfast_proto::ids::Millis;
use holdfast_replication::Acks;

/// The lease; starts over.
#[derive(Debug, Default)]
pub struct Lease {
    until: AtomicU64,
}

impl Lease {
    /// A heartbeat that was sent at `sent` was answered with a lease of `lease_ms`.
    pub fn renew(&self, sent: Millis, lease_ms: u64) {
        self.until.fetch_max(sent.plus(lease_ms).0, Ordering::AcqRel);
    }

    /// Over at once: the session is known to be gone.
    pub fn end(&self) {
        self.until.store(0, Ordering::Release);
    }

    /// When it ends; long ago if there is none.
    pub fn until(&self) -> Millis {
        Millis(self.until.load(Ordering::Acquire))
    }

    /// True while it lasts.
    pub fn holds(&self, now: Millis) -> bool {
        now < self.until()
    }
}

/// What one partition makes of the lease. Looked at before each step of its core.
#[derive(Clone, Copy, Debug)]
pub struct LeaseGuard {
    /// True from the end of the lease until it is seen to hold again.
    is_lost: bool,
}

impl Default for LeaseGuard {
    /// Without a lease, until one is seen.
    fn default() -> Self {
        Self { is_lost: true }
    }
}

impl LeaseGuard {
    /// Looks at the lease now. True if it has just ended: the core has to be told.
    pub fn look(&mut self, holds: bool) -> bool {
        let has_ended = !holds && !self.is_lost;
        self.is_lost = !holds;
        has_ended
    }

    /// True if a produce with these acks may be given to the core. Without a lease another may lead by now, and then the
    /// records of this leader alone are cut off. acks=all needs no such care: the whole ISR confirms it in this leader
    /// epoch, or nobody does.
    pub fn admits(self, acks: Acks) -> bool {
        !self.is_lost || acks == Acks::All
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_from_the_sending_and_never_shrinks_by_a_late_answer() {
        let lease = Lease::default();
        assert!(!lease.holds(Millis(1)));
        lease.renew(Millis(100), 50);
        lease.renew(Millis(60), 50);
        assert!(lease.holds(Millis(149)) && !lease.holds(Millis(150)));
        lease.end();
        assert!(!lease.holds(Millis(110)));
    }
}
