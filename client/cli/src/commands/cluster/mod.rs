//! `holdfast cluster`: the cluster as a whole.
//!
//! - `status`: the whole view. `trouble` names the partitions in trouble by cause, `remedy` says what to do about each, and
//!   `waiting` of those that wait though everybody is there.
//! - `quorum`, `silent`: controllers and brokers that do not answer. `recovered`: whom the last recovery of the controllers
//!   waits for. `recoveries`: what operators gave up, in one line of the status, and each of it as a command of its own.
//! - `damaged`, `clock`: what brokers say of their last replicas and of their clocks. `notices`: all that needs no action now.
//! - `finalize`: another command, for the metadata version.

mod clock;
mod command;
mod damaged;
mod finalize;
mod notices;
mod quorum;
mod recovered;
mod recoveries;
mod remedy;
mod silent;
mod status;
mod trouble;
mod waiting;

pub use command::{ClusterArgs, run};
pub(crate) use remedy::before_recovery;
pub use silent::Silent;
pub use status::summary;
