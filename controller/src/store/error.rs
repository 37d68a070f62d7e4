//! What went wrong with the disk.

/// What went wrong with the disk.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// RocksDB cannot open or read.
    #[error("the store in {path} cannot be used: {source}")]
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
    /// A stored value cannot be read.
    #[error("the store holds a damaged value: {0}")]
    Damaged(String),
    /// An earlier write failed, or the writer is gone.
    #[error("the store is latched by an earlier failure: {0}")]
    Latched(String),
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}
