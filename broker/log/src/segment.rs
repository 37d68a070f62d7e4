//! One segment: a file of batches from its base offset on, with its two indexes and its digests.
//!
//! Place: the one writer of a log appends to the last segment of its list; readers hold any of them.
//!
//! Invariants:
//! 1. What lies below `size` in the file is whole batches, and `next` is the offset after the last of them.
//! 2. Index entries are Kafka's, byte for byte: whenever more than `index.interval.bytes` of batches lie behind the last
//!    entry, the batch that comes gets one; the time index gets the largest time so far with it, and once more when the
//!    segment is closed.
//! 3. Only the segment that is written keeps its file open.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use holdfast_proto::{
    batch::BatchHeader,
    ids::{Offset, TimestampMs, TopicPartition},
};

use crate::{
    Disk, Error,
    digest::{Border, Digest, Digests, is_border_due},
    files,
    index::{Entry, Index, OffsetEntry, TimeEntry},
    mark::Times,
};

/// What writer and readers share of a segment.
#[derive(Debug)]
pub(crate) struct Segment {
    base: Offset,
    path: PathBuf,
    pub(crate) offsets: Index<OffsetEntry>,
    pub(crate) times: Index<TimeEntry>,
    pub(crate) digests: Digests,
    size: AtomicU64,
    next: AtomicU64,
    max_timestamp: AtomicI64,
    /// When it was last appended to, by the [`Ages`](crate::Ages) of its disk, ms. Ahead of all time before it was said.
    last_append: AtomicI64,
    open: Mutex<Option<Arc<File>>>,
}

impl Segment {
    /// An empty segment, without a file yet.
    pub(crate) fn new(folder: &Path, partition: TopicPartition, base: Offset) -> Self {
        let offsets = Index::new(files::file(folder, base, files::INDEX));
        let times = Index::new(files::file(folder, base, files::TIME_INDEX));
        Self::with_indexes(folder, partition, base, (offsets, times))
    }

    /// An empty segment with indexes that were loaded.
    pub(crate) fn with_indexes(
        folder: &Path,
        partition: TopicPartition,
        base: Offset,
        (offsets, times): (Index<OffsetEntry>, Index<TimeEntry>),
    ) -> Self {
        Self {
            base,
            path: files::file(folder, base, files::LOG),
            offsets,
            times,
            digests: Digests::new(files::file(folder, base, files::DIGEST), partition, base),
            size: AtomicU64::new(0),
            next: AtomicU64::new(base.0),
            max_timestamp: AtomicI64::new(-1),
            last_append: AtomicI64::new(i64::MAX),
            open: Mutex::new(None),
        }
    }

    /// Offset of its first record.
    pub(crate) const fn base(&self) -> Offset {
        self.base
    }

    /// The file of the batches.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What errors name it by.
    pub(crate) fn name(&self) -> (&Path, Offset) {
        (&self.path, self.base)
    }

    /// Bytes of whole batches.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Offset after its last record.
    pub(crate) fn next(&self) -> Offset {
        Offset(self.next.load(Ordering::Acquire))
    }

    /// Largest time of a record; -1 if no record has one.
    pub(crate) fn max_timestamp(&self) -> TimestampMs {
        TimestampMs(self.max_timestamp.load(Ordering::Relaxed))
    }

    /// How long ago it was last appended to, ms.
    pub(crate) fn age_ms(&self, now: TimestampMs) -> i64 {
        now.0.saturating_sub(self.last_append.load(Ordering::Relaxed))
    }

    /// Takes over when another state of the same segment was last appended to.
    pub(crate) fn take_age_of(&self, other: &Self) {
        self.last_append.store(other.last_append.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Its times as they are kept beside it.
    pub(crate) fn times(&self) -> Times {
        Times { last_append: TimestampMs(self.last_append.load(Ordering::Relaxed)), largest: self.max_timestamp() }
    }

    /// It was appended to at this time.
    pub(crate) fn appended_at(&self, time: TimestampMs) {
        self.last_append.store(time.0, Ordering::Relaxed);
    }

    /// Takes over when it was last appended to, as an earlier process kept it. What that did not know, or what lies ahead,
    /// is now.
    pub(crate) fn was_appended_at(&self, kept: Option<TimestampMs>, now: TimestampMs) {
        self.appended_at(kept.map_or(now, |kept| kept.min(now)));
    }

    /// Lets readers see what the tally counted.
    pub(crate) fn publish(&self, tally: &Tally) {
        self.digests.set_end(tally.border());
        self.max_timestamp.store(tally.max_timestamp, Ordering::Relaxed);
        self.size.store(tally.size, Ordering::Release);
        self.next.store(tally.next.0, Ordering::Release);
    }

    /// Keeps the file open for readers, or not any more.
    pub(crate) fn hold(&self, file: Option<Arc<File>>) {
        *self.open.lock() = file;
    }

    /// The file, for reading.
    pub(crate) fn file(&self) -> Result<Arc<File>, Error> {
        if let Some(file) = self.open.lock().as_ref() {
            return Ok(Arc::clone(file));
        }
        File::open(&self.path).map(Arc::new).map_err(|error| Error::io("cannot open", &self.path, error))
    }

    /// Fails if no file has its name, though it may be held open still: then what is written there is lost with the process.
    pub(crate) fn check_named(&self) -> Result<(), Error> {
        fs::metadata(&self.path).map(|_| ()).map_err(|error| Error::io("cannot look for", &self.path, error))
    }

    /// Batches near the one that holds `offset`, as the index tells.
    pub(crate) fn indexed_near(&self, offset: Offset) -> Result<IndexHint, Error> {
        let relative = offset.0.saturating_sub(self.base.0).min(u32::MAX.into()) as u32;
        let (floor, next) = self.offsets.around(relative)?;
        let indexed = |entry: OffsetEntry| Indexed {
            position: entry.position.into(),
            last_offset: self.base.plus(entry.relative_offset.into()),
        };
        Ok(IndexHint { floor: floor.map(indexed), next: next.map(indexed) })
    }

    /// Removes the files of the segment, not durably. The snapshot of the same offset is not part of it.
    pub(crate) fn remove(&self, disk: &Disk) -> Result<(), Error> {
        disk.remove(&self.path)?;
        disk.remove(self.offsets.path())?;
        disk.remove(self.times.path())?;
        disk.remove(self.digests.path())
    }
}

/// Where the index says that a batch may be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexHint {
    /// The last indexed batch that ends at or before the offset; `None` if there is none: the segment's start.
    pub(crate) floor: Option<Indexed>,
    /// The next indexed batch; it may be the very one, for the index names last offsets.
    pub(crate) next: Option<Indexed>,
}

/// A batch as the index names it. Neither the index nor the offset of a batch has a checksum: one is held against the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Indexed {
    /// Where it begins in the file, bytes.
    pub(crate) position: u64,
    /// Offset of its last record.
    pub(crate) last_offset: Offset,
}

/// Counts the batches of a segment as they are appended, or found again, and decides what is indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Bytes of the batches.
    pub(crate) size: u64,
    /// Offset after the last one.
    pub(crate) next: Offset,
    /// Largest time so far, or -1.
    pub(crate) max_timestamp: i64,
    /// Last offset of the batch that has it.
    pub(crate) max_timestamp_offset: Offset,
    since_entry: u64,
    /// Of the batches; `None` where the count went on at an entry, and an earlier program wrote what lies before it.
    pub(crate) digest: Option<Digest>,
    since_border: u64,
}

impl Tally {
    /// That of an empty segment.
    pub(crate) const fn new(base: Offset) -> Self {
        Self {
            size: 0,
            next: base,
            max_timestamp: -1,
            max_timestamp_offset: base,
            since_entry: 0,
            digest: Some(Digest(0)),
            since_border: 0,
        }
    }

    /// Goes on at an index entry that was found again: the next batch to count is the one that it names.
    pub(crate) fn at_entry(base: Offset, first: Offset, entry: OffsetEntry, time: Option<TimeEntry>) -> Self {
        Self {
            size: entry.position.into(),
            next: first,
            max_timestamp: time.map_or(-1, |time| time.timestamp),
            max_timestamp_offset: time.map_or(base, |time| base.plus(time.relative_offset.into())),
            since_entry: 0,
            digest: None,
            since_border: 0,
        }
    }

    /// Counts a batch that was found again behind an entry: as [`Self::add`], but the entries are there already.
    pub(crate) fn recount(&mut self, header: &BatchHeader) {
        self.note_time(header);
        self.size += header.size_bytes as u64;
        self.since_entry += header.size_bytes as u64;
        self.next = header.next_offset();
    }

    /// Counts the next batch and indexes it if it is time. True if the indexes have to be stored.
    pub(crate) fn add(&mut self, segment: &Segment, interval_bytes: u32, header: &BatchHeader) -> bool {
        self.note_time(header);
        let mut is_due = false;
        if self.since_entry > interval_bytes.into() {
            let relative_offset = (header.last_offset().0 - segment.base.0) as u32;
            is_due |= segment.offsets.push(OffsetEntry { relative_offset, position: self.size as u32 });
            is_due |= self.push_time(segment);
            self.since_entry = 0;
        }
        if is_border_due(self.size, self.since_border) {
            self.push_border(segment);
        }
        self.size += header.size_bytes as u64;
        self.since_entry += header.size_bytes as u64;
        self.since_border += header.size_bytes as u64;
        self.next = header.next_offset();
        self.digest = self.digest.map(|digest| digest.plus(segment.digests.of(header)));
        is_due
    }

    /// What lies before the next batch, if its digest is known.
    pub(crate) fn border(&self) -> Option<Border> {
        self.digest.map(|digest| Border { position: self.size, next: self.next, digest })
    }

    /// Ends a piece of the segment here.
    pub(crate) fn push_border(&mut self, segment: &Segment) {
        if let Some(border) = self.border() {
            segment.digests.push(border);
        }
        self.since_border = 0;
    }

    /// Puts the largest time into the time index.
    pub(crate) fn push_time(&self, segment: &Segment) -> bool {
        self.max_timestamp > -1
            && segment.times.push(TimeEntry {
                timestamp: self.max_timestamp,
                relative_offset: (self.max_timestamp_offset.0 - segment.base.0) as u32,
            })
    }

    fn note_time(&mut self, header: &BatchHeader) {
        if header.max_timestamp.0 > self.max_timestamp {
            self.max_timestamp = header.max_timestamp.0;
            self.max_timestamp_offset = header.last_offset();
        }
    }
}

/// True if another entry in each index would grow one of them past `max_bytes`.
pub(crate) fn indexes_are_full(segment: &Segment, max_bytes: u32) -> bool {
    let max = max_bytes as usize;
    // One entry of the time index is kept free for the close.
    (segment.offsets.len() + 1) * OffsetEntry::SIZE > max || (segment.times.len() + 2) * TimeEntry::SIZE > max
}
