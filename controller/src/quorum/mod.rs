//! Who votes, and under which address: an empty disk takes the place of the one that is lost, and the number of voters
//! changes only as somebody says so.
//!
//! ```text
//!   newcomer (fresh node id)            active controller
//!     │ bound to the cluster              │
//!     │ JoinQuorum ─────────────────────▶ address is a peer? is the voter there silent?
//!     │                                   │ add it as a learner           (one entry)
//!     │ ◀── log or snapshot ───────────── │
//!     │ JoinQuorum ─────────────────────▶ has it caught up?
//!     │                                   │ + newcomer, - old voter       (joint, then uniform)
//!     │ JoinQuorum ─────────────────────▶ it votes
//! ```
//!
//! The rule: **an address of `peers` is one place in the quorum.** A controller that speaks from there under a fresh id
//! proves that the one before has lost its disk, once that one is silent under its own id. A place without a voter is
//! filled from the voters whose address has left `peers` and that are gone, and else makes the quorum larger: so it
//! grows from 3 to 5, and a replacement with another address leaves no dead voter behind.
//!
//! 1. **Nobody alive is replaced.** The old voter must not have acknowledged anything under its own node id for
//!    `seen::Policy::silent_ms`, all of which this controller was active and did not stand still, and one at another address
//!    for ten times as long. Every call names the node that it is meant for, so the newcomer cannot answer for the old one.
//! 2. **Caught up first.** A learner becomes a voter only with its log at most `policy::MAX_LAG_ENTRIES` behind and
//!    while it answers; a blank disk never counts in a majority.
//! 3. **The number of voters never falls by itself**, and never grows beyond the places in `peers`. A voter leaves only in
//!    the step in which its successor enters, or when an operator removes it (`operator`, `removal`): then a majority of
//!    those that stay must be alive, and the removed one must not be able to join again at once.
//! 4. **One change at a time** (`turn`), each proposed only if the membership is still the one that was looked at.
//! 5. **Each step is repeatable.** The newcomer asks until it votes. A change that was cut in two by a fail-over is
//!    finished by the next active controller (`keeper`).
//! 6. **An id that was replaced or removed does not return.** It asks no vote (Pre-Vote refuses it while others have a
//!    leader, and its log is too old when they have none), learns of it from the active controller, and ends.
//! 7. **A disk keeps its vote under another address.** Who is not reached at its address in the membership is looked for
//!    at `peers`, by its node id (`finder`). The active controller then writes the new address into the membership, a
//!    change that moves no vote, once the node has answered there under its id, and only if the old address does not
//!    answer under the same id as another process (`proof`): a folder that was copied takes over from nobody.
//!
//! On failure: without a majority of voters there is no active controller, so nothing changes; the newcomer waits and
//! says so (`standing`). It never forms a cluster of its own (see [`crate::formation`]). The configured `peers` are those
//! of the active controller: where the lists differ, the newcomer waits until one with the longer list is active.

pub(crate) mod finder;
pub(crate) mod keeper;
pub(crate) mod operator;
mod policy;
mod proof;
pub(crate) mod removal;
pub(crate) mod seen;
pub(crate) mod standing;
mod turn;

pub use standing::Standing;

#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod removal_tests;
