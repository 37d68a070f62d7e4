//! A simulated broker process: what ships, over a forgetful disk.
//!
//! - `process`: one run of the process: registration, sessions and their heartbeats, the lease, metadata and the roster.
//! - `replicas`: the replicas that run: it executes the effects of each core as the shell must, in order.
//! - `trust`: what it proves of its folder, and which replicas it does not vouch for.
//! - `time`: what it makes of its clocks.
//! - `leaving`: how it leaves in order. `looks`: what others look at of it. `outgoing`: what the world has to carry out for it.

mod leaving;
mod looks;
mod outgoing;
mod process;
mod replicas;
mod time;
mod trust;

pub use outgoing::Outgoing;
pub use process::{Broker, HEARTBEAT_MS};
