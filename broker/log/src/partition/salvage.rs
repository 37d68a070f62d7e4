//! What can be read of a damaged log, from its start up to the damage.
//!
//! Place: for the last replica of a partition, once an operator lets the partition go on with it. Until then nothing of it is
//! touched; and where another leads it is copied from there instead, whole.
//!
//! All of it is read first ([`first_damage`]), and cut at the first batch that is not what was appended; then where recovery
//! finds that it is damaged, again until it opens. The caller has set the files aside, under other names of the same files where
//! that goes: so nothing is written into a file that has another name. A segment that is cut is copied up to there, what
//! lies behind it is taken off the folder, and every file that the open log writes into is replaced by a copy. A crash in
//! between leaves a damaged log, which is cut again.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path, sync::Arc};

use holdfast_proto::ids::{Offset, TimestampMs, TopicPartition};

use super::{
    examine::{Unreadable, first_damage, load_marks},
    log::{PartitionLog, Recovered},
};
use crate::{
    Disk, Error, LogConfig,
    disk::{TEMPORARY, with_suffix},
    files,
    mark::{MarkFile, Marks, Times},
};

/// Cuts the log in `folder` where its damage begins, and opens it. Its end is then before all that is damaged. A sound one is
/// opened as it is. What was set aside of it stays as it was.
///
/// One whose first segments are gone begins with the first that is there. [`Error::Damaged`]: no segment is there. An
/// [unreadable](Error::is_unreadable) place is an error unless it `IsDamage`.
pub(crate) fn salvage(
    disk: &Arc<Disk>,
    folder: &Path,
    partition: TopicPartition,
    config: LogConfig,
    unreadable: Unreadable,
) -> Result<(PartitionLog, Recovered), Error> {
    files::list(folder)?.temporary.iter().try_for_each(|path| disk.remove(path))?;
    own_small_files(disk, folder, unreadable)?;
    if let Some(place) = first_damage(folder, partition, unreadable)? {
        let (base, at, position) = (place.base, place.at, place.position);
        tracing::warn!(%partition, segment = %base, offset = %at, position, reason = place.reason, "a damaged log is cut");
        cut(disk, folder, base, (at, position))?;
    }
    own_last_segment(disk, folder)?;
    let mut before = None;
    loop {
        match PartitionLog::open(disk, folder, partition, config) {
            Err(Error::Damaged { path, at, position, reason }) => {
                let base = files::segment_at(&path).filter(|base| before != Some((*base, at)));
                let Some(base) = base else { return Err(Error::Damaged { path, at, position, reason }) };
                tracing::warn!(%partition, path = %path.display(), offset = %at, position, reason, "a damaged log is cut");
                if at < base {
                    begin_at(disk, folder, base)?;
                } else {
                    cut(disk, folder, base, (at, position))?;
                }
                before = Some((base, at));
            }
            result => return result,
        }
    }
}

/// Puts copies in the place of the files that belong to no segment. One that the disk does not read is made again from the
/// segments, or is as lost.
fn own_small_files(disk: &Disk, folder: &Path, unreadable: Unreadable) -> Result<(), Error> {
    for path in files::beside_segments(folder)?.into_iter().filter(|path| is_shared(path)) {
        match read(&path) {
            Ok(bytes) => disk.try_replace(&path, &bytes)?,
            Err(error) if unreadable.is_damage(&error) => {
                tracing::warn!(%error, "a small file of a log is as lost");
                disk.remove(&path)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Puts copies in the place of the files of the segment that is written.
fn own_last_segment(disk: &Disk, folder: &Path) -> Result<(), Error> {
    let Some(last) = files::list(folder)?.segments.pop() else { return Ok(()) };
    for path in [files::INDEX, files::TIME_INDEX, files::DIGEST].map(|ending| files::file(folder, last, ending)) {
        if is_shared(&path) {
            // It can be made again.
            read(&path).map_or_else(|_unread| disk.remove(&path), |bytes| disk.try_replace(&path, &bytes))?;
        }
    }
    let log = files::file(folder, last, files::LOG);
    if is_shared(&log) { copy_up_to(disk, &log, u64::MAX) } else { Ok(()) }
}

/// True if the file has another name.
fn is_shared(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.nlink() > 1)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| Error::io("cannot read", path, error))
}

/// No time of the segment is known any more: its age counts from now on.
const UNKNOWN: Times = Times { last_append: TimestampMs(i64::MAX), largest: TimestampMs(-1) };

/// Takes everything from this place on off the log.
fn cut(disk: &Disk, folder: &Path, base: Offset, (at, position): (Offset, u64)) -> Result<(), Error> {
    let listing = files::list(folder)?;
    let first = listing.segments.first().copied().unwrap_or(base);
    let marks = load_marks(folder, Unreadable::MayPass)?;
    for offset in listing.snapshots.iter().filter(|offset| **offset > at) {
        disk.remove(&files::file(folder, *offset, files::SNAPSHOT))?;
    }
    for segment in listing.segments.iter().rev().filter(|segment| **segment >= base) {
        for ending in [files::INDEX, files::TIME_INDEX, files::DIGEST] {
            disk.remove(&files::file(folder, *segment, ending))?;
        }
        if *segment > base {
            disk.remove(&files::file(folder, *segment, files::LOG))?;
        }
    }
    copy_up_to(disk, &files::file(folder, base, files::LOG), position)?;
    let log_start = marks.map_or(first, |marks| marks.log_start.max(first)).min(at);
    let high_watermark = marks.map_or(log_start, |marks| marks.high_watermark.clamp(log_start, at));
    let cut = Marks {
        flushed: at,
        segment: base,
        position,
        log_start,
        high_watermark,
        clean: false,
        times: Some(UNKNOWN),
        digest: None,
        noted: marks.and_then(|marks| marks.noted),
    };
    put_mark(disk, folder, &cut)
}

/// Lets the log begin with this segment: those before it are gone.
fn begin_at(disk: &Disk, folder: &Path, base: Offset) -> Result<(), Error> {
    let marks = load_marks(folder, Unreadable::MayPass)?;
    let marks =
        marks.unwrap_or_else(|| Marks { flushed: base, segment: base, times: Some(UNKNOWN), ..Marks::default() });
    put_mark(disk, folder, &Marks { log_start: base, high_watermark: marks.high_watermark.max(base), ..marks })
}

/// Puts another mark in the place of the one that is there, whose file may have another name, too.
fn put_mark(disk: &Disk, folder: &Path, marks: &Marks) -> Result<(), Error> {
    disk.remove(&folder.join(files::MARK))?;
    MarkFile::create(disk, &folder.join(files::MARK), marks)?;
    disk.sync_folder(folder)
}

/// Puts a copy of the first bytes of a file in its place, durably but for its name: no log relies on the copy yet, and want of
/// room ends this attempt alone.
fn copy_up_to(disk: &Disk, path: &Path, end: u64) -> Result<(), Error> {
    let unfinished = with_suffix(path, TEMPORARY);
    let copied = disk.try_copy(path, &unfinished, end)?;
    if end != u64::MAX && copied < end {
        return Err(Error::io("cannot copy", path, io::ErrorKind::UnexpectedEof));
    }
    disk.rename(&unfinished, path)
}

#[cfg(test)]
#[path = "salvage_tests.rs"]
mod tests;
