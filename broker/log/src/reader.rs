//! Reading a log while it is written.

use bytes::Bytes;
use holdfast_proto::ids::{Offset, TimestampMs};

use crate::Error;

/// Reads one partition's log. Cheap to clone; no lock is held during IO.
#[derive(Clone, Debug)]
pub struct LogReader {}

/// What retention has to keep to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Delete segments whose last append by the clock of this broker is older, ms [retention.ms].
    pub ms: Option<u64>,
    /// Delete the oldest segments while the log is larger without them, bytes [retention.bytes].
    pub bytes: Option<u64>,
}

impl LogReader {
    /// Whole batches from the one that holds `from` on; none at or past `up_to`. The first comes whole even if it is
    /// larger than `max_bytes`. Empty if `from` is at or past `up_to`.
    pub fn read(&self, _from: Offset, _max_bytes: usize, _up_to: Offset) -> Result<Bytes, Error> {
        Err(Error::Closed)
    }

    /// The first record with this time or later, as its offset and time. `None` if there is none.
    pub fn offset_for_timestamp(&self, _timestamp: TimestampMs) -> Result<Option<(Offset, TimestampMs)>, Error> {
        Err(Error::Closed)
    }

    /// First offset that may be read.
    pub fn log_start_offset(&self) -> Offset {
        Offset(0)
    }

    /// Offset after the last batch that is written to the file, durable or not.
    pub fn written_end(&self) -> Offset {
        Offset(0)
    }

    /// Offset after the last durable batch.
    pub fn flushed_end(&self) -> Offset {
        Offset(0)
    }

    /// Bytes of all batches on disk.
    pub fn size_bytes(&self) -> u64 {
        0
    }

    /// Number of segments.
    pub fn segment_count(&self) -> usize {
        0
    }

    /// The log start offset that retention asks for, at most `high_watermark`; `None` if nothing has to go.
    /// To be given to [`crate::Op::AdvanceStart`].
    pub fn retention_start(&self, _retention: Retention, _now: TimestampMs, _high_watermark: Offset) -> Option<Offset> {
        None
    }
}
