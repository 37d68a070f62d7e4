//! The tail cache: recent batches of all partitions in memory, within one bound.
//!
//! Place: the partition actor puts in what it appends, as leader and as follower; followers' fetches and consumers read.
//! Invariants: (1) the batches of a partition are contiguous, so a read either finds its offset or the whole range is on
//! disk; (2) a batch at or above the partition's flushed end is never evicted, because the disk may not have it yet; (3) the
//! oldest batch of all goes first that may; (4) the bound is passed only by what waits for the disk: a partition that
//! flushes seldom is asked to as soon as its batches stand in the way.
//!
//! ```text
//!          flushed                     end
//!   ┌───────┬───────┬───────┬───────┬───────┐
//!   │ may   │  may  │ waits for the disk:   │
//!   │ go    │  go   │ stays                 │
//!   └───────┴───────┴───────┴───────┴───────┘
//! ```

use std::{
    collections::VecDeque,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;

use holdfast_proto::ids::{Millis, Offset};

/// Batches that had to stay and are looked at again in one eviction.
const LOOKS: usize = 16;

/// The bound and the order of eviction over all partitions.
#[derive(Debug)]
pub struct TailCache {
    limit_bytes: usize,
    used_bytes: AtomicUsize,
    order: Mutex<Order>,
}

/// Every batch. May name batches that are gone: they are skipped.
#[derive(Debug, Default)]
struct Order {
    /// In order of arrival.
    arrivals: VecDeque<Arrival>,
    /// Older ones, which had to stay when it was their turn: they wait for a flush.
    staying: VecDeque<Arrival>,
}

#[derive(Debug)]
struct Arrival {
    tail: Weak<PartitionTail>,
    serial: u64,
    at: Millis,
}

/// Recent batches of one partition.
#[derive(Debug)]
pub struct PartitionTail {
    cache: Arc<TailCache>,
    /// Flushed end of the log: what lies below may be evicted.
    flushed: AtomicU64,
    /// Its batches should go and wait for a flush.
    wants_flush: AtomicBool,
    batches: Mutex<Batches>,
}

#[derive(Debug, Default)]
struct Batches {
    held: VecDeque<Batch>,
    next_serial: u64,
}

#[derive(Debug)]
struct Batch {
    serial: u64,
    base: Offset,
    next: Offset,
    bytes: Bytes,
}

impl TailCache {
    /// A cache of at most `limit_bytes`, what waits for the disk apart.
    pub fn new(limit_bytes: usize) -> Arc<Self> {
        Arc::new(Self { limit_bytes, used_bytes: AtomicUsize::new(0), order: Mutex::default() })
    }

    /// The part of one partition, whose log is durable up to `flushed`.
    pub fn partition(self: &Arc<Self>, flushed: Offset) -> Arc<PartitionTail> {
        let (cache, flushed) = (Arc::clone(self), AtomicU64::new(flushed.0));
        Arc::new(PartitionTail { cache, flushed, wants_flush: AtomicBool::default(), batches: Mutex::default() })
    }

    /// Bytes of all batches that are held at the moment.
    fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    fn is_over_limit(&self) -> bool {
        self.used_bytes() > self.limit_bytes
    }

    /// Drops the batches that came before `oldest`.
    pub fn expire(&self, oldest: Millis) {
        self.evict_while(usize::MAX, |arrival, _| arrival.at < oldest, |_| {});
    }

    fn evict_to_limit(&self) {
        if self.is_over_limit() {
            let must_flush = |tail: &PartitionTail| tail.wants_flush.store(true, Ordering::Relaxed);
            self.evict_while(LOOKS, |_, used| used > self.limit_bytes, must_flush);
        }
    }

    /// Evicts as long as `wanted`: of those that had to stay so many are looked at again, then the others in order of
    /// arrival. Passes over those that have to stay, of which `stays` is told.
    fn evict_while(&self, looks: usize, wanted: impl Fn(&Arrival, usize) -> bool, stays: impl Fn(&PartitionTail)) {
        let mut order = self.order.lock();
        let Order { arrivals, staying } = &mut *order;
        let has_to_stay = |one: &Arrival| {
            let tail = one.tail.upgrade().filter(|tail| !tail.evict(one.serial));
            tail.inspect(|tail| stays(tail)).is_some()
        };
        for _ in 0..staying.len().min(looks) {
            let Some(first) = staying.pop_front() else { break };
            if !wanted(&first, self.used_bytes()) || has_to_stay(&first) {
                staying.push_back(first);
            }
        }
        while let Some(first) = arrivals.pop_front() {
            if !wanted(&first, self.used_bytes()) {
                arrivals.push_front(first);
                break;
            }
            if has_to_stay(&first) {
                staying.push_back(first);
            }
        }
    }
}

impl PartitionTail {
    /// Adds a batch (or several in one piece) at the end of the log. One that does not join the batches held, as after
    /// a start over, replaces them.
    pub fn push(self: &Arc<Self>, base: Offset, next: Offset, bytes: Bytes, now: Millis) {
        assert!(base < next, "an empty range {base}..{next} is no batch");
        let size = bytes.len();
        let serial = {
            let mut batches = self.batches.lock();
            if batches.held.back().is_some_and(|last| last.next != base) {
                self.release(batches.held.drain(..));
            }
            let serial = batches.next_serial;
            batches.next_serial += 1;
            batches.held.push_back(Batch { serial, base, next, bytes });
            serial
        };
        self.cache.used_bytes.fetch_add(size, Ordering::Relaxed);
        self.cache.order.lock().arrivals.push_back(Arrival { tail: Arc::downgrade(self), serial, at: now });
        self.cache.evict_to_limit();
    }

    /// The log is durable up to here. What had to stay until now goes if memory is wanted.
    pub fn flushed_to(&self, offset: Offset) {
        self.flushed.store(offset.0, Ordering::Release);
        if !self.cache.is_over_limit() {
            return;
        }
        let mut batches = self.batches.lock();
        while self.cache.is_over_limit() && batches.held.front().is_some_and(|first| first.next <= offset) {
            self.release(batches.held.drain(..1));
        }
    }

    /// True if batches that wait for a flush stand in the way of newer ones. Told once.
    pub fn takes_too_much(&self) -> bool {
        self.wants_flush.load(Ordering::Relaxed) && self.wants_flush.swap(false, Ordering::Relaxed)
    }

    /// The log was cut at `to`.
    pub fn truncate(&self, to: Offset) {
        self.flushed.fetch_min(to.0, Ordering::AcqRel);
        let mut batches = self.batches.lock();
        let keep = batches.held.partition_point(|batch| batch.next <= to);
        self.release(batches.held.drain(keep..));
    }

    /// Whole batches from the one that holds `from` on, none that reaches past `up_to`; the first whole even if larger
    /// than `max_bytes`. `None` if `from` lies below what is held: the disk has it.
    pub fn read(&self, from: Offset, up_to: Offset, max_bytes: usize) -> Option<Found> {
        let batches = self.batches.lock();
        let first = batches.held.partition_point(|batch| batch.next <= from);
        let start = batches.held.get(first)?;
        if start.base > from {
            return None;
        }
        let mut found = Found { base: start.base, next: start.base, pieces: Vec::new(), size: 0 };
        for batch in batches.held.range(first..) {
            let fits = found.size == 0 || found.size + batch.bytes.len() <= max_bytes;
            if batch.next > up_to || !fits {
                break;
            }
            found.size += batch.bytes.len();
            found.next = batch.next;
            found.pieces.push(batch.bytes.clone());
        }
        Some(found)
    }

    /// Evicts the batch of this serial; true if it is gone.
    fn evict(&self, serial: u64) -> bool {
        let mut batches = self.batches.lock();
        match batches.held.front() {
            // Batches of one partition go in order: it went before, or waits for another.
            Some(first) if first.serial != serial => first.serial > serial,
            Some(first) if first.next.0 > self.flushed.load(Ordering::Acquire) => false,
            Some(_) => {
                self.release(batches.held.drain(..1));
                true
            }
            None => true,
        }
    }

    fn release(&self, gone: impl Iterator<Item = Batch>) {
        let size: usize = gone.map(|batch| batch.bytes.len()).sum();
        self.cache.used_bytes.fetch_sub(size, Ordering::Relaxed);
    }
}

impl Drop for PartitionTail {
    fn drop(&mut self) {
        let held = std::mem::take(&mut self.batches.get_mut().held);
        self.release(held.into_iter());
    }
}

/// Batches that were found in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Offset of the first record of the first batch.
    pub base: Offset,
    /// Offset after the last; equal to `base` if there is none.
    pub next: Offset,
    /// The batches, contiguous, in the order of their offsets.
    pub pieces: Vec<Bytes>,
    /// Their size in bytes.
    pub size: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(size: usize) -> Bytes {
        Bytes::from(vec![0; size])
    }

    fn push(tail: &Arc<PartitionTail>, base: u64, next: u64, size: usize) {
        tail.push(Offset(base), Offset(next), piece(size), Millis(base));
    }

    fn found(tail: &PartitionTail, from: u64, up_to: u64, max: usize) -> Option<(u64, u64, usize)> {
        tail.read(Offset(from), Offset(up_to), max).map(|found| (found.base.0, found.next.0, found.size))
    }

    #[test]
    fn whole_batches_come_from_the_one_that_holds_the_offset() {
        let tail = TailCache::new(1000).partition(Offset(10));
        push(&tail, 10, 15, 100);
        push(&tail, 15, 20, 100);
        push(&tail, 20, 30, 100);
        assert_eq!(found(&tail, 12, 30, 1000), Some((10, 30, 300)));
        assert_eq!(found(&tail, 15, 30, 150), Some((15, 20, 100)), "the second does not fit");
        assert_eq!(found(&tail, 15, 30, 1), Some((15, 20, 100)), "the first comes whole");
        assert_eq!(found(&tail, 15, 29, 1000), Some((15, 20, 100)), "none that reaches past the end");
        assert_eq!(found(&tail, 10, 12, 1000), Some((10, 10, 0)), "none below the end");
        assert_eq!(found(&tail, 9, 30, 1000), None, "older than what is held");
        assert_eq!(found(&tail, 30, 30, 1000), None, "the end of the log");
    }

    #[test]
    fn the_oldest_go_first_over_all_partitions_but_never_unflushed_ones() {
        let cache = TailCache::new(250);
        let (a, b) = (cache.partition(Offset(0)), cache.partition(Offset(0)));
        push(&a, 0, 1, 100);
        push(&b, 0, 1, 100);
        push(&b, 1, 2, 100);
        assert_eq!(cache.used_bytes(), 300, "nothing is on disk yet");
        a.flushed_to(Offset(1));
        b.flushed_to(Offset(2));
        push(&b, 2, 3, 100);
        assert_eq!(cache.used_bytes(), 200);
        assert_eq!(found(&a, 0, 1, 1000), None);
        assert_eq!(found(&b, 1, 3, 1000), Some((1, 3, 200)));
        cache.expire(Millis(2));
        assert_eq!(found(&b, 1, 3, 1000), None);
        assert_eq!(cache.used_bytes(), 100);
        drop(b);
        assert_eq!(cache.used_bytes(), 0);
    }

    #[test]
    fn a_partition_that_does_not_flush_keeps_its_own_batches_alone() {
        let cache = TailCache::new(250);
        let (seldom, often) = (cache.partition(Offset(0)), cache.partition(Offset(0)));
        push(&seldom, 0, 1, 10);
        push(&seldom, 1, 2, 10);
        for offset in 0..100 {
            push(&often, offset, offset + 1, 100);
            often.flushed_to(Offset(offset + 1));
        }
        assert!(cache.used_bytes() <= 350, "{} bytes", cache.used_bytes());
        assert_eq!(found(&seldom, 0, 2, 1000), Some((0, 2, 20)));
        assert!(seldom.takes_too_much() && !seldom.takes_too_much(), "told once");
        assert!(!often.takes_too_much());
        seldom.flushed_to(Offset(2));
        push(&often, 100, 101, 100);
        assert_eq!(found(&seldom, 1, 2, 1000), None, "the oldest go");
        assert!(cache.order.lock().arrivals.len() < 10);
    }

    #[test]
    fn others_are_evicted_behind_any_number_that_have_to_stay() {
        let cache = TailCache::new(250);
        let (many, often) = (cache.partition(Offset(0)), cache.partition(Offset(0)));
        for offset in 0..5_000 {
            push(&many, offset, offset + 1, 1);
        }
        for offset in 0..100 {
            push(&often, offset, offset + 1, 100);
            often.flushed_to(Offset(offset + 1));
        }
        assert!(cache.used_bytes() <= 5_200, "{} bytes", cache.used_bytes());
        many.flushed_to(Offset(5_000));
        for offset in 100..600 {
            push(&often, offset, offset + 1, 100);
            often.flushed_to(Offset(offset + 1));
        }
        assert!(cache.used_bytes() <= 350, "they go once they may: {} bytes", cache.used_bytes());
    }

    #[test]
    fn what_is_cut_from_the_log_is_not_read_again() {
        let cache = TailCache::new(1000);
        let tail = cache.partition(Offset(0));
        push(&tail, 0, 5, 100);
        push(&tail, 5, 9, 100);
        tail.flushed_to(Offset(9));
        tail.truncate(Offset(5));
        push(&tail, 5, 6, 50);
        assert_eq!(found(&tail, 0, 9, 1000), Some((0, 6, 150)));
        tail.truncate(Offset(0));
        push(&tail, 100, 101, 10);
        assert_eq!(found(&tail, 100, 101, 1000), Some((100, 101, 10)));
        assert_eq!(cache.used_bytes(), 10);
    }
}
