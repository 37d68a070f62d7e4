//! The folder itself: taken, and told whose it is.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use rustix::fs::statvfs;

use holdfast_identity::{BROKER, Lock};
use holdfast_proto::ids::{BrokerId, ClusterId, DirectoryId};

use super::{
    anchor::Anchor,
    clock_look::{self, ClockLook, KeptJump},
    handles::Handles,
    identity::{Identity, ListKept},
    list_file::ListFile,
    names::{PARTITIONS, finish_deletions, held_in, names},
    replica::{ListState, ReplicaOnDisk},
    roll_call,
};
use crate::{Disk, Error};

/// The data folder of a broker. Held by one process alone, until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    pub(super) path: PathBuf,
    pub(super) disk: Arc<Disk>,
    pub(super) identity: Mutex<Identity>,
    pub(super) list: ListFile,
    pub(super) handles: Handles,
    replicas: Vec<ReplicaOnDisk>,
    list_state: ListState,
    was_copied: bool,
    /// As this start found it.
    last_clock_look: Option<ClockLook>,
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
        Self::open_on(Disk::new(), path, broker_id, cluster_id)
    }

    pub(super) fn open_on(
        disk: Arc<Disk>,
        path: &Path,
        broker_id: BrokerId,
        cluster_id: Option<ClusterId>,
    ) -> Result<Self, Error> {
        let handles = Handles::raise();
        disk.create_folder(path)?;
        let lock = lock(&disk, path)?;
        let last_clock_look = clock_look::load(path);
        disk.ages().begin(last_clock_look.as_ref().map(ClockLook::counted));
        let partitions = path.join(PARTITIONS);
        let (identity, is_new) = match Identity::load(path)? {
            Some(identity) => (identity.check(path, broker_id, cluster_id)?, false),
            None if holds_anything(&partitions)? => {
                let reason = "it holds partitions, but its file holdfast-data is missing; restore that file, or empty the \
                              folder if the other replicas are complete";
                return Err(Error::BadFolder { path: path.to_owned(), reason: reason.to_owned() });
            }
            None => (Identity::new(broker_id, cluster_id), true),
        };
        disk.create_folder(&partitions)?;
        let written_by = identity.boot_counter;
        let mut identity = identity.at_next_boot(Anchor::of(&path.join(BROKER.lock)));
        let before = if is_new { None } else { identity.list };
        let roll = roll_call::roll_call(path, before, written_by, is_new, &held_in(&partitions)?)?;
        if matches!(roll.state, ListState::Lost { .. }) && before == Some(ListKept::Kept) {
            // Known before there is a list again: a crash between the two must not make it look as if nothing was lost.
            identity.list = Some(ListKept::Lost);
            identity.store(&disk, path)?;
        }
        let list = ListFile::write(&disk, path, identity.boot_counter, roll.entries)?;
        identity.list = identity.list.or(Some(ListKept::Kept));
        identity.store(&disk, path)?;
        let dir = Self {
            path: path.to_owned(),
            disk,
            list,
            handles,
            replicas: roll.replicas,
            list_state: roll.state,
            was_copied: identity.was_copied,
            last_clock_look,
            identity: Mutex::new(identity),
            _lock: lock,
        };
        finish_deletions(&dir.disk, &partitions)?;
        Ok(dir)
    }

    /// Remembers the cluster, durably, once it is known; another one than before is an error.
    pub fn set_cluster_id(&self, cluster_id: ClusterId) -> Result<(), Error> {
        let mut identity = self.identity.lock();
        let checked = identity.clone().check(&self.path, identity.broker_id, Some(cluster_id))?;
        self.keep(&mut identity, checked)
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

    /// How often it was opened, this time included.
    pub fn boot_counter(&self) -> u64 {
        self.identity.lock().boot_counter
    }

    /// The partitions that the folder holds or should hold, in order, as this start found them.
    pub fn replicas(&self) -> &[ReplicaOnDisk] {
        &self.replicas
    }

    /// What this start found of the list that [`Self::replicas`] is made of.
    pub const fn list_state(&self) -> &ListState {
        &self.list_state
    }

    /// True if the folder was copied file by file since it was last used: the records on it are as old as the copy, and
    /// the original may go on elsewhere. It is said at each start until one was heard ([`Self::confirm_token`]).
    ///
    /// False where the file system does not tell when a file was made, and for copies below the file system: tokens tell
    /// those.
    pub const fn was_copied(&self) -> bool {
        self.was_copied
    }

    /// What the clocks said when they were last kept before this start; `None` if nobody did, or the file is damaged.
    pub const fn last_clock_look(&self) -> Option<&ClockLook> {
        self.last_clock_look.as_ref()
    }

    /// Keeps what the clocks say now, durably, with a jump that counts still.
    pub fn keep_clock_look(&self, jump: Option<KeptJump>) -> Result<(), Error> {
        clock_look::keep(&self.disk, &self.path, jump)
    }

    /// The door to its disk, for the log writer.
    pub fn disk(&self) -> Arc<Disk> {
        Arc::clone(&self.disk)
    }

    /// Free and total space of its file system.
    pub fn space(&self) -> Result<Space, Error> {
        let found =
            statvfs(&self.path).map_err(|error| Error::io("cannot ask for the free space of", &self.path, error))?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Space { free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
    }

    /// Puts another identity in place, durably, if it is another one.
    pub(super) fn keep(&self, identity: &mut Identity, changed: Identity) -> Result<(), Error> {
        if changed != *identity {
            changed.store(&self.disk, &self.path)?;
            *identity = changed;
        }
        Ok(())
    }
}

fn lock(disk: &Disk, path: &Path) -> Result<Lock, Error> {
    let name = path.join(BROKER.lock);
    let taken = Lock::take(disk.open(&name)?).map_err(|error| Error::io("cannot lock", &name, error))?;
    taken.ok_or_else(|| Error::Locked { path: path.to_owned() })
}

fn holds_anything(partitions: &Path) -> Result<bool, Error> {
    Ok(partitions.exists() && !names(partitions)?.is_empty())
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
