//! The folder itself: taken, told whose it is, its partitions opened, set aside and deleted.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use rustix::fs::statvfs;

use holdfast_identity::{BROKER, Lock};
use holdfast_proto::ids::{BrokerId, ClusterId, DirectoryId, PartitionIndex, TopicId, TopicPartition};

use crate::{
    Disk, Error, LogConfig, PartitionLog, Recovered,
    data_dir::{handles::Handles, identity::Identity},
    disk::{TEMPORARY, with_suffix},
};

const PARTITIONS: &str = "partitions";
const DELETED: &str = ".deleted";
const DAMAGED: &str = ".damaged-";

/// The data folder of a broker. Held by one process alone, until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    disk: Arc<Disk>,
    identity: Mutex<Identity>,
    handles: Handles,
    _lock: Lock,
}

/// Free and total space of a file system, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What an unprivileged process may still write.
    pub free: u64,
    /// What the file system holds in all, used or not.
    pub total: u64,
}

impl DataDir {
    /// Opens the data folder, or formats a new one. Counts the boot, durably, and finishes deletions.
    ///
    /// Also raises the process's limit of open files as far as the system allows: each partition keeps two open.
    ///
    /// [`Error::Locked`]: another process holds it. [`Error::OtherBroker`], [`Error::OtherCluster`]: not this broker's,
    /// or, where both are known, not this cluster's.
    pub fn open(path: &Path, broker_id: BrokerId, cluster_id: Option<ClusterId>) -> Result<Self, Error> {
        let disk = Disk::new();
        let handles = Handles::raise();
        disk.create_folder(path)?;
        let lock = lock(&disk, path)?;
        let partitions = path.join(PARTITIONS);
        let identity = match Identity::load(path)? {
            Some(identity) => identity.check(path, broker_id, cluster_id)?,
            None if holds_anything(&partitions)? => {
                let reason = "it holds partitions, but its file holdfast-data is missing; restore that file, or empty the \
                              folder if the other replicas are complete";
                return Err(Error::BadFolder { path: path.to_owned(), reason: reason.to_owned() });
            }
            None => Identity::new(broker_id, cluster_id),
        };
        let identity = Identity { boot_counter: identity.boot_counter + 1, ..identity };
        identity.store(&disk, path)?;
        disk.create_folder(&partitions)?;
        disk.sync_folder(path)?;
        let dir = Self { path: path.to_owned(), disk, identity: Mutex::new(identity), handles, _lock: lock };
        dir.finish_deletions()?;
        Ok(dir)
    }

    /// Remembers the cluster, durably, once it is known; another one than before is an error.
    pub fn set_cluster_id(&self, cluster_id: ClusterId) -> Result<(), Error> {
        let mut identity = self.identity.lock();
        let checked = identity.check(&self.path, identity.broker_id, Some(cluster_id))?;
        if checked != *identity {
            checked.store(&self.disk, &self.path)?;
            *identity = checked;
        }
        Ok(())
    }

    /// The folder as it was given to [`Self::open`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The cluster it belongs to, if known.
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.identity.lock().cluster_id
    }

    /// The broker it belongs to.
    pub fn broker_id(&self) -> BrokerId {
        self.identity.lock().broker_id
    }

    /// Random id of this folder, chosen when it was formatted.
    pub fn directory_id(&self) -> DirectoryId {
        self.identity.lock().directory_id
    }

    /// Gives the folder another directory id, durably: a leader that knew the old id counts none of its records as held
    /// any more. To be done before a damaged partition is set aside, so that a crash between the two leaves nothing
    /// trusted too much.
    pub fn renew_directory_id(&self) -> Result<DirectoryId, Error> {
        let mut identity = self.identity.lock();
        let fresh = Identity::new(identity.broker_id, identity.cluster_id).directory_id;
        let renewed = Identity { directory_id: fresh, ..*identity };
        renewed.store(&self.disk, &self.path)?;
        *identity = renewed;
        Ok(fresh)
    }

    /// How often it was opened, this time included.
    pub fn boot_counter(&self) -> u64 {
        self.identity.lock().boot_counter
    }

    /// The door to its disk, for the log writer.
    pub fn disk(&self) -> Arc<Disk> {
        Arc::clone(&self.disk)
    }

    /// The partitions that have a folder, in order. Those that the metadata does not know are to be kept.
    pub fn partitions(&self) -> Result<Vec<TopicPartition>, Error> {
        let mut partitions: Vec<_> = self.names()?.iter().filter_map(|name| parse(name)).collect();
        partitions.sort_unstable();
        Ok(partitions)
    }

    /// Opens a new partition's log, as [`Self::open_partition`], if its files leave enough handles to those that are open;
    /// else the error is a [shortage](Error::is_shortage).
    pub fn add_partition(
        &self,
        partition: TopicPartition,
        config: LogConfig,
    ) -> Result<(PartitionLog, Recovered), Error> {
        self.handles.check(&self.folder(partition))?;
        self.open_partition(partition, config)
    }

    /// Opens a partition's log; its folder is created if absent.
    pub fn open_partition(
        &self,
        partition: TopicPartition,
        config: LogConfig,
    ) -> Result<(PartitionLog, Recovered), Error> {
        PartitionLog::open(&self.disk, &self.folder(partition), partition, config)
    }

    /// Deletes a partition whose topic's deletion was committed. Its log must be closed. True if it was there.
    ///
    /// It is gone for good when this returns; its bytes may be freed by the next start.
    pub fn delete_partition(&self, partition: TopicPartition) -> Result<bool, Error> {
        let folder = self.folder(partition);
        if !folder.exists() {
            return Ok(false);
        }
        let deleted = with_suffix(&folder, DELETED);
        self.disk.remove_folder(&deleted)?;
        self.disk.rename(&folder, &deleted)?;
        self.disk.sync_folder(&self.path.join(PARTITIONS))?;
        self.disk.remove_folder(&deleted)?;
        Ok(true)
    }

    /// Sets a damaged partition's folder aside, as it is, and tells where. The partition can then be opened again,
    /// empty.
    pub fn quarantine_partition(&self, partition: TopicPartition) -> Result<PathBuf, Error> {
        let folder = self.folder(partition);
        let mut number = 1;
        let mut aside = with_suffix(&folder, &format!("{DAMAGED}{number}"));
        while aside.exists() {
            number += 1;
            aside = with_suffix(&folder, &format!("{DAMAGED}{number}"));
        }
        self.disk.rename(&folder, &aside)?;
        self.disk.sync_folder(&self.path.join(PARTITIONS))?;
        Ok(aside)
    }

    /// Free and total space of its file system.
    pub fn space(&self) -> Result<Space, Error> {
        let found =
            statvfs(&self.path).map_err(|error| Error::io("cannot ask for the free space of", &self.path, error))?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Space { free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
    }

    fn folder(&self, partition: TopicPartition) -> PathBuf {
        self.path.join(PARTITIONS).join(partition.to_string())
    }

    fn finish_deletions(&self) -> Result<(), Error> {
        for name in self.names()? {
            let is_partition = |ending| name.strip_suffix(ending).is_some_and(|name| parse(name).is_some());
            if is_partition(DELETED) || is_partition(TEMPORARY) {
                self.disk.remove_folder(&self.path.join(PARTITIONS).join(&name))?;
            } else if parse(&name).is_none() {
                tracing::warn!(name, "the data folder holds something that is not a partition; it is left alone");
            }
        }
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        names(&self.path.join(PARTITIONS))
    }
}

fn lock(disk: &Disk, path: &Path) -> Result<Lock, Error> {
    let name = path.join(BROKER.lock);
    let taken = Lock::take(disk.open(&name)?).map_err(|error| Error::io("cannot lock", &name, error))?;
    taken.ok_or_else(|| Error::Locked { path: path.to_owned() })
}

/// A folder's name `<topic id>-<index>`, exactly as it is written; `None` for any other.
fn parse(name: &str) -> Option<TopicPartition> {
    let (topic_id, partition) = name.rsplit_once('-')?;
    let found = TopicPartition {
        topic_id: TopicId(topic_id.parse().ok()?),
        partition: PartitionIndex(partition.parse().ok()?),
    };
    (found.to_string() == name).then_some(found)
}

fn holds_anything(partitions: &Path) -> Result<bool, Error> {
    Ok(partitions.exists() && !names(partitions)?.is_empty())
}

fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let list = || -> io::Result<Vec<String>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    list().map_err(|error| Error::io("cannot list", folder, error))
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
