//! Memory that all clients use and of which none gets all.
//!
//! What comes from one source gets at most as much together as then stays free: half if it is alone, and the next one half
//! of the rest, so that a few that hold what they have leave something to the others for long (Choudhury and Hahne, Dynamic
//! queue length thresholds for shared-memory packet switches, 1998).

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use holdfast_node::incoming::Source;

/// Bytes that one unit stands for. Whatever is taken takes one unit more, so that many small ones are bounded too.
pub const UNIT_BYTES: usize = 1024;

/// One such memory. Clones share it.
#[derive(Clone, Debug)]
pub struct Shares(Arc<Memory>);

#[derive(Debug)]
struct Memory {
    limit: u32,
    free: Arc<Semaphore>,
    /// What is held, of those who hold some.
    by_source: Mutex<HashMap<Option<Source>, Arc<Held>>>,
}

/// What one source holds.
#[derive(Debug)]
struct Held {
    memory: Arc<Memory>,
    source: Option<Source>,
    /// Changed while the lock of all sources is held.
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
        Self(Arc::new(Memory { limit, free: Arc::new(Semaphore::new(limit as usize)), by_source: Mutex::default() }))
    }

    /// All of it, units.
    pub fn limit(&self) -> u32 {
        self.0.limit
    }

    /// What is free of it, for who waits; what it gets is to be [counted](Self::counted).
    pub fn free(&self) -> &Arc<Semaphore> {
        &self.0.free
    }

    /// So many units for what comes from there, if it may have them and they are there at once.
    pub fn take(&self, source: Option<Source>, units: u32) -> Option<Share> {
        let mut by_source = self.0.by_source.lock();
        let held = by_source.get(&source).map_or(0, |held| held.units.load(Ordering::Relaxed));
        if held + units as usize > self.0.free.available_permits() {
            return None;
        }
        self.0.free.try_acquire_many(units).ok()?.forget();
        Some(self.0.held(&mut by_source, source, units))
    }

    /// What was waited for, of what comes from there, whatever else that holds.
    pub fn counted(&self, source: Option<Source>, permit: OwnedSemaphorePermit) -> Share {
        assert!(Arc::ptr_eq(permit.semaphore(), &self.0.free), "a permit of this memory");
        let units = u32::try_from(permit.num_permits()).unwrap_or(u32::MAX);
        permit.forget();
        self.0.held(&mut self.0.by_source.lock(), source, units)
    }
}

impl Memory {
    /// So many units, which are taken, of this source.
    fn held(
        self: &Arc<Self>,
        by_source: &mut HashMap<Option<Source>, Arc<Held>>,
        source: Option<Source>,
        units: u32,
    ) -> Share {
        let new = || Arc::new(Held { memory: Arc::clone(self), source, units: AtomicUsize::new(0) });
        let of = by_source.entry(source).or_insert_with(new);
        of.units.fetch_add(units as usize, Ordering::Relaxed);
        Share { of: Arc::clone(of), units }
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
        let mut by_source = memory.by_source.lock();
        if self.of.units.fetch_sub(units, Ordering::Relaxed) == units {
            by_source.remove(&self.of.source);
        }
        drop(by_source);
        memory.free.add_permits(units);
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
    fn one_source_leaves_half_and_some_leave_something() {
        let memory = Shares::new(1_024 * UNIT_BYTES);
        let all = |last| std::iter::from_fn(|| memory.take(Some(source(last)), 1)).collect::<Vec<_>>();
        let held: Vec<_> = (1..=4).map(all).collect();
        assert_eq!(held.iter().map(Vec::len).collect::<Vec<_>>(), [512, 256, 128, 64]);
        assert!(memory.take(Some(source(9)), 64).is_some(), "and the next one finds some");
        drop(held);
        assert_eq!(memory.free().available_permits(), 1_024);
        assert!(memory.0.by_source.lock().is_empty(), "nothing is kept of who is gone");
        assert!(memory.take(Some(source(1)), 1_024).is_some(), "who is alone may have all at once");
    }

    #[test]
    fn what_is_split_merged_or_was_waited_for_counts_once() {
        let memory = Shares::new(16 * UNIT_BYTES);
        let held =
            || memory.0.by_source.lock().get(&Some(source(1))).map_or(0, |held| held.units.load(Ordering::Relaxed));
        let mut share = memory.take(Some(source(1)), 8).unwrap();
        let part = share.split(3).unwrap();
        assert_eq!((share.units(), part.units(), held()), (5, 3, 8));
        assert!(share.split(6).is_none());
        share.merge(part);
        assert_eq!((share.units(), held()), (8, 8));
        let waited = memory.counted(Some(source(1)), Arc::clone(memory.free()).try_acquire_owned().unwrap());
        assert_eq!(held(), 9);
        drop(share);
        assert_eq!(held(), 1);
        drop(waited);
        assert_eq!((held(), memory.free().available_permits()), (0, 16));
    }
}
