//! The controller's disk: Raft log, vote, commit mark and snapshots in one RocksDB.
//!
//! Place: `raft` is the only user; it gives bytes and log indexes and knows what they mean. RocksDB stays in here.
//!
//! ```text
//!   raft ── op ──▶ bounded queue ──▶ writer thread ──▶ one WriteBatch of all that waits ──▶ WAL, fsync ──▶ done(op)…
//! ```
//!
//! 1. All writes go through one queue and are applied in its order: a vote is never durable after a log entry that was
//!    written under it (openraft, "IO ordering").
//! 2. `done` is called after the write it belongs to is fsynced; in order. The commit mark alone is written without an
//!    fsync: losing it costs nothing, and it is never durable before the entries that it covers.
//! 3. The first failed write latches: every later one fails with it, and nothing is retried (a failed fsync may have
//!    dropped the pages it could not write).
//! 4. The log has no hole: it is cut at the end and purged at the beginning, each in one batch.
//! 5. A damaged write-ahead log is refused at start unless only its last, never acknowledged, record is torn.
//! 6. The database belongs to one node: a marker with format, node id and folder id is checked at each open.

mod db;
mod writer;

#[cfg(test)]
mod store_tests;

pub use db::{Marker, Snapshot, Store};
pub use writer::{Done, Op};

/// Version of everything that is stored here. A newer one is refused, an older one is migrated once there is one.
pub const FORMAT_VERSION: u8 = 1;

/// What went wrong with the disk.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// RocksDB cannot open or read.
    #[error("the store in {path} cannot be used: {source}")]
    RocksDb {
        /// Folder of the database.
        path: String,
        /// RocksDB's own words.
        source: rocksdb::Error,
    },
    /// The database was written by a later version of Holdfast.
    #[error("the store has format {found}; this version reads up to {FORMAT_VERSION}: install the newer version again")]
    NewerFormat {
        /// The format found.
        found: u8,
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
