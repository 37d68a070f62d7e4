//! A small Raft, in the place of the consensus library: votes, log, commits and members; no snapshots, no Pre-Vote. Pure.
//!
//! The library cannot be stepped by a seed. What is simulated is what Holdfast adds to it: whose vote and whose
//! acknowledgement counts. So this is kept as plain as the rules allow, and where it differs it is the wilder: nobody refuses
//! an election because there is a leader. As in the library a vote goes to the higher of (term, node id), and to nobody whose
//! log is older.
//!
//! All that is written comes out as [`Write`]s; what drives it lets nothing be told before what was written before it is
//! durable, and says what is ([`Raft::flushed`]).

mod core;
mod election;
mod following;
mod leading;

pub use core::{Body, Effect, Raft};
