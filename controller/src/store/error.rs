//! What went wrong with the disk.

use std::path::Path;

use rocksdb::ErrorKind;

/// What to do about a store that is damaged, cut or gone.
pub const WHOLE_FOLDER: &str = "Its votes and acknowledgements count for nothing any more. Move the whole data folder \
     away, never a part of it, and start again with an empty one: this controller then joins under a new id";
/// What the system says of a file that is not there.
const MISSING_FILE: &str = "No such file or directory";

/// What went wrong with the disk.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk or the system failed as RocksDB opened or read: that may pass, and says nothing of what is stored.
    #[error(
        "the store in {path} cannot be read: {source}. Nothing says that it is damaged: leave the data folder as it is \
         and start again; replace the disk if it goes on failing"
    )]
    Unreadable {
        /// Folder of the database.
        path: String,
        /// What RocksDB said, shown to the operator as it is.
        source: rocksdb::Error,
    },
    /// RocksDB found a part missing, or other bytes than it wrote.
    #[error("the store in {path} cannot be used: {source}. {WHOLE_FOLDER}")]
    RocksDb {
        /// Folder of the database.
        path: String,
        /// What RocksDB said, shown to the operator as it is.
        source: rocksdb::Error,
    },
    /// The database was written by a later version of Holdfast.
    #[error("the store has format {found}; this version reads up to {supported}: install the newer version again")]
    NewerFormat {
        /// Format that the marker of the database says.
        found: u8,
        /// The latest that this version reads.
        supported: u8,
    },
    /// The database belongs to another node than the folder's identity says.
    #[error("the store belongs to node {found}, the folder's identity to {expected}: parts of two folders were mixed")]
    OtherNode {
        /// Marker of the database.
        found: String,
        /// Marker that the identity file asks for.
        expected: String,
    },
    /// Reading, writing or syncing the mark beside the store failed.
    #[error("the mark {path}: {source}")]
    Mark {
        /// Its file, in the data folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store lacks what this controller told others.
    #[error(
        "the store is behind what this controller told others: {lacks}. It was cut, emptied, or replaced by an older \
             copy. {WHOLE_FOLDER}"
    )]
    Behind {
        /// What is missing, in words.
        lacks: String,
    },
    /// A stored value cannot be read.
    #[error("the store holds a damaged value: {0}. {WHOLE_FOLDER}")]
    Damaged(String),
    /// An earlier write failed, or the writer is gone.
    #[error("the store is latched by an earlier failure: {0}")]
    Latched(String),
}

impl Error {
    /// What RocksDB says of the database in `path`, told apart by whether it proves damage.
    pub(super) fn rocks_db(path: &Path, source: rocksdb::Error) -> Self {
        let path = path.display().to_string();
        if proves_damage(&source.kind(), source.as_ref()) {
            Self::RocksDb { path, source }
        } else {
            Self::Unreadable { path, source }
        }
    }
}

/// A file that is not there is damage, however it was found; an error of the system's call is none, also where RocksDB met it
/// in a check of its own and wraps it in `Corruption`.
fn proves_damage(kind: &ErrorKind, text: &str) -> bool {
    match kind {
        ErrorKind::IOError => text.contains(MISSING_FILE),
        ErrorKind::Corruption => text.contains(MISSING_FILE) || !text.contains("IO error"),
        ErrorKind::Busy | ErrorKind::TryAgain | ErrorKind::TimedOut | ErrorKind::Aborted => false,
        _ => true,
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_proven_is_called_damage() {
        let cases = [
            (ErrorKind::IOError, "IO error: While pread: /d/raft/000012.sst: Input/output error", false),
            (ErrorKind::IOError, "IO error: While lock file: /d/raft/LOCK: Resource temporarily unavailable", false),
            (ErrorKind::IOError, "IO error: No such file or directory: While open: /d/raft/MANIFEST-000005", true),
            (ErrorKind::Corruption, "Corruption: Can't access /000012.sst: IO error: Input/output error", false),
            (ErrorKind::Corruption, "Corruption: IO error: No such file or directory: /d/raft/000012.sst", true),
            (ErrorKind::Corruption, "Corruption: block checksum mismatch", true),
            (ErrorKind::InvalidArgument, "/d/raft/CURRENT: does not exist (create_if_missing is false)", true),
        ];
        for (kind, text, damage) in cases {
            assert_eq!(proves_damage(&kind, text), damage, "{text}");
        }
    }
}
