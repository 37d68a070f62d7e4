//! The digests of one segment: what its writer noted, or what its side file says.

use std::{fs, io, path::PathBuf};

use parking_lot::Mutex;

use holdfast_proto::{
    batch::BatchHeader,
    ids::{Offset, TopicPartition},
};

use super::{Border, Digest, pieces::Pieces, side_file};
use crate::{Disk, Error};

/// The digests of a segment, shared by writer and readers. No lock is held during IO.
#[derive(Debug)]
pub(crate) struct Digests {
    path: PathBuf,
    partition: TopicPartition,
    base: Offset,
    state: Mutex<State>,
    /// The end of what is written, where the segment is written still.
    end: Mutex<Option<Border>>,
}

#[derive(Debug)]
enum State {
    /// Those of a segment that is closed stand in its side file, and no one asked yet.
    NotRead,
    /// Nothing binds the batches.
    Unknown,
    Known(Pieces),
}

impl Digests {
    /// Those of an empty segment.
    pub(crate) fn new(path: PathBuf, partition: TopicPartition, base: Offset) -> Self {
        Self { path, partition, base, state: Mutex::new(State::Known(Pieces::new(base))), end: Mutex::new(None) }
    }

    /// From now on they are those of the side file, which is read when someone asks.
    pub(crate) fn forget(&self) {
        *self.state.lock() = State::NotRead;
    }

    /// The file of the borders.
    pub(crate) const fn path(&self) -> &PathBuf {
        &self.path
    }

    /// That of one batch in this segment's partition.
    pub(crate) fn of(&self, header: &BatchHeader) -> Digest {
        Digest::of(self.partition, header)
    }

    /// Keeps a border that lies behind all others.
    pub(crate) fn push(&self, border: Border) {
        if let State::Known(pieces) = &mut *self.state.lock() {
            pieces.push(border);
        }
    }

    /// Writes the side file, durably if `is_durable`; the caller makes its name durable.
    pub(crate) fn store(&self, disk: &Disk, is_durable: bool) -> Result<(), Error> {
        let bytes = match &*self.state.lock() {
            State::Known(pieces) => side_file::encode(self.partition, pieces),
            State::NotRead | State::Unknown => return Ok(()),
        };
        if is_durable {
            return disk.replace_unnamed(&self.path, &bytes);
        }
        let file = disk.open(&self.path)?;
        disk.set_len(&file, &self.path, 0)?;
        disk.write_at(&file, &self.path, &bytes, 0)
    }

    /// Reads the side file if that was not done yet, and keeps its borders.
    pub(crate) fn load(&self, end: u64, next: Offset) -> Result<(), Error> {
        if self.is_not_read()
            && let Some(pieces) = self.read_whole(end, next)?
        {
            self.answer(State::Known(pieces));
        }
        Ok(())
    }

    /// The borders for one look, the end of what is written among them if it lies behind the others. What no one read
    /// before is not kept: a scrub comes by all segments of a disk.
    pub(crate) fn look(&self, end: u64, next: Offset) -> Result<Vec<Border>, Error> {
        if self.is_not_read() {
            let read = self.read_whole(end, next)?;
            return Ok(read.map_or_else(Vec::new, |pieces| pieces.borders().to_vec()));
        }
        let end = *self.end.lock();
        let mut borders = self.borders();
        if let Some(end) = end
            && borders.last().is_some_and(|last| last.position < end.position)
        {
            borders.push(end);
        }
        Ok(borders)
    }

    fn is_not_read(&self) -> bool {
        matches!(*self.state.lock(), State::NotRead)
    }

    /// The side file of a closed segment. One that does not end where the segment does is none, and is not read again.
    fn read_whole(&self, end: u64, next: Offset) -> Result<Option<Pieces>, Error> {
        let read = self.read()?.filter(|pieces| (pieces.last().position, pieces.last().next) == (end, next));
        if read.is_none() {
            tracing::warn!(path = %self.path.display(), "no digests of a segment: its batches are checked by their CRC alone");
            self.answer(State::Unknown);
        }
        Ok(read)
    }

    /// What the side file says, unless another reader was there first.
    fn answer(&self, found: State) {
        let mut state = self.state.lock();
        if matches!(*state, State::NotRead) {
            *state = found;
        }
    }

    /// Takes the side file's borders if they end exactly at `end`; else only the start and `end` are known; nothing if not
    /// even that is, for an earlier program wrote the segment.
    pub(crate) fn load_up_to(&self, end: Option<Border>) -> Result<(), Error> {
        let Some(end) = end else {
            *self.state.lock() = State::Unknown;
            return Ok(());
        };
        let read = self.read()?.filter(|pieces| pieces.last() == end);
        *self.state.lock() = State::Known(read.unwrap_or_else(|| {
            let mut pieces = Pieces::new(self.base);
            pieces.push(end);
            pieces
        }));
        Ok(())
    }

    /// The borders that are known, the start included.
    pub(crate) fn borders(&self) -> Vec<Border> {
        match &*self.state.lock() {
            State::Known(pieces) => pieces.borders().to_vec(),
            State::NotRead | State::Unknown => Vec::new(),
        }
    }

    /// What is written ends there now.
    pub(crate) fn set_end(&self, end: Option<Border>) {
        *self.end.lock() = end;
    }

    /// The first piece of the bytes between `from` and `to` that was not checked since the process knows it.
    pub(crate) fn unchecked(&self, from: u64, to: u64) -> Option<(Border, Border)> {
        match &*self.state.lock() {
            State::Known(pieces) => pieces.unchecked(from, to),
            State::NotRead | State::Unknown => None,
        }
    }

    /// The piece that ends there was found to be what was appended.
    pub(crate) fn set_checked(&self, end: Border) {
        if let State::Known(pieces) = &mut *self.state.lock() {
            pieces.set_checked(end);
        }
    }

    fn read(&self) -> Result<Option<Pieces>, Error> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(side_file::decode(&bytes, self.partition, self.base)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("cannot read", &self.path, error)),
        }
    }
}
