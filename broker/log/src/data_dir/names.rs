//! The names in the folder of the partitions.
//!
//! A partition's folder is `<topic id>-<index>`; what is being deleted, made or was set aside has that with an ending.

use std::{collections::BTreeSet, fmt, fs, io, path::Path};

use holdfast_proto::ids::{PartitionIndex, TopicId, TopicPartition};

use crate::{Disk, Error, disk::TEMPORARY};

/// The folder of the partitions in the data folder.
pub(super) const PARTITIONS: &str = "partitions";
/// Ending of a folder whose deletion was committed.
pub(super) const DELETED: &str = ".deleted";
/// Ending of a folder that was set aside, before its number and time: by why it was.
const DAMAGED: &str = ".damaged-";
const HALTED: &str = ".halted-";

/// The partitions that have a folder here.
pub(super) fn held_in(partitions: &Path) -> Result<BTreeSet<TopicPartition>, Error> {
    Ok(names(partitions)?.iter().filter_map(|name| parse(name)).collect())
}

/// Removes what a crash left of deletions and creations. What cannot be removed stays: it does not count.
pub(super) fn finish_deletions(disk: &Disk, partitions: &Path) -> Result<(), Error> {
    for name in names(partitions)? {
        let is_partition = |ending| name.strip_suffix(ending).is_some_and(|name| parse(name).is_some());
        if is_partition(DELETED) || is_partition(TEMPORARY) {
            if let Err(error) = disk.try_remove_folder(&partitions.join(&name)) {
                disk.check()?;
                tracing::warn!(%error, "a folder that was to be deleted stays; the next start tries it again");
            }
        } else if parse(&name).is_none() && AsideName::parse(&name).is_none() {
            tracing::warn!(name, "the data folder holds something that is not a partition; it is left alone");
        }
    }
    Ok(())
}

/// The name of a folder that was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AsideName {
    pub(super) partition: TopicPartition,
    /// Tells those of one partition apart; it grows.
    pub(super) number: u64,
    /// When it was set aside, ms of the clock of ages; `None` from an earlier program.
    pub(super) since: Option<i64>,
    /// True if the replica had stopped itself; earlier programs did not tell.
    pub(super) has_halted: bool,
}

impl AsideName {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let halted = name.split_once(HALTED);
        let (partition, rest) = halted.or_else(|| name.split_once(DAMAGED))?;
        let (number, since) = match rest.split_once('-') {
            Some((number, since)) => (number, Some(since.parse().ok()?)),
            None => (rest, None),
        };
        Some(Self { partition: parse(partition)?, number: number.parse().ok()?, since, has_halted: halted.is_some() })
    }
}

impl fmt::Display for AsideName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = if self.has_halted { HALTED } else { DAMAGED };
        write!(f, "{}{ending}{}", self.partition, self.number)?;
        self.since.map_or(Ok(()), |since| write!(f, "-{since}"))
    }
}

/// The names in a folder.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let list = || -> io::Result<Vec<String>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    list().map_err(|error| Error::io("cannot list", folder, error))
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
