//! Memory that all clients use and of which none gets all.
//!
//! What comes from one source gets at most three times as much together as then stays free: three quarters if it is alone,
//! and the next one three quarters of the rest, so that a few that hold what they have leave something to the others
//! (Choudhury and Hahne, Dynamic queue length thresholds for shared-memory packet switches, 1998). Many clients may have one
//! address: what they have together must do for them.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use holdfast_node::incoming::Source;

/// Bytes that one unit stands for. Whatever is taken takes one unit more, so that many small ones are bounded too.
pub const UNIT_BYTES: usize = 1024;

/// How many units a source may have for each that is free: three quarters of all if it is alone.
pub const OF_FREE: usize = 3;

/// How many may wait at a time: all are woken by whatever is given back.
const WAITERS: usize = 256;

/// One such memory. Clones share it.
#[derive(Clone, Debug)]
pub struct Shares(Arc<Memory>);

#[derive(Debug)]
struct Memory {
    limit: u32,
    state: Mutex<State>,
    /// Something was given back.
    given_back: Notify,
    /// Places of those who wait for that: each of them is woken.
    waiters: Semaphore,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// What is held, of those who hold some.
    by_source: HashMap<Option<Source>, Arc<Held>>,
}

/// What one source holds.
#[derive(Debug)]
struct Held {
    memory: Arc<Memory>,
    source: Option<Source>,
    /// Changed while the lock of the memory's state is held.
    units: AtomicUsize,
}

/// A piece of it; given back when dropped.
#[derive(Debug)]
pub struct Share {
    of: Arc<Held>,
    units: u32,
}

/// Units of so many bytes.
pub fn units(bytes: usize) -> u32 {
    u32::try_from(bytes / UNIT_BYTES + 1).unwrap_or(u32::MAX)
}

impl Shares {
    /// Of so many bytes.
    pub fn new(limit_bytes: usize) -> Self {
        let limit = u32::try_from(limit_bytes / UNIT_BYTES).unwrap_or(u32::MAX);
        let state = State { free: limit as usize, by_source: HashMap::new() };
        Self(Arc::new(Memory {
            limit,
            state: Mutex::new(state),
            given_back: Notify::new(),
            waiters: Semaphore::new(WAITERS),
        }))
    }

    /// All of it, units.
    pub fn limit(&self) -> u32 {
        self.0.limit
    }

    /// True if so many units are not free, for anybody.
    pub fn is_short_of(&self, units: u32) -> bool {
        self.0.state.lock().free < units as usize
    }

    /// So many units for what comes from there, if it may have them and they are there at once.
    pub fn take(&self, source: Option<Source>, units: u32) -> Option<Share> {
        let mut state = self.0.state.lock();
        let (wanted, free) = (units as usize, state.free);
        let held = state.by_source.get(&source).map_or(0, |held| held.units.load(Ordering::Relaxed));
        let left = free.checked_sub(wanted)?;
        // Who holds nothing may have all that is free: the largest request of all is larger than a share of a small memory.
        if held > 0 && held + wanted > OF_FREE * left {
            return None;
        }
        state.free -= wanted;
        let new = || Arc::new(Held { memory: Arc::clone(&self.0), source, units: AtomicUsize::new(0) });
        let of = state.by_source.entry(source).or_insert_with(new);
        of.units.fetch_add(wanted, Ordering::Relaxed);
        Some(Share { of: Arc::clone(of), units })
    }

    /// As [`Self::take`], waiting until it may have them, in no order: who finds them has them. Who comes when too many wait
    /// looks once one of them is gone.
    pub async fn wait(&self, source: Option<Source>, units: u32) -> Share {
        if let Some(share) = self.take(source, units) {
            return share;
        }
        let _place = self.0.waiters.acquire().await.expect("places that nobody closes");
        loop {
            let mut given_back = pin!(self.0.given_back.notified());
            // Before the look: what is given back between the two wakes.
            given_back.as_mut().enable();
            if let Some(share) = self.take(source, units) {
                return share;
            }
            given_back.await;
        }
    }
}

impl Share {
    /// What it holds, units.
    pub fn units(&self) -> u32 {
        self.units
    }

    /// So many units of it on their own; `None` if it holds fewer.
    pub fn split(&mut self, units: u32) -> Option<Self> {
        self.units = self.units.checked_sub(units)?;
        Some(Self { of: Arc::clone(&self.of), units })
    }

    /// Holds what the other one holds, of the same memory and source, too.
    pub fn merge(&mut self, mut other: Self) {
        let same = Arc::ptr_eq(&self.of.memory, &other.of.memory) && self.of.source == other.of.source;
        assert!(same, "pieces of one share");
        self.units += std::mem::take(&mut other.units);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let (memory, units) = (&self.of.memory, self.units as usize);
        let mut state = memory.state.lock();
        if self.of.units.fetch_sub(units, Ordering::Relaxed) == units {
            state.by_source.remove(&self.of.source);
        }
        state.free += units;
        drop(state);
        memory.given_back.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn source(last: u8) -> Source {
        Source::from(IpAddr::from([10, 0, 0, last]))
    }

    #[test]
    fn one_source_leaves_a_quarter_and_some_leave_something() {
        let memory = Shares::new(1_024 * UNIT_BYTES);
        let all = |last| std::iter::from_fn(|| memory.take(Some(source(last)), 1)).collect::<Vec<_>>();
        let held: Vec<_> = (1..=3).map(all).collect();
        assert_eq!(held.iter().map(Vec::len).collect::<Vec<_>>(), [768, 192, 48]);
        assert!(memory.take(Some(source(9)), 16).is_some(), "and the next one finds some");
        assert!(memory.is_short_of(17) && !memory.is_short_of(16));
        drop(held);
        assert!(
            !memory.is_short_of(1_024) && memory.0.state.lock().by_source.is_empty(),
            "nothing is kept of who is gone"
        );
        assert!(memory.take(Some(source(1)), 1_024).is_some(), "who is alone may have all at once");
    }

    #[test]
    fn what_is_split_or_merged_counts_once() {
        let memory = Shares::new(16 * UNIT_BYTES);
        let held = || memory.0.state.lock().by_source.get(&None).map_or(0, |held| held.units.load(Ordering::Relaxed));
        let mut share = memory.take(None, 8).unwrap();
        let part = share.split(3).unwrap();
        assert_eq!((share.units(), part.units(), held()), (5, 3, 8));
        assert!(share.split(6).is_none());
        share.merge(part);
        assert_eq!((share.units(), held()), (8, 8));
        drop(share);
        assert_eq!((held(), memory.0.state.lock().free), (0, 16));
    }

    #[tokio::test]
    async fn all_who_wait_go_on_once_there_is_enough() {
        let memory = Shares::new(4 * WAITERS * UNIT_BYTES);
        let held = memory.take(None, 3 * WAITERS as u32).unwrap();
        let wait = |_| {
            let memory = memory.clone();
            tokio::spawn(async move { memory.wait(None, 1).await })
        };
        let waiting: Vec<_> = (0..2 * WAITERS).map(wait).collect();
        tokio::task::yield_now().await;
        assert!(!waiting.iter().any(tokio::task::JoinHandle::is_finished));
        drop(held);
        for one in waiting {
            one.await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_waits_gets_what_its_source_gives_back() {
        let memory = Shares::new(16 * UNIT_BYTES);
        let held = memory.take(None, 12).unwrap();
        let waiting = tokio::spawn({
            let memory = memory.clone();
            async move { memory.wait(None, 4).await.units() }
        });
        tokio::task::yield_now().await;
        assert!(memory.take(Some(source(1)), 2).is_some(), "others find what is left");
        assert!(!waiting.is_finished());
        drop(held);
        assert_eq!(waiting.await.unwrap(), 4);
    }
}
