//! One thread that wakes partitions at a time: for flushes by interval, and for the durable mark.
//!
//! It sleeps without end while nothing is asked of it, so an idle broker is not woken.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Arc, Weak},
    time::Instant,
};

use parking_lot::{Condvar, Mutex};

use super::slot::Slot;

/// What is asked of the timer.
#[derive(Debug, Default)]
pub(super) struct Timer {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// At most a few entries a partition: one is only added when it is earlier than the one that counts.
    entries: BinaryHeap<Reverse<Entry>>,
    is_stopping: bool,
}

/// When to wake a partition.
#[derive(Debug)]
struct Entry {
    at: Instant,
    slot: Weak<Slot>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl Timer {
    /// Wakes the partition at this time, unless it is woken earlier anyway.
    pub(super) fn wake_at(&self, slot: &Arc<Slot>, at: Instant) {
        if !slot.arm(at) {
            return;
        }
        let mut state = self.state.lock();
        let is_earliest = state.entries.peek().is_none_or(|Reverse(first)| at < first.at);
        state.entries.push(Reverse(Entry { at, slot: Arc::downgrade(slot) }));
        if is_earliest {
            self.changed.notify_one();
        }
    }

    /// Lets [`Self::run`] return; partitions that wait are not woken any more.
    pub(super) fn stop(&self) {
        self.state.lock().is_stopping = true;
        self.changed.notify_one();
    }

    /// Calls `wake` for each partition whose time has come, until stopped.
    pub(super) fn run(&self, wake: impl Fn(Arc<Slot>)) {
        let mut state = self.state.lock();
        while !state.is_stopping {
            let Some(first) = state.entries.peek().map(|Reverse(first)| first.at) else {
                self.changed.wait(&mut state);
                continue;
            };
            if first > Instant::now() {
                self.changed.wait_until(&mut state, first);
                continue;
            }
            let slot = state.entries.pop().and_then(|Reverse(entry)| entry.slot.upgrade());
            if let Some(slot) = slot.filter(|slot| slot.disarm(first)) {
                parking_lot::MutexGuard::unlocked(&mut state, || wake(slot));
            }
        }
    }
}
