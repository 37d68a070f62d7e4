//! Who answers go to, and whether it takes them.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

use holdfast_node::closer::Closer;

/// All readers of one share of the memory for answers.
#[derive(Debug)]
pub struct Readers {
    start: Instant,
    known: Mutex<Vec<Weak<Reader>>>,
    /// When all were looked at last, ms since `start`.
    looked_ms: AtomicU64,
}

/// One stream or call that answers go to.
#[derive(Debug)]
pub struct Reader {
    start: Instant,
    closer: Closer,
    /// Pieces of answers that were handed to the connection and have not left it.
    unsent: AtomicUsize,
    /// When the connection last took one, ms since `start`.
    moved_ms: AtomicU64,
}

/// A piece of an answer that has not left the connection.
#[derive(Debug)]
pub struct Unsent(Arc<Reader>);

impl Default for Readers {
    fn default() -> Self {
        Self { start: Instant::now(), known: Mutex::default(), looked_ms: AtomicU64::new(0) }
    }
}

impl Readers {
    /// A new one, whose connection ends by this.
    pub fn add(&self, closer: Closer) -> Arc<Reader> {
        let reader = Arc::new(Reader {
            start: self.start,
            closer,
            unsent: AtomicUsize::new(0),
            moved_ms: AtomicU64::new(millis(self.start)),
        });
        let mut known = self.known.lock();
        if known.len() == known.capacity() {
            known.retain(|reader| reader.strong_count() > 0);
            // As many again may come before the next look at all.
            let held = known.len();
            known.reserve(held.max(8));
        }
        known.push(Arc::downgrade(&reader));
        reader
    }

    /// Ends the connections that took nothing of what waits for them for so long. How many. One look serves all who ask
    /// within a tenth of that time.
    pub fn close_stalled(&self, after: Duration) -> usize {
        let now_ms = millis(self.start);
        let looked_ms = self.looked_ms.load(Ordering::Relaxed);
        let is_due = now_ms.saturating_sub(looked_ms) >= after.as_millis() as u64 / 10;
        let is_mine =
            || self.looked_ms.compare_exchange(looked_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_due && is_mine() { self.close_stalled_at(now_ms, after) } else { 0 }
    }

    fn close_stalled_at(&self, now_ms: u64, after: Duration) -> usize {
        let known: Vec<_> = self.known.lock().iter().filter_map(Weak::upgrade).collect();
        let stalled = known.iter().filter(|reader| reader.is_stalled(now_ms, after));
        stalled.inspect(|reader| reader.closer.close()).count()
    }
}

impl Reader {
    /// The connection asks for more: it took what it had.
    pub fn moves(&self) {
        self.moved_ms.store(millis(self.start), Ordering::Relaxed);
    }

    /// A piece is handed to it; held until that has left.
    pub fn hand(self: &Arc<Self>) -> Unsent {
        self.unsent.fetch_add(1, Ordering::Relaxed);
        Unsent(Arc::clone(self))
    }

    fn is_stalled(&self, now_ms: u64, after: Duration) -> bool {
        let still_ms = now_ms.saturating_sub(self.moved_ms.load(Ordering::Relaxed));
        self.unsent.load(Ordering::Relaxed) > 0 && Duration::from_millis(still_ms) >= after
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.0.unsent.fetch_sub(1, Ordering::Relaxed);
        self.0.moves();
    }
}

fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(10);

    #[test]
    fn only_who_takes_nothing_of_what_waits_for_it_is_closed() {
        let readers = Readers::default();
        let [idle, slow, stopped] = [(); 3].map(|()| readers.add(Closer::default()));
        let (first, _second) = (slow.hand(), slow.hand());
        let _waits = stopped.hand();
        slow.moved_ms.store(7_000, Ordering::Relaxed);
        assert_eq!(readers.close_stalled_at(9_000, AFTER), 0);
        assert_eq!(readers.close_stalled_at(12_000, AFTER), 1, "the one that stands still");
        drop(first);
        assert_eq!(slow.unsent.load(Ordering::Relaxed), 1);
        assert_eq!(idle.unsent.load(Ordering::Relaxed), 0);
        drop((idle, slow, stopped));
        for _ in 0..100 {
            drop(readers.add(Closer::default()));
        }
        assert!(readers.known.lock().len() < 20, "those that are gone are forgotten");
    }
}
