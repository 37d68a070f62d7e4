//! The log of one partition.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use holdfast_proto::ids::{LeaderEpoch, Offset, TopicPartition};
use holdfast_replication::{EpochChain, ProducerTable};

use crate::{Disk, Error, LogConfig, LogReader};

/// The log of one partition, as its one writer has it.
#[derive(Debug)]
pub struct PartitionLog {}

/// What a log held when it was opened. All of it is durable.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// First offset that may be read.
    pub log_start_offset: Offset,
    /// Offset after the last batch.
    pub log_end_offset: Offset,
    /// A lower bound of the high watermark, between the two.
    pub high_watermark: Offset,
    /// Leader epochs and where they start.
    pub epochs: EpochChain,
    /// The idempotent producers.
    pub producers: ProducerTable,
    /// Bytes of a torn tail that were cut.
    pub truncated_bytes: u64,
    /// Segments that were read through.
    pub recovered_segments: usize,
}

impl PartitionLog {
    /// Opens the log in `folder`, which is created if absent.
    pub fn open(
        _disk: &Arc<Disk>,
        _folder: &Path,
        _partition: TopicPartition,
        _config: LogConfig,
    ) -> Result<(Self, Recovered), Error> {
        Err(Error::Closed)
    }

    /// Writes whole batches at the end, all with one vectored write per segment. Not durable before `flush`.
    pub fn append(&mut self, _records: &[Bytes]) -> Result<(), Error> {
        Err(Error::Closed)
    }

    /// Makes durable what was appended.
    pub fn flush(&mut self) -> Result<(), Error> {
        Err(Error::Closed)
    }

    /// Removes everything at and above `to`, durably.
    pub fn truncate_to(&mut self, _to: Offset) -> Result<(), Error> {
        Err(Error::Closed)
    }

    /// Drops everything and starts again empty at `at`, durably.
    pub fn start_over(&mut self, _at: Offset) -> Result<(), Error> {
        Err(Error::Closed)
    }

    /// Notes durably where a leader epoch starts.
    pub fn begin_epoch(&mut self, _epoch: LeaderEpoch, _start: Offset) -> Result<(), Error> {
        Err(Error::Closed)
    }

    /// Moves the log start durably and deletes whole segments below it.
    pub fn advance_log_start(&mut self, _to: Offset) -> Result<(), Error> {
        Err(Error::Closed)
    }

    /// Remembers the high watermark; it reaches the disk with the next durable mark.
    pub fn store_high_watermark(&mut self, _offset: Offset) {}

    /// Flushes and writes every checkpoint.
    pub fn close(self) -> Result<(), Error> {
        Err(Error::Closed)
    }

    /// A reader of this log.
    pub fn reader(&self) -> LogReader {
        LogReader {}
    }
}
