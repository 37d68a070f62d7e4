//! The log itself: what its parts share, its ends, flush and close.

use std::{fs::File, path::PathBuf, sync::Arc};

use holdfast_proto::ids::{LeaderEpoch, Offset, TimestampMs, TopicPartition};
use holdfast_replication::{EpochChain, ProducerTable, ReplicaState};

use super::placed::Placed;
use crate::{
    Disk, Error, LogConfig, LogReader, checkpoint, files,
    mark::{MarkFile, Marks},
    noted::{Filed, Noted},
    segment::{Segment, Tally},
    shared::Shared,
};

/// The log of one partition, as its one writer has it.
#[derive(Debug)]
pub struct PartitionLog {
    pub(super) disk: Arc<Disk>,
    pub(super) folder: PathBuf,
    pub(super) partition: TopicPartition,
    pub(super) config: LogConfig,
    pub(super) shared: Arc<Shared>,
    pub(super) active: Active,
    pub(super) epochs: EpochChain,
    /// True if the epoch file and the mark do not say what `epochs` does.
    pub(super) epochs_changed: bool,
    /// What the epoch file says; `None` if it is to be written as a whole.
    pub(super) filed: Option<Filed>,
    pub(super) producers: ProducerTable,
    pub(super) mark: MarkFile,
    /// What the mark should say.
    pub(super) marks: Marks,
    /// What the mark's file says; becomes `marks` with the next write.
    pub(super) written_marks: Marks,
    /// Headers of the batches that are being appended; kept for its memory.
    pub(super) headers: Vec<Placed>,
}

/// The segment that is written.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) segment: Arc<Segment>,
    pub(super) file: Arc<File>,
    pub(super) tally: Tally,
    /// When its first batch came; `None` while it is empty.
    pub(super) first_append: Option<TimestampMs>,
}

/// What a log held when it was opened. All of it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// First offset that may be read.
    pub log_start_offset: Offset,
    /// Offset after the last batch.
    pub log_end_offset: Offset,
    /// A lower bound of the high watermark, between the two.
    pub high_watermark: Offset,
    /// Leader epochs and where they start.
    pub epochs: EpochChain,
    /// What is known of idempotent producers, from the records up to the log end.
    pub producers: ProducerTable,
    /// Bytes of a torn tail that were cut.
    pub truncated_bytes: u64,
    /// Segments that were read through.
    pub recovered_segments: usize,
    /// True if the log had been closed in order.
    pub was_clean: bool,
    /// Why the log may lack records that this replica once told others of; `None`: it holds all of them.
    ///
    /// Such a replica must not count as a holder of anything before the controllers have taken it out of ISR and ELR:
    /// register it as doubtful. It stands, over restarts, until [`crate::DataDir::settle_doubt`] takes it away.
    pub doubt: Option<String>,
}

impl From<Recovered> for ReplicaState {
    fn from(recovered: Recovered) -> Self {
        let Recovered { log_start_offset, log_end_offset, high_watermark, epochs, producers, .. } = recovered;
        Self { log_start_offset, log_end_offset, high_watermark, epochs, producers }
    }
}

impl Drop for PartitionLog {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl PartitionLog {
    /// A reader of this log. Once the log is closed or dropped it reads nothing more.
    pub fn reader(&self) -> LogReader {
        LogReader::new(Arc::clone(&self.shared))
    }

    /// Which partition it is.
    pub const fn partition(&self) -> TopicPartition {
        self.partition
    }

    /// Settings that hold from the last [`Self::configure`] on.
    pub const fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Takes other settings for what comes.
    pub fn configure(&mut self, config: LogConfig) -> Result<(), Error> {
        config.validate()?;
        self.shared.set_verify_on_read(config.verify_on_read);
        self.config = config;
        Ok(())
    }

    /// First offset that may be read.
    pub fn log_start_offset(&self) -> Offset {
        self.shared.log_start()
    }

    /// Offset after the last batch.
    pub fn log_end_offset(&self) -> Offset {
        self.active.tally.next
    }

    /// Offset after the last durable batch.
    pub fn flushed_end(&self) -> Offset {
        self.shared.flushed()
    }

    /// Leader epochs and where they start, up to the log end.
    pub const fn epochs(&self) -> &EpochChain {
        &self.epochs
    }

    /// What is known of idempotent producers, up to the log end, durable or not.
    pub const fn producers(&self) -> &ProducerTable {
        &self.producers
    }

    /// Makes durable what was appended, and lets the mark say so.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.disk.check()?;
        if self.shared.flushed() == self.active.tally.next {
            return Ok(());
        }
        self.disk.sync_batches(&self.active.file, self.active.segment.path())?;
        self.mark_flushed();
        self.write_mark()
    }

    /// Notes durably where a leader epoch starts.
    pub fn begin_epoch(&mut self, leader_epoch: LeaderEpoch, start: Offset) -> Result<(), Error> {
        self.disk.check()?;
        self.epochs_changed |= self.epochs.assign(leader_epoch, start);
        self.store_epochs()
    }

    /// Remembers the high watermark, which reaches the disk with the next durable mark. Lower ones are ignored.
    pub fn store_high_watermark(&mut self, offset: Offset) {
        self.marks.high_watermark = self.marks.high_watermark.max(offset);
    }

    /// Writes the mark if it has something new, and makes it durable.
    pub fn sync_mark(&mut self) -> Result<(), Error> {
        self.write_mark()?;
        self.mark.sync(&self.disk)
    }

    /// True if the durable mark does not say yet what it could.
    pub fn is_mark_behind(&self) -> bool {
        self.mark.is_dirty() || self.marks != self.written_marks
    }

    /// Flushes, writes every checkpoint, and says that the log was closed in order: the next start reads no segment.
    pub fn close(mut self) -> Result<(), Error> {
        self.flush()?;
        self.active.segment.offsets.seal(&self.disk)?;
        self.active.segment.times.seal(&self.disk)?;
        self.active.tally.push_border(&self.active.segment);
        // Not durably: the mark says what the last border has to be.
        self.active.segment.digests.store(&self.disk, false)?;
        self.store_snapshot(self.active.tally.next)?;
        if !self.file_epochs()? {
            self.disk.sync_folder(&self.folder)?; // for the names of the others
        }
        self.active.segment.hold(None);
        self.marks.clean = true;
        self.sync_mark()
    }

    pub(super) fn write_mark(&mut self) -> Result<(), Error> {
        if self.marks != self.written_marks {
            self.mark.write(&self.disk, &self.marks)?;
            self.written_marks = self.marks;
        }
        Ok(())
    }

    /// Everything in the active segment is durable.
    pub(super) fn mark_flushed(&mut self) {
        let tally = &self.active.tally;
        self.shared.set_flushed(tally.next);
        self.marks.flushed = tally.next;
        self.marks.segment = self.active.segment.base();
        self.marks.position = tally.size;
        self.marks.digest = tally.digest;
        self.marks.times = Some(self.active.segment.times());
        self.marks.clean = false;
    }

    /// Makes the leader epochs durable: in the mark, where they go on behind what the checkpoint says.
    pub(super) fn store_epochs(&mut self) -> Result<(), Error> {
        if !self.epochs_changed {
            return Ok(());
        }
        match self.filed.as_ref().and_then(|filed| filed.noting(&self.epochs)) {
            Some(noted) => {
                self.mark.check_named()?;
                (self.marks.noted, self.epochs_changed) = (Some(noted), false);
            }
            None => _ = self.file_epochs()?,
        }
        self.sync_mark() // it names the checkpoint before a batch relies on that
    }

    /// Writes the checkpoint of the leader epochs durably where it lacks any, with the folder; then returns true. The caller
    /// makes the mark durable after that.
    pub(super) fn file_epochs(&mut self) -> Result<bool, Error> {
        let is_due = self.epochs_changed || self.marks.noted.is_none_or(|noted| !noted.is_empty());
        if is_due {
            let (filed, bytes) = checkpoint::file_of(&self.epochs);
            self.disk.replace(&self.folder.join(files::EPOCHS), &bytes)?;
            self.filed = Some(filed);
            self.marks.noted = Some(Noted::behind(self.filed.as_ref()));
            self.epochs_changed = false;
        }
        Ok(is_due)
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
