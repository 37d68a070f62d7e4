//! The file of the list of partitions, and the list as it is durable.
//!
//! Invariants:
//! 1. What the list says is durable: it changes in memory after the fsync.
//! 2. Changes of many threads share one fsync.
//! 3. The file is written as a whole at each start, and when it has grown to many times its entries.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use holdfast_proto::ids::TopicPartition;

use super::{
    group_commit::GroupCommit,
    replica::Cause,
    replica_list::{self, Change, Entries, Entry, Header, Problem},
};
use crate::{
    Disk, Error,
    disk::{TEMPORARY, parent, with_suffix},
};

/// Name of the file in the data folder.
pub(super) const LIST: &str = "replicas";
/// Bytes of changes after which the file is written as a whole again, and at least so many times its entries.
const MAX_CHANGES: u64 = 4 << 20;
const MAX_TIMES: u64 = 4;

/// The list of one data folder.
#[derive(Debug)]
pub(super) struct ListFile {
    disk: Arc<Disk>,
    path: PathBuf,
    header: Header,
    commits: GroupCommit<Change>,
    written: Mutex<Written>,
    entries: Mutex<Entries>,
}

#[derive(Debug)]
struct Written {
    file: File,
    /// Bytes of the file when it was written as a whole.
    whole: u64,
    size: u64,
    /// Of the next frame.
    number: u32,
}

impl ListFile {
    /// The entries of a folder's list; `None` if it has none. One that an earlier start than that with this boot counter wrote is
    /// lost: each start writes it again, before the identity has its counter.
    pub(super) fn load(folder: &Path, written_by: u64) -> Result<Option<Result<Entries, Problem>>, Error> {
        let path = folder.join(LIST);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(replica_list::decode(&bytes, written_by))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("cannot read", &path, error)),
        }
    }

    /// Puts a list with these entries into the folder, durably.
    pub(super) fn write(disk: &Arc<Disk>, folder: &Path, boot_counter: u64, entries: Entries) -> Result<Self, Error> {
        let (path, header) = (folder.join(LIST), Header::new(boot_counter));
        let written = Written::whole(disk, &path, &header.file(&entries))?;
        Ok(Self {
            disk: Arc::clone(disk),
            path,
            header,
            commits: GroupCommit::new(),
            written: Mutex::new(written),
            entries: Mutex::new(entries),
        })
    }

    /// What it says of a partition; `None` if it does not name it.
    pub(super) fn get(&self, partition: TopicPartition) -> Option<Entry> {
        self.entries.lock().get(&partition).cloned()
    }

    /// The partitions whose logs do not count, with the kind of trouble, in order.
    pub(super) fn distrusted(&self) -> Vec<(TopicPartition, Cause)> {
        let cause = |entry: &Entry| match entry {
            Entry::Distrusted(distrust) => Some(distrust.cause),
            Entry::Held => None,
        };
        self.entries.lock().iter().filter_map(|(partition, entry)| Some((*partition, cause(entry)?))).collect()
    }

    /// Says something else of a partition, durably; `None`: it is gone.
    pub(super) fn set(&self, partition: TopicPartition, entry: Option<Entry>) -> Result<(), Error> {
        if self.get(partition) == entry {
            return Ok(());
        }
        self.commits.commit((partition, entry), |changes| self.append(changes))
    }

    fn append(&self, changes: &[Change]) -> Result<(), Error> {
        let mut written = self.written.lock();
        let frame = self.header.frame(written.number, changes);
        self.disk.write_at(&written.file, &self.path, &frame, written.size)?;
        self.disk.sync_file(&written.file, &self.path)?;
        written.size += frame.len() as u64;
        written.number += 1;
        let mut entries = self.entries.lock();
        changes.iter().cloned().for_each(|change| replica_list::apply(&mut entries, change));
        if written.size - written.whole > MAX_CHANGES.max(written.whole * MAX_TIMES) {
            match Written::whole(&self.disk, &self.path, &self.header.file(&entries)) {
                Err(error) if error.is_shortage() => {} // what was written is durable as it is
                whole => *written = whole.map_err(|error| self.disk.latch(error))?,
            }
        }
        Ok(())
    }
}

impl Written {
    fn whole(disk: &Disk, path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let beside = with_suffix(path, TEMPORARY);
        let folder = disk.open_folder(parent(path))?;
        disk.remove(&beside)?;
        // Opened before it takes the name, as the folder is: nothing may be written into the old one then.
        let file = disk.create(&beside)?;
        disk.write_at(&file, &beside, bytes, 0)?;
        disk.sync_file(&file, &beside)?;
        disk.rename(&beside, path)?;
        disk.sync_opened_folder(&folder, parent(path))?;
        let size = bytes.len() as u64;
        Ok(Self { file, whole: size, size, number: 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{data_dir::partitions::tests::tp, disk::tests::Fault, test_support::tempdir};

    /// What is said after the file could not be written as a whole must stand in the file that the next start reads.
    #[test]
    fn a_shortage_of_handles_at_any_step_leaves_the_list_in_the_file_that_is_read() {
        for refused in 0.. {
            let (folder, disk) = (tempdir().unwrap(), Disk::new());
            let list = ListFile::write(&disk, folder.path(), 1, Entries::new()).unwrap();
            list.set(tp(1, 0), Some(Entry::Held)).unwrap();
            disk.inject(Fault::RanOutAfter(refused));
            let bytes = list.header.file(&list.entries.lock());
            match Written::whole(&disk, &list.path, &bytes) {
                Ok(whole) => *list.written.lock() = whole,
                Err(error) => assert!(error.is_shortage(), "{error}"),
            }
            let is_played = !disk.is_pending();
            list.set(tp(1, 1), Some(Entry::Held)).unwrap();
            let read = ListFile::load(folder.path(), 0).unwrap().unwrap().unwrap();
            assert_eq!(read.into_keys().collect::<Vec<_>>(), [tp(1, 0), tp(1, 1)], "refused {refused}");
            if !is_played {
                assert_eq!(refused, 2, "the folder and the file");
                return;
            }
        }
    }
}
