//! What becomes of a command.
//!
//! - `machine`: from a command to its handler, and applying what it decides. `refusal`: whether it would be refused.
//! - `brokers` (with `fences`), `topics` (with `topic_warnings`), `partitions`, `moves`, `leaders`, `producer_ids`,
//!   `versions`, `trust`, `disks`: a handler for each.
//! - Rules: `change`, which every change of a partition goes through, where ISR, ELR and epochs stand once; `election`, who
//!   leads; `placement`, where new replicas go; `reports`, what brokers said of their replicas.
//! - `recovery`: no command; the controllers go on from the metadata of one of them. `unsettled`: partitions since then.

mod brokers;
mod change;
mod disks;
mod election;
mod fences;
mod leaders;
mod machine;
mod moves;
mod partitions;
mod placement;
mod producer_ids;
mod recovery;
mod refusal;
mod reports;
mod topic_warnings;
mod topics;
mod trust;
mod unsettled;
mod versions;

pub(crate) use election::{Standings, candidate};

pub use brokers::{is_same_folder, registered};
pub use machine::{apply_command, decide};
pub use producer_ids::PRODUCER_ID_BLOCK;
pub use recovery::{RecoveryError, recover_controllers};
pub use refusal::refusal;
pub use trust::leader_without;
