//! Walking through the batches of a segment's file.
//!
//! Place: recovery, truncation, index rebuilding and searches by time. Plain reads have a walk of their own
//! ([`crate::LogReader`]), which keeps the bytes.
//!
//! Failure: the first batch that is not what it should be ends the walk with [`Step::Bad`]; what that means (a torn tail or
//! damage) is the caller's to say.

use std::{fs::File, path::Path};

use holdfast_proto::{
    batch::{self, BatchHeader},
    ids::{LeaderEpoch, Offset},
};

use crate::{Error, header::parse, read_at::read_at};

/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;

/// One step of a walk.
#[derive(Debug)]
pub(crate) enum Step {
    /// A batch, and where it begins.
    Batch { position: u64, header: BatchHeader },
    /// At `position` no batch begins that can be read.
    Bad { position: u64, reason: String },
    /// The end of what was to be read, at a batch border.
    End,
}

/// How much of a batch is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// The header alone, which has no checksum of its own.
    Header,
    /// All of it, with its checksum.
    Crc,
}

/// A walk through a file from a batch border on.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    file: &'a File,
    path: &'a Path,
    position: u64,
    end: u64,
    /// Offset that the next batch must have; unknown at first if the walk began in the middle.
    expected: Option<Offset>,
    /// Epochs never fall from batch to batch.
    epoch: LeaderEpoch,
    check: Check,
    buffer: Vec<u8>,
    buffer_at: u64,
}

impl<'a> Scan<'a> {
    /// Walks from `position` to `end`.
    pub(crate) const fn new(
        file: &'a File,
        path: &'a Path,
        (position, end): (u64, u64),
        expected: Option<Offset>,
        check: Check,
    ) -> Self {
        let epoch = LeaderEpoch(0);
        Self { file, path, position, end, expected, epoch, check, buffer: Vec::new(), buffer_at: position }
    }

    /// Reads one batch and moves on behind it. Fails only if the file cannot be read: a bad batch is [`Step::Bad`].
    pub(crate) fn step(&mut self) -> Result<Step, Error> {
        let position = self.position;
        let left = self.end.saturating_sub(position);
        if left == 0 {
            return Ok(Step::End);
        }
        let bad = |reason: String| Ok(Step::Bad { position, reason });
        if left < BatchHeader::SIZE as u64 {
            return bad(format!("{left} bytes are too few for a batch"));
        }
        let header = match parse(self.bytes(BatchHeader::SIZE)?) {
            Ok(header) => header,
            Err(error) => return bad(error.to_string()),
        };
        if self.expected.is_some_and(|expected| expected != header.base_offset) {
            let expected = self.expected.unwrap_or_default();
            return bad(format!("a batch begins at offset {}, where {expected} was expected", header.base_offset));
        }
        if header.leader_epoch < self.epoch {
            return bad(format!("a batch of leader epoch {} follows one of epoch {}", header.leader_epoch, self.epoch));
        }
        if header.size_bytes as u64 > left {
            return bad(format!("the batch has {} bytes, only {left} are there", header.size_bytes));
        }
        if self.check == Check::Crc
            && let Err(error) = batch::verify_crc(self.bytes(header.size_bytes)?)
        {
            return bad(error.to_string());
        }
        self.position += header.size_bytes as u64;
        self.expected = Some(header.next_offset());
        self.epoch = header.leader_epoch;
        Ok(Step::Batch { position, header })
    }

    /// The next `count` bytes, which are not beyond the end. Bytes that the file does not have read as 0.
    fn bytes(&mut self, count: usize) -> Result<&[u8], Error> {
        let start = (self.position - self.buffer_at) as usize;
        if start + count > self.buffer.len() {
            let want = ((self.end - self.position) as usize).min(CHUNK.max(count));
            let read = read_at(self.file, self.path, self.position, want, &mut self.buffer);
            self.buffer_at = self.position;
            match read {
                // What lies before the unreadable place is walked through: the error comes to the batch that needs it.
                Err(error) if self.buffer.len() < count => return Err(error),
                Err(_) => {}
                Ok(()) => self.buffer.resize(want, 0),
            }
            return Ok(&self.buffer[..count]);
        }
        Ok(&self.buffer[start..start + count])
    }
}
