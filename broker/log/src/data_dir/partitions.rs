//! The partitions of the folder: opened, distrusted, made again, set aside and deleted.
//!
//! ```text
//!           open (new)            distrust             recreate: it is set aside, and made again
//!  (none) ------------> held --------------> distrusted ---------------------> held
//!                         |                     |       salvage: it is set aside, and goes on up to its damage
//!             delete      |                     |
//!  (none) <---------------+---------------------+
//! ```
//!
//! Order: a folder is durable before it is listed, and it is listed before the opening returns. It is off the list, durably,
//! before it is renamed. So a crash leaves a folder that is not listed, and never one that is held without a folder: that
//! was lost. One that is distrusted is renamed first: its distrust outlives its folder, and never the other way round.

use std::path::{Path, PathBuf};

use holdfast_proto::ids::TopicPartition;

use super::{
    aside::{holds_records, rename_durably},
    folder::DataDir,
    names::{DELETED, PARTITIONS, held_in},
    replica::{Cause, Distrust},
    replica_list::Entry,
};
use crate::{
    Error, LogConfig, PartitionLog, Recovered, Unreadable,
    disk::with_suffix,
    partition::{salvage, settle_doubt},
};

impl DataDir {
    /// The partitions that have a folder, in order. Those that the metadata does not know are to be kept.
    pub fn partitions(&self) -> Result<Vec<TopicPartition>, Error> {
        Ok(held_in(&self.path.join(PARTITIONS))?.into_iter().collect())
    }

    /// Opens a new partition's log, as [`Self::open_partition`], if its files leave enough handles to those that are open;
    /// else the error is a [shortage](Error::is_shortage). Records of an unlisted folder, which a deletion left or somebody
    /// put there, are none of the new replica: the folder is set aside first.
    pub fn add_partition(
        &self,
        partition: TopicPartition,
        config: LogConfig,
    ) -> Result<(PartitionLog, Recovered), Error> {
        self.handles.check(&self.folder(partition))?;
        if self.list.get(partition).is_none() && self.has_records(partition) {
            let aside = self.move_aside(partition)?;
            tracing::warn!(%partition, ?aside, "a folder that is not listed was set aside: its replica begins empty");
        }
        self.open_partition(partition, config)
    }

    /// Opens a log that a start finds, as [`Self::open_partition`], if its files leave enough handles to go on with; else the
    /// error is a [shortage](Error::is_shortage).
    pub fn recover_partition(
        &self,
        partition: TopicPartition,
        config: LogConfig,
    ) -> Result<(PartitionLog, Recovered), Error> {
        self.handles.check(&self.folder(partition))?;
        self.open_partition(partition, config)
    }

    /// Opens a partition's log; its folder is created if the list does not name it. It is listed as held when this returns.
    ///
    /// [`Error::Vanished`]: it is listed, and its folder is gone. [`Error::Distrusted`]: its log must not count. Neither
    /// is opened before [`Self::recreate_partition`].
    pub fn open_partition(
        &self,
        partition: TopicPartition,
        config: LogConfig,
    ) -> Result<(PartitionLog, Recovered), Error> {
        let folder = self.folder(partition);
        match self.list.get(partition) {
            Some(Entry::Distrusted(Distrust { reason, .. })) => Err(Error::Distrusted { path: folder, reason }),
            Some(Entry::Held) if !exists(&folder)? => Err(Error::Vanished { path: folder }),
            Some(Entry::Held) => PartitionLog::open(&self.disk, &folder, partition, config),
            None => self.open_unlisted(partition, config),
        }
    }

    /// Notes, durably, that the log of a partition does not count: damaged, in doubt, vanished, or halted. From the next
    /// start on [`Self::replicas`] says so, and it is not opened. A log that is open may stay so. What was noted before
    /// stands: it says how far the log could be read when the trouble began.
    ///
    /// To be called before anything of it is told to others, so that a crash leaves nothing trusted too much.
    pub fn distrust(&self, partition: TopicPartition, distrust: Distrust) -> Result<(), Error> {
        if matches!(self.list.get(partition), Some(Entry::Distrusted(_))) {
            return Ok(());
        }
        self.forget_aside(partition)?;
        self.list.set(partition, Some(Entry::Distrusted(distrust)))
    }

    /// Why the log of a partition does not count, as it was noted; `None` if it counts, or there is none.
    pub fn distrusted(&self, partition: TopicPartition) -> Option<Distrust> {
        match self.list.get(partition) {
            Some(Entry::Distrusted(distrust)) => Some(distrust),
            Some(Entry::Held) if matches!(exists(&self.folder(partition)), Ok(false)) => {
                Some(Distrust::new(Cause::Vanished, "its folder is gone"))
            }
            Some(Entry::Held) | None => None,
        }
    }

    /// Every partition whose log was noted not to count, with the kind of trouble, in order. Looks at no disk.
    pub fn all_distrusted(&self) -> Vec<(TopicPartition, Cause)> {
        self.list.distrusted()
    }

    /// The replica of a log that was opened with this doubt is in sync, and lacks nothing any more: that doubt is taken away,
    /// durably, and nothing else. Another doubt stands, and so does what was noted against the replica meanwhile. True if it
    /// stood until now. The log may be open.
    pub fn settle_doubt(&self, partition: TopicPartition, doubt: &str) -> Result<bool, Error> {
        match self.list.get(partition) {
            Some(Entry::Held) => settle_doubt(&self.disk, &self.folder(partition), doubt),
            Some(Entry::Distrusted(_)) | None => Ok(false),
        }
    }

    /// Makes a distrusted or vanished partition again, empty, and opens it; its folder, if it is there, is set aside. To be
    /// called when the controllers count nothing any more that this replica held. Until it returns it stays as it was.
    ///
    /// [`Error::BadFolder`]: it is held, and nothing was said against it; call [`Self::distrust`] first.
    pub fn recreate_partition(
        &self,
        partition: TopicPartition,
        config: LogConfig,
    ) -> Result<(PartitionLog, Recovered), Error> {
        let folder = self.folder(partition);
        let exists = exists(&folder)?;
        let may_go = match self.list.get(partition) {
            Some(Entry::Distrusted(_)) => true,
            Some(Entry::Held) | None => !exists,
        };
        if !may_go {
            let reason = "it holds a log that nothing was said against: distrust it before it is made again".to_owned();
            return Err(Error::BadFolder { path: folder, reason });
        }
        if exists {
            self.move_aside(partition)?;
        }
        self.open_unlisted(partition, config)
    }

    /// Opens what can be read of a distrusted partition, from its start up to where it is damaged, and holds it again; its files
    /// are set aside as they were, once, before anything of them is changed. To be called when nobody holds more, and its
    /// loss was accepted. Nothing is left of one that has no folder, or whose beginning is gone: then it is
    /// [made again](Self::recreate_partition), empty. Blocks: all of it is read.
    pub fn salvage_partition(
        &self,
        partition: TopicPartition,
        config: LogConfig,
        unreadable: Unreadable,
    ) -> Result<(PartitionLog, Recovered), Error> {
        let folder = self.folder(partition);
        if !matches!(self.list.get(partition), Some(Entry::Distrusted(_))) || !exists(&folder)? {
            return self.recreate_partition(partition, config);
        }
        self.link_aside(partition)?;
        match salvage(&self.disk, &folder, partition, config, unreadable) {
            Ok(opened) => {
                self.list.set(partition, Some(Entry::Held))?;
                self.forget_aside(partition)?;
                Ok(opened)
            }
            Err(error) if error.is_damage() => {
                tracing::error!(%partition, %error, "nothing can be read of a damaged log: it begins again, empty");
                self.recreate_partition(partition, config)
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes a partition whose topic's deletion was committed. Its log must be closed. True if it was there.
    ///
    /// It is gone for good when this returns; its bytes may be freed by the next start. One that is distrusted stays so until
    /// its folder is gone: else a log that stays behind would be taken for one that nothing was said against.
    pub fn delete_partition(&self, partition: TopicPartition) -> Result<bool, Error> {
        let folder = self.folder(partition);
        if matches!(self.list.get(partition), Some(Entry::Distrusted(_))) {
            let deleted = if exists(&folder)? { Some(self.unname(&folder)?) } else { None };
            self.list.set(partition, None)?;
            deleted.as_deref().map_or(Ok(()), |deleted| self.disk.try_remove_folder(deleted))?;
            return Ok(deleted.is_some());
        }
        self.list.set(partition, None)?;
        if !exists(&folder)? {
            return Ok(false);
        }
        self.remove(&folder)?;
        Ok(true)
    }

    /// Opens a log that is not there yet, or not listed yet, and lists it.
    fn open_unlisted(&self, partition: TopicPartition, config: LogConfig) -> Result<(PartitionLog, Recovered), Error> {
        let opened = PartitionLog::open(&self.disk, &self.folder(partition), partition, config)?;
        self.list.set(partition, Some(Entry::Held))?;
        Ok(opened)
    }

    pub(super) fn remove(&self, folder: &Path) -> Result<(), Error> {
        let deleted = self.unname(folder)?;
        self.disk.try_remove_folder(&deleted)
    }

    /// Gives a folder, durably, the name of one that is to be removed.
    fn unname(&self, folder: &Path) -> Result<PathBuf, Error> {
        let deleted = with_suffix(folder, DELETED);
        self.disk.try_remove_folder(&deleted)?;
        rename_durably(&self.disk, folder, &deleted, &self.path.join(PARTITIONS))?;
        Ok(deleted)
    }

    /// True if the partition has a folder with records, as far as that can be looked at.
    pub fn has_records(&self, partition: TopicPartition) -> bool {
        let folder = self.folder(partition);
        exists(&folder).is_ok_and(|exists| exists) && holds_records(&folder)
    }

    /// True if the partition has no folder, as far as that can be looked at.
    pub fn has_no_folder(&self, partition: TopicPartition) -> bool {
        exists(&self.folder(partition)).is_ok_and(|exists| !exists)
    }

    pub(super) fn folder(&self, partition: TopicPartition) -> PathBuf {
        self.path.join(PARTITIONS).join(partition.to_string())
    }
}

/// True if there is such a folder. One that cannot be looked at is not gone: that is an error.
fn exists(folder: &Path) -> Result<bool, Error> {
    folder.try_exists().map_err(|error| Error::io("cannot look for", folder, error))
}

#[cfg(test)]
#[path = "partitions_tests.rs"]
pub(super) mod tests;
