//! Consumers that wait for the high watermark of partitions to advance: woken, never polling.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Those who wait for one partition.
#[derive(Debug, Default)]
pub struct Waiters {
    waiting: Mutex<BTreeMap<u64, Arc<Notify>>>,
}

/// One who waits, for any number of partitions. Leaves all of them when dropped.
#[derive(Debug)]
pub struct Waiter {
    id: u64,
    notify: Arc<Notify>,
    joined: Vec<Arc<Waiters>>,
}

impl Waiters {
    /// Wakes everyone. They stay until they leave: each looks again at what it needs.
    pub fn wake_all(&self) {
        for notify in self.waiting.lock().values() {
            notify.notify_one();
        }
    }
}

impl Default for Waiter {
    fn default() -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self { id, notify: Arc::default(), joined: Vec::new() }
    }
}

impl Waiter {
    /// Is woken by this partition from now on. What it needs has to be looked at after this, not before.
    pub fn join(&mut self, waiters: &Arc<Waiters>) {
        waiters.waiting.lock().insert(self.id, Arc::clone(&self.notify));
        self.joined.push(Arc::clone(waiters));
    }

    /// Returns once it was woken since it last returned.
    pub async fn woken(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        for waiters in &self.joined {
            waiters.waiting.lock().remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_wake_before_the_wait_is_not_lost_and_a_dropped_waiter_leaves() {
        let partition = Arc::new(Waiters::default());
        let mut waiter = Waiter::default();
        waiter.join(&partition);
        assert!(waiter.woken().now_or_never().is_none());
        partition.wake_all();
        partition.wake_all();
        assert!(waiter.woken().now_or_never().is_some());
        assert!(waiter.woken().now_or_never().is_none(), "wakes coalesce into one");
        drop(waiter);
        assert!(partition.waiting.lock().is_empty());
    }
}
