//! Removing batches: at the end (truncation), all of them (start over), at the start (retention).

use std::sync::Arc;

use holdfast_proto::ids::Offset;
use holdfast_replication::ProducerTable;

use super::{
    log::{Active, PartitionLog},
    replay::{producers_before, reindex},
    roll::begin_segment,
};
use crate::{Error, clocks::steady, digest::Comparison, files, reader::check_pieces, scan::Check, segment::Segment};

impl PartitionLog {
    /// Removes everything at and above `to`, durably. What is left is durable then.
    ///
    /// `to` is a batch border ([`Error::InsideBatch`] if not, and nothing is done) between log start and log end.
    pub fn truncate_to(&mut self, to: Offset) -> Result<(), Error> {
        self.disk.check()?;
        let (start, end) = (self.shared.log_start(), self.active.tally.next);
        assert!(
            start <= to && to <= end,
            "truncation of {} to {to}, but the log holds {start} to {end}; did the core and the log part ways?",
            self.partition,
        );
        if to == end {
            return self.flush();
        }
        let segments = self.shared.segments();
        let above = segments.partition_point(|segment| segment.base() <= to);
        let (kept, gone) = segments.split_at(above);
        let Some((last, kept)) = kept.split_last() else { unreachable!("the log start lies in the first segment") };

        // Look before anything is touched.
        let fresh = Arc::new(Segment::new(&self.folder, self.partition, last.base()));
        let mut comparison = Comparison::new(last.digests.look(|| (last.size(), last.next()))?);
        let walked =
            reindex(&fresh, (last.size(), to), self.config.index_interval_bytes, Check::Header, |tally, _| {
                comparison.reach(tally.border());
            })?;
        comparison.result(last.name(), walked.tally.border())?;
        // The piece that is cut has its border behind the cut.
        self.active.tally.push_border(&self.active.segment);
        check_pieces(last, &*last.file()?, (walked.tally.size, walked.tally.size + 1))
            .map_err(|unsound| unsound.error)?;
        if let Some(reason) = walked.bad {
            let (at, position) = (walked.tally.next, walked.tally.size);
            return Err(Error::Damaged { path: last.path().to_owned(), at, position, reason });
        }
        if walked.tally.next != to {
            return Err(Error::InsideBatch { to, next: walked.tally.next });
        }
        let file = if gone.is_empty() { last.file()? } else { Arc::new(self.disk.open(last.path())?) };

        // The mark first: were the log cut before, a crash would leave a log that is shorter than its mark.
        self.marks.clean = false;
        if to < self.marks.flushed {
            (self.marks.flushed, self.marks.segment, self.marks.position) = (to, last.base(), walked.tally.size);
            self.marks.digest = walked.tally.digest;
        }
        self.marks.high_watermark = self.marks.high_watermark.min(to);
        self.sync_mark()?;

        self.shared.set_flushed(self.shared.flushed().min(to));
        self.shared.set_written(to);
        fresh.take_age_of(last);
        fresh.hold(Some(Arc::clone(&file)));
        let left: Vec<_> = kept.iter().chain([&fresh]).cloned().collect();
        self.shared.set_segments(left.clone());
        self.shared.count_cut();

        gone.iter().rev().try_for_each(|segment| segment.remove(&self.disk))?;
        // From here on it is not to be left half done: the log is not what it was, and not yet what it will be.
        let disk = Arc::clone(&self.disk);
        disk.patiently(|| self.remove_snapshots(|offset| offset > to))?;
        self.disk.set_len(&file, fresh.path(), walked.tally.size)?;
        self.disk.sync_batches(&file, fresh.path())?;
        disk.patiently(|| fresh.offsets.store_anew(&disk))?;
        disk.patiently(|| fresh.times.store_anew(&disk))?;
        disk.patiently(|| disk.sync_folder(&self.folder))?;

        let first_append = (walked.tally.size > 0).then(steady);
        self.active = Active { segment: fresh, file, tally: walked.tally, first_append };
        self.mark_flushed();
        self.sync_mark()?;
        self.epochs_changed |= self.epochs.truncate_to(to);
        disk.patiently(|| self.store_epochs())?;
        self.producers = disk.patiently(|| {
            let snapshots = files::list(&self.folder)?.snapshots;
            producers_before(&self.folder, &snapshots, &left, to)
        })?;
        Ok(())
    }

    /// Drops everything and starts again empty at `at`, durably.
    pub fn start_over(&mut self, at: Offset) -> Result<(), Error> {
        self.disk.check()?;
        // The mark claims nothing from now on, so that recovery accepts whatever a crash leaves of the log.
        let nothing = self.shared.log_start().min(at);
        (self.marks.flushed, self.marks.log_start) = (nothing, nothing);
        (self.marks.segment, self.marks.position, self.marks.clean) = (nothing, 0, false);
        self.marks.digest = None;
        self.marks.high_watermark = nothing;
        self.sync_mark()?;

        let old = self.shared.segments();
        self.epochs_changed |= !self.epochs.is_empty();
        self.epochs.clear();
        let disk = Arc::clone(&self.disk);
        disk.patiently(|| self.store_epochs())?;
        self.producers = ProducerTable::new();
        disk.patiently(|| self.remove_snapshots(|_| true))?;
        // Nothing is there to be read before the files are gone.
        self.publish_empty(at, Arc::new(Segment::new(&self.folder, self.partition, at)));
        old.iter().rev().try_for_each(|segment| segment.remove(&self.disk))?;
        disk.patiently(|| disk.sync_folder(&self.folder))?;
        self.active = disk.patiently(|| begin_segment(&disk, &self.folder, self.partition, at))?;
        disk.patiently(|| disk.sync_folder(&self.folder))?;

        self.publish_empty(at, Arc::clone(&self.active.segment));
        self.marks.log_start = at;
        self.marks.high_watermark = at;
        self.mark_flushed();
        self.sync_mark()
    }

    /// Readers of the old log find its files gone or their ends lowered, and look again.
    fn publish_empty(&self, at: Offset, segment: Arc<Segment>) {
        self.shared.set_log_start(at);
        self.shared.set_flushed(at);
        self.shared.set_written(at);
        self.shared.set_segments(vec![segment]);
        self.shared.count_cut();
    }

    /// Moves the log start to `to`, durably, and deletes whole segments below it. Lower offsets than now do nothing.
    pub fn advance_log_start(&mut self, to: Offset) -> Result<(), Error> {
        self.disk.check()?;
        if to <= self.shared.log_start() {
            return Ok(());
        }
        let end = self.active.tally.next;
        assert!(to <= end, "the log start of {} would pass its end: {to} > {end}", self.partition);
        if to > self.shared.flushed() {
            self.flush()?;
        }
        if to == end && self.active.tally.size > 0 {
            self.roll()?; // so that the last batches can go too
        }
        self.marks.log_start = to;
        self.marks.high_watermark = self.marks.high_watermark.max(to);
        self.sync_mark()?;
        self.shared.set_log_start(to);

        let segments = self.shared.segments();
        let last = segments.len() - 1;
        let gone = segments[..last].iter().take_while(|segment| segment.next() <= to).count();
        if gone > 0 {
            let (old, left) = segments.split_at(gone);
            self.shared.set_segments(left.to_vec());
            old.iter().try_for_each(|segment| segment.remove(&self.disk))?;
            let first = left[0].base();
            self.remove_snapshots(|offset| offset < first)?;
            self.disk.sync_folder(&self.folder)?;
        }
        self.epochs_changed |= self.epochs.truncate_from_start(to);
        self.store_epochs()
    }

    fn remove_snapshots(&self, is_gone: impl Fn(Offset) -> bool) -> Result<(), Error> {
        let snapshots = files::list(&self.folder)?.snapshots;
        let mut gone = snapshots.into_iter().filter(|offset| is_gone(*offset));
        gone.try_for_each(|offset| self.disk.remove(&files::file(&self.folder, offset, files::SNAPSHOT)))
    }
}
