//! Whole batches by offset, and look-ups by time.

use std::{io, sync::Arc};

use bytes::{Buf, Bytes};

use holdfast_proto::{
    batch::{self, BatchHeader},
    ids::{Offset, TimestampMs},
};

use super::{
    damage::damaged,
    pieces::{check_pieces, piece_before},
    retention::{self, Retention},
    scrub_step::check_around,
    time,
};
use crate::{
    Error,
    header::parse,
    hints::{indexed_near, is_there},
    read_at::read_at,
    segment::Segment,
    shared::Shared,
};

/// Reads one partition's log. Cheap to clone; no lock is held during IO.
#[derive(Clone, Debug)]
pub struct LogReader {
    shared: Arc<Shared>,
}

impl LogReader {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Whole batches from the one that holds `from` on; none that ends past `up_to`. The first comes whole even if it is
    /// larger than `max_bytes`. Empty if no batch that holds `from` ends at or before `up_to`: that is told only of batches
    /// that were checked, for who hears it comes again and again.
    ///
    /// One read stays in one segment, so it can give less than `max_bytes` although more is there.
    pub fn read(&self, from: Offset, max_bytes: usize, up_to: Offset) -> Result<Bytes, Error> {
        self.undisturbed(|log_start, written| {
            if from < log_start || from > written {
                return Err(self.out_of_range(from, written));
            }
            let up_to = up_to.min(written);
            if from >= up_to {
                return Ok(Bytes::new());
            }
            let segments = self.shared.segments();
            let above = segments.partition_point(|segment| segment.base() <= from);
            let Some(segment) = above.checked_sub(1).and_then(|at| segments.get(at)) else {
                // The list is newer than the log start that was looked at: retention took the segment.
                return Err(self.out_of_range(from, written));
            };
            let bytes = self.read_segment(segment, from, max_bytes, up_to)?;
            if bytes.is_empty() {
                check_around(&self.shared, from)?;
            }
            Ok(bytes)
        })
    }

    /// The first record with this time or later, as its offset and time; `None` if there is none. The caller compares the
    /// offset with the high watermark.
    pub fn offset_for_timestamp(&self, timestamp: TimestampMs) -> Result<Option<(Offset, TimestampMs)>, Error> {
        self.undisturbed(|log_start, written| {
            for segment in self.shared.segments().iter() {
                if segment.next() > log_start
                    && segment.max_timestamp() >= timestamp
                    && let Some(found) = time::first_at(segment, timestamp, log_start, written)?
                {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        })
    }

    /// First offset that may be read.
    pub fn log_start_offset(&self) -> Offset {
        self.shared.log_start()
    }

    /// Offset after the last batch that is written to the file, durable or not.
    pub fn written_end(&self) -> Offset {
        self.shared.written()
    }

    /// Offset after the last durable batch.
    pub fn flushed_end(&self) -> Offset {
        self.shared.flushed()
    }

    /// Bytes of all batches on disk.
    pub fn size_bytes(&self) -> u64 {
        self.shared.segments().iter().map(|segment| segment.size()).sum()
    }

    /// Number of segments, the one that is written included; at least 1.
    pub fn segment_count(&self) -> usize {
        self.shared.segments().len()
    }

    /// The log start offset that retention asks for, at most `high_watermark`; `None` if nothing has to go. `now` comes from
    /// [`crate::Ages::look`]. To be given to [`crate::Op::AdvanceStart`].
    pub fn retention_start(&self, retention: Retention, now: TimestampMs, high_watermark: Offset) -> Option<Offset> {
        retention::start(&self.shared, retention, now, high_watermark)
    }

    /// Reads every batch from `from` on, as a scrub does, and gives the offset after the last; for checks of a whole log.
    pub fn verify(&self, from: Offset) -> Result<Offset, Error> {
        let mut next = Some(from);
        while let Some(from) = next {
            next = self.scrub(from, u64::MAX)?.next;
        }
        Ok(self.shared.written())
    }

    /// The error of an offset that is not there, with the log start as it is now: who falls behind retention goes on from
    /// there, and an older one would send them back to what is gone.
    fn out_of_range(&self, offset: Offset, log_end: Offset) -> Error {
        Error::OffsetOutOfRange { offset, log_start: self.shared.log_start(), log_end }
    }

    /// True if both read one opening of one log.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// True if the log was closed: nothing is read of it any more.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Does a read again if a truncation came in between, or retention took the segment away. [`Error::Closed`] if the log
    /// was closed meanwhile: its files are opened by their paths, and another log may stand there.
    pub(super) fn undisturbed<T>(&self, read: impl Fn(Offset, Offset) -> Result<T, Error>) -> Result<T, Error> {
        loop {
            let (cuts, log_start) = (self.shared.cuts(), self.shared.log_start());
            let result = read(log_start, self.shared.written());
            if self.shared.is_closed() {
                return Err(Error::Closed);
            }
            let was_cut = self.shared.cuts() != cuts;
            let was_removed = matches!(&result, Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound)
                && self.shared.log_start() != log_start;
            if !was_cut && !was_removed {
                return result.map_err(|error| self.lost(error));
            }
        }
    }

    /// What it means that a file is not there: the loss of a segment, if it is one that the log still holds.
    fn lost(&self, error: Error) -> Error {
        let path = match &error {
            Error::Io { source, path, .. } if source.kind() == io::ErrorKind::NotFound => path,
            _ => return error,
        };
        let (segments, log_start) = (self.shared.segments(), self.shared.log_start());
        let lost = segments.iter().find(|segment| segment.path() == path && segment.next() > log_start);
        lost.map_or(error, |lost| damaged(lost, lost.base().max(log_start), 0, "the file is gone".to_owned()))
    }

    fn read_segment(&self, segment: &Segment, from: Offset, max_bytes: usize, up_to: Offset) -> Result<Bytes, Error> {
        let walk = Walk { segment, from, max_bytes, up_to, verify: self.shared.verify_on_read() };
        // A walk from where a piece begins needs no index.
        let without_index = || {
            let (position, next) = piece_before(segment, from)?;
            walk.collect(position, Expected::First(next))
        };
        let Some(hint) = indexed_near(segment, from)? else { return without_index() };
        // The index names last offsets: the next entry is often the very batch that holds `from`.
        let start = match hint.next {
            Some(next) if is_there(segment, next)?.is_some_and(|found| found.base_offset <= from) => Some(next),
            _ => hint.floor,
        };
        let Some(start) = start else { return walk.collect(0, Expected::First(segment.base())) };
        match walk.collect(start.position, Expected::Last(start.last_offset)) {
            Err(Error::Damaged { position, .. }) if position == start.position => {
                let bytes = without_index()?;
                tracing::warn!(segment = %segment.path().display(), "the index of a segment is damaged; reads are slow");
                Ok(bytes)
            }
            result => result,
        }
    }
}

/// What is known of a batch before it is read. No checksum covers its offset.
#[derive(Clone, Copy)]
enum Expected {
    /// The offset of its first record.
    First(Offset),
    /// The offset of its last record.
    Last(Offset),
}

impl Expected {
    fn is(self, header: &BatchHeader) -> bool {
        match self {
            Self::First(offset) => header.base_offset == offset,
            Self::Last(offset) => header.last_offset() == offset,
        }
    }
}

/// One read of one segment.
struct Walk<'a> {
    segment: &'a Segment,
    from: Offset,
    max_bytes: usize,
    up_to: Offset,
    verify: bool,
}

impl Walk<'_> {
    /// The batches from the one that holds `from` on, found by walking from the batch border `start`. Those before what is
    /// damaged are given; the error comes to who begins to read there.
    fn collect(&self, start: u64, first: Expected) -> Result<Bytes, Error> {
        let file = self.segment.file()?;
        let size = self.segment.size();
        let mut position = start;
        let mut bytes = Bytes::new();
        let mut expected = first;
        let mut taken = 0;
        loop {
            let rest = &bytes[taken..];
            if position >= size {
                if taken > 0 {
                    break;
                }
                let reason = format!("the segment ends, and no batch in it holds offset {}", self.from);
                return Err(self.damaged(expected, position, reason));
            }
            let header = match parse(rest) {
                Ok(header) if rest.len() >= header.size_bytes => header,
                Err(batch::Error::Truncated { .. }) | Ok(_) if taken > 0 => break,
                Err(batch::Error::Truncated { .. }) | Ok(_) if rest.len() as u64 >= size - position => {
                    return Err(self.damaged(expected, position, "the file ends inside a batch".to_owned()));
                }
                Ok(header) => {
                    bytes = self.fetch(&file, position, size, header.size_bytes)?;
                    continue;
                }
                Err(batch::Error::Truncated { .. }) => {
                    bytes = self.fetch(&file, position, size, BatchHeader::SIZE)?;
                    continue;
                }
                Err(_damaged) if taken > 0 => break,
                Err(error) => return Err(self.damaged(expected, position, error.to_string())),
            };
            if !expected.is(&header) || (taken == 0 && header.base_offset > self.from) {
                if taken > 0 {
                    break;
                }
                let (base, last) = (header.base_offset, header.last_offset());
                let reason = format!("a batch of offsets {base} to {last} stands where another one was expected");
                return Err(self.damaged(expected, position, reason));
            }
            let is_wanted = header.next_offset() > self.from;
            if is_wanted {
                let is_full = taken > 0 && taken + header.size_bytes > self.max_bytes;
                if is_full || header.next_offset() > self.up_to {
                    break;
                }
                if self.verify
                    && let Err(error) = batch::verify_crc(&rest[..header.size_bytes])
                {
                    if taken > 0 {
                        break;
                    }
                    return Err(self.damaged(expected, position, error.to_string()));
                }
                taken += header.size_bytes;
            } else {
                bytes.advance(header.size_bytes);
            }
            position += header.size_bytes as u64;
            expected = Expected::First(header.next_offset());
        }
        bytes.truncate(taken);
        if self.verify && taken > 0 {
            let from = position - taken as u64;
            if let Err(unsound) = check_pieces(self.segment, &file, (from, position)) {
                if unsound.position <= from {
                    return Err(unsound.error);
                }
                bytes.truncate((unsound.position - from) as usize);
            }
        }
        Ok(bytes)
    }

    /// Reads `needed` bytes, and those behind them that may be wanted too, as far as they can be read.
    fn fetch(&self, file: &std::fs::File, position: u64, size: u64, needed: usize) -> Result<Bytes, Error> {
        /// What a walk to the first batch wanted may have to skip.
        const SLACK: usize = 8 << 10;
        let want = (needed.max(self.max_bytes).saturating_add(SLACK) as u64).min(size - position) as usize;
        let mut buffer = Vec::new();
        let read = read_at(file, self.segment.path(), position, want, &mut buffer);
        if buffer.len() < needed.min(want) {
            read?;
            let reason = format!("the file ends {} bytes early", want - buffer.len());
            return Err(self.damaged(Expected::Last(self.from), position, reason));
        }
        Ok(buffer.into())
    }

    fn damaged(&self, expected: Expected, position: u64, reason: String) -> Error {
        let at = match expected {
            Expected::First(offset) => offset,
            Expected::Last(_) => self.from,
        };
        damaged(self.segment, at, position, reason)
    }
}

#[cfg(test)]
#[path = "flipped_tests.rs"]
mod tests;
