//! Broker sessions: who is alive, as a function of events and time. Pure.
//!
//! Place: the sessions' actor feeds it and carries out its effects. It exists on the active controller only and is not
//! replicated: what it decides becomes a command, and only the command changes the cluster.
//!
//! ```text
//!            heartbeat within the timeout, ready, caught up
//!   fenced ────────────────────────────────────────────────▶ alive
//!      ▲                                                       │
//!      └── silent for the session timeout, or ─────────────────┘
//!          disconnected and not back within the grace
//! ```
//!
//! 1. A broker's deadlines are compared at each of its own events, and all at every tick, with the time that came with it:
//!    what a heartbeat costs does not grow with the brokers.
//! 2. A controller that becomes active gives every broker a full session timeout: it knows nothing of the time before.
//! 3. Connections have numbers: what an old one still says, its end included, changes nothing. None outlives the leadership
//!    or the registration that it was opened in.
//! 4. A broker is unfenced only after it applied everything up to its last registration or fencing, so that it knows
//!    what it lost before it serves.
//! 5. A broker whose fencing is proposed gets no lease until it is known to be fenced or not. One that may have been logged
//!    is proposed again until it is known.
//! 6. An active controller that starts over from the registrations keeps the connections: these go on. In another term it
//!    keeps nothing: what came of its proposals is in the registrations, or never will be.
//! 7. **While this controller itself could hear nobody no deadline runs.** Suspended, because it lost its lease or hands
//!    over, it refuses every session: then it decides nothing and gives no lease, and afterwards gives every broker a full
//!    session timeout. If it stood still it does the same. Both once for each time that a broker is heard; of what comes
//!    after that one session timeout in all counts for no deadline: one that is dead is fenced however often its controller
//!    loses its lease.
//! 8. Proposals have numbers: the end of one that is no longer the broker's changes nothing. At most one proposal a broker
//!    is in flight. One that came to nothing is made again [`RETRY_MS`] later, not sooner.
//! 9. Sessions that end together are fenced together, by one command ([`holdfast_metadata::Command::FenceBrokers`]): the first
//!    whose deadline passes takes those along that have no connection any more, and those that were nearly as silent
//!    ([`Timeouts::nearly_ms`]). So nobody is fenced later than by its own deadline, and one that is alone at once as ever.
//!    While another is dead, one whose connection broke has no grace, and one that is silent three quarters of its timeout.
//! 10. A broker that starts again takes along those that are lost, and those that want to register as it does. As long as
//!     there is one that was not heard since this controller became active, or again, it waits ([`Earlier::NotYet`]): that one
//!     may have ended with it, and is then fenced with it by the first deadline. It waits as well while a fencing of its own
//!     session is under way, whatever caused it.
//!     Who registers again in time after it alone was lost is not fenced at all: its registration says enough.
//!
//! - `event`: what goes in and out. `session`: one broker. `state`: all of them. `restarts`: those that
//!   start again.

mod event;
mod restarts;
mod session;
mod state;

pub use event::{ConnectionId, Earlier, Ending, Event, Proposal, Timeouts, Verdict};
pub use state::{RETRY_MS, Sessions};

#[cfg(test)]
mod restarts_tests;
#[cfg(test)]
mod sessions_tests;
#[cfg(test)]
mod suspended_tests;
#[cfg(test)]
mod together_tests;
