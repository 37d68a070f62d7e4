//! What flows between brokers, and from leaders to the controller: queues that hold the latest word of each partition.
//!
//! - [`FetchQueues`]: as a follower, positions that wait to be told to the leaders' brokers.
//! - [`MoveBudget`]: what may be copied for moves at the moment.
//! - [`Proposals`]: as a leader, ISR changes that wait to be proposed to the active controller.
//!
//! The queues are maps, not queues: a newer word about a partition replaces the older one, so their size is bounded by the
//! number of partitions and a slow peer delays words but never piles them up.

mod fetch_queue;
mod incoming;
mod move_budget;
mod proposals;

pub use fetch_queue::{FetchQueue, FetchQueues, Positions};
pub use incoming::{Incoming, deliver};
pub use move_budget::MoveBudget;
pub use proposals::{Proposal, Proposals};

pub(crate) use incoming::info;
