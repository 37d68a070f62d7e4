//! The data folder of a broker.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use holdfast_proto::ids::{BrokerId, ClusterId, DirectoryId, TopicPartition};

use crate::{Disk, Error, LogConfig, PartitionLog, Recovered};

/// The data folder of a broker: who it belongs to, and its partitions. Held by one process alone.
#[derive(Debug)]
pub struct DataDir {}

/// Free and total space of a file system, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What an unprivileged process may still write.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

impl DataDir {
    /// Opens the data folder, or formats an empty one. Counts the boot, durably. A folder of another broker, or, where
    /// both are known, of another cluster, is an error.
    pub fn open(_path: &Path, _broker_id: BrokerId, _cluster_id: Option<ClusterId>) -> Result<Self, Error> {
        Err(Error::Closed)
    }

    /// Remembers the cluster, durably, once it is known; another one than before is an error.
    pub fn set_cluster_id(&self, _cluster_id: ClusterId) -> Result<(), Error> {
        Err(Error::Closed)
    }

    /// The cluster it belongs to, if known.
    pub fn cluster_id(&self) -> Option<ClusterId> {
        None
    }

    /// Random id of this folder.
    pub fn directory_id(&self) -> DirectoryId {
        DirectoryId(uuid::Uuid::nil())
    }

    /// How often it was opened, this time included.
    pub fn boot_counter(&self) -> u64 {
        0
    }

    /// The door to its disk.
    pub fn disk(&self) -> Arc<Disk> {
        Disk::new()
    }

    /// The partitions that have a folder. Those that the metadata does not know are to be kept.
    pub fn partitions(&self) -> Result<Vec<TopicPartition>, Error> {
        Err(Error::Closed)
    }

    /// Opens a partition's log; its folder is created if absent.
    pub fn open_partition(
        &self,
        _partition: TopicPartition,
        _config: LogConfig,
    ) -> Result<(PartitionLog, Recovered), Error> {
        Err(Error::Closed)
    }

    /// Deletes a partition whose topic's deletion was committed. Its log must be closed. True if it was there.
    pub fn delete_partition(&self, _partition: TopicPartition) -> Result<bool, Error> {
        Err(Error::Closed)
    }

    /// Sets a damaged partition's folder aside, as it is, and tells where. The partition can then be opened anew.
    pub fn quarantine_partition(&self, _partition: TopicPartition) -> Result<PathBuf, Error> {
        Err(Error::Closed)
    }

    /// Free and total space.
    pub fn space(&self) -> Result<Space, Error> {
        Err(Error::Closed)
    }
}
