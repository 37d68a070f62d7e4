//! Sparse indexes of a segment, in Kafka's layout: by offset (`.index`) and by time (`.timeindex`).
//!
//! Place: the segment's writer pushes entries, readers look them up.
//!
//! ```text
//!  .index      | relative offset u32 | position u32 |          of the batch at `position`: its last offset
//!  .timeindex  | timestamp i64 | relative offset u32 |         largest time so far, last offset of the batch that has it
//! ```
//!
//! Invariants:
//! 1. Keys strictly increase.
//! 2. The newest entries wait in memory, at most [`MAX_TAIL`]; older ones stand in the file. So memory stays small, however
//!    many segments there are.
//! 3. An index can always be rebuilt from its segment, so its file is made durable only when the segment is closed.
//!
//! Failure: a missing, cut or senseless index is rebuilt at start. A reader whom an index leads to a wrong place reads
//! the segment from its start instead.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;

use crate::{Disk, Error};

/// Entries that may wait in memory.
const MAX_TAIL: usize = 512;

/// Bytes of the largest entry.
const MAX_ENTRY: usize = 12;

/// An entry of an index: how it is ordered, and its bytes.
pub(crate) trait Entry: Copy + std::fmt::Debug + PartialEq {
    /// What the index is ordered by.
    type Key: Copy + Ord;
    /// Bytes in the file.
    const SIZE: usize;
    fn key(&self) -> Self::Key;
    fn put(&self, bytes: &mut Vec<u8>);
    fn get(bytes: &[u8]) -> Self;
}

/// Where a batch stands in its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    /// Last offset of the batch, less the segment's base offset.
    pub(crate) relative_offset: u32,
    /// First byte of the batch.
    pub(crate) position: u32,
}

/// The largest time up to an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    /// The time, ms since 1970.
    pub(crate) timestamp: i64,
    /// Last offset of the batch that has it, less the segment's base offset.
    pub(crate) relative_offset: u32,
}

impl Entry for OffsetEntry {
    type Key = u32;
    const SIZE: usize = 8;

    fn key(&self) -> u32 {
        self.relative_offset
    }

    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.relative_offset.to_be_bytes());
        bytes.extend_from_slice(&self.position.to_be_bytes());
    }

    fn get(bytes: &[u8]) -> Self {
        Self { relative_offset: u32_at(bytes, 0), position: u32_at(bytes, 4) }
    }
}

impl Entry for TimeEntry {
    type Key = i64;
    const SIZE: usize = 12;

    fn key(&self) -> i64 {
        self.timestamp
    }

    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.timestamp.to_be_bytes());
        bytes.extend_from_slice(&self.relative_offset.to_be_bytes());
    }

    fn get(bytes: &[u8]) -> Self {
        let timestamp = i64::from(u32_at(bytes, 0)) << 32 | i64::from(u32_at(bytes, 4));
        Self { timestamp, relative_offset: u32_at(bytes, 8) }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// One index of one segment.
#[derive(Debug)]
pub(crate) struct Index<E> {
    path: PathBuf,
    state: Mutex<State<E>>,
}

#[derive(Debug)]
struct State<E> {
    /// Entries in the file.
    stored: usize,
    last: Option<E>,
    tail: Vec<E>,
}

impl<E: Entry> Index<E> {
    /// An index whose file is empty or absent.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, state: Mutex::new(State { stored: 0, last: None, tail: Vec::new() }) }
    }

    /// The index that a file holds; `None` if there is no file, or not one with whole entries.
    pub(crate) fn load(path: PathBuf) -> Result<Option<Self>, Error> {
        let len = match fs::metadata(&path) {
            Ok(metadata) => metadata.len() as usize,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("cannot read", &path, error)),
        };
        if !len.is_multiple_of(E::SIZE) {
            return Ok(None);
        }
        let index = Self::new(path);
        let stored = len / E::SIZE;
        let last = match stored.checked_sub(1).map(|last| index.read(&index.file()?, last)).transpose() {
            // It is made again of the segment.
            Err(error) if error.is_unreadable() => return Ok(None),
            last => last?,
        };
        *index.state.lock() = State { stored, last, tail: Vec::new() };
        Ok(Some(index))
    }

    /// Number of entries, those in memory included that are not in the file yet.
    pub(crate) fn len(&self) -> usize {
        let state = self.state.lock();
        state.stored + state.tail.len()
    }

    /// The entry with the largest key, in the file or not; `None` if there is none.
    pub(crate) fn last(&self) -> Option<E> {
        self.state.lock().last
    }

    /// Adds an entry if its key is larger than those before. True if too many wait and [`Self::store`] is due.
    pub(crate) fn push(&self, entry: E) -> bool {
        let mut state = self.state.lock();
        if state.last.is_none_or(|last| last.key() < entry.key()) {
            state.tail.push(entry);
            state.last = Some(entry);
        }
        state.tail.len() >= MAX_TAIL
    }

    /// Writes what waits into the file, not durably.
    pub(crate) fn store(&self, disk: &Disk) -> Result<(), Error> {
        let (stored, bytes) = {
            let state = self.state.lock();
            let mut bytes = Vec::with_capacity(state.tail.len() * E::SIZE);
            state.tail.iter().for_each(|entry| entry.put(&mut bytes));
            (state.stored, bytes)
        };
        if bytes.is_empty() {
            return Ok(());
        }
        disk.write_at(&disk.open(&self.path)?, &self.path, &bytes, (stored * E::SIZE) as u64)?;
        let mut state = self.state.lock();
        state.stored += bytes.len() / E::SIZE;
        state.tail = Vec::new(); // the memory too: the segment may be closed now
        Ok(())
    }

    /// Makes the file hold exactly the entries, durably; the caller makes its name durable.
    pub(crate) fn seal(&self, disk: &Disk) -> Result<(), Error> {
        self.store(disk)?;
        let file = disk.open(&self.path)?;
        disk.set_len(&file, &self.path, (self.len() * E::SIZE) as u64)?;
        disk.sync_file(&file, &self.path)
    }

    /// Writes the entries into an emptied file, not durably: for an index that was rebuilt in memory.
    pub(crate) fn store_anew(&self, disk: &Disk) -> Result<(), Error> {
        disk.set_len(&disk.open(&self.path)?, &self.path, 0)?;
        self.store(disk)
    }

    /// The last entry at or below `key`, and the one after it.
    pub(crate) fn around(&self, key: E::Key) -> Result<(Option<E>, Option<E>), Error> {
        let (stored, first_waiting) = {
            let state = self.state.lock();
            let above = state.tail.partition_point(|entry| entry.key() <= key);
            if above > 0 {
                return Ok((Some(state.tail[above - 1]), state.tail.get(above).copied()));
            }
            (state.stored, state.tail.first().copied())
        };
        if stored == 0 {
            return Ok((None, first_waiting));
        }
        let file = self.file()?;
        let (mut low, mut high) = (0, stored); // entries below `low` are at or below the key, those from `high` above
        let (mut floor, mut next) = (None, first_waiting);
        while low < high {
            let middle = usize::midpoint(low, high);
            let entry = self.read(&file, middle)?;
            if entry.key() <= key {
                floor = Some(entry);
                low = middle + 1;
            } else {
                next = Some(entry);
                high = middle;
            }
        }
        Ok((floor, next))
    }

    /// The index's file, which may not exist yet.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self) -> Result<File, Error> {
        File::open(&self.path).map_err(|error| Error::io("cannot open", &self.path, error))
    }

    fn read(&self, file: &File, entry: usize) -> Result<E, Error> {
        let mut bytes = [0; MAX_ENTRY];
        file.read_exact_at(&mut bytes[..E::SIZE], (entry * E::SIZE) as u64)
            .map_err(|error| Error::io("cannot read", &self.path, error))?;
        Ok(E::get(&bytes[..E::SIZE]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::tempdir;

    fn entry(relative_offset: u32) -> OffsetEntry {
        OffsetEntry { relative_offset, position: relative_offset * 10 }
    }

    #[test]
    fn an_entry_is_found_in_memory_and_in_the_file() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("0.index");
        let disk = Disk::new();
        let index = Index::new(path.clone());
        for n in 1..=40 {
            index.push(entry(n * 5));
            if n % 7 == 0 {
                index.store(&disk).unwrap();
            }
        }
        let check = |index: &Index<OffsetEntry>| {
            assert_eq!(index.around(4).unwrap(), (None, Some(entry(5))));
            for key in 5..=230 {
                let floor = (key / 5 * 5).min(200);
                let next = (floor < 200).then(|| entry(floor + 5));
                assert_eq!(index.around(key).unwrap(), (Some(entry(floor)), next), "key {key}");
            }
        };
        check(&index);
        index.seal(&disk).unwrap();
        check(&index);
        assert_eq!(fs::metadata(&path).unwrap().len(), 40 * 8);
        let loaded = Index::load(path).unwrap().unwrap();
        assert_eq!((loaded.len(), loaded.last()), (40, Some(entry(200))));
        check(&loaded);
    }

    #[test]
    fn keys_increase_and_a_cut_file_is_no_index() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("0.timeindex");
        let index = Index::new(path.clone());
        for timestamp in [3, 9, 9, 4, -1, 1 << 40] {
            index.push(TimeEntry { timestamp, relative_offset: 1 });
        }
        assert_eq!(index.len(), 3);
        index.seal(&Disk::new()).unwrap();
        assert_eq!(Index::<TimeEntry>::load(path.clone()).unwrap().unwrap().last().unwrap().timestamp, 1 << 40);
        fs::write(&path, [0; 13]).unwrap();
        assert!(Index::<TimeEntry>::load(path.clone()).unwrap().is_none());
        assert!(Index::<TimeEntry>::load(path.with_extension("gone")).unwrap().is_none());
    }
}
