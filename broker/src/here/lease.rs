//! How long this broker may believe that the controller has not fenced it.
//!
//! The lease counts from the moment a heartbeat was *sent*, so it ends before the controller's own timeout can. A
//! partition compares it before each step: a process that was stopped for a while finds it over before it does anything
//! else, whatever its timers do.

use std::sync::atomic::{AtomicU64, Ordering};

use holdfast_proto::ids::Millis;

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
