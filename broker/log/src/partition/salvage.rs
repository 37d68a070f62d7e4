//! What can be read of a damaged log, from its start up to the damage.
//!
//! Place: for the last replica of a partition, once an operator lets the partition go on with it. Until then nothing of it is
//! touched; and where another leads it is copied from there instead, whole.
//!
//! The log is cut where recovery finds that it is damaged, again until it opens. A cut leaves every file as it was but for
//! its name here: the segment that is cut is copied up to there, and what lies behind it is taken off the folder. So a folder
//! that holds the same files by other names keeps all of it. A crash in between leaves a damaged log, which is cut again.

use std::{fs::File, io, io::Read, path::Path, sync::Arc};

use holdfast_proto::ids::{Offset, TimestampMs, TopicPartition};

use super::log::{PartitionLog, Recovered};
use crate::{
    Disk, Error, LogConfig,
    disk::{TEMPORARY, with_suffix},
    files,
    mark::{MarkFile, Marks, Times},
};

/// Cuts the damaged log in `folder` where its damage begins, and opens it. Its end is then before all that is damaged. Before
/// the first cut it lets the caller `keep` what is there.
///
/// One whose first segments are gone begins with the first that is there. [`Error::Damaged`]: no segment is there.
pub(crate) fn salvage(
    disk: &Arc<Disk>,
    folder: &Path,
    partition: TopicPartition,
    config: LogConfig,
    keep: impl Fn() -> Result<(), Error>,
) -> Result<(PartitionLog, Recovered), Error> {
    let mut before = None;
    loop {
        match PartitionLog::open(disk, folder, partition, config) {
            Err(Error::Damaged { path, at, position, reason }) => {
                let base = files::segment_at(&path).filter(|base| before != Some((*base, at)));
                let Some(base) = base else { return Err(Error::Damaged { path, at, position, reason }) };
                tracing::warn!(%partition, path = %path.display(), offset = %at, position, reason, "a damaged log is cut");
                if before.is_none() {
                    keep()?;
                }
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

/// Takes everything from this place on off the log.
fn cut(disk: &Disk, folder: &Path, base: Offset, (at, position): (Offset, u64)) -> Result<(), Error> {
    let listing = files::list(folder)?;
    let first = listing.segments.first().copied().unwrap_or(base);
    let marks = MarkFile::load(disk, &folder.join(files::MARK))?.map(|(_, marks)| marks);
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
    // No time of the segment is known any more: its age counts from now on.
    let times = Some(Times { last_append: TimestampMs(i64::MAX), largest: TimestampMs(-1) });
    let marks =
        Marks { flushed: at, segment: base, position, log_start, high_watermark, clean: false, times, digest: None };
    put_mark(disk, folder, &marks)
}

/// Lets the log begin with this segment: those before it are gone.
fn begin_at(disk: &Disk, folder: &Path, base: Offset) -> Result<(), Error> {
    let Some((_, marks)) = MarkFile::load(disk, &folder.join(files::MARK))? else { return Ok(()) };
    put_mark(disk, folder, &Marks { log_start: base, high_watermark: marks.high_watermark.max(base), ..marks })
}

/// Puts another mark in the place of the one that is there, whose file may have another name, too.
fn put_mark(disk: &Disk, folder: &Path, marks: &Marks) -> Result<(), Error> {
    disk.remove(&folder.join(files::MARK))?;
    MarkFile::create(disk, &folder.join(files::MARK), marks)?;
    disk.sync_folder(folder)
}

/// Puts a copy of the first bytes of a file in its place, durably but for its name.
fn copy_up_to(disk: &Disk, path: &Path, end: u64) -> Result<(), Error> {
    let unfinished = with_suffix(path, TEMPORARY);
    let failed = |error: io::Error| Error::io("cannot copy", path, error);
    let mut from = File::open(path).map_err(failed)?.take(end);
    let mut to = disk.create(&unfinished)?;
    // Not through the door that latches: want of room ends this attempt, and no log relies on the copy yet.
    let copied = io::copy(&mut from, &mut to).map_err(failed)?;
    if copied < end {
        return Err(Error::io("cannot copy", path, io::ErrorKind::UnexpectedEof));
    }
    disk.sync_file(&to, &unfinished)?;
    disk.rename(&unfinished, path)
}

#[cfg(test)]
#[path = "salvage_tests.rs"]
mod tests;
