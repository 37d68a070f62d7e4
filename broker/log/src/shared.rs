//! What the one writer and the many readers of a log share.
//!
//! Invariants:
//! 1. The list of segments is never empty, their base offsets increase, and each begins where the one before it ends.
//! 2. Readers take the list as it is at one moment; no lock is held while they read.
//! 3. A truncation first publishes the lower ends, then counts in `cuts`, then cuts the files. A reader whose `cuts` have not
//!    changed at its end has read what the list said.
//! 4. log start ≤ flushed ≤ written.
//! 5. A segment leaves the list before its files are removed. One that is in it, and whose file is not there, was lost.
//! 6. The log counts as closed before anybody may rename or delete its folder. A reader that finds it open at its end has read
//!    this log, and no other one at the same path.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use parking_lot::RwLock;

use holdfast_proto::ids::Offset;

use crate::segment::Segment;

/// Segments, oldest first; the last one is written.
pub(crate) type Segments = Arc<Vec<Arc<Segment>>>;

/// State of a log that readers look at.
#[derive(Debug)]
pub(crate) struct Shared {
    segments: RwLock<Segments>,
    log_start: AtomicU64,
    written: AtomicU64,
    flushed: AtomicU64,
    cuts: AtomicU64,
    verify_on_read: AtomicBool,
    is_closed: AtomicBool,
}

impl Shared {
    /// Of a log whose every batch is durable.
    pub(crate) fn new(segments: Vec<Arc<Segment>>, log_start: Offset, end: Offset, verify_on_read: bool) -> Arc<Self> {
        assert!(!segments.is_empty(), "a log always has a segment");
        Arc::new(Self {
            segments: RwLock::new(Arc::new(segments)),
            log_start: AtomicU64::new(log_start.0),
            written: AtomicU64::new(end.0),
            flushed: AtomicU64::new(end.0),
            cuts: AtomicU64::new(0),
            verify_on_read: AtomicBool::new(verify_on_read),
            is_closed: AtomicBool::new(false),
        })
    }

    /// The segments at this moment.
    pub(crate) fn segments(&self) -> Segments {
        Arc::clone(&self.segments.read())
    }

    /// Puts another list in place.
    pub(crate) fn set_segments(&self, segments: Vec<Arc<Segment>>) {
        assert!(!segments.is_empty(), "a log always has a segment");
        *self.segments.write() = Arc::new(segments);
    }

    /// First offset that may be read.
    pub(crate) fn log_start(&self) -> Offset {
        Offset(self.log_start.load(Ordering::Acquire))
    }

    /// Moves the log start.
    pub(crate) fn set_log_start(&self, offset: Offset) {
        self.log_start.store(offset.0, Ordering::Release);
    }

    /// Offset after the last batch in the files.
    pub(crate) fn written(&self) -> Offset {
        Offset(self.written.load(Ordering::Acquire))
    }

    /// Batches up to here stand in the files.
    pub(crate) fn set_written(&self, offset: Offset) {
        self.written.store(offset.0, Ordering::Release);
    }

    /// Offset after the last durable batch.
    pub(crate) fn flushed(&self) -> Offset {
        Offset(self.flushed.load(Ordering::Acquire))
    }

    /// Batches up to here are durable.
    pub(crate) fn set_flushed(&self, offset: Offset) {
        self.flushed.store(offset.0, Ordering::Release);
    }

    /// How many truncations there were.
    pub(crate) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Acquire)
    }

    /// The ends were lowered; the files follow.
    pub(crate) fn count_cut(&self) {
        self.cuts.fetch_add(1, Ordering::AcqRel);
    }

    /// The log is closed: another one may stand at its path from now on.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    /// True once the log is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// True if readers check the CRC of what they read.
    pub(crate) fn verify_on_read(&self) -> bool {
        self.verify_on_read.load(Ordering::Relaxed)
    }

    /// Sets whether readers check the CRC of what they read.
    pub(crate) fn set_verify_on_read(&self, verify: bool) {
        self.verify_on_read.store(verify, Ordering::Relaxed);
    }
}
