//! `holdfast cluster`: the cluster as a whole.
//!
//! - `status`: the whole view. `trouble` names the partitions in trouble by cause, `remedy` says what to do about each, and
//!   `waiting` of those that wait though everybody is there.
//! - `quorum`, `silent`: controllers and brokers that do not answer. `recovered`: what was given up, and whom that waits for.
//! - `damaged`, `clock`: what brokers say of their last replicas and of their clocks. `notices`: all that needs no action now.
//! - `finalize`: another command, for the metadata version.

mod clock;
mod command;
mod damaged;
mod finalize;
mod notices;
mod quorum;
mod recovered;
mod remedy;
mod silent;
mod status;
mod trouble;
mod waiting;

pub use command::{ClusterArgs, run};
pub use silent::Silent;
pub use status::summary;
