//! Opening a log: finding out what it holds, and whether that is what it held.
//!
//! Intuition: a crash can only leave unfinished what was not durable yet, so only the end of the last segment may be bad,
//! and only past the durable mark. Everything else that is bad was good once: damage. A torn tail is cut; a damaged log is
//! left as it is, for a shorter log must never be offered to an election. Where what is cut may have been counted, the log
//! goes on in doubt ([`Recovered::doubt`]), which stands over restarts until the caller settles it.
//!
//! Invariants:
//! 1. Of a log that is damaged nothing but indexes and times is written. Of one in doubt the doubt is durable before anything is cut.
//! 2. What is recovered is durable: it is fsynced first, then compared past the mark with what the disk itself holds, for the
//!    page cache may believe more (a failed fsync leaves clean pages that never reached the disk).
//! 3. After a clean close no segment is read through; after a kill only the last one.

use std::{fs, path::Path, sync::Arc, time::UNIX_EPOCH};

use holdfast_proto::ids::{LeaderEpoch, Offset, TimestampMs, TopicPartition};
use holdfast_replication::ProducerTable;

use super::{
    beginning::{MarkedStart, lost_beginning},
    doubt, layout,
    log::{Active, PartitionLog, Recovered},
    replay::{load_indexed, reindex, tail},
    roll::{begin_segment, store_times},
    segment_times,
};
use crate::{
    Disk, Error, LogConfig,
    checkpoint::{self, StoredEpochs},
    clocks::{steady, wall_clock},
    digest::{Comparison, Digest},
    files::{self, Listing},
    hints::names_its_batch,
    mark::{MarkFile, Marks, Times},
    noted::Noted,
    scan::Check,
    segment::{Segment, Tally},
    shared::Shared,
    snapshot,
};

impl PartitionLog {
    /// Opens the log in `folder`, which is created if absent.
    ///
    /// [`Error::Damaged`]: durable bytes are gone or changed; nothing was touched. [`Error::OtherTopic`]: another topic's.
    pub fn open(
        disk: &Arc<Disk>,
        folder: &Path,
        partition: TopicPartition,
        config: LogConfig,
    ) -> Result<(Self, Recovered), Error> {
        config.validate()?;
        if !folder.try_exists().map_err(|error| Error::io("cannot look for", folder, error))? {
            layout::create(disk, folder, partition)?;
        }
        recover(disk, folder, partition, config)
    }
}

/// What of the active segment was found.
pub(super) struct Found {
    pub(super) tally: Tally,
    /// Epochs of its batches and where each begins; `None` if it was not read, for the checkpoint is up to date.
    pub(super) epochs: Option<Vec<(LeaderEpoch, Offset)>>,
    pub(super) producers: ProducerTable,
    pub(super) cut_bytes: u64,
}

/// Opens the log in an existing folder.
fn recover(
    disk: &Arc<Disk>,
    folder: &Path,
    partition: TopicPartition,
    config: LogConfig,
) -> Result<(PartitionLog, Recovered), Error> {
    checkpoint::check_metadata(disk, &folder.join(files::METADATA), partition)?;
    let mut listing = files::list(folder)?;
    listing.temporary.iter().try_for_each(|path| disk.remove(path))?;
    let loaded = MarkFile::load(disk, &folder.join(files::MARK))?;
    let marks = loaded.as_ref().map(|(_, marks)| *marks);
    let noted = marks.and_then(|marks| marks.noted);
    let stored = checkpoint::load_epochs(&folder.join(files::EPOCHS), noted.as_ref())?;
    let filed = stored.as_ref().and_then(|stored| stored.filed.clone());
    let is_complete = stored.as_ref().is_some_and(|stored| stored.is_complete);
    if let Some(first) = listing.segments.first() {
        check_beginning(folder, *first, marks, stored.as_ref())?;
    }
    if marks.is_none_or(|marks| marks.times.is_none()) {
        remove_side_files(disk, folder, &listing)?;
    }
    if listing.segments.is_empty() {
        let at = empty_log(folder, marks)?;
        begin_segment(disk, folder, partition, at)?;
        disk.sync_folder(folder)?;
        listing.segments.push(at);
    }

    let recovery = Recovery { disk, folder, partition, config: &config, listing: &listing, marks, stored };
    let (mut segments, mut recovered_segments) = recovery.closed_segments()?;
    let base = listing.segments[listing.segments.len() - 1];
    let clean = recovery.clean_active(base)?;
    let was_clean = clean.is_some();
    recovered_segments += usize::from(!was_clean);
    let (active, found) = clean.map_or_else(|| recovery.torn_active(base, &segments), Ok)?;
    segments.push(Arc::clone(&active));
    let end = found.tally.next;
    let log_start = marks.map_or(segments[0].base(), |marks| marks.log_start.max(segments[0].base())).min(end);
    let high_watermark = marks.map_or(log_start, |marks| marks.high_watermark.clamp(log_start, end));
    let (epochs, epochs_changed) = recovery.epochs(&segments, found.epochs.as_deref(), log_start, end)?;
    listing.orphans.iter().try_for_each(|path| disk.remove(path))?;
    recovery.remove_old_snapshots(end)?;

    let file = Arc::new(disk.open(active.path())?);
    active.hold(Some(Arc::clone(&file)));
    let first_append = (found.tally.size > 0).then(|| born(active.path()));
    let new_marks = Marks {
        flushed: end,
        segment: base,
        position: found.tally.size,
        log_start,
        high_watermark,
        clean: was_clean,
        times: Some(active.times()),
        digest: found.tally.digest,
        noted: noted.filter(|_| is_complete).or_else(|| Some(Noted::behind(filed.as_ref()))),
    };
    let (mark, written_marks) = match loaded {
        Some((mark, marks)) => (mark, marks),
        None => (MarkFile::create(disk, &folder.join(files::MARK), &new_marks)?, new_marks),
    };
    let recovered = Recovered {
        log_start_offset: log_start,
        log_end_offset: end,
        high_watermark,
        epochs: epochs.clone(),
        producers: found.producers.clone(),
        truncated_bytes: found.cut_bytes,
        recovered_segments,
        was_clean,
        doubt: doubt::load(folder)?,
    };
    let mut log = PartitionLog {
        disk: Arc::clone(disk),
        folder: folder.to_owned(),
        partition,
        config,
        shared: Shared::new(segments, log_start, end, config.verify_on_read),
        active: Active { segment: active, file, tally: found.tally, first_append },
        epochs,
        epochs_changed,
        filed,
        producers: found.producers,
        mark,
        marks: new_marks,
        written_marks,
        headers: Vec::new(),
    };
    if !was_clean {
        disk.sync_folder(folder)?;
        log.store_epochs()?;
        log.sync_mark()?;
    } else if written_marks.noted != new_marks.noted {
        log.sync_mark()?; // of an earlier program: from now on it names the checkpoint
    } else if written_marks.times != new_marks.times {
        log.write_mark()?; // an age that is not known is counted from now on
    }
    Ok((log, recovered))
}

/// Removes what stands beside the segments of a log whose mark an earlier program wrote last: that program knows nothing of it,
/// and may have cut a segment and filled it again up to the same place. Durably, and so before there is another mark.
fn remove_side_files(disk: &Disk, folder: &Path, listing: &Listing) -> Result<(), Error> {
    let lost = listing.segments.iter().filter(|base| files::file(folder, **base, files::DIGEST).exists()).count();
    if lost > 0 {
        let segments = lost;
        tracing::warn!(folder = %folder.display(), segments, "no mark vouches for digests of segments: they are made again");
    }
    disk.remove(&folder.join(files::SEGMENT_TIMES))?;
    listing.segments.iter().try_for_each(|base| disk.remove(&files::file(folder, *base, files::DIGEST)))?;
    disk.sync_folder(folder)
}

/// Where a log without segments begins. A start over that a crash interrupted leaves one, with a mark that claims nothing.
fn empty_log(folder: &Path, marks: Option<Marks>) -> Result<Offset, Error> {
    match marks {
        Some(marks) if marks.flushed == marks.log_start => Ok(marks.log_start),
        _ => Err(Error::Damaged {
            path: folder.to_owned(),
            at: marks.map_or(Offset(0), |marks| marks.log_start),
            position: 0,
            reason: "there is no segment".to_owned(),
        }),
    }
}

/// [`Error::Damaged`]: segments are missing before the first one, or nothing tells that none is.
fn check_beginning(
    folder: &Path,
    first: Offset,
    marks: Option<Marks>,
    stored: Option<&StoredEpochs>,
) -> Result<(), Error> {
    let stored = stored.filter(|stored| stored.has_checksum);
    let marked = |marks: Marks| MarkedStart { log_start: marks.log_start, is_claimed: marks.flushed > marks.log_start };
    match lost_beginning(first, marks.map(marked), stored.map(|stored| &stored.chain)) {
        None => Ok(()),
        Some((at, reason)) => {
            Err(Error::Damaged { path: files::file(folder, first, files::LOG), at, position: 0, reason })
        }
    }
}

/// What the steps of a recovery share.
pub(super) struct Recovery<'a> {
    pub(super) disk: &'a Disk,
    pub(super) folder: &'a Path,
    pub(super) partition: TopicPartition,
    pub(super) config: &'a LogConfig,
    pub(super) listing: &'a Listing,
    pub(super) marks: Option<Marks>,
    /// What is stored of the leader epochs, if their checkpoint is there and whole.
    pub(super) stored: Option<StoredEpochs>,
}

impl Recovery<'_> {
    /// The segments before the last one, and how many had to be read through. Each must end where the next begins.
    fn closed_segments(&self) -> Result<(Vec<Arc<Segment>>, usize), Error> {
        let mut segments: Vec<Arc<Segment>> = Vec::new();
        let mut read = 0;
        let times = segment_times::load(self.folder)?;
        let mut is_unknown = false;
        for pair in self.listing.segments.windows(2) {
            let (base, next) = (pair[0], pair[1]);
            let size = size_of(&files::file(self.folder, base, files::LOG))?;
            let indexed = load_indexed(self.folder, self.partition, base)?;
            let indexed = match indexed {
                Some(segment) => {
                    let found = tail(&segment, size)?.filter(|tally| tally.next == next);
                    if found.is_some() && agrees(&segment, times.get(&base))? { Some(segment) } else { None }
                }
                None => None,
            };
            read += usize::from(indexed.is_none());
            let segment = indexed.map_or_else(|| self.reindex_closed(base, next, size), Ok)?;
            // Those of another content: an earlier program, which keeps none, has closed the segment again.
            let known = times.get(&base).filter(|times| times.largest == segment.max_timestamp());
            segment.was_appended_at(known.map(|times| times.last_append), self.disk.ages().now());
            is_unknown |= known.is_none_or(|known| *known != segment.times());
            segment.digests.close();
            segments.push(Arc::new(segment));
        }
        if is_unknown {
            // So that an age that is not known is counted from now on, and not again from the next start on.
            store_times(self.disk, self.folder, &segments)?;
            self.disk.sync_folder(self.folder)?;
        }
        Ok((segments, read))
    }

    fn reindex_closed(&self, base: Offset, next: Offset, size: u64) -> Result<Segment, Error> {
        let segment = Segment::new(self.folder, self.partition, base);
        let known = segment.digests.stored((size, next))?;
        let is_bound = !known.is_empty();
        let mut comparison = Comparison::new(known);
        let whole = (size, Offset(u64::MAX));
        let walked = reindex(&segment, whole, self.config.index_interval_bytes, Check::Crc, |tally, _| {
            comparison.reach(tally.border());
        })?;
        let end = walked.tally.next;
        if walked.bad.is_some() || end != next {
            let reason =
                walked.bad.unwrap_or_else(|| format!("it ends at offset {end}, the next one begins at {next}"));
            return Err(damaged(&segment, &walked.tally, reason));
        }
        comparison.result(segment.name(), walked.tally.border())?;
        tracing::warn!(segment = %segment.path().display(), "the indexes of a segment were bad and are rebuilt");
        walked.tally.push_time(&segment);
        segment.offsets.store_anew(self.disk)?;
        segment.times.store_anew(self.disk)?;
        segment.offsets.seal(self.disk)?;
        segment.times.seal(self.disk)?;
        if !is_bound {
            // It was read through with its checksums: what it holds is bound from now on.
            let mut tally = walked.tally;
            tally.push_border(&segment);
            segment.digests.store(self.disk, true)?;
            self.disk.sync_folder(self.folder)?;
        }
        Ok(segment)
    }

    /// The last segment, if the log was closed in order and nothing was touched since.
    fn clean_active(&self, base: Offset) -> Result<Option<(Arc<Segment>, Found)>, Error> {
        let Some(marks) = self.marks.filter(|marks| marks.clean && marks.segment == base) else { return Ok(None) };
        if size_of(&files::file(self.folder, base, files::LOG))? != marks.position {
            return Ok(None);
        }
        let Some(segment) = load_indexed(self.folder, self.partition, base)? else { return Ok(None) };
        let Some(mut tally) = tail(&segment, marks.position)?.filter(|tally| tally.next == marks.flushed) else {
            return Ok(None);
        };
        if !agrees(&segment, marks.times.as_ref())? {
            return Ok(None);
        }
        let snapshot = files::file(self.folder, marks.flushed, files::SNAPSHOT);
        let producers = match snapshot::load(&snapshot)? {
            Some(producers) => producers,
            None if marks.flushed == Offset(0) => ProducerTable::new(), // a new log has no snapshot
            None => return Ok(None),
        };
        tally.digest = marks.digest.or((marks.position == 0).then(Digest::default));
        segment.digests.load_up_to(tally.border())?;
        segment.was_appended_at(marks.times.map(|times| times.last_append), self.disk.ages().now());
        Ok(Some((Arc::new(segment), Found { tally, epochs: None, producers, cut_bytes: 0 })))
    }

    /// Keeps the snapshots that begin a segment, and the newest one.
    fn remove_old_snapshots(&self, end: Offset) -> Result<(), Error> {
        let newest = self.listing.snapshots.iter().rev().find(|offset| **offset <= end);
        let is_old = |offset: &&Offset| {
            **offset > end || (Some(*offset) != newest && self.listing.segments.binary_search(offset).is_err())
        };
        let mut old = self.listing.snapshots.iter().filter(is_old);
        old.try_for_each(|offset| self.disk.remove(&files::file(self.folder, *offset, files::SNAPSHOT)))
    }
}

/// True if the indexes of a segment know the largest time that was noted when it was written; where none was noted, if the
/// last entry of the time index names a batch that has its time.
fn agrees(segment: &Segment, times: Option<&Times>) -> Result<bool, Error> {
    match times {
        Some(times) => Ok(times.largest == segment.max_timestamp()),
        None => segment.times.last().map_or(Ok(true), |entry| names_its_batch(segment, entry)),
    }
}

pub(super) fn damaged(segment: &Segment, tally: &Tally, reason: String) -> Error {
    Error::Damaged { path: segment.path().to_owned(), at: tally.next, position: tally.size, reason }
}

pub(super) fn size_of(path: &Path) -> Result<u64, Error> {
    fs::metadata(path).map(|metadata| metadata.len()).map_err(|error| Error::io("cannot read", path, error))
}

/// When a file was created, in steady time; now if the system does not tell, or tells of a time that is yet to come. For the
/// age at which a segment is closed, and nothing else.
fn born(path: &Path) -> TimestampMs {
    let created = fs::metadata(path).and_then(|metadata| metadata.created()).ok();
    let since_1970 = created.and_then(|created| created.duration_since(UNIX_EPOCH).ok());
    let ago_ms = since_1970.map_or(0, |born| wall_clock().0.saturating_sub(born.as_millis() as i64));
    TimestampMs(steady().0.saturating_sub(ago_ms.max(0)))
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
pub(super) mod tests;
