//! The mark: what the store held when the controller last told others of it, in a file beside the store.
//!
//! A store that was cut, emptied or taken from an older copy is behind its mark, and is refused at start.
//!
//! 1. The store is durable first, then the mark is written, then it is told (a vote is sent, an append answered). So the
//!    mark of a folder that nobody changed is never ahead of its store, whatever crash comes between.
//! 2. Where the log is cut on purpose, the mark is lowered first, durably.
//! 3. A vote and a cut are synced. The end of the log is written without a sync, and synced once for [`SYNC_ENTRIES`]
//!    entries: the mark is exact after a killed process; after a power loss it may lack as many of the last entries. What
//!    it misses then is a power loss *and* a store cut within those; entries of an older term show by the vote even then.
//!
//! The generation of what is synced is shown to the other controllers (`lineage`): it names how much was told. What is not
//! synced is settled within a second.
//!
//! The file has three slots, each written as a whole and checksummed; the valid one with the highest generation counts.
//! Two take turns for what is synced, so that one of them is always whole; the third is for what is not.

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

use super::error::Error;

/// Bytes of a slot. The slots stand a page apart: a write of one tears no other.
const SLOT_BYTES: usize = 512;
const SLOT_DISTANCE_BYTES: u64 = 4_096;
const SLOTS: u64 = 3;
/// The slot of what is not synced.
const LOOSE: u64 = 2;
const MAGIC: &[u8; 8] = b"hf-told1";
const HEAD_BYTES: usize = 26;
/// Largest vote, as its owner encodes it.
const MAX_VOTE_BYTES: usize = SLOT_BYTES - HEAD_BYTES - 4;
/// Entries that the end of the log may go ahead of what is synced of the mark.
const SYNC_ENTRIES: u64 = 256;

/// What the others were told of this store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Index after the last entry of the log; 0 for an empty log.
    pub end: u64,
    /// The last vote, as its owner encodes it; empty if there was none.
    pub vote: Vec<u8>,
}

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
    generation: u64,
    durable: Arc<Durable>,
    /// Which of the two that take turns is written next: the older one.
    next_slot: u64,
    synced_end: u64,
    found: Option<Mark>,
    now: Mark,
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
        let mut slots = Vec::new();
        let mut generations = [0; SLOTS as usize];
        for slot in 0..SLOTS {
            let mut bytes = [0; SLOT_BYTES];
            match file.read_exact_at(&mut bytes, slot * SLOT_DISTANCE_BYTES) {
                Ok(()) => {
                    let read = decode(&bytes);
                    generations[slot as usize] = read.as_ref().map_or(0, |(generation, _)| *generation);
                    slots.extend(read);
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(error) => return Err(failed(error)),
            }
        }
        // Above every generation that is there, also where it does not count.
        let (generation, newest) = slots
            .into_iter()
            .max_by_key(|(generation, _)| *generation)
            .map_or((0, None), |(at, mark)| (at, Some(mark)));
        if kept && newest.is_none() {
            return Err(Error::Damaged(format!("the mark {} is damaged", path.display())));
        }
        let found = newest.filter(|_| kept);
        let now = found.clone().unwrap_or_default();
        let next_slot = u64::from(generations[0] > generations[1]);
        let (path, durable, synced_end) = (path.to_owned(), Arc::default(), now.end);
        Ok(Self { path, file, generation, durable, next_slot, synced_end, found, now })
    }

    /// Generation of the newest mark that was found or written since: nothing that was told has a higher one.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// How far it is durable, as it goes on.
    pub(super) fn durable(&self) -> Arc<Durable> {
        Arc::clone(&self.durable)
    }

    /// What was told before this start; `None` if nothing is known of it.
    pub const fn found(&self) -> Option<&Mark> {
        self.found.as_ref()
    }

    /// The mark as it is now.
    pub const fn now(&self) -> &Mark {
        &self.now
    }

    /// The store holds this durably, and it is about to be told. Durable when it returns if the vote changed, or enough
    /// entries.
    pub fn raise(&mut self, mark: Mark) -> Result<(), Error> {
        if mark == self.now {
            return Ok(());
        }
        let sync = mark.vote != self.now.vote || mark.end >= self.synced_end.saturating_add(SYNC_ENTRIES);
        self.put(mark, sync)
    }

    /// Sets the mark, durably: before the log is cut to its end, as it is made, and as it is settled.
    pub fn set(&mut self, mark: Mark) -> Result<(), Error> {
        self.put(mark, true)
    }

    fn put(&mut self, mark: Mark, sync: bool) -> Result<(), Error> {
        let generation = self.generation + 1;
        let slot = if sync { self.next_slot } else { LOOSE };
        let written = encode(generation, &mark).and_then(|bytes| {
            self.file.write_all_at(&bytes, slot * SLOT_DISTANCE_BYTES)?;
            if sync { self.file.sync_data() } else { Ok(()) }
        });
        written.map_err(|source| Error::Mark { path: self.path.display().to_string(), source })?;
        self.generation = generation;
        if sync {
            self.next_slot = 1 - self.next_slot;
            self.synced_end = mark.end;
            self.durable.generation.store(generation, Ordering::Release);
        }
        self.durable.is_behind.store(!sync, Ordering::Release);
        self.now = mark;
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
