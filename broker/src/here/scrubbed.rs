//! What the scrub of this start has done so far.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Counts of the scrub and of the comparisons with followers that belong to it.
#[derive(Debug)]
pub struct Scrubbed {
    bytes: AtomicU64,
    ranges: AtomicU64,
    differences: AtomicU64,
    rounds: AtomicU64,
    /// When the last round ended, or the process began.
    last: Mutex<Instant>,
}

/// All of it at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubCounts {
    /// Bytes that were read again, and are right.
    pub bytes: u64,
    /// Ranges whose digest was asked of a follower.
    pub ranges: u64,
    /// Those of them that a follower holds differently.
    pub differences: u64,
    /// Rounds through all replicas that ended.
    pub rounds: u64,
    /// Time since the last one ended; since the start while none has.
    pub age: Duration,
}

impl Default for Scrubbed {
    fn default() -> Self {
        let zero = AtomicU64::default;
        let last = Mutex::new(Instant::now());
        Self { bytes: zero(), ranges: zero(), differences: zero(), rounds: zero(), last }
    }
}

impl Scrubbed {
    /// So many bytes were read, and are right.
    pub fn read(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many ranges were compared, of which so many differ.
    pub fn compared(&self, ranges: u64, differences: u64) {
        self.ranges.fetch_add(ranges, Ordering::Relaxed);
        self.differences.fetch_add(differences, Ordering::Relaxed);
    }

    /// A round through all replicas has ended.
    pub fn round_ended(&self) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
        *self.last.lock() = Instant::now();
    }

    /// What it comes to now.
    pub fn counts(&self) -> ScrubCounts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ScrubCounts {
            bytes: of(&self.bytes),
            ranges: of(&self.ranges),
            differences: of(&self.differences),
            rounds: of(&self.rounds),
            age: self.last.lock().elapsed(),
        }
    }
}
