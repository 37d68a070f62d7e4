//! Who answers go to, and whether it takes them.

use std::{
    collections::{HashMap, VecDeque},
    pin::pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Duration, Instant, timeout_at},
};

use holdfast_node::closer::Closer;
use holdfast_proto::error::ErrorCode;

/// How many times as long one answer may take to leave as a reader may stand still.
const ANSWER_PATIENCE: u32 = 6;

/// How long who waits for room has patience, and with whom.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long a reader may stand still while others wait.
    pub stalled_after: Duration,
    /// How often those who wait look for such readers.
    pub look_every: Duration,
    /// How long an answer waits. Then it is refused, so that its asker learns why nothing comes.
    pub wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let [stalled_after, wait] = [5, 10].map(Duration::from_secs);
        Self { stalled_after, look_every: Duration::from_millis(500), wait }
    }
}

/// All readers of one share of the memory for answers.
#[derive(Debug)]
pub struct Readers {
    start: Instant,
    known: Mutex<Known>,
    /// When all were looked at last, ms since `start`.
    looked_ms: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    readers: Vec<Weak<Reader>>,
    /// What the calls of one connection have together, by its address in memory: a call that lives keeps it there.
    shares: HashMap<usize, Weak<Semaphore>>,
}

/// One stream or call that answers go to.
#[derive(Debug)]
pub struct Reader {
    start: Instant,
    closer: Closer,
    /// What its answers may take up together of the memory that is for all; of a call, with those of other calls of its
    /// connection.
    share: Arc<Semaphore>,
    share_units: u32,
    /// When the answers were handed to the connection that have not left it, ms since `start`; they leave in this order.
    unsent: Mutex<VecDeque<u64>>,
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
    /// A new stream, whose connection ends by this, and whose answers get `share_units` together: streams of one connection
    /// do not wait for each other.
    pub fn stream(&self, closer: Closer, share_units: u32) -> Arc<Reader> {
        self.add(closer, Arc::new(Semaphore::new(share_units as usize)), share_units)
    }

    /// A new call, whose connection ends by this; all calls of that connection get `share_units` together.
    pub fn call(&self, closer: Closer, share_units: u32) -> Arc<Reader> {
        let mut known = self.known.lock();
        let share = known.shares.get(&closer.address()).and_then(Weak::upgrade).unwrap_or_else(|| {
            let share = Arc::new(Semaphore::new(share_units as usize));
            known.shares.insert(closer.address(), Arc::downgrade(&share));
            share
        });
        drop(known);
        self.add(closer, share, share_units)
    }

    fn add(&self, closer: Closer, share: Arc<Semaphore>, share_units: u32) -> Arc<Reader> {
        let mut known = self.known.lock();
        if known.readers.len() == known.readers.capacity() {
            known.readers.retain(|reader| reader.strong_count() > 0);
            known.shares.retain(|_, share| share.strong_count() > 0);
            // As many again may come before the next look at all.
            let held = known.readers.len();
            known.readers.reserve(held.max(8));
        }
        let reader = Arc::new(Reader {
            start: self.start,
            closer,
            share,
            share_units,
            unsent: Mutex::default(),
            moved_ms: AtomicU64::new(millis(self.start)),
        });
        known.readers.push(Arc::downgrade(&reader));
        reader
    }

    /// Waits for `wanted` of the semaphore that bounds their answers, or for what `instead` finds at one of the looks.
    /// Meanwhile readers lose their connection that stand still. OVERLOADED once the patience is over.
    pub async fn take(
        &self,
        patience: Patience,
        of: &Arc<Semaphore>,
        wanted: u32,
        instead: impl Fn() -> Option<OwnedSemaphorePermit>,
    ) -> Result<OwnedSemaphorePermit, ErrorCode> {
        let Patience { look_every, wait, .. } = patience;
        let start = Instant::now();
        // Kept from look to look: who waits longest gets room first.
        let mut taking = pin!(Arc::clone(of).acquire_many_owned(wanted));
        let mut next_look = start + look_every;
        while next_look <= start + wait {
            match timeout_at(next_look, &mut taking).await {
                Ok(Ok(permit)) => return Ok(permit),
                Ok(Err(_closed)) => return Err(ErrorCode::ShuttingDown),
                Err(_late) => next_look += look_every,
            }
            if let Some(found) = instead() {
                return Ok(found);
            }
            self.close_stalled(patience);
        }
        Err(ErrorCode::Overloaded)
    }

    /// Ends the connections that took nothing of what waits for them for so long as the patience says, or of one answer some
    /// times as long: others need the memory. One look serves all who ask within a tenth of that time.
    pub fn close_stalled(&self, patience: Patience) {
        let after = patience.stalled_after;
        let now_ms = millis(self.start);
        let looked_ms = self.looked_ms.load(Ordering::Relaxed);
        let is_due = now_ms.saturating_sub(looked_ms) >= after.as_millis() as u64 / 10;
        let is_mine =
            || self.looked_ms.compare_exchange(looked_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let closed = if is_due && is_mine() { self.close_stalled_at(now_ms, after) } else { 0 };
        if closed > 0 {
            tracing::warn!(closed, "connections were closed: they read nothing of their answers, and others wait");
        }
    }

    fn close_stalled_at(&self, now_ms: u64, after: Duration) -> usize {
        let known: Vec<_> = self.known.lock().readers.iter().filter_map(Weak::upgrade).collect();
        let stalled = known.iter().filter(|reader| reader.is_stalled(now_ms, after));
        stalled.inspect(|reader| reader.closer.close()).count()
    }
}

impl Reader {
    /// The connection asks for more: it took what it had.
    pub fn moves(&self) {
        self.moved_ms.store(millis(self.start), Ordering::Relaxed);
    }

    /// An answer is handed to it; held until that has left.
    pub fn hand(self: &Arc<Self>) -> Unsent {
        // First: until now it had nothing to take.
        self.moves();
        self.unsent.lock().push_back(millis(self.start));
        Unsent(Arc::clone(self))
    }

    /// What its answers may take up together, and how much is left of that.
    pub(super) const fn share(&self) -> &Arc<Semaphore> {
        &self.share
    }

    /// All of that, in units.
    pub(super) const fn share_units(&self) -> u32 {
        self.share_units
    }

    /// What its answers take up.
    pub(super) fn held(&self) -> usize {
        (self.share_units as usize).saturating_sub(self.share.available_permits())
    }

    fn is_stalled(&self, now_ms: u64, after: Duration) -> bool {
        let Some(handed_ms) = self.unsent.lock().front().copied() else { return false };
        let since = |then_ms: u64| Duration::from_millis(now_ms.saturating_sub(then_ms));
        since(self.moved_ms.load(Ordering::Relaxed)) >= after || since(handed_ms) >= after * ANSWER_PATIENCE
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.0.unsent.lock().pop_front();
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
        let [idle, slow, stopped] = [(); 3].map(|()| readers.stream(Closer::default(), 1));
        let (first, second) = (slow.hand(), slow.hand());
        let _waits = stopped.hand();
        slow.moved_ms.store(7_000, Ordering::Relaxed);
        assert_eq!(readers.close_stalled_at(9_000, AFTER), 0);
        assert_eq!(readers.close_stalled_at(12_000, AFTER), 1, "the one that stands still");
        drop(first);
        slow.moved_ms.store(60_000, Ordering::Relaxed);
        assert_eq!(readers.close_stalled_at(60_001, AFTER), 2, "an answer for which a minute was not enough");
        drop(second);
        assert_eq!(readers.close_stalled_at(60_001, AFTER), 1);
        drop((idle, slow, stopped));
        for _ in 0..100 {
            drop(readers.call(Closer::default(), 1));
        }
        let known = readers.known.lock();
        assert!(known.readers.len() < 20 && known.shares.len() < 20, "those that are gone are forgotten");
    }
}
