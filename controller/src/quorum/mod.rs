//! Who votes: a controller with an empty disk takes the place of the one whose disk is gone.
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
//! The rule: **same address, same place.** An address of `peers` is one place in the quorum. A controller that speaks
//! from there under a fresh id proves that the one before has lost its disk, once that one is silent under its own id.
//!
//! 1. **Nobody alive is replaced.** The old voter must not have acknowledged anything under its own node id for
//!    `policy::Policy::silent_ms`, in this leadership. Every call names the node that it is meant for, so the newcomer
//!    cannot answer for the old one.
//! 2. **Caught up first.** A learner becomes a voter only with its log at most `policy::MAX_LAG_ENTRIES` behind and
//!    while it answers; a blank disk never counts in a majority.
//! 3. **The number of voters never falls.** A voter leaves only in the step in which its successor enters.
//! 4. **One change at a time**, each proposed only if the membership is still the one that was looked at.
//! 5. **Each step is repeatable.** The newcomer asks until it votes. A change that was cut in two by a fail-over is
//!    finished by the next active controller (`keeper`).
//! 6. **An id that was replaced does not return.** It asks no vote (Pre-Vote refuses it while others have a leader, and
//!    its log is too old when they have none), learns of it from the active controller, and ends.
//!
//! On failure: without a majority of voters there is no active controller, so nothing changes; the newcomer waits and
//! says so (`standing`). It never forms a cluster of its own (see [`crate::formation`]).
//!
//! A place of `peers` without a voter is filled in the same way: so a quorum grows from 3 to 5. It does not shrink.

pub(crate) mod keeper;
mod policy;
pub(crate) mod standing;

pub use standing::Standing;

#[cfg(test)]
mod policy_tests;
