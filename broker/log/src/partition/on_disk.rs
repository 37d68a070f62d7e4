//! What of a segment's file stands on the disk itself, whatever the page cache believes.
//!
//! After a failed fsync Linux keeps the pages that did not reach the disk, marks them clean, and answers the next fsync with
//! success: a broker that starts again in the same boot would read a batch from them, call it durable, and lose it with
//! the power. So the cache of the whole file is dropped, for pages that are in use only in part are kept, and what recovery
//! relies on past the durable mark is read a second time past the cache (O_DIRECT) and compared.
//!
//! Where the file system has no such reads (or answers them from its cache: ext4 with data=journal), dropping the cache is
//! all that can be done.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::{
    fs::{Advice, OFlags, fadvise},
    io::{Errno, pread, retry_on_intr},
};

use crate::{Disk, Error, read_at::read_at};

/// Places, lengths and memory of direct reads are multiples of it: a page, and a block of any common disk.
const ALIGNMENT: usize = 4096;
/// Bytes that are compared at once.
const CHUNK: usize = 1 << 20;

/// Drops the cache of a file that was fsynced, and gives the first place between `from` and `end` at which the disk does not
/// hold what reads of the file tell; `end` if it holds all of it.
pub(super) fn end_on_disk(disk: &Disk, file: &File, path: &Path, (from, end): (u64, u64)) -> Result<u64, Error> {
    #[cfg(test)]
    let end = disk.forgotten_from().map_or(end, |forgotten| end.min(forgotten));
    disk.check()?;
    match fadvise(file, 0, None, Advice::DontNeed) {
        Err(errno) if is_unsupported(errno) => {
            tracing::debug!(path = %path.display(), "the page cache cannot be dropped here");
        }
        dropped => dropped.map_err(|error| Error::io("cannot drop the page cache of", path, error))?,
    }
    if from >= end {
        return Ok(end);
    }
    let opened = OpenOptions::new().read(true).custom_flags(OFlags::DIRECT.bits() as i32).open(path);
    let found = match opened {
        Ok(direct) => first_difference(file, &direct, path, (from, end)),
        Err(error) => Err(Error::io("cannot open for direct reads", path, error)),
    };
    match found {
        Err(Error::Io { source, .. }) if Errno::from_io_error(&source).is_some_and(is_unsupported) => {
            tracing::debug!(path = %path.display(), "no direct reads here: what was not dropped of the cache is believed");
            Ok(end)
        }
        found => found,
    }
}

/// True if the system says that the file system has no such thing: they do not agree on how to say it.
fn is_unsupported(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOTTY | Errno::SPIPE)
}

/// The first place in the range at which a direct read gives something else than a cached one.
fn first_difference(cached: &File, direct: &File, path: &Path, (from, end): (u64, u64)) -> Result<u64, Error> {
    let mut memory = vec![0; CHUNK + ALIGNMENT];
    let aligned = memory.as_ptr().align_offset(ALIGNMENT);
    let memory = &mut memory[aligned..aligned + CHUNK];
    let mut expected = Vec::new();
    let mut at = from - from % ALIGNMENT as u64;
    while at < end {
        let read = retry_on_intr(|| pread(direct, &mut *memory, at))
            .map_err(|error| Error::io("cannot read past the page cache", path, error))?;
        let want = ((end - at) as usize).min(read);
        read_at(cached, path, at, want, &mut expected)?;
        if let Some(differs) = expected.iter().zip(&memory[..want]).position(|(cached, direct)| cached != direct) {
            return Ok((at + differs as u64).clamp(from, end));
        }
        let reached = at + expected.len() as u64;
        if reached == end {
            break;
        }
        let next = reached - reached % ALIGNMENT as u64;
        if next == at {
            return Ok(reached.clamp(from, end)); // the file ends there
        }
        at = next;
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::test_support::tempdir;

    #[test]
    fn a_file_whose_cache_was_dropped_is_as_its_disk_says() {
        for folder in [tempdir().unwrap(), tempfile::TempDir::new().unwrap()] {
            let path = folder.path().join("segment");
            let len = 3 * CHUNK + 777;
            fs::write(&path, vec![7; len]).unwrap();
            let file = File::open(&path).unwrap();
            file.sync_all().unwrap();
            for from in [0, 1, 4095, 4096, CHUNK, len - 1, len] {
                assert_eq!(
                    end_on_disk(&Disk::new(), &file, &path, (from as u64, len as u64)).unwrap(),
                    len as u64,
                    "from {from}"
                );
            }
        }
    }

    #[test]
    fn what_a_file_system_does_not_have_is_done_without() {
        let (pipe, _other_end) = std::io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(pipe));
        assert_eq!(end_on_disk(&Disk::new(), &pipe, "a pipe".as_ref(), (7, 7)).unwrap(), 7, "no cache to drop");
        assert!(is_unsupported(Errno::OPNOTSUPP) && is_unsupported(Errno::INVAL) && !is_unsupported(Errno::IO));
    }

    #[test]
    fn the_first_byte_that_the_disk_lacks_is_found() {
        let folder = tempdir().unwrap();
        let len = 2 * CHUNK + 5000;
        let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let file = |name: &str, bytes: &[u8]| {
            fs::write(folder.path().join(name), bytes).unwrap();
            File::open(folder.path().join(name)).unwrap()
        };
        let cached = file("cached", &bytes);
        let check = |disk: &[u8], from: usize| {
            let disk = file("disk", disk);
            first_difference(&cached, &disk, folder.path(), (from as u64, len as u64)).unwrap() as usize
        };
        assert_eq!(check(&bytes, 5), len);
        for differs in [5, 4095, 4096, CHUNK - 1, CHUNK, 2 * CHUNK + 4500, len - 1] {
            let mut disk = bytes.clone();
            disk[differs] ^= 1;
            assert_eq!(check(&disk, 5), differs);
            assert_eq!(check(&disk, differs), differs);
            assert_eq!(check(&disk[..differs], 5), differs, "a file that ends earlier");
        }
        let mut disk = bytes.clone();
        disk[4097] ^= 1;
        assert_eq!(check(&disk, 8192), len, "what lies before is not looked at");
    }
}
