//! How long this broker may believe that the controller has not fenced it.
//!
//! The lease counts from the moment a heartbeat was *sent*, so it ends before the controller's own timeout can. A
//! partition compares it before each step: a process that was stopped for a while finds it over before it does anything
//! else, whatever its timers do. One that begins after another ended has a new *number*: a partition that slept through
//! the gap sees it by the number, and counts on the new one only once it was told of it, after the metadata that came
//! before.

use std::sync::atomic::{AtomicU64, Ordering};

use holdfast_proto::ids::Millis;
use holdfast_replication::Acks;

/// Numbers the leases without a gap in time that one process held, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseNumber(u64);

/// The lease; at first there is none. The session alone changes it.
#[derive(Debug, Default)]
pub struct Lease {
    until: AtomicU64,
    /// Number of the newest one; 0 before the first.
    newest: AtomicU64,
}

impl Lease {
    /// A heartbeat that was sent at `sent` was answered with a lease of `lease_ms`, and this is known at `now`. If a new
    /// lease begins with it, every partition has to be told its number, after what was committed before.
    pub fn renew(&self, now: Millis, sent: Millis, lease_ms: u64) -> Option<LeaseNumber> {
        let until = sent.plus(lease_ms);
        if self.holds(now) {
            self.until.fetch_max(until.0, Ordering::AcqRel);
            return None;
        }
        if until <= now {
            return None;
        }
        // Before the end of the lease: who sees the end sees the number.
        let number = LeaseNumber(self.newest.fetch_add(1, Ordering::AcqRel) + 1);
        self.until.store(until.0, Ordering::Release);
        Some(number)
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

    /// Number of the lease that lasts now, if one does.
    pub fn number(&self, now: Millis) -> Option<LeaseNumber> {
        self.holds(now).then(|| LeaseNumber(self.newest.load(Ordering::Acquire)))
    }
}

/// What one partition makes of the lease. Looked at before each step of its core.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeaseGuard {
    /// The lease that it was told of last.
    told: Option<LeaseNumber>,
    /// True if that one lasted when it was looked at last.
    is_held: bool,
}

impl LeaseGuard {
    /// A lease began, and what was committed before has been given to the partition.
    pub fn began(&mut self, number: LeaseNumber) {
        self.told = Some(number);
    }

    /// Looks at the lease now. True if the one that was held has ended: the core has to be told.
    pub fn look(&mut self, number: Option<LeaseNumber>) -> bool {
        let is_held = number.is_some() && number == self.told;
        let has_ended = self.is_held && !is_held;
        self.is_held = is_held;
        has_ended
    }

    /// True if a produce with these acks may be given to the core. Without a lease another may lead by now, and then the
    /// records of this leader alone are cut off. acks=all needs no such care: the whole ISR confirms it in this leader
    /// epoch, or nobody does.
    pub fn admits(self, acks: Acks) -> bool {
        self.is_held || acks == Acks::All
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_from_the_sending_and_never_shrinks_by_a_late_answer() {
        let lease = Lease::default();
        assert!(!lease.holds(Millis(1)));
        assert_eq!(lease.renew(Millis(110), Millis(100), 50), Some(LeaseNumber(1)));
        assert_eq!(lease.renew(Millis(120), Millis(60), 50), None);
        assert!(lease.holds(Millis(149)) && !lease.holds(Millis(150)));
        lease.end();
        assert!(!lease.holds(Millis(110)));
    }

    #[test]
    fn an_answer_that_comes_too_late_gives_no_lease() {
        let lease = Lease::default();
        assert_eq!(lease.renew(Millis(200), Millis(100), 50), None);
        assert_eq!(lease.number(Millis(120)), None);
    }

    #[test]
    fn a_gap_that_nobody_looked_into_is_seen_by_the_number() {
        let (lease, mut guard) = (Lease::default(), LeaseGuard::default());
        let first = lease.renew(Millis(0), Millis(0), 50).expect("the first");
        assert!(!guard.look(lease.number(Millis(1))) && !guard.admits(Acks::Leader), "it was not told yet");
        guard.began(first);
        assert!(!guard.look(lease.number(Millis(2))) && guard.admits(Acks::Leader));
        let second = lease.renew(Millis(60), Millis(60), 50).expect("after a gap");
        assert!(guard.look(lease.number(Millis(61))), "the first has ended");
        assert!(
            !guard.admits(Acks::Leader) && guard.admits(Acks::All),
            "what was committed in the gap may be on its way"
        );
        guard.began(second);
        assert!(!guard.look(lease.number(Millis(62))) && guard.admits(Acks::Leader));
    }
}
