//! Administration: topics, their settings, moves of replicas, the cluster.
//!
//! Place: talks to any broker, which forwards what only the active controller may decide.
//!
//! Invariants:
//! 1. A call is tried again only while it surely did not happen, or is safe to repeat: reads always; a change only after
//!    an answer that says *not appended*, or when nobody was reached.
//! 2. A change that was made is known to the broker that this client asks next, within the deadline.
//!
//! Failure: after `admin_timeout` the last error; [`crate::Error::is_in_doubt`] tells whether a change may have happened.
//!
//! - `handle`: the handle, and how calls are repeated. `topics`: topics and their settings. `moves`: moves of replicas,
//!   brokers to be emptied or forgotten. `quorum`: the controllers. `recovery`: the last resort of
//!   a partition, and `loss`: what it gave up. `disk`: that of a broker's disk. `answering`: which nodes answer.

mod answering;
mod disk;
mod handle;
mod loss;
mod moves;
mod quorum;
mod recovery;
mod topics;

pub use answering::Presence;
pub use disk::LostDisk;
pub use handle::Admin;
pub use loss::{Doubt, Loss};
pub use moves::{Move, MovePlan};
pub use recovery::{PartitionRecovery, RecoverPartition};
pub use topics::{CreatedTopic, NewTopic, TopicChange};
