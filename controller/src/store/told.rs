//! The mark: what the store held when the controller last told others of it, in a file beside the store.
//!
//! A store that was cut, emptied or taken from an older copy is behind its mark, and is refused at start.
//!
//! 1. The store is durable first, then the mark is written, then it is told (a vote is sent, an append answered). So the
//!    mark of a folder that nobody changed is never ahead of its store, whatever crash comes between.
//! 2. Where the log is cut on purpose, the mark is lowered first, durably.
//! 3. A vote and a cut are synced. The end of the log is written without a sync, and synced once for 256
//!    entries: the mark is exact after a killed process; after a power loss it may lack as many of the last entries. What
//!    it misses then is a power loss *and* a store cut within those; entries of an older term show by the vote even then.
//!
//! The generation of what is synced is shown to the other controllers (`lineage`): it names how much was told. What is not
//! synced is settled within a second.
//!
//! The file has three slots, each written as a whole and checksummed; `mark` says which counts.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{
    error::Error,
    mark::{Mark, Put, SLOTS, Slots},
};

/// Bytes of a slot. The slots stand a page apart: a write of one tears no other.
const SLOT_BYTES: usize = 512;
const SLOT_DISTANCE_BYTES: u64 = 4_096;
const MAGIC: &[u8; 8] = b"hf-told1";
const HEAD_BYTES: usize = 26;
/// Largest vote, as its owner encodes it.
const MAX_VOTE_BYTES: usize = SLOT_BYTES - HEAD_BYTES - 4;

/// How far the mark is durable, for others than its writer.
#[derive(Debug, Default)]
pub(super) struct Durable {
    generation: AtomicU64,
    is_behind: AtomicBool,
}

impl Durable {
    /// Generation of what was synced last; 0 before anything was since the mark was opened. It only grows.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// True if something was written since.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Acquire)
    }
}

/// The file of the mark.
#[derive(Debug)]
pub struct Told {
    path: PathBuf,
    file: File,
    durable: Arc<Durable>,
    slots: Slots,
}

impl Told {
    /// Opens the mark. One that has to be there (`kept`) is read, and refused if it is missing or damaged; else whatever
    /// stands there is of no account, and nothing counts as told. Blocks.
    pub fn open(path: &Path, kept: bool) -> Result<Self, Error> {
        let failed = |source: io::Error| Error::Mark { path: path.display().to_string(), source };
        let opened = OpenOptions::new().read(true).write(true).create(!kept).truncate(false).open(path);
        let file = match opened {
            Err(error) if kept && error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Damaged(format!("the mark {} is missing", path.display())));
            }
            opened => opened.map_err(failed)?,
        };
        let mut read = [const { None }; SLOTS as usize];
        for (slot, found) in (0..SLOTS).zip(&mut read) {
            let mut bytes = [0; SLOT_BYTES];
            match file.read_exact_at(&mut bytes, slot * SLOT_DISTANCE_BYTES) {
                Ok(()) => *found = decode(&bytes),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let damaged = || Error::Damaged(format!("the mark {} is damaged", path.display()));
        let slots = Slots::open(read, kept).ok_or_else(damaged)?;
        Ok(Self { path: path.to_owned(), file, durable: Arc::default(), slots })
    }

    /// Generation of the newest mark that was found or written since: nothing that was told has a higher one.
    pub(super) const fn generation(&self) -> u64 {
        self.slots.generation()
    }

    /// How far it is durable, as it goes on.
    pub(super) fn durable(&self) -> Arc<Durable> {
        Arc::clone(&self.durable)
    }

    /// What was told before this start; `None` if nothing is known of it.
    pub const fn found(&self) -> Option<&Mark> {
        self.slots.found()
    }

    /// The mark as it is now.
    pub const fn now(&self) -> &Mark {
        self.slots.now()
    }

    /// The store holds this durably, and it is about to be told. Durable when it returns if the vote changed, or enough
    /// entries.
    pub fn raise(&mut self, mark: Mark) -> Result<(), Error> {
        self.slots.raise(mark).map_or(Ok(()), |put| self.put(put))
    }

    /// Sets the mark, durably: before the log is cut to its end, as it is made, and as it is settled.
    pub fn set(&mut self, mark: Mark) -> Result<(), Error> {
        self.put(self.slots.set(mark))
    }

    fn put(&mut self, put: Put) -> Result<(), Error> {
        let written = encode(put.generation, &put.mark).and_then(|bytes| {
            self.file.write_all_at(&bytes, put.slot * SLOT_DISTANCE_BYTES)?;
            if put.sync { self.file.sync_data() } else { Ok(()) }
        });
        written.map_err(|source| Error::Mark { path: self.path.display().to_string(), source })?;
        if put.sync {
            self.durable.generation.store(put.generation, Ordering::Release);
        }
        self.durable.is_behind.store(!put.sync, Ordering::Release);
        self.slots.written(put);
        Ok(())
    }
}

fn encode(generation: u64, mark: &Mark) -> io::Result<[u8; SLOT_BYTES]> {
    if mark.vote.len() > MAX_VOTE_BYTES {
        return Err(io::Error::other(format!("a vote of {} bytes; {MAX_VOTE_BYTES} fit", mark.vote.len())));
    }
    let mut bytes = [0; SLOT_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&generation.to_le_bytes());
    bytes[16..24].copy_from_slice(&mark.end.to_le_bytes());
    bytes[24..26].copy_from_slice(&(mark.vote.len() as u16).to_le_bytes());
    bytes[HEAD_BYTES..HEAD_BYTES + mark.vote.len()].copy_from_slice(&mark.vote);
    let sum = crc32c::crc32c(&bytes[..SLOT_BYTES - 4]);
    bytes[SLOT_BYTES - 4..].copy_from_slice(&sum.to_le_bytes());
    Ok(bytes)
}

fn decode(bytes: &[u8; SLOT_BYTES]) -> Option<(u64, Mark)> {
    let (body, sum) = bytes.split_last_chunk::<4>()?;
    let rest = body.strip_prefix(MAGIC)?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    let (generation, rest) = rest.split_first_chunk::<8>()?;
    let (end, rest) = rest.split_first_chunk::<8>()?;
    let (len, rest) = rest.split_first_chunk::<2>()?;
    let vote = rest.get(..usize::from(u16::from_le_bytes(*len)))?.to_vec();
    Some((u64::from_le_bytes(*generation), Mark { end: u64::from_le_bytes(*end), vote }))
}

#[cfg(test)]
#[path = "told_tests.rs"]
mod tests;
