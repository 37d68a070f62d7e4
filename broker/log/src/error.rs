//! What can go wrong with logs and data folders.
//!
//! Errors are cloneable, because the first storage error of a data folder answers every later operation on it.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::io::Errno;

use holdfast_proto::{
    batch,
    ids::{BrokerId, ClusterId, Offset, TopicId},
};

/// A log, or a data folder, that cannot do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed. From a write or fsync it is final: the data folder is latched, see [`crate::Disk`].
    #[error("{doing} {path}: {source}")]
    Io {
        /// What was being done, as in "cannot write".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The file system is full. Final, like every failed write; keep a reserve with [`crate::DataDir::space`].
    #[error("the disk is full: cannot write {path}; free space, or lower retention.ms of large topics")]
    DiskFull {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// Bytes that were durable are gone or changed. The log is left as it is: set it aside and copy it from a peer.
    #[error("{path} is damaged at offset {at} (byte {position}): {reason}")]
    Damaged {
        /// The segment file or checkpoint with the damage.
        path: PathBuf,
        /// First offset that is affected.
        at: Offset,
        /// Where in the file the damage begins.
        position: u64,
        /// Which check failed, with the values.
        reason: String,
    },
    /// The offset lies outside the log.
    #[error("offset {offset} is out of range: the log holds {log_start} to {log_end} (exclusive)")]
    OffsetOutOfRange {
        /// What was asked for.
        offset: Offset,
        /// First offset that the log holds.
        log_start: Offset,
        /// Offset after the last record; nothing stands at it yet.
        log_end: Offset,
    },
    /// A truncation would cut a batch in two. Epochs end at batch borders, so the request is wrong.
    #[error("cannot truncate to offset {to}: it lies inside the batch that ends at {next} (exclusive)")]
    InsideBatch {
        /// The offset asked for.
        to: Offset,
        /// Offset after the batch.
        next: Offset,
    },
    /// Bytes that were to be appended are not whole batches.
    #[error("cannot append: {0}")]
    BadBatch(#[from] batch::Error),
    /// The folder holds the log of another topic: a topic of the same name was deleted and created again.
    #[error("{path} holds the log of topic id {found}, not of {expected}")]
    OtherTopic {
        /// The partition's folder, which is left as it is.
        path: PathBuf,
        /// Topic id on disk.
        found: TopicId,
        /// Topic id that was asked for.
        expected: TopicId,
    },
    /// The data folder belongs to another cluster.
    #[error("{path} belongs to cluster {found}, not to {expected}: check data_dir and cluster_id")]
    OtherCluster {
        /// The data folder, in which nothing was changed.
        path: PathBuf,
        /// Cluster id on disk.
        found: ClusterId,
        /// Cluster id that was asked for.
        expected: ClusterId,
    },
    /// The data folder belongs to another broker.
    #[error("{path} belongs to broker {found}, not to broker {expected}: check data_dir and broker_id")]
    OtherBroker {
        /// The data folder, in which nothing was changed.
        path: PathBuf,
        /// Broker id on disk.
        found: BrokerId,
        /// Broker id that was asked for.
        expected: BrokerId,
    },
    /// Another process holds the data folder.
    #[error("{path} is in use by another process: two brokers cannot share a data_dir")]
    Locked {
        /// The data folder whose lock the other process holds.
        path: PathBuf,
    },
    /// The data folder, or a file of it, is not what Holdfast writes. Nothing was changed.
    #[error("{path} is not usable: {reason}")]
    BadFolder {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A partition that this folder held has no folder any more: its records are lost here.
    #[error(
        "{path} is gone, and it was held here; restore it, or let the controllers count this replica as empty and make it \
         again"
    )]
    Vanished {
        /// The partition's folder, which is missing.
        path: PathBuf,
    },
    /// The log of a partition must not count, as was noted before. Nothing was touched.
    #[error(
        "{path} is not to be trusted: {reason}; let the controllers count this replica as empty, then make it again"
    )]
    Distrusted {
        /// The partition's folder, whether it is there or not.
        path: PathBuf,
        /// Why, as it was noted.
        reason: String,
    },
    /// A setting is out of range.
    #[error("{setting} is {value}, it must be {range}")]
    BadConfig {
        /// Name of the setting.
        setting: &'static str,
        /// The value that was refused.
        value: u64,
        /// The values that are allowed, in words.
        range: &'static str,
    },
    /// More bytes wait for the disk than allowed; nothing was taken.
    #[error("{in_flight} bytes wait for the disk, at most {limit} may")]
    Overloaded {
        /// Bytes of all partitions that wait, the refused ones left out.
        in_flight: usize,
        /// Most bytes that may wait, [`crate::WriterConfig::max_in_flight_bytes`].
        limit: usize,
    },
    /// The log was closed before.
    #[error("the log is closed")]
    Closed,
}

impl Error {
    /// Wraps what a system call said.
    pub(crate) fn io(doing: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return Self::DiskFull { path: path.to_owned() };
        }
        Self::Io { doing, path: path.to_owned(), source: Arc::new(source) }
    }

    /// True if the system refused for want of handles or memory: the disk was not asked, and nothing was changed.
    pub fn is_shortage(&self) -> bool {
        matches!(self, Self::Io { source, .. } if has_run_out(source))
    }

    /// True if the disk or its file system could not read what they should hold. Once may be chance; again and again it is as
    /// damage. Want of handles or memory is none of that, nor are rights that are wanting, nor what is not there.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Io { source, .. } if cannot_read(source))
    }

    /// True if the system refused for want of rights: the files have another owner or mode, or are sealed. The disk was not
    /// asked. Again and again while a log is open, its replica cannot serve what it holds, as one that the disk does not read;
    /// where the log is opened it says nothing of the records, which wait for who sets the rights.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_refused(source))
    }

    /// True for damage of durable bytes.
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    /// True if it proves that a log lacks something which it held: it is damaged or gone, or that was noted before. Any other
    /// error says nothing of the records, and nothing is to be noted of it: neither a passing refusal of the system, nor a
    /// folder of a newer program.
    pub const fn is_loss(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Vanished { .. } | Self::Distrusted { .. })
    }
}

/// True if the system refused for want of handles or memory, or was interrupted: to be asked again.
pub(crate) fn has_run_out(error: &io::Error) -> bool {
    matches!(errno_of(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR | Errno::AGAIN))
}

/// True if the system refused for want of rights.
pub(crate) fn is_refused(error: &io::Error) -> bool {
    matches!(errno_of(error), Some(Errno::ACCESS | Errno::PERM))
}

fn errno_of(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw_os_error)
}

/// True if the disk or its file system could not read.
fn cannot_read(error: &io::Error) -> bool {
    let errno = errno_of(error);
    let is_other = |errno| matches!(errno, Errno::ACCESS | Errno::PERM | Errno::NOENT);
    errno.is_some_and(|errno| !is_other(errno)) && !has_run_out(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_damage_and_what_was_noted_say_anything_against_records() {
        let path = PathBuf::from("a file");
        assert!(Error::Damaged { path: path.clone(), at: Offset(0), position: 0, reason: String::new() }.is_loss());
        assert!(Error::Vanished { path: path.clone() }.is_loss());
        assert!(Error::Distrusted { path: path.clone(), reason: String::new() }.is_loss());
        for errno in [Errno::IO, Errno::ACCESS, Errno::MFILE, Errno::NFILE, Errno::NOMEM] {
            assert!(!Error::io("cannot read", &path, errno).is_loss(), "{errno}");
        }
        let [found, expected] = [1, 2].map(|id| TopicId(uuid::Uuid::from_u128(id)));
        assert!(!Error::OtherTopic { path: path.clone(), found, expected }.is_loss());
        assert!(!Error::BadFolder { path, reason: "version 2".to_owned() }.is_loss());
    }

    #[test]
    fn every_refusal_of_the_disk_to_read_counts_and_no_other() {
        let is_unreadable = |errno: Errno| Error::io("cannot read", Path::new("a file"), errno).is_unreadable();
        for errno in [Errno::IO, Errno::UCLEAN, Errno::BADMSG, Errno::STALE, Errno::NXIO, Errno::NODATA] {
            assert!(is_unreadable(errno), "{errno}");
        }
        for errno in [Errno::MFILE, Errno::NOMEM, Errno::INTR, Errno::ACCESS, Errno::PERM, Errno::NOENT] {
            assert!(!is_unreadable(errno), "{errno}");
        }
        let is_refused = |errno: Errno| Error::io("cannot read", Path::new("a file"), errno).is_refused();
        assert!([Errno::ACCESS, Errno::PERM].into_iter().all(is_refused));
        assert!(![Errno::IO, Errno::MFILE, Errno::NOENT].into_iter().any(is_refused));
        let ended = Error::io("cannot read", Path::new("a file"), io::ErrorKind::UnexpectedEof);
        assert!(!ended.is_unreadable());
    }
}
