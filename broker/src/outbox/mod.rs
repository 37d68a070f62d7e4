//! What waits to be told to other nodes: the latest word about each partition.
//!
//! - [`latest`]: what all of them stand on: one value a key. Pure.
//! - [`requests`]: what a source broker is told, and which requests for records have no answer yet. Pure.
//! - [`Positions`]: as a follower, positions that wait to be told to the leaders' brokers.
//! - [`answers`]: as a leader, answers to one follower's broker; [`streams`]: which of its streams is the newest.
//! - [`Distrusts`]: replicas that this broker does not vouch for.
//! - [`Proposals`]: as a leader, ISR changes that wait to be proposed to the active controller.
//!
//! All of them are maps, not queues: a newer word about a partition replaces the older one, so their size is bounded by the
//! number of partitions and a slow peer delays words but never piles them up.

pub mod answers;
mod distrusts;
pub mod latest;
mod positions;
mod proposals;
pub mod requests;
pub mod streams;

pub use distrusts::{Distrusts, Waiting};
pub use positions::{PositionStream, Positions, SourcePositions};
pub use proposals::{Proposal, Proposals};
