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
//! 7. A node that may have told anything opens the store that it has, and never makes one ([`Origin`]).
//! 8. What it held when something was told stands in a mark beside it ([`Told`]): a store that is behind it is refused.
//! 9. Only what is proven damaged is called so: an error of the disk may pass ([`Error::Unreadable`]).
//!
//! `schema`: families, keys, and the marker. `db`: opening and reading. `writer`: the queue and its thread.
//! `told`: the mark beside the store, by the rules of `mark`.

mod db;
mod error;
pub mod mark;
mod schema;
mod told;
mod writer;

#[cfg(test)]
mod store_tests;

pub use db::{Snapshot, Store};
pub use error::{Error, WHOLE_FOLDER};
pub use mark::Mark;
pub use schema::{Marker, Origin, VOTE};
pub use told::Told;
pub use writer::{Done, Op};
