//! Whether all controllers are of one mind: what each supports, and whether each made the same of the log.
//!
//! ```text
//!   active controller ── GetControllerState { index } ──▶ every voter: its versions, its hash at the index
//!        │  judge: which hash have most?
//!        ├── its own: CheckHistory { index, hash } into the log; who has another hash there ends when it applies it
//!        └── another: this controller ends
//! ```
//!
//! The machine is the same everywhere and sees the same commands, so the hashes differ only by a fault: of a build, of
//! memory, or of a snapshot. The log holds the answer for those that are down: they compare when they apply it, also a
//! newer build that reads an old log. A fault of one controller costs that one, never the quorum: nothing is said without
//! a majority.
//!
//! - `judge`: which hash counts. `voters`: asks them, and answers. `watch`: when that is done.

mod judge;
mod voters;
mod watch;

pub(crate) use voters::Agreement;
