//! The data folder of a broker: who it belongs to, and its partitions.
//!
//! ```text
//!  <data>/holdfast.lock                     held by the running process (flock)
//!  <data>/holdfast-data                     format version, cluster id, broker id, directory id, boot counter, tokens, anchor
//!  <data>/clock-look                        what the clocks said last, and how far ages are counted
//!  <data>/scrub-position                    what the scrub reads next
//!  <data>/starts-again                      how often processes ended lately for another start to look at a replica
//!  <data>/replicas                          which partitions it holds, and which of them are not to be trusted
//!  <data>/partitions/<topic id>-<index>/    the log of a partition
//!  <data>/partitions/….deleted              its deletion was committed; removed at the next chance
//!  <data>/partitions/….damaged-<n>-<ms>     set aside as it was, at that time, or .halted-<n>-<ms>; see `aside`
//! ```
//!
//! Invariants:
//! 1. One process holds the folder. The kernel gives the lock back when the process ends, however it ends.
//! 2. The boot counter grows, durably, at each start, so that an old copy of the folder can be told from the folder.
//! 3. A folder that holds partitions but no identity is never formatted again.
//! 4. Only [`DataDir::delete_partition`] deletes a log that counts: that the metadata does not know a partition is no reason.
//! 5. A partition that was listed as held, and whose folder is gone, is never opened as if it were new; nor is one that was
//!    distrusted. What a start found that others must hear of is found again by the next one, until it was settled.
//!
//! Failure: a folder of another cluster or broker is a named error, and nothing of it is touched. A list that is damaged or
//! missing is made of the folders, and the start says so ([`ListState::Lost`]).
//!
//! - `folder`: taken, and told whose it is; `identity`, `anchor`, `tokens`: the file that says so, and what proves the folder.
//! - `clock_look`: what the next process has to know of the clocks; `scrub_position`: and of the scrub; `starts_again`: and of
//!   ends for the sake of one replica.
//! - `names`: of the partitions' folders; `partitions`: opened, distrusted, made again, deleted; `aside`: those that were set
//!   aside; `handles`: how many may be open.
//! - `replica_list` (bytes), `list_file` (over `group_commit`), `roll_call` (held against the folders), `replica` (as told),
//!   `reach` (of one that is not vouched for).

mod anchor;
mod aside;
mod clock_look;
#[cfg(test)]
mod doubt_tests;
mod folder;
mod group_commit;
mod handles;
mod identity;
mod list_file;
mod names;
mod partitions;
mod reach;
mod replica;
mod replica_list;
mod roll_call;
mod scrub_position;
mod starts_again;
mod tokens;

pub use aside::{Aside, AsideWorth, KeepAside, asides_due};
pub use clock_look::{ClockLook, KeptJump};
pub use folder::{DataDir, Space};
pub use reach::Reach;
pub use replica::{Cause, Distrust, ListState, ReplicaOnDisk, Standing};
pub use scrub_position::ScrubPosition;
pub use tokens::Tokens;
