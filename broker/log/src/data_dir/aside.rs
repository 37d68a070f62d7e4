//! Folders that were set aside: logs that do not count, kept as they are for a person who may need what is in them.
//!
//! A folder is `<topic id>-<index>.damaged-<number>-<ms>`, or `.halted-`: the number grows, so that none takes the place of another; the
//! time is that of the clock of ages ([`crate::Ages`]), which no jump of a wall clock makes go on. One that an earlier
//! program set aside has no time in its name: it gets one when it is first looked at, and its age counts from then on.
//!
//! They are deleted by age, with their topic, and, oldest first, where the disk is below its reserve: [`asides_due`] says which.
//! One that may hold what nobody else does is none of these but the second: only a person deletes it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use holdfast_proto::ids::{LeaderEpoch, TopicPartition};
use holdfast_replication::BEGINS_LATE;

use super::{
    folder::DataDir,
    names::{AsideName, PARTITIONS, names},
};
use crate::{
    Cause, Disk, Distrust, Error, checkpoint,
    disk::{TEMPORARY, with_suffix},
    files, mark,
};

/// A log that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Whose log it was.
    pub partition: TopicPartition,
    /// The folder in which it stands.
    pub path: PathBuf,
    /// How long it stands aside, ms, as the clock of ages counts.
    pub age_ms: u64,
    /// Size of its files.
    pub bytes: u64,
    /// True if its replica had stopped itself: its leader lacked what it knew to be acknowledged.
    pub has_halted: bool,
    /// The latest leader epoch that it knew; `None` if that cannot be read.
    pub latest_epoch: Option<LeaderEpoch>,
}

/// What a folder that stands aside is worth, as the cluster knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsideWorth {
    /// Nothing: its topic was deleted.
    Nothing,
    /// What was acknowledged is elsewhere.
    Spare,
    /// It may hold what nobody else does.
    Needed,
}

/// What is asked of the folders that stand aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAside {
    /// How old one becomes, ms; `None`: none is too old.
    pub max_age_ms: Option<u64>,
    /// True if the disk is below its reserve: the oldest that is spare goes.
    pub is_disk_low: bool,
}

/// Which of these have to go now, and why. Where the disk is low it is one at a time: what that frees is looked at first.
/// Pure.
pub fn asides_due(
    asides: &[Aside],
    keep: KeepAside,
    worth: impl Fn(&Aside) -> AsideWorth,
) -> Vec<(&Aside, &'static str)> {
    let reason = |aside: &Aside| {
        let is_old = keep.max_age_ms.is_some_and(|max_age_ms| aside.age_ms > max_age_ms);
        match worth(aside) {
            AsideWorth::Nothing => Some("its topic was deleted"),
            AsideWorth::Spare => is_old.then_some("it is old"),
            AsideWorth::Needed => None,
        }
    };
    let due: Vec<_> = asides.iter().filter_map(|aside| Some((aside, reason(aside)?))).collect();
    if !due.is_empty() || !keep.is_disk_low {
        return due;
    }
    let spare = asides.iter().filter(|aside| worth(aside) == AsideWorth::Spare);
    let oldest = spare.max_by_key(|aside| aside.age_ms);
    oldest.map(|aside| (aside, "the disk is below its reserve")).into_iter().collect()
}

impl DataDir {
    /// The folders that stand aside. Blocks: it looks at each of their files.
    pub fn asides(&self) -> Result<Vec<Aside>, Error> {
        let partitions = self.path.join(PARTITIONS);
        let now = self.disk.ages().now();
        let mut asides = Vec::new();
        for name in names(&partitions)? {
            let Some(named) = AsideName::parse(&name) else { continue };
            let AsideName { partition, since, has_halted, .. } = named;
            let (mut path, since_ms) = (partitions.join(&name), since.unwrap_or(now.0));
            if since.is_none() {
                let timed = partitions.join(AsideName { since: Some(now.0), ..named }.to_string());
                match self.disk.try_rename(&path, &timed) {
                    Ok(()) => path = timed,
                    Err(error) => tracing::warn!(%error, "a folder that was set aside is as new at each look"),
                }
            }
            let bytes = size_of(&path).unwrap_or_default();
            let age_ms = now.0.saturating_sub(since_ms).try_into().unwrap_or_default();
            let noted = mark::peek(&path.join(files::MARK)).and_then(|marks| marks.noted);
            let epochs = checkpoint::load_epochs(&path.join(files::EPOCHS), noted.as_ref()).ok().flatten();
            let latest_epoch = epochs.and_then(|stored| stored.chain.latest());
            asides.push(Aside { partition, path, age_ms, bytes, has_halted, latest_epoch });
        }
        Ok(asides)
    }

    /// Deletes a folder that stands aside. Blocks. After a crash in the middle of it the rest stands aside still.
    pub fn remove_aside(&self, aside: &Aside) -> Result<(), Error> {
        self.disk.try_remove_folder(&aside.path)
    }

    /// Sets a partition's folder aside, as it is, and tells where; `None`: it held no records, and is deleted.
    pub(super) fn move_aside(&self, partition: TopicPartition) -> Result<Option<PathBuf>, Error> {
        let folder = self.folder(partition);
        // What has no records takes no place: it was made again, and a crash came before it was listed.
        if !holds_records(&folder) {
            self.remove(&folder)?;
            return Ok(None);
        }
        let partitions = self.path.join(PARTITIONS);
        let aside = self.next_aside(partition)?;
        rename_durably(&self.disk, &folder, &aside, &partitions)?;
        Ok(Some(aside))
    }

    /// Sets the files of a partition's folder aside under other names, durably; they stay in the folder as well. What is put
    /// in the place of one there leaves the other as it is. Where the file system gives a file no second name it is copied.
    ///
    /// The folder says where first, and nothing is done where that stands: an attempt that fails makes no other one.
    pub(super) fn link_aside(&self, partition: TopicPartition) -> Result<(), Error> {
        let (folder, partitions) = (self.folder(partition), self.path.join(PARTITIONS));
        if !holds_records(&folder) {
            return Ok(());
        }
        let said = folder.join(files::SET_ASIDE);
        let is_own = |name: &String| AsideName::parse(name).is_some_and(|name| name.partition == partition);
        let aside = if let Some(name) = fs::read_to_string(&said).ok().filter(is_own) {
            partitions.join(name)
        } else {
            let aside = self.next_aside(partition)?;
            let name = aside.file_name().unwrap_or_default().to_string_lossy();
            self.disk.try_replace(&said, name.as_bytes())?;
            aside
        };
        if aside.try_exists().map_err(|error| Error::io("cannot look for", &aside, error))? {
            return Ok(());
        }
        let unfinished = with_suffix(&folder, TEMPORARY);
        self.disk.try_remove_folder(&unfinished)?;
        self.disk.create_folder(&unfinished)?;
        for name in names(&folder)?.iter().filter(|name| *name != files::SET_ASIDE) {
            self.link_or_copy(&folder.join(name), &unfinished.join(name))?;
        }
        self.disk.sync_folder(&unfinished)?;
        rename_durably(&self.disk, &unfinished, &aside, &partitions)
    }

    /// What was set aside of a log that counts is an earlier state: what is set aside of it later is another one.
    pub(super) fn forget_aside(&self, partition: TopicPartition) -> Result<(), Error> {
        let folder = self.folder(partition);
        let said = folder.join(files::SET_ASIDE);
        if !said.exists() {
            return Ok(());
        }
        self.disk.remove(&said)?;
        self.disk.sync_folder(&folder)
    }

    fn link_or_copy(&self, from: &Path, to: &Path) -> Result<(), Error> {
        if from.is_dir() {
            tracing::warn!(path = %from.display(), "a folder in that of a log is not set aside with it, and stays");
            return Ok(());
        }
        match fs::hard_link(from, to) {
            Err(error) if has_no_links(&error) => self.disk.try_copy(from, to, u64::MAX).map(|_| ()),
            linked => linked.map_err(|error| Error::io("cannot link", from, error)),
        }
    }

    /// Where the next folder of a partition is set aside.
    fn next_aside(&self, partition: TopicPartition) -> Result<PathBuf, Error> {
        let partitions = self.path.join(PARTITIONS);
        let taken = names(&partitions)?;
        let last = taken.iter().filter_map(|name| AsideName::parse(name)).filter(|named| named.partition == partition);
        let number = last.map(|named| named.number).max().unwrap_or_default() + 1;
        // One that begins later than its leader knows of nothing that its leader lacks.
        let knew_more =
            |distrust: Distrust| distrust.cause == Cause::Halted && !distrust.reason.starts_with(BEGINS_LATE);
        let has_halted = self.distrusted(partition).is_some_and(knew_more);
        let named = AsideName { partition, number, since: Some(self.disk.ages().now().0), has_halted };
        Ok(partitions.join(named.to_string()))
    }
}

/// True if the file system, or who guards it, gives this file no second name.
fn has_no_links(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::PERM | Errno::ACCESS | Errno::MLINK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::XDEV))
}

/// Renames a folder that is off the list, or distrusted, in the folder of the partitions. That is opened first: want of handles leaves
/// everything as it is, and so does a name that cannot be changed.
pub(super) fn rename_durably(disk: &Disk, from: &Path, to: &Path, partitions: &Path) -> Result<(), Error> {
    let opened = disk.open_folder(partitions)?;
    disk.try_rename(from, to)?;
    disk.sync_opened_folder(&opened, partitions)
}

/// False if the folder surely holds no batch.
pub(super) fn holds_records(folder: &Path) -> bool {
    let is_empty = |base| fs::metadata(files::file(folder, base, files::LOG)).is_ok_and(|file| file.len() == 0);
    files::list(folder).map_or(true, |listing| !listing.segments.into_iter().all(is_empty))
}

/// Bytes of the files of a folder. What cannot be looked at counts for nothing.
fn size_of(folder: &Path) -> io::Result<u64> {
    let sizes =
        fs::read_dir(folder)?.map(|entry| entry.and_then(|entry| entry.metadata()).map_or(0, |file| file.len()));
    Ok(sizes.sum())
}

#[cfg(test)]
#[path = "aside_tests.rs"]
mod tests;
