//! When this controller last heard the leader of its term.
//!
//! The stored vote names a leader also after a restart, and in a controller that nobody speaks to any more. One that must
//! know that a leader is *there* asks this.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// See the module. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Contact(Arc<Mutex<Option<Instant>>>);

impl Contact {
    /// The leader was heard now and this controller follows it, or this controller leads and a majority answers.
    pub(crate) fn heard(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    /// Time since the leader was heard; `None` if it was not since this process started.
    pub fn age(&self) -> Option<Duration> {
        self.0.lock().map(|at| at.elapsed())
    }
}
