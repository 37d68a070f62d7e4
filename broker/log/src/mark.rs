//! The durable mark: how far the log was durable, in a small file that a crash cannot take away.
//!
//! Place: the log writes it after each flush; recovery compares the log with it. What is bad at or below the mark is
//! damage, what is bad past it is the torn tail of an unfinished write.
//!
//! ```text
//!  byte 0               4096
//!  | slot | ...         | slot | ...      one slot is being written, the other one is durable
//!
//!  slot: magic u32 | version u8 | clean u8 | 0 u16 | sequence u64 | flushed u64 | segment u64 | position u64 |
//!        log start u64 | high watermark u64 | CRC-32C of all before u32                       (big-endian)
//!  behind it: magic u32 | sequence of the slot u64 | last append i64 | largest time i64 | CRC-32C of these u32
//!  behind that: magic u32 | sequence of the slot u64 | digest u64 | CRC-32C of these u32
//!  behind that: magic u32 | sequence of the slot u64 | leader epochs (`noted`) 13 x u64 | CRC-32C of these u32
//! ```
//!
//! What stands behind a slot came later. An earlier program passes over it and leaves it as it is when it writes the slot:
//! the sequence tells. So a folder can go back to it, and loses these alone. That no epoch is noted is written as well.
//!
//! Invariants:
//! 1. The mark never says more than what is durable: it is written after the fsync that it tells of, and lowered, durably,
//!    before a truncation.
//! 2. One slot is always durable and whole: the other one alone is overwritten until it is fsynced, then they swap.
//! 3. The valid slot with the larger sequence counts.
//!
//! Failure: if neither slot is valid, there is no mark; the log must then be whole up to its last byte.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use holdfast_proto::ids::{Offset, TimestampMs};

use crate::{
    Disk, Error,
    digest::Digest,
    noted::{self, Noted},
};

const MAGIC: u32 = u32::from_be_bytes(*b"HFMK");
const VERSION: u8 = 1;
/// A block each, so that writing one slot cannot tear the other.
const SLOT_DISTANCE: u64 = 4096;
const SLOT_SIZE: usize = 8 + 6 * 8 + 4;
/// Behind "HFMT" stood times of the wall clock: what was kept so counts as not known.
const TIMES_MAGIC: u32 = u32::from_be_bytes(*b"HFMA");
const TIMES_SIZE: usize = behind_size(2);
const DIGEST_MAGIC: u32 = u32::from_be_bytes(*b"HFMD");
const DIGEST_SIZE: usize = behind_size(1);
const NOTED_MAGIC: u32 = u32::from_be_bytes(*b"HFME");

/// Bytes of so many numbers behind a slot, with magic, sequence and CRC.
const fn behind_size(numbers: usize) -> usize {
    4 + (1 + numbers) * 8 + 4
}

/// What the mark tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Everything below it is durable.
    pub(crate) flushed: Offset,
    /// Base offset of the segment that `flushed` stands in.
    pub(crate) segment: Offset,
    /// Where in that segment's file `flushed` begins.
    pub(crate) position: u64,
    /// First offset that may be read.
    pub(crate) log_start: Offset,
    /// High watermark, a lower bound.
    pub(crate) high_watermark: Offset,
    /// True if the log was closed in order at exactly this place, with indexes and snapshot.
    pub(crate) clean: bool,
    /// Times of the segment, up to `flushed`; `None`: an earlier program wrote the mark.
    pub(crate) times: Option<Times>,
    /// Of the segment's batches below `flushed`, as they were appended; `None`: an earlier program wrote the mark.
    pub(crate) digest: Option<Digest>,
    /// Leader epochs that the checkpoint lacks; `None`: that is not known. An earlier program wrote the mark, or what stands
    /// behind it is bad, or one of its slots is, and that may have been the newest.
    pub(crate) noted: Option<Noted>,
}

/// Times of a segment. Its file's date is none: a copy, a repair or a cut changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// When it was last appended to, by the [`Ages`](crate::Ages) of its disk.
    pub(crate) last_append: TimestampMs,
    /// Largest time of a record; -1 if no record has one.
    pub(crate) largest: TimestampMs,
}

/// The file of the mark.
#[derive(Debug)]
pub(crate) struct MarkFile {
    file: File,
    path: PathBuf,
    sequence: u64,
    /// The slot to write.
    slot: u64,
    dirty: bool,
}

impl MarkFile {
    /// Creates the file with both slots, durably; the caller makes its name durable.
    pub(crate) fn create(disk: &Disk, path: &Path, marks: &Marks) -> Result<Self, Error> {
        let file = disk.open(path)?;
        disk.set_len(&file, path, 0)?; // a mark that is lost leaves nothing behind
        disk.set_len(&file, path, 2 * SLOT_DISTANCE)?;
        let mut mark = Self { file, path: path.to_owned(), sequence: 0, slot: 0, dirty: false };
        mark.write(disk, marks)?;
        mark.slot = 1;
        mark.write(disk, marks)?;
        mark.sync(disk)?;
        Ok(mark)
    }

    /// Reads the file. Without a valid mark there are no marks; write new ones with [`Self::create`].
    pub(crate) fn load(disk: &Disk, path: &Path) -> Result<Option<(Self, Marks)>, Error> {
        if !path.try_exists().map_err(|error| Error::io("cannot look for", path, error))? {
            return Ok(None);
        }
        let file = disk.open(path)?;
        let Some(Newest { sequence, slot, marks, has_notes }) = newest(&file, path)? else { return Ok(None) };
        if !marks.clean || has_notes {
            // The other slot is written next: this one must not vanish then. Written again, for after an fsync that failed
            // the page cache holds what the disk does not, and fsyncs nothing.
            disk.write_at(&file, path, &encode(sequence, &marks), slot * SLOT_DISTANCE)?;
            disk.sync_file(&file, path)?;
        }
        Ok(Some((Self { file, path: path.to_owned(), sequence, slot: 1 - slot, dirty: false }, marks)))
    }

    /// Writes the mark, not durably.
    pub(crate) fn write(&mut self, disk: &Disk, marks: &Marks) -> Result<(), Error> {
        self.sequence += 1;
        self.dirty = true;
        disk.write_at(&self.file, &self.path, &encode(self.sequence, marks), self.slot * SLOT_DISTANCE)
    }

    /// Makes the written mark durable.
    pub(crate) fn sync(&mut self, disk: &Disk) -> Result<(), Error> {
        if self.dirty {
            disk.sync_file(&self.file, &self.path)?;
            self.dirty = false;
            self.slot = 1 - self.slot;
        }
        Ok(())
    }

    /// Fails if the file has lost its name, or another one has it: what is written into it then is durable, and gone.
    pub(crate) fn check_named(&self) -> Result<(), Error> {
        let is_named = || -> io::Result<bool> {
            let (named, open) = (fs::metadata(&self.path)?, self.file.metadata()?);
            Ok((named.dev(), named.ino()) == (open.dev(), open.ino()))
        };
        let error = match is_named() {
            Ok(true) => return Ok(()),
            Ok(false) => io::ErrorKind::NotFound.into(),
            Err(error) => error,
        };
        Err(Error::io("cannot find", &self.path, error))
    }

    /// True if the mark was written since the last fsync.
    pub(crate) const fn is_dirty(&self) -> bool {
        self.dirty
    }
}

/// What a mark says, read and no more; `None` if there is none, or none that can be read.
pub(crate) fn peek(path: &Path) -> Option<Marks> {
    read(path).ok().flatten()
}

/// What a mark says, read and no more; `None` if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Marks>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("cannot read", path, error)),
    };
    Ok(newest(&file, path)?.map(|newest| newest.marks))
}

/// The valid slot with the larger sequence.
struct Newest {
    sequence: u64,
    slot: u64,
    marks: Marks,
    /// True if it notes leader epochs, whether that is believed or not.
    has_notes: bool,
}

fn newest(file: &File, path: &Path) -> Result<Option<Newest>, Error> {
    let mut best: Option<Newest> = None;
    let mut whole = 0;
    for slot in 0..2 {
        let bytes = read_slot(file, path, slot)?;
        let Some((sequence, marks)) = bytes.and_then(|bytes| decode(&bytes)) else { continue };
        let marks = with_what_stands_behind(file, slot, sequence, marks);
        whole += 1;
        let has_notes = marks.noted.is_some_and(|noted| !noted.is_empty());
        if best.as_ref().is_none_or(|newest| newest.sequence < sequence) {
            best = Some(Newest { sequence, slot, marks, has_notes });
        }
    }
    Ok(best.map(|newest| Newest {
        marks: Marks { noted: newest.marks.noted.filter(|_| whole == 2), ..newest.marks },
        ..newest
    }))
}

fn with_what_stands_behind(file: &File, slot: u64, sequence: u64, marks: Marks) -> Marks {
    let behind = slot * SLOT_DISTANCE + SLOT_SIZE as u64;
    let times = read_behind(file, behind, TIMES_MAGIC, sequence).map(|[last_append, largest]| Times {
        last_append: TimestampMs(last_append as i64),
        largest: TimestampMs(largest as i64),
    });
    let behind = behind + TIMES_SIZE as u64;
    let digest = read_behind(file, behind, DIGEST_MAGIC, sequence).map(|[digest]| Digest(digest));
    let behind = behind + DIGEST_SIZE as u64;
    let noted = read_behind(file, behind, NOTED_MAGIC, sequence).and_then(Noted::of_numbers);
    Marks { times, digest, noted, ..marks }
}

/// The bytes of a slot; `None` if the file ends before. A slot that cannot be read is none that is not there: the other one is
/// older, and after a truncation it claims more.
fn read_slot(file: &File, path: &Path, slot: u64) -> Result<Option<[u8; SLOT_SIZE]>, Error> {
    let mut bytes = [0; SLOT_SIZE];
    match file.read_exact_at(&mut bytes, slot * SLOT_DISTANCE) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(Error::io("cannot read", path, error)),
    }
}

/// A slot with what stands behind it.
fn encode(sequence: u64, marks: &Marks) -> Vec<u8> {
    let mut bytes = encode_slot(sequence, marks).to_vec();
    if let Some(Times { last_append, largest }) = marks.times {
        put_behind(&mut bytes, TIMES_MAGIC, &[sequence, last_append.0 as u64, largest.0 as u64]);
    }
    if let Some(digest) = marks.digest {
        bytes.resize(SLOT_SIZE + TIMES_SIZE, 0);
        put_behind(&mut bytes, DIGEST_MAGIC, &[sequence, digest.0]);
    }
    if let Some(noted) = marks.noted {
        bytes.resize(SLOT_SIZE + TIMES_SIZE + DIGEST_SIZE, 0);
        let mut numbers = [sequence; 1 + noted::NUMBERS];
        numbers[1..].copy_from_slice(&noted.numbers());
        put_behind(&mut bytes, NOTED_MAGIC, &numbers);
    }
    bytes
}

fn put_behind(bytes: &mut Vec<u8>, magic: u32, numbers: &[u64]) {
    let start = bytes.len();
    bytes.extend_from_slice(&magic.to_be_bytes());
    for number in numbers {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    let crc = crc32c::crc32c(&bytes[start..]);
    bytes.extend_from_slice(&crc.to_be_bytes());
}

fn encode_slot(sequence: u64, marks: &Marks) -> [u8; SLOT_SIZE] {
    let mut bytes = [0; SLOT_SIZE];
    bytes[0..4].copy_from_slice(&MAGIC.to_be_bytes());
    bytes[4] = VERSION;
    bytes[5] = u8::from(marks.clean);
    let numbers =
        [sequence, marks.flushed.0, marks.segment.0, marks.position, marks.log_start.0, marks.high_watermark.0];
    for (place, number) in bytes[8..SLOT_SIZE - 4].chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    let crc = crc32c::crc32c(&bytes[..SLOT_SIZE - 4]);
    bytes[SLOT_SIZE - 4..].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8; SLOT_SIZE]) -> Option<(u64, Marks)> {
    let (content, crc) = bytes.split_last_chunk::<4>()?;
    let is_whole = content.starts_with(&MAGIC.to_be_bytes())
        && content[4] == VERSION
        && u32::from_be_bytes(*crc) == crc32c::crc32c(content);
    if !is_whole {
        return None;
    }
    let mut numbers = content[8..].chunks_exact(8).filter_map(|chunk| chunk.try_into().ok().map(u64::from_be_bytes));
    let sequence = numbers.next()?;
    let marks = Marks {
        flushed: Offset(numbers.next()?),
        segment: Offset(numbers.next()?),
        position: numbers.next()?,
        log_start: Offset(numbers.next()?),
        high_watermark: Offset(numbers.next()?),
        clean: content[5] == 1,
        times: None,
        digest: None,
        noted: None,
    };
    Some((sequence, marks))
}

/// The numbers that stand at `at` behind the slot with this sequence; `None` if there are none, or those of an earlier slot.
fn read_behind<const N: usize>(file: &File, at: u64, magic: u32, sequence: u64) -> Option<[u64; N]> {
    let mut bytes = vec![0; behind_size(N)];
    file.read_exact_at(&mut bytes, at).ok()?;
    let (content, crc) = bytes.split_last_chunk::<4>()?;
    let numbers = content.strip_prefix(&magic.to_be_bytes())?;
    if u32::from_be_bytes(*crc) != crc32c::crc32c(content) {
        return None;
    }
    let mut numbers = numbers.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok().map(u64::from_be_bytes));
    let is_of_this = numbers.next()? == sequence;
    let read = numbers.collect::<Vec<_>>().try_into().ok()?;
    is_of_this.then_some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(flushed: u64) -> Marks {
        let times = Some(Times { last_append: TimestampMs(1 << 40), largest: TimestampMs(-1) });
        Marks {
            flushed: Offset(flushed),
            segment: Offset(1),
            position: 99,
            clean: true,
            times,
            digest: Some(Digest(flushed << 40)),
            noted: Some(Noted::default()),
            ..Marks::default()
        }
    }

    #[test]
    fn an_earlier_program_and_this_one_read_each_others_marks() {
        let folder = crate::test_support::tempdir().unwrap();
        let path = folder.path().join("durable-mark");
        let disk = Disk::new();
        let read = || MarkFile::load(&disk, &path).unwrap().map(|(_, marks)| marks);
        let mut mark = MarkFile::create(&disk, &path, &marks(5)).unwrap();
        for flushed in 6..=9 {
            // As an earlier program writes: the slot alone.
            let (at, sequence) = (mark.slot * SLOT_DISTANCE, mark.sequence + 1);
            mark.file.write_all_at(&encode_slot(sequence, &marks(flushed)), at).unwrap();
            assert_eq!(
                read(),
                Some(Marks { times: None, digest: None, noted: None, ..marks(flushed) }),
                "stale ones do not count"
            );
            mark.sequence = sequence;
            mark.write(&disk, &marks(flushed)).unwrap();
            assert_eq!(read(), Some(marks(flushed)));
            mark.sync(&disk).unwrap();
        }
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(SLOT_SIZE as u64).unwrap();
        assert!(read().is_some(), "a slot without room behind it");
    }

    #[test]
    fn a_slot_that_cannot_be_read_is_not_taken_for_none() {
        let folder = crate::test_support::tempdir().unwrap();
        let unreadable = File::open(folder.path()).unwrap();
        assert!(matches!(read_slot(&unreadable, folder.path(), 0), Err(Error::Io { .. })));
        let short = folder.path().join("short");
        fs::write(&short, b"x").unwrap();
        assert!(matches!(read_slot(&File::open(&short).unwrap(), &short, 0), Ok(None)));
        let looped = folder.path().join("looped");
        std::os::unix::fs::symlink(&looped, &looped).unwrap();
        assert!(matches!(MarkFile::load(&Disk::new(), &looped), Err(Error::Io { .. })));
    }

    #[test]
    fn the_newest_whole_slot_counts() {
        let folder = crate::test_support::tempdir().unwrap();
        let path = folder.path().join("durable-mark");
        let disk = Disk::new();
        let read = || MarkFile::load(&disk, &path).unwrap().map(|(_, marks)| marks);
        assert_eq!(read(), None);
        let mut mark = MarkFile::create(&disk, &path, &marks(5)).unwrap();
        assert_eq!(read(), Some(marks(5)));
        for flushed in 6..=9 {
            mark.write(&disk, &marks(flushed)).unwrap(); // again and again into one slot
        }
        assert_eq!(read(), Some(marks(9)));
        let torn = mark.slot * SLOT_DISTANCE + 30;
        mark.file.write_all_at(b"torn", torn).unwrap();
        assert_eq!(read(), Some(Marks { noted: None, ..marks(5) }), "the other slot is still whole");
        mark.write(&disk, &marks(10)).unwrap();
        mark.sync(&disk).unwrap();
        let (mut again, found) = MarkFile::load(&disk, &path).unwrap().unwrap();
        assert_eq!(found, marks(10));
        again.write(&disk, &marks(4)).unwrap(); // lowered before a truncation
        assert_eq!(read(), Some(marks(4)));
        fs::write(&path, [0; 9000]).unwrap();
        assert_eq!(read(), None);
    }
}
