//! The actors. The only folder that knows actix; others see [`PartitionAddress`], [`SessionAddress`] and [`Actors`].
//!
//! - `partition`: the shell of one partition replica. It gives events with the time to the pure core and does what the
//!   core's effects say, in order.
//! - `session`: the broker's session with the active controller. It applies metadata; `replicas` tells, closes and deletes
//!   what the roster says, and `opening` opens it. `under_way`: what a stop waits for.
//! - `threads`: the few threads that all actors live on.
//!
//! Invariants: (1) `do_send` is used nowhere: a mailbox has a bound, and a full one makes the sender wait; (2) what the
//! log writer reports does not pass through a mailbox, see [`crate::partition::completion`]; (3) nothing here blocks: no
//! file, no sync, no read from disk; (4) a panic in an actor ends the process, because a dead actor in a live broker is
//! the worst state.

mod address;
mod copying;
mod effects;
mod events;
mod in_hand;
mod opened;
mod opening;
mod partition;
mod replicas;
mod session;
mod threads;
mod under_way;

pub use address::{Closed, PartitionAddress};
pub use events::{SessionAddress, SessionEvent, SessionReply};
pub use opened::Opened;
pub use threads::Actors;
