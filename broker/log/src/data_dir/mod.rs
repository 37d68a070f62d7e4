//! The data folder of a broker: who it belongs to, and its partitions.
//!
//! ```text
//!  <data>/holdfast.lock                     held by the running process (flock)
//!  <data>/holdfast-data                     format version, cluster id, broker id, directory id, boot counter
//!  <data>/partitions/<topic id>-<index>/    the log of a partition
//!  <data>/partitions/….deleted              its deletion was committed; removed at the next chance
//!  <data>/partitions/….damaged-<n>          set aside as it was; never touched again
//! ```
//!
//! Invariants:
//! 1. One process holds the folder. The kernel gives the lock back when the process ends, however it ends.
//! 2. The boot counter grows, durably, at each start, so that an old copy of the folder can be told from the folder.
//! 3. A folder that holds partitions but no identity is never formatted again.
//! 4. Only [`DataDir::delete_partition`] deletes: that the metadata does not know a partition is no reason.
//!
//! Failure: a folder of another cluster or broker is a named error, and nothing of it is touched.

mod folder;
mod handles;
mod identity;

pub use folder::{DataDir, Space};
