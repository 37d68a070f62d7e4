//! What a partition replica shares between its actor, the services and the log: no framework in here.
//!
//! - [`OpenReplica`]: the handle; where consumers stand, who waits, how to reach the actor.
//! - [`tail`]: recent batches in memory, for followers and tailing consumers.
//! - [`read`]: batches by offset, from the tail cache, else from disk on a blocking thread.
//! - [`answer_memory`]: what was read and has not left the socket, within one bound for each kind of reader;
//!   [`answer_reader`]: whether a reader takes its answers.
//! - [`roster`]: which replicas a broker holds, and the life of each. [`copying`]: what a follower that a move brings here
//!   may ask for, out of the [`move_budget`] of the broker. All pure.
//! - [`findings`]: what is wrong with replicas, until somebody looks at it; [`failing`]: when reads that the disk failed are
//!   that; [`consequence`]: what follows. The latter two are pure.
//! - [`unopened`]: those that cannot be opened, to be told.
//! - [`difference`]: pure, which of the replicas that differ stand aside; [`compared`]: what a follower says of a range.
//! - [`scrub_budget`]: how fast replicas are read again, by whomever.
//! - [`last_word`]: pure, what a leader tells the controllers when it stops.
//! - [`completion`]: what the log writer's threads report, one slot a partition.
//! - [`message`]: what a partition actor can be told.

pub mod answer_memory;
pub mod answer_reader;
pub mod compared;
pub mod completion;
pub mod consequence;
pub mod copying;
pub mod difference;
pub mod failing;
pub mod findings;
mod handle;
pub mod last_word;
pub mod message;
pub mod move_budget;
pub mod read;
pub mod roster;
pub mod scrub_budget;
pub mod tail;
pub mod unopened;
mod waiters;

pub use handle::{OpenReplica, Partition, Read, ReplicaView};
pub use waiters::{Waiter, Waiters};
