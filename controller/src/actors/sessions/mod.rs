//! Brokers' sessions: the shell round [`crate::sessions`]. It brings the time, the changes of the cluster and what the
//! brokers' streams say, and proposes what follows.
//!
//! It runs on a thread of its own. Its mailbox is bounded.
//!
//! - `handle`: how others talk to it, with `messages`. `actor`: the shell. `starts`: brokers that
//!   wait to register. `thread`: starts and stops it.

mod actor;
mod handle;
mod messages;
mod starts;
mod thread;

pub(crate) use handle::SessionsHandle;
pub(crate) use thread::{Stopper, start};
