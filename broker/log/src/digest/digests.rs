//! The digests of one segment: what its writer noted, or what its side file says.

use std::{
    fs, io,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;

use holdfast_proto::{
    batch::BatchHeader,
    ids::{Offset, TopicPartition},
};

use super::{Border, Digest, checked::Checked, pieces::Pieces, side_file};
use crate::{Disk, Error, error::has_run_out};

/// The digests of a segment, shared by writer and readers. No lock is held during IO.
#[derive(Debug)]
pub(crate) struct Digests {
    path: PathBuf,
    partition: TopicPartition,
    base: Offset,
    state: Mutex<State>,
    /// The end of what is written, where the segment is written still.
    end: Mutex<Option<Border>>,
    checked: Mutex<Checked>,
    /// True once it was said that the side file cannot be read.
    is_said: AtomicBool,
}

/// What a side file holds.
enum Stored {
    Pieces(Pieces),
    /// Nothing of this segment: it is not there, or changed.
    Nothing,
    /// Nobody knows: the disk, or the system, does not let it be read now.
    Unreadable,
}

#[derive(Debug)]
enum State {
    /// Those of a segment that is closed stand in its side file, and are read there each time.
    InFile,
    /// Nothing binds the batches.
    Unknown,
    Known(Pieces),
}

impl Digests {
    /// Those of an empty segment.
    pub(crate) fn new(path: PathBuf, partition: TopicPartition, base: Offset) -> Self {
        let state = Mutex::new(State::Known(Pieces::new(base)));
        let is_said = AtomicBool::new(false);
        Self { path, partition, base, state, end: Mutex::default(), checked: Mutex::default(), is_said }
    }

    /// The segment is closed: from now on they are those of the side file.
    pub(crate) fn close(&self) {
        *self.state.lock() = State::InFile;
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

    /// Writes the side file, durably if `is_durable`; the caller makes its name durable. Where nothing is known there is none
    /// afterwards: what stood there is of other batches.
    pub(crate) fn store(&self, disk: &Disk, is_durable: bool) -> Result<(), Error> {
        let bytes = match &*self.state.lock() {
            State::Known(pieces) => side_file::encode(self.partition, pieces),
            State::InFile => return Ok(()),
            State::Unknown => return disk.remove(&self.path),
        };
        if is_durable {
            return disk.replace_unnamed(&self.path, &bytes);
        }
        let file = disk.open(&self.path)?;
        disk.set_len(&file, &self.path, 0)?;
        disk.write_at(&file, &self.path, &bytes, 0)
    }

    /// The borders, the end of what is written among them if it lies behind the others. None: nothing binds the batches.
    ///
    /// `ends` tells the segment's size and the offset after its last record. It is asked only once the segment is known to be
    /// closed: what it said before may be of before the last append, and the sound side file would be taken for another's.
    pub(crate) fn look(&self, ends: impl FnOnce() -> (u64, Offset)) -> Result<Vec<Border>, Error> {
        if self.is_in_file() {
            let read = self.read_whole(ends())?;
            return Ok(read.map_or_else(Vec::new, |pieces| pieces.borders().to_vec()));
        }
        let written_end = *self.end.lock();
        let mut borders = match &*self.state.lock() {
            State::Known(pieces) => pieces.borders().to_vec(),
            State::InFile | State::Unknown => Vec::new(),
        };
        if let Some(end) = written_end
            && borders.last().is_some_and(|last| last.position < end.position)
        {
            borders.push(end);
        }
        Ok(borders)
    }

    fn is_in_file(&self) -> bool {
        matches!(*self.state.lock(), State::InFile)
    }

    /// The side file of a closed segment. One that does not end where the segment does is none, and is not read again before
    /// it is made again. One that cannot be read now may be the next time.
    fn read_whole(&self, (end, next): (u64, Offset)) -> Result<Option<Pieces>, Error> {
        match self.read()? {
            Stored::Pieces(pieces) if (pieces.last().position, pieces.last().next) == (end, next) => Ok(Some(pieces)),
            Stored::Unreadable => Ok(None),
            Stored::Pieces(_) | Stored::Nothing => {
                tracing::warn!(
                    path = %self.path.display(),
                    "no digests of a segment: its batches are checked by their CRC alone until the scrub has made them again"
                );
                let mut state = self.state.lock();
                if matches!(*state, State::InFile) {
                    *state = State::Unknown;
                }
                Ok(None)
            }
        }
    }

    /// Those that a side file holds which ends exactly there.
    pub(crate) fn stored(&self, end: (u64, Offset)) -> Result<Vec<Border>, Error> {
        let read = match self.read()? {
            Stored::Pieces(pieces) if (pieces.last().position, pieces.last().next) == end => pieces,
            Stored::Pieces(_) | Stored::Nothing | Stored::Unreadable => return Ok(Vec::new()),
        };
        Ok(read.borders().to_vec())
    }

    /// Stores these digests of a closed segment, which ends there, durably, in the place of what was lost. False if something
    /// binds it all the same.
    pub(crate) fn bind(&self, disk: &Disk, pieces: &Pieces, end: (u64, Offset)) -> Result<bool, Error> {
        let last = pieces.last();
        if (last.position, last.next) != end || matches!(*self.state.lock(), State::Known(_)) {
            return Ok(false);
        }
        let is_bound = !self.stored(end)?.is_empty();
        if !is_bound {
            disk.try_replace(&self.path, &side_file::encode(self.partition, pieces))?;
        }
        *self.state.lock() = State::InFile;
        Ok(!is_bound)
    }

    /// Takes the side file's borders if they end exactly at `end`; else only the start and `end` are known; nothing if not
    /// even that is, for an earlier program wrote the segment.
    pub(crate) fn load_up_to(&self, end: Option<Border>) -> Result<(), Error> {
        let Some(end) = end else {
            *self.state.lock() = State::Unknown;
            return Ok(());
        };
        let pieces = match self.read()? {
            Stored::Pieces(pieces) if pieces.last() == end => pieces,
            Stored::Pieces(_) | Stored::Nothing | Stored::Unreadable => {
                let mut pieces = Pieces::new(self.base);
                pieces.push(end);
                pieces
            }
        };
        *self.state.lock() = State::Known(pieces);
        Ok(())
    }

    /// What is written ends there now.
    pub(crate) fn set_end(&self, end: Option<Border>) {
        *self.end.lock() = end;
    }

    /// The pieces that bytes between `from` and `to` belong to and that are not known to be right, by their borders; `ends` as
    /// for [`Self::look`]. What is written still and has no border yet is none.
    pub(crate) fn unchecked(
        &self,
        (from, to): (u64, u64),
        ends: impl FnOnce() -> (u64, Offset),
    ) -> Result<Vec<(Border, Border)>, Error> {
        if self.checked.lock().holds(from, to) {
            return Ok(Vec::new());
        }
        let unchecked = |pieces: &Pieces| {
            let checked = self.checked.lock();
            pieces.touching(from, to).filter(|(start, end)| !checked.holds(start.position, end.position)).collect()
        };
        match &*self.state.lock() {
            State::Known(pieces) => return Ok(unchecked(pieces)),
            State::Unknown => return Ok(Vec::new()),
            State::InFile => {}
        }
        Ok(self.read_whole(ends())?.as_ref().map(unchecked).unwrap_or_default())
    }

    /// This piece was found to be what was appended.
    pub(crate) fn set_checked(&self, (start, end): (Border, Border)) {
        self.checked.lock().add(start.position, end.position);
    }

    fn read(&self) -> Result<Stored, Error> {
        match fs::read(&self.path) {
            Ok(bytes) => {
                Ok(side_file::decode(&bytes, self.partition, self.base).map_or(Stored::Nothing, Stored::Pieces))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Stored::Nothing),
            Err(error) if has_run_out(&error) => Err(Error::io("cannot read", &self.path, error)),
            // Nothing is believed of what cannot be read: the batches decide.
            Err(error) => {
                if !self.is_said.swap(true, Ordering::Relaxed) {
                    tracing::warn!(path = %self.path.display(), %error, "the digests of a segment cannot be read");
                }
                Ok(Stored::Unreadable)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use holdfast_proto::ids::{PartitionIndex, TopicId};

    use super::*;
    use crate::test_support::tempdir;

    const END: (u64, Offset) = (700, Offset(7));

    /// Those of a segment with seven records, whose side file is there.
    fn stored(folder: &std::path::Path) -> Digests {
        let partition = TopicPartition { topic_id: TopicId(Uuid::from_u128(1)), partition: PartitionIndex(0) };
        let digests = Digests::new(folder.join("x.digest"), partition, Offset(0));
        digests.push(Border { position: END.0, next: END.1, digest: Digest(9) });
        digests.store(&Disk::new(), true).unwrap();
        digests
    }

    #[test]
    fn where_a_segment_ends_is_asked_once_it_is_known_to_be_closed() {
        let folder = tempdir().unwrap();
        let digests = stored(folder.path());
        let too_early = || panic!("an append may come before the roll");
        assert!(!digests.look(too_early).unwrap().is_empty());
        assert_eq!(digests.unchecked((0, 1), too_early).unwrap().len(), 1);
        digests.close();
        assert_eq!(digests.look(|| END).unwrap().last().map(|border| border.next), Some(END.1));
        assert_eq!(digests.unchecked((0, 1), || END).unwrap().len(), 1);
    }

    #[test]
    fn a_side_file_of_another_end_is_none_from_then_on() {
        let folder = tempdir().unwrap();
        let digests = stored(folder.path());
        digests.close();
        assert!(digests.look(|| (END.0 + 1, END.1)).unwrap().is_empty());
        assert!(digests.look(|| END).unwrap().is_empty() && digests.unchecked((0, 1), || END).unwrap().is_empty());
    }
}
