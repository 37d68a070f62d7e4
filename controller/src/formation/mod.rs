//! The first formation of a cluster, and why the same controllers can never form two.
//!
//! Every controller starts with a log without a membership ("unformed"). Only one of them may write the first
//! membership, and only if every configured controller has promised, on its disk, to join no other cluster.
//!
//! ```text
//!   unformed ──(a promise: meta.properties, fsynced)──▶ bound ──(membership in the log)──▶ formed
//!
//!   initiator                      every configured peer
//!     │ GetFormation (no id)  ──▶    formed? which id, which folder, promised to whom?
//!     │ all answer, none is formed
//!     │ bind own folder to a random cluster id
//!     │ GetFormation (id)     ──▶    bind the folder to the id, unless it is bound to another
//!     │ all are bound to this id and to this initiator, none is formed
//!     │ initialize { the node ids that the promises came from }
//! ```
//!
//! 1. **Promise.** A folder is bound to at most one cluster id and one initiator, for ever ([`crate::identity`]). The
//!    binding is fsynced before it is answered.
//! 2. **All.** The first membership of cluster X is written only after *every* member, the initiator included, is
//!    bound to X and to this initiator. With 1: two clusters' first memberships have no folder in common.
//! 3. **One initiator.** Among a list of peers only the one with the least address initiates. It binds its own folder
//!    first, so one folder initiates one cluster id only, and openraft's `initialize` works on an empty log and vote
//!    only: one folder writes one first membership at most. With 2: one cluster id has one first membership.
//! 4. **Two halves cannot both form.** Neither side of a partition gets the answers of all configured controllers, so
//!    none forms. Once formed, Raft's majorities rule.
//! 5. **A blank disk never forms a second cluster.** While any peer answers "formed", or does not answer at all, there
//!    is no formation. A blank folder has a new node id; it is no member, so its vote counts nowhere
//!    until the active controller has taken it in ([`crate::quorum`]).
//! 6. **No message of another cluster is heard.** Raft messages are refused unless they name the bound cluster and this
//!    node id. An unbound folder refuses all of them.
//! 7. **Different lists form nothing.** A promise is refused to a controller with another list of peers.
//!
//! On failure: a crash at any point is followed by the same steps with the same ids, for they were stored first. If the
//! initiator's *disk* is lost between the promises and the first replicated entry, the others stay bound to a cluster
//! that will never form; nothing can be stored in it yet. That is not healed by guessing (the disk may come back): the
//! log names the folders to empty. What this cannot see is the loss of *all* disks: they are then a new cluster.

mod decide;
mod task;

pub use decide::{Decision, Own, PeerAnswer, PeerState, decide};
pub use task::{Formation, answer_formation};

#[cfg(test)]
mod decide_tests;
