//! What a partition replica shares between its actor, the services and the log: no framework in here.
//!
//! - [`Replica`]: the handle; where consumers stand, who waits, how to reach the actor.
//! - [`tail`]: recent batches in memory, for followers and tailing consumers.
//! - [`read`]: batches by offset, from the tail cache, else from disk on a blocking thread.
//! - [`outbox`]: answers to one follower's broker, one slot a partition.
//! - [`completion`]: what the log writer's threads report, one slot a partition.
//! - [`message`]: what a partition actor can be told.

pub mod completion;
mod handle;
pub mod message;
pub mod outbox;
pub mod read;
pub mod tail;
mod waiters;

pub use handle::{Partition, Replica, View};
pub use waiters::{Waiter, Waiters};
