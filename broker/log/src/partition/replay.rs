//! Reading a segment's batches again: for its indexes, its end, the epochs and the producers.

use std::{path::Path, sync::Arc};

use holdfast_proto::{
    batch::BatchHeader,
    ids::{Offset, TopicPartition},
};
use holdfast_replication::{EpochChain, ProducerTable};

use crate::{
    Error, files,
    index::Index,
    scan::{Check, Scan, Step},
    segment::{Segment, Tally},
    snapshot,
};

/// How a walk through a segment ended.
#[derive(Debug)]
pub(super) struct Walked {
    /// Size and ends of what was sound up to there.
    pub(super) tally: Tally,
    /// Why it ended before its end, if it did.
    pub(super) bad: Option<String>,
}

/// Reads a segment from its start up to `end` bytes or to the offset `stop`, and rebuilds its index and digests in memory.
/// `each` gets each batch, and the tally behind it.
pub(super) fn reindex(
    segment: &Segment,
    (end, stop): (u64, Offset),
    interval_bytes: u32,
    check: Check,
    mut each: impl FnMut(&Tally, &BatchHeader),
) -> Result<Walked, Error> {
    let mut tally = Tally::new(segment.base());
    let bad = walk(segment, (0, end), Some(segment.base()), check, |_, header| {
        if header.base_offset >= stop {
            return false;
        }
        tally.add(segment, interval_bytes, header);
        each(&tally, header);
        true
    })?;
    segment.publish(&tally);
    Ok(Walked { tally, bad })
}

/// Finds the end of a segment of `end` bytes from its last index entry on. `None` if the indexes cannot be right.
pub(super) fn tail(segment: &Segment, end: u64) -> Result<Option<Tally>, Error> {
    let (entry, time) = (segment.offsets.last(), segment.times.last());
    let start = entry.map_or(0, |entry| entry.position.into());
    let mut tally = Tally::new(segment.base());
    let mut first = None;
    let bad = walk(segment, (start, end), (start == 0).then(|| segment.base()), Check::Header, |_, header| {
        if first.is_none() {
            first = Some(header.last_offset());
            if let Some(entry) = entry {
                tally = Tally::at_entry(segment.base(), header.base_offset, entry, time);
            }
        }
        tally.recount(header);
        true
    })?;
    let is_named_right = match entry {
        None => segment.times.len() <= 1, // a closed segment has one entry, however small it is
        Some(entry) => first == Some(segment.base().plus(entry.relative_offset.into())),
    };
    let has_time = time.is_none_or(|time| segment.base().plus(time.relative_offset.into()) < tally.next);
    if bad.is_some() || !is_named_right || !has_time {
        return Ok(None);
    }
    segment.publish(&tally);
    Ok(Some(tally))
}

/// Loads the indexes of a segment; `None` if one is missing or cannot be an index.
pub(super) fn load_indexed(folder: &Path, partition: TopicPartition, base: Offset) -> Result<Option<Segment>, Error> {
    let offsets = Index::load(files::file(folder, base, files::INDEX))?;
    let times = Index::load(files::file(folder, base, files::TIME_INDEX))?;
    Ok(offsets.zip(times).map(|indexes| Segment::with_indexes(folder, partition, base, indexes)))
}

/// The producers of everything before `end`: from the newest snapshot at or before it, and what follows.
pub(super) fn producers_before(
    folder: &Path,
    snapshots: &[Offset],
    segments: &[Arc<Segment>],
    end: Offset,
) -> Result<ProducerTable, Error> {
    let mut start = Offset(0);
    let mut producers = ProducerTable::new();
    for offset in snapshots.iter().rev().filter(|offset| **offset <= end) {
        if let Some(found) = snapshot::load(&files::file(folder, *offset, files::SNAPSHOT))? {
            (start, producers) = (*offset, found);
            break;
        }
        tracing::warn!(folder = %folder.display(), %offset, "a producer snapshot is damaged; older segments are read");
    }
    for segment in segments.iter().filter(|segment| segment.next() > start && segment.base() < end) {
        each_header(segment, |header| {
            if header.base_offset >= start && header.base_offset < end && header.has_producer() {
                producers.replay(&header.into());
            }
        })?;
    }
    Ok(producers)
}

/// The epochs of all segments.
pub(super) fn epochs_of(segments: &[Arc<Segment>]) -> Result<EpochChain, Error> {
    let mut epochs = EpochChain::new();
    for segment in segments {
        each_header(segment, |header| {
            epochs.assign(header.leader_epoch, header.base_offset);
        })?;
    }
    Ok(epochs)
}

/// Reads the headers of a sound segment.
fn each_header(segment: &Segment, mut each: impl FnMut(&BatchHeader)) -> Result<(), Error> {
    let mut reached = (segment.base(), 0);
    let bad = walk(segment, (0, segment.size()), Some(segment.base()), Check::Header, |position, header| {
        each(header);
        reached = (header.next_offset(), position + header.size_bytes as u64);
        true
    })?;
    let (at, position) = reached;
    match bad {
        Some(reason) => Err(Error::Damaged { path: segment.path().to_owned(), at, position, reason }),
        None => Ok(()),
    }
}

/// Walks until the end, a bad batch, whose reason is returned, or `each` returns false.
fn walk(
    segment: &Segment,
    range: (u64, u64),
    expected: Option<Offset>,
    check: Check,
    mut each: impl FnMut(u64, &BatchHeader) -> bool,
) -> Result<Option<String>, Error> {
    let file = segment.file()?;
    let mut scan = Scan::new(&file, segment.path(), range, expected, check);
    loop {
        match scan.step()? {
            Step::Batch { position, header } => {
                if !each(position, &header) {
                    return Ok(None);
                }
            }
            Step::Bad { reason, .. } => return Ok(Some(reason)),
            Step::End => return Ok(None),
        }
    }
}
