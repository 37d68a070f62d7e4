//! Which wall clocks are right: those of most. A broker whose clock is not among them lets retention by time, which deletes
//! for good, stand still; no one machine, and least of all the active controller's, vouches for the time alone.
//!
//! ```text
//!   brokers' heartbeats ──┐
//!   voters' answers ──────┼─▶ readings: wall clock less steady clock, per node ─▶ the median, and who is near it
//!   the own clock ────────┘                                                          │
//!   answer to a heartbeat: agrees, differs, split, unheard  ◀────────────────────────┘
//! ```
//!
//! - [`majority`]: the rule. `table`: what the parts of this controller heard, and what brokers say of their trust.

pub mod majority;
mod table;

pub use table::Clocks;
