//! Closing the active segment and beginning the next one.

use std::{path::Path, sync::Arc};

use holdfast_proto::ids::{Offset, TopicPartition};

use super::{
    log::{Active, PartitionLog},
    segment_times,
};
use crate::{
    Disk, Error, files,
    segment::{Segment, Tally},
    snapshot,
};

impl PartitionLog {
    /// Closes the active segment, durably with its indexes, and begins the next one at the log end. To be called again after
    /// a shortage of handles: nothing is written into the log meanwhile.
    pub(super) fn roll(&mut self) -> Result<(), Error> {
        self.flush()?;
        let old = Arc::clone(&self.active.segment);
        let base = self.active.tally.next;
        assert!(base > old.base(), "segment {} is empty; a second one would take its name", old.base());
        self.active.tally.push_time(&old);
        old.offsets.seal(&self.disk)?;
        old.times.seal(&self.disk)?;
        self.active.tally.push_border(&old);
        old.digests.store(&self.disk, true)?;
        old.digests.close();
        self.store_snapshot(base)?;
        self.file_epochs()?;
        store_times(&self.disk, &self.folder, &self.shared.segments())?;
        let folder = self.disk.open_folder(&self.folder)?;
        let next = begin_segment(&self.disk, &self.folder, self.partition, base)?;
        self.disk.sync_opened_folder(&folder, &self.folder)?;
        self.active = next;
        old.hold(None);
        let mut segments = self.shared.segments().to_vec();
        segments.push(Arc::clone(&self.active.segment));
        self.shared.set_segments(segments);
        // So that recovery never finds the mark in a segment that is closed and need not be read.
        self.mark_flushed();
        self.sync_mark()
    }

    /// Writes the snapshot of the producers before `offset`; the caller makes its name durable.
    pub(super) fn store_snapshot(&self, offset: Offset) -> Result<(), Error> {
        let path = files::file(&self.folder, offset, files::SNAPSHOT);
        self.disk.replace_unnamed(&path, &snapshot::encode(&self.producers))
    }
}

/// Writes the times of closed segments; the caller makes the name of the file durable.
pub(super) fn store_times(disk: &Disk, folder: &Path, closed: &[Arc<Segment>]) -> Result<(), Error> {
    let times = closed.iter().map(|segment| (segment.base(), segment.times()));
    disk.replace_unnamed(&folder.join(files::SEGMENT_TIMES), &segment_times::encode(times))
}

/// Creates the files of an empty segment; the caller makes their names durable. After a shortage none is left.
pub(super) fn begin_segment(
    disk: &Disk,
    folder: &Path,
    partition: TopicPartition,
    base: Offset,
) -> Result<Active, Error> {
    let segment = Arc::new(Segment::new(folder, partition, base));
    let file = Arc::new(disk.create(segment.path())?);
    if let Err(error) = segment.offsets.store_anew(disk).and_then(|()| segment.times.store_anew(disk)) {
        if error.is_shortage() {
            segment.remove(disk)?;
        }
        return Err(error);
    }
    segment.appended_at(disk.ages().now());
    segment.hold(Some(Arc::clone(&file)));
    Ok(Active { segment, file, tally: Tally::new(base), first_append: None })
}
