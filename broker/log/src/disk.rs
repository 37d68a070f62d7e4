//! The one door to the disk of a data folder: writes, fsyncs, replaced and removed files.
//!
//! Place: every log of one data folder shares one [`Disk`]. Reads do not pass here; they change nothing.
//!
//! Invariants:
//! 1. The first write, fsync, cut, rename or removal that fails latches the disk. From then on every operation answers with
//!    that first error. Nothing is retried: after a failed fsync the kernel may have dropped the very pages that were to
//!    be written, and a second fsync would answer "done".
//! 2. A file that is replaced is either the old or the new one after a crash: written beside, fsynced, renamed, and the
//!    folder fsynced.
//! 3. A file or folder that cannot be opened or made because handles or memory have run out latches nothing: the disk was
//!    not asked, and what it holds is known. Who wanted it has to do without, or to come again. So that nothing is left
//!    half done, a folder is opened before a name in it changes. A folder that is not there latches nothing either, nor one
//!    that may not be entered or written, nor a file that may not be renamed or removed: the log in it is lost, or closed to
//!    this process, and the others are not.
//! 4. What no log relies on latches nothing: folders that are to go, and small files that save work. Who wanted it does
//!    without. A folder that somebody made immutable is no reason for a broker to end, and if the disk is at fault the next
//!    write of a log finds it.
//!
//! Failure: what was being written is in an unknown state. The process has to stop serving this disk, and to recover
//! from what the disk really holds at its next start.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, IoSlice, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    Ages, Error,
    error::{has_run_out, is_refused},
};

/// Most slices that one vectored write takes (Linux: `UIO_MAXIOV`).
const MAX_SLICES: usize = 1024;

/// First and longest pause before a step is done again for which handles or memory were wanting.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Does the writes and fsyncs of one data folder, counts them, and latches at the first that fails.
#[derive(Debug, Default)]
pub struct Disk {
    failure: OnceLock<Error>,
    writes: AtomicU64,
    written_bytes: AtomicU64,
    data_syncs: AtomicU64,
    other_syncs: AtomicU64,
    ages: Ages,
    #[cfg(test)]
    fault: parking_lot::Mutex<Option<tests::Fault>>,
}

/// How much was done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskStats {
    /// Vectored writes of batches.
    pub writes: u64,
    /// Bytes of batches written.
    pub written_bytes: u64,
    /// Fsyncs of segment data.
    pub data_syncs: u64,
    /// Fsyncs of everything else: marks, indexes, checkpoints, folders.
    pub other_syncs: u64,
}

impl Disk {
    /// A door to a disk that has not failed.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The first error, if there was one.
    pub fn failure(&self) -> Option<Error> {
        self.failure.get().cloned()
    }

    /// The clock of what is kept on this disk.
    pub const fn ages(&self) -> &Ages {
        &self.ages
    }

    /// What was done so far.
    pub fn stats(&self) -> DiskStats {
        DiskStats {
            writes: self.writes.load(Ordering::Relaxed),
            written_bytes: self.written_bytes.load(Ordering::Relaxed),
            data_syncs: self.data_syncs.load(Ordering::Relaxed),
            other_syncs: self.other_syncs.load(Ordering::Relaxed),
        }
    }

    /// Fails with the first error, if there was one.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.failure().map_or(Ok(()), Err)
    }

    /// Writes all slices at `position` of a segment. May use up the slices.
    pub(crate) fn write_batches(
        &self,
        file: &File,
        path: &Path,
        slices: &mut [IoSlice<'_>],
        position: u64,
    ) -> Result<(), Error> {
        let mut rest = slices;
        let mut at = position;
        while !rest.is_empty() {
            let some = &rest[..rest.len().min(MAX_SLICES)];
            let written = self.run("cannot write", path, || {
                match rustix::io::retry_on_intr(|| rustix::io::pwritev(file, some, at))? {
                    0 => Err(io::ErrorKind::WriteZero.into()),
                    written => Ok(written),
                }
            })?;
            at += written as u64;
            IoSlice::advance_slices(&mut rest, written);
            self.writes.fetch_add(1, Ordering::Relaxed);
        }
        self.written_bytes.fetch_add(at - position, Ordering::Relaxed);
        Ok(())
    }

    /// Makes the data of a segment durable.
    pub(crate) fn sync_batches(&self, file: &File, path: &Path) -> Result<(), Error> {
        self.data_syncs.fetch_add(1, Ordering::Relaxed);
        self.run("cannot fsync", path, || Ok(rustix::fs::fdatasync(file)?))
    }

    /// Makes the data of a small file durable.
    pub(crate) fn sync_file(&self, file: &File, path: &Path) -> Result<(), Error> {
        self.other_syncs.fetch_add(1, Ordering::Relaxed);
        self.run("cannot fsync", path, || Ok(rustix::fs::fdatasync(file)?))
    }

    /// Makes the names in a folder durable.
    pub(crate) fn sync_folder(&self, folder: &Path) -> Result<(), Error> {
        self.sync_opened_folder(&self.open_folder(folder)?, folder)
    }

    /// Opens a folder, before a name in it changes that is to be durable then.
    pub(crate) fn open_folder(&self, folder: &Path) -> Result<File, Error> {
        self.run_open("cannot open the folder", folder, || File::open(folder))
    }

    /// As [`Self::sync_folder`], of a folder that was opened before.
    pub(crate) fn sync_opened_folder(&self, opened: &File, folder: &Path) -> Result<(), Error> {
        self.other_syncs.fetch_add(1, Ordering::Relaxed);
        self.run("cannot fsync the folder", folder, || opened.sync_all())
    }

    /// Does a step that cannot be left half done, again and again while handles or memory are wanting. Blocks so long.
    pub(crate) fn patiently<T>(&self, mut step: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            self.check()?;
            match step() {
                Err(error) if error.is_shortage() => {
                    tracing::warn!(%error, pause_ms = pause.as_millis() as u64, "the log writer waits");
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(MAX_PAUSE);
                }
                done => return done,
            }
        }
    }

    /// Writes bytes into a small file at `position`, not durably.
    pub(crate) fn write_at(&self, file: &File, path: &Path, bytes: &[u8], position: u64) -> Result<(), Error> {
        self.run("cannot write", path, || std::os::unix::fs::FileExt::write_all_at(file, bytes, position))
    }

    /// Creates a file that must not exist yet, open for reading and writing.
    pub(crate) fn create(&self, path: &Path) -> Result<File, Error> {
        self.run_open("cannot create", path, || OpenOptions::new().read(true).write(true).create_new(true).open(path))
    }

    /// Opens a file for reading and writing, creating it if absent.
    pub(crate) fn open(&self, path: &Path) -> Result<File, Error> {
        self.run_open("cannot open", path, || {
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
        })
    }

    /// Creates a folder and those above it; the caller makes their names durable.
    pub(crate) fn create_folder(&self, folder: &Path) -> Result<(), Error> {
        self.run_open("cannot create the folder", folder, || fs::create_dir_all(folder))
    }

    /// Sets the length of a file, not durably.
    pub(crate) fn set_len(&self, file: &File, path: &Path, len: u64) -> Result<(), Error> {
        self.run("cannot cut", path, || file.set_len(len))
    }

    /// Puts `bytes` in the place of a small file, durably and all or nothing.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let folder = self.open_folder(parent(path))?;
        self.replace_unnamed(path, bytes)?;
        self.sync_opened_folder(&folder, parent(path))
    }

    /// As [`Self::replace`], but the caller makes the folder durable.
    pub(crate) fn replace_unnamed(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let beside = with_suffix(path, TEMPORARY);
        self.other_syncs.fetch_add(1, Ordering::Relaxed);
        let mut file = self.run_open("cannot create", &beside, || File::create(&beside))?;
        self.run("cannot write", &beside, || {
            file.write_all(bytes)?;
            file.sync_all()
        })?;
        self.rename(&beside, path)
    }

    /// Renames a file or folder, not durably.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        #[cfg(test)]
        let rename = || self.injected("cannot rename", from, false).map_or_else(|| fs::rename(from, to), Err);
        #[cfg(not(test))]
        let rename = || fs::rename(from, to);
        self.run_unless("cannot rename", from, rename, |error| is_missing(error) || is_refused(error))
    }

    /// Removes a file if it is there, not durably.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), Error> {
        let remove = || match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        };
        #[cfg(test)]
        let remove = || self.injected("cannot remove", path, false).map_or_else(remove, Err);
        self.run_unless("cannot remove", path, remove, is_refused)
    }

    /// As [`Self::replace`], of a file that only saves work: a failure latches nothing.
    pub(crate) fn try_replace(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let beside = with_suffix(path, TEMPORARY);
        self.other_syncs.fetch_add(2, Ordering::Relaxed);
        self.run_spare("cannot replace", path, || {
            let folder = File::open(parent(path))?;
            let mut file = File::create(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&beside, path)?;
            folder.sync_all()
        })
    }

    /// Copies at most so many bytes of a file, durably but for the name of the copy, and tells how many. Nothing relies on the
    /// copy yet: a failure latches nothing.
    pub(crate) fn try_copy(&self, from: &Path, to: &Path, max_bytes: u64) -> Result<u64, Error> {
        self.other_syncs.fetch_add(1, Ordering::Relaxed);
        self.run_spare("cannot copy", from, || {
            let mut copy = File::create(to)?;
            let copied = io::copy(&mut File::open(from)?.take(max_bytes), &mut copy)?;
            copy.sync_all()?;
            Ok(copied)
        })
    }

    /// As [`Self::rename`], of a folder that does not count any more: a failure latches nothing.
    pub(crate) fn try_rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        self.run_spare("cannot rename", from, || fs::rename(from, to))
    }

    /// Removes a folder that does not count, with all it holds, if it is there. A failure latches nothing.
    pub(crate) fn try_remove_folder(&self, folder: &Path) -> Result<(), Error> {
        self.run_spare("cannot remove the folder", folder, || match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        })
    }

    /// Runs one change of the disk unless an earlier one failed; latches if this one fails.
    fn run<T>(&self, doing: &'static str, path: &Path, change: impl FnOnce() -> io::Result<T>) -> Result<T, Error> {
        #[cfg(test)]
        let change = || self.injected(doing, path, false).map_or_else(change, Err);
        self.run_unless(doing, path, change, |_| false)
    }

    /// As [`Self::run`], for what opens or makes a file or folder: that handles or memory have run out says nothing of the
    /// disk, nor does a folder that is not there, or that somebody took the rights of.
    fn run_open<T>(&self, doing: &'static str, path: &Path, open: impl FnOnce() -> io::Result<T>) -> Result<T, Error> {
        #[cfg(test)]
        let open = || self.injected(doing, path, true).map_or_else(open, Err);
        self.run_unless(doing, path, open, |error| has_run_out(error) || is_missing(error) || is_refused(error))
    }

    /// As [`Self::run`], for what no log relies on.
    fn run_spare<T>(
        &self,
        doing: &'static str,
        path: &Path,
        change: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, Error> {
        #[cfg(test)]
        let change = || self.injected(doing, path, false).map_or_else(change, Err);
        self.run_unless(doing, path, change, |_| true)
    }

    fn run_unless<T>(
        &self,
        doing: &'static str,
        path: &Path,
        change: impl FnOnce() -> io::Result<T>,
        is_passing: impl FnOnce(&io::Error) -> bool,
    ) -> Result<T, Error> {
        self.check()?;
        change().map_err(|error| {
            let passing = is_passing(&error);
            let error = Error::io(doing, path, error);
            if passing { error } else { self.latch(error) }
        })
    }

    /// Nothing is written any more after this error, whatever it is: without the file that it is about no log can go on. The
    /// first error stays.
    pub(crate) fn latch(&self, error: Error) -> Error {
        self.failure.get_or_init(|| error).clone()
    }
}

/// True if a folder that should be there is not.
fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Ending of files that are being written; removed at the next start.
pub(crate) const TEMPORARY: &str = ".tmp";

/// The folder that a file stands in.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// The path with `suffix` after its last letter.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
#[path = "disk_tests.rs"]
pub(crate) mod tests;
